//! `/report.html`: tables, claims and figures of one scale as a page that stands alone, to keep, print or attach.

use std::sync::Arc;

use axum::extract::State;

use crate::experiment::table::Table;
use crate::experiment::{Catalog, Request, Scale, Study, Verdict, plan};
use crate::run_dir;
use crate::store::{Filled, Ground, Run, Store};
use crate::web::App;
use crate::web::error::{Error, Result};
use crate::web::fields::InQuery;
use crate::web::file::{File, Kind};
use crate::web::filters;
use crate::web::runs::view::RunView;
use crate::web::studies::choice::Choice;
use crate::web::studies::claim_view::{ClaimView, claims_of};
use crate::web::studies::report_facts::{Device, Difference, devices, differences, scale_settings};
use crate::web::studies::report_figures::{Figure, figures};

#[derive(askama::Template)]
#[template(path = "studies/report.html")]
struct Report<'a> {
    scale: &'a Scale,
    data: String,
    seeds: u64,
    /// Seconds since 1970.
    written: f64,
    version: &'static str,
    counts: Vec<(Verdict, u64)>,
    parts: Vec<Part<'a>>,
    /// Studies without a number, whose claims stand unjudged.
    rest: Vec<&'a Study>,
    settings: Vec<(String, String)>,
    devices: Vec<Device>,
    /// A run's name and what it warned of.
    warnings: Vec<(String, String)>,
}

/// A study with numbers.
struct Part<'a> {
    study: &'a Study,
    table: Table,
    claims: Vec<ClaimView>,
    figures: Vec<Figure>,
    differences: Difference,
    runs: Vec<Run>,
}

/// Writes the report of everything that was run at a scale; without seeds in the request, of all that were begun.
///
/// # Errors
/// A setting that is not allowed, or a store that cannot be read.
pub async fn report(store: &Store, studies: &[Arc<Study>], scale: &Scale, catalog: &Catalog, request: &Request) -> Result<String> {
    let grounds = store.grounds().await?;
    let fits = |ground: &&Ground| ground.scale == scale.name && request.data.as_ref().is_none_or(|data| *data == ground.data);
    let ground = grounds.iter().find(fits);
    let request = Request {
        data: request.data.clone().or(ground.map(|ground| ground.data.clone())),
        seeds: Some(request.seeds.unwrap_or_else(|| ground.map_or(1, Ground::begun))),
        set: request.set.clone(),
    };
    let (mut parts, mut rest) = (Vec::new(), Vec::new());
    for study in studies {
        match part(store, study, scale, catalog, &request).await {
            Ok(Some(part)) => parts.push(part),
            Ok(None) => rest.push(study.as_ref()),
            // A person's own study may not fit the scale, which is no reason to withhold the others.
            Err(Error::Invalid(_)) if !study.is_of_paper() => rest.push(study.as_ref()),
            Err(fault) => return Err(fault),
        }
    }
    let mut runs: Vec<&Run> = parts.iter().flat_map(|part| &part.runs).collect();
    runs.sort_by(|a, b| a.id.cmp(&b.id));
    runs.dedup_by(|a, b| a.id == b.id);
    let mut warnings = Vec::new();
    for run in &runs {
        let found = store.warnings(&run.id).await?;
        warnings.extend(found.into_iter().map(|warning| (run.label.clone(), warning.message)));
    }
    let count = |verdict: Verdict| {
        let claims = parts.iter().flat_map(|part| &part.claims);
        claims.filter(|claim| claim.verdict == verdict).count() as u64
    };
    let report = Report {
        counts: Verdict::ALL.map(|verdict| (verdict, count(verdict))).to_vec(),
        devices: devices(&runs),
        scale,
        data: request.data.clone().unwrap_or_else(|| "the scale's default".to_owned()),
        seeds: request.seeds.unwrap_or(1),
        written: run_dir::now(),
        version: env!("CARGO_PKG_VERSION"),
        rest,
        settings: scale_settings(scale),
        warnings,
        parts,
    };
    askama::Template::render(&report).map_err(|e| Error::Internal(e.into()))
}

/// A study's part; `None` if it has no number.
async fn part<'a>(store: &Store, study: &'a Study, scale: &Scale, catalog: &Catalog, request: &Request) -> Result<Option<Part<'a>>> {
    let plan = plan(study, scale, catalog, request)?;
    let filled: Filled = store.fill(study, &plan).await?;
    if filled
        .table
        .rows
        .iter()
        .flat_map(|row| &row.entries)
        .all(|entry| entry.values.is_empty())
    {
        return Ok(None);
    }
    let mut runs: Vec<Run> = plan.runs.iter().filter_map(|spec| filled.runs.get(&spec.id).cloned()).collect();
    runs.sort_by_key(|run| (run.seed, run.stage));
    Ok(Some(Part {
        claims: claims_of(study, &filled.table),
        figures: figures(store, study, &plan, &filled.runs).await?,
        table: filled.table,
        differences: differences(study, &plan),
        study,
        runs,
    }))
}

/// The report as a file.
pub async fn download(State(app): App, InQuery(query): InQuery) -> Result<File> {
    let choice = Choice::read(&query);
    choice.check_source()?;
    let scale = choice.scale_of(&app)?;
    let text = report(&app.store, &app.library.all(), scale, &app.catalog, &choice.request()?).await?;
    Ok(File::new(Kind::Html, text).saved_as(format!("umbra-{}.html", scale.name)))
}
