//! `/claims`: what the paper concludes, judged on the runs that are here, and what to run next.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use crate::app::studies::{Choice, ClaimScope, Evidence, past};
use crate::experiment::{Invalid, RunSpec, Scale, Study, Verdict};
use crate::web::error::{Error, Failure, Result};
use crate::web::fields::{Fields, InForm, InPath, InQuery, query_of};
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::studies::claim_view::{ClaimView, anchor};
use crate::web::{App, AppState};

#[derive(askama::Template)]
#[template(path = "studies/claims.html")]
struct ClaimsPage<'a> {
    layout: Layout,
    scales: &'a [Scale],
    /// Sources that runs have, and the built-in one.
    sources: Vec<String>,
    choice: Choice,
    /// The seeds that are judged.
    seeds: u64,
    /// Whether anything was ever run there.
    begun: bool,
    counts: Vec<(Verdict, u64)>,
    only: Option<Verdict>,
    studies: Vec<Card>,
    /// Studies that cannot be run as they stand.
    faults: Vec<String>,
    /// How many runs the order before this page queued.
    launched: Option<u64>,
}

/// A study with its claims.
struct Card {
    study: Arc<Study>,
    claims: Vec<ClaimView>,
}

/// Where claims are judged, as the address or the form says.
async fn scope<'a>(app: &'a AppState, fields: &Fields) -> Result<ClaimScope<'a>> {
    let choice = Choice::read(fields);
    choice.check_source()?;
    Ok(ClaimScope::of(app, choice).await?)
}

/// The query that leads to a choice's claims of that verdict, or of all.
fn query_to(choice: &Choice, verdict: Option<Verdict>) -> String {
    let name = verdict.map(|verdict| verdict.name().to_owned()).unwrap_or_default();
    query_of(choice.pairs().chain([("verdict", name)]))
}

impl ClaimsPage<'_> {
    /// The query of this page with another verdict.
    fn with(&self, verdict: Option<&Verdict>) -> String {
        query_to(&self.choice, verdict.copied())
    }

    fn total(&self) -> u64 {
        self.counts.iter().map(|(_, n)| n).sum()
    }
}

/// The page.
pub async fn claims(State(app): App, InQuery(query): InQuery) -> Result<impl IntoResponse + use<>> {
    let only = query.parse::<Verdict>("verdict")?;
    let scope = scope(&app, &query).await?;
    let past = past(&app, &scope.scale.name).await?;
    let (mut studies, mut faults) = (Vec::new(), Vec::new());
    let mut counts = Verdict::ALL.map(|verdict| (verdict, 0));
    for (study, claims) in scope.judge_all(&app).await? {
        let claims = match claims {
            Ok(claims) => claims,
            Err(fault) => {
                faults.push(fault_of(&study, &fault));
                continue;
            }
        };
        for (verdict, n) in &mut counts {
            *n += claims.iter().filter(|claim| claim.judgment.verdict == *verdict).count() as u64;
        }
        let shown = claims.iter().filter(|claim| only.is_none_or(|only| claim.judgment.verdict == only));
        let claims: Vec<ClaimView> = shown.map(|claim| ClaimView::with_next(&study.name, claim, &past)).collect();
        if !claims.is_empty() {
            studies.push(Card { study, claims });
        }
    }
    let page = ClaimsPage {
        layout: Layout::new("claims", &app),
        scales: &app.scales,
        sources: sources(&scope.evidence),
        seeds: scope.seeds,
        begun: scope.begun,
        choice: scope.choice,
        counts: counts.to_vec(),
        only,
        studies,
        faults,
        launched: query.parse("queued")?,
    };
    Ok(Page(page).into_response())
}

/// Queues what a claim wants next, and shows the claim again.
pub async fn launch(State(app): App, path: InPath, InForm(form): InForm) -> Result<Response> {
    let (id, only) = (path.text("claim")?, form.parse::<Verdict>("verdict")?);
    let scope = scope(&app, &form).await?;
    let study = app.study(path.text("study")?)?;
    let claims = scope.judge(&app, &study).await?;
    let found = claims.into_iter().find(|claim| claim.judgment.claim.id == id);
    let next = found
        .ok_or_else(|| Error::NotFound(format!("there is no claim {id} in that study")))?
        .next;
    let runs: Vec<RunSpec> = next.runs().into_iter().cloned().collect();
    let queued = app.launcher().queue(&runs, 0).await?.queued.len();
    Ok(Redirect::to(&format!(
        "/claims?{}&queued={queued}#{}",
        query_to(&scope.choice, only),
        anchor(&study.name, id)
    ))
    .into_response())
}

/// The same as JSON.
pub async fn json(State(app): App, InQuery(query): InQuery) -> Result<Json<Value>, Failure> {
    let scope = scope(&app, &query).await?;
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for (study, claims) in scope.judge_all(&app).await? {
        match claims {
            Ok(claims) => all.extend(claims.iter().map(|claim| claim.to_json(&study))),
            Err(fault) => faults.push(fault_of(&study, &fault)),
        }
    }
    Ok(Json(
        json!({ "scale": scope.scale.name, "data": scope.choice.data, "seeds": scope.seeds, "claims": all, "faults": faults }),
    ))
}

fn fault_of(study: &Study, fault: &Invalid) -> String {
    format!("Study {}: {fault}.", study.name)
}

fn sources(evidence: &[Evidence]) -> Vec<String> {
    let mut sources = vec!["builtin".to_owned()];
    sources.extend(evidence.iter().map(|one| one.data.clone()));
    sources.sort();
    sources.dedup();
    sources
}
