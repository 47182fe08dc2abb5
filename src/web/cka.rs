//! `/cka`: how alike features of whole and of masked pictures are, of several runs side by side.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;

use super::charts::ChartView;
use super::cka_charts::{Drawing, Found, MOST, View, address, charts, found, named};
use super::error::Result;
use super::fields::{Fields, InQuery};
use super::filters;
use super::page::{Layout, Page};
use super::study_choice::Choice;
use super::view::RunView;
use super::{App, AppState};
use crate::experiment::{RunId, Scale, Stage, Study};
use crate::run_dir::State as RunState;
use crate::store::{Run, RunFilter};

/// Runs offered, newest first.
const OFFERED: u64 = 200;

#[derive(askama::Template)]
#[template(path = "cka.html")]
struct CkaPage<'a> {
    layout: Layout,
    /// Studies that have such runs.
    studies: Vec<Arc<Study>>,
    scales: &'a [Scale],
    study: String,
    scale: String,
    /// Values of `cka.tokens` among the runs, and the chosen one.
    tokens: BTreeSet<String>,
    token: String,
    /// Seeds among the runs, and the chosen one.
    seeds: BTreeSet<u64>,
    seed: String,
    view: View,
    base: String,
    found: Vec<Found>,
    charts: Vec<ChartView>,
    address: String,
    /// Finished runs to tick.
    offered: Vec<Run>,
    /// What is wrong with the choice, or missing.
    notice: Option<String>,
}

impl CkaPage<'_> {
    fn is_ticked(&self, run: &Run) -> bool {
        self.found.iter().any(|one| one.run.id == run.id)
    }

    fn is_base(&self, one: &Found) -> bool {
        one.run.id.as_str() == self.base
    }
}

/// The page.
pub async fn cka(State(app): App, InQuery(query): InQuery) -> Result<impl IntoResponse + use<>> {
    let (view, base) = (View::read(&query)?, query.parse::<RunId>("base")?);
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let (mut notice, study) = (None, text("study"));
    let chosen = if study.is_empty() {
        named(&app, &query).await?
    } else {
        runs_of_study(&app, &study, &query, &mut notice).await?
    };
    let tokens = chosen.iter().filter_map(tokens_of).collect();
    let seeds: BTreeSet<u64> = chosen.iter().map(|run| run.seed).collect();
    let wanted = |run: &Run| {
        let (token, seed) = (query.get("tokens"), query.get("seed"));
        token.is_none_or(|token| tokens_of(run).as_deref() == Some(token)) && seed.is_none_or(|seed| run.seed.to_string() == seed)
    };
    let runs: Vec<Run> = chosen.into_iter().filter(wanted).take(MOST).collect();
    let found = found(&app, runs).await?;
    let drawing = Drawing::new(view, &found, base.as_ref());
    let page = CkaPage {
        layout: Layout::new("cka", &app),
        studies: app
            .library
            .all()
            .into_iter()
            .filter(|study| study.columns.iter().any(|c| c.stage == Stage::Cka))
            .collect(),
        scales: &app.scales,
        study,
        scale: text("scale"),
        tokens,
        token: text("tokens"),
        seeds,
        seed: text("seed"),
        view,
        base: drawing.base.map(|base| base.run.id.to_string()).unwrap_or_default(),
        charts: charts(&found, &drawing),
        address: address(found.iter(), &drawing),
        offered: offered(&app).await?,
        notice,
        found,
    };
    Ok(Page(page).into_response())
}

fn tokens_of(run: &Run) -> Option<String> {
    let tokens = run.spec.value(run.stage.name(), "tokens");
    tokens.map(ToString::to_string)
}

/// The study's runs that compare features, in the order of its rows, with a word about those that have not finished.
async fn runs_of_study(app: &AppState, name: &str, query: &Fields, notice: &mut Option<String>) -> Result<Vec<Run>> {
    let study = app.study(name)?;
    let mut choice = Choice::read(query);
    if choice.scale.is_empty() {
        choice.scale = app.scales.first().map(|scale| scale.name.clone()).unwrap_or_default();
    }
    let plan = choice.plan(app, &study)?;
    let mut known = app.store.runs_of(&plan).await?;
    let mut wanted: Vec<RunId> = Vec::new();
    for cell in &plan.cells {
        let compares = plan.runs.iter().any(|run| run.id == cell.run && run.stage == Stage::Cka);
        if compares && !wanted.contains(&cell.run) {
            wanted.push(cell.run.clone());
        }
    }
    let runs: Vec<Run> = wanted
        .iter()
        .filter_map(|id| known.remove(id))
        .filter(|run| run.state == RunState::Finished)
        .collect();
    if runs.len() < wanted.len() {
        *notice = Some(format!("{} of {} runs of this study have finished.", runs.len(), wanted.len()));
    }
    Ok(runs)
}

/// Finished runs that have numbers, newest first.
async fn offered(app: &AppState) -> Result<Vec<Run>> {
    let mut offered = Vec::new();
    for stage in [Stage::Cka, Stage::Compare] {
        let filter = RunFilter {
            stage: Some(stage),
            state: Some(RunState::Finished),
            limit: OFFERED,
            ..RunFilter::default()
        };
        offered.extend(app.store.runs(&filter).await?);
    }
    offered.sort_by_key(|run| std::cmp::Reverse(run.created));
    Ok(offered)
}
