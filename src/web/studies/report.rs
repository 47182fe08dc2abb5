//! `/report.html`: tables, claims and figures of one scale as a page that stands alone, to keep, print or attach.

use std::sync::Arc;

use axum::extract::State;

use crate::app;
use crate::app::Workspace;
use crate::app::report::{DeviceTime, Differences};
use crate::app::studies::Choice;
use crate::experiment::{Request, Scale, Study, Table, Verdict};
use crate::run_dir;
use crate::store::Run;
use crate::web::App;
use crate::web::error::{Error, Result};
use crate::web::fields::InQuery;
use crate::web::file::{File, Kind};
use crate::web::filters;
use crate::web::studies::claim_view::ClaimView;
use crate::web::studies::report_figures::{Figure, figures};

#[derive(askama::Template)]
#[template(path = "studies/report.html")]
struct ReportPage<'a> {
    scale: &'a Scale,
    data: &'a str,
    seeds: u64,
    /// Seconds since 1970.
    written: f64,
    version: &'static str,
    counts: &'a [(Verdict, u64)],
    parts: Vec<PartView<'a>>,
    /// Studies without a number, whose claims stand unjudged.
    rest: &'a [Arc<Study>],
    settings: &'a [(String, String)],
    devices: &'a [DeviceTime],
    /// A run's name and what it warned of.
    warnings: &'a [(String, String)],
}

/// A study with numbers.
struct PartView<'a> {
    study: &'a Study,
    table: &'a Table,
    claims: Vec<ClaimView>,
    figures: Vec<Figure>,
    differences: &'a Differences,
    runs: &'a [Run],
}

/// Writes the report of everything that was run at a scale; without seeds in the request, of all that were begun.
///
/// # Errors
/// A setting that is not allowed, or a store that cannot be read.
pub async fn report(workspace: &Workspace, scale: &Scale, request: &Request) -> Result<String> {
    let report = app::report::report(workspace, scale, request).await?;
    let mut parts = Vec::new();
    for part in &report.parts {
        let claims = part.claims.iter().map(|judgment| ClaimView::of(&part.study.name, judgment));
        parts.push(PartView {
            study: &part.study,
            table: &part.table,
            claims: claims.collect(),
            figures: figures(&workspace.store, part).await?,
            differences: &part.differences,
            runs: &part.runs,
        });
    }
    let page = ReportPage {
        scale,
        data: report.data.as_deref().unwrap_or("the scale's default"),
        seeds: report.seeds,
        written: run_dir::now(),
        version: env!("CARGO_PKG_VERSION"),
        counts: &report.counts,
        parts,
        rest: &report.rest,
        settings: &report.settings,
        devices: &report.devices,
        warnings: &report.warnings,
    };
    askama::Template::render(&page).map_err(|e| Error::Internal(e.into()))
}

/// The report as a file.
pub async fn download(State(app): App, InQuery(query): InQuery) -> Result<File> {
    let choice = Choice::read(&query);
    choice.check_source()?;
    let scale = choice.scale_in(&app)?;
    let text = report(&app, scale, &choice.request(&app.datasets)?).await?;
    Ok(File::new(Kind::Html, text).saved_as(format!("umbra-{}.html", scale.name)))
}
