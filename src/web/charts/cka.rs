//! `/cka`: the similarity of features of full and of masked images, of several runs side by side.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;

use crate::app::studies::{Choice, runs_of};
use crate::experiment::{RunId, Scale, Stage, Study};
use crate::run_dir::State as RunState;
use crate::store::{Run, RunFilter};
use crate::web::charts::cka_files::{Drawing, Found, MOST, View, address, charts, found};
use crate::web::charts::curves::ChartView;
use crate::web::error::Result;
use crate::web::fields::{Fields, InQuery};
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::runs::selection::groups;
use crate::web::runs::view::RunView;
use crate::web::{App, AppState};

/// Runs offered, newest first.
const OFFERED: u64 = 200;

#[derive(askama::Template)]
#[template(path = "charts/cka.html")]
struct CkaPage<'a> {
    layout: Layout,
    /// Studies that have such runs.
    studies: Vec<Arc<Study>>,
    scales: &'a [Scale],
    study: String,
    scale: String,
    /// Images among the runs, and the chosen ones.
    sources: BTreeSet<String>,
    data: String,
    /// Values of `cka.tokens` among the runs, and the chosen one.
    tokens: BTreeSet<String>,
    token: String,
    /// Seeds among the study's runs, and the chosen one: a number, `each`, or empty for the mean of all.
    seeds: BTreeSet<u64>,
    seed: String,
    view: View,
    base: String,
    found: Vec<Found>,
    charts: Vec<ChartView>,
    address: String,
    /// Finished runs to select from.
    offered: Vec<Run>,
    /// What is wrong with the choice, or missing.
    notice: Option<String>,
}

impl CkaPage<'_> {
    fn is_ticked(&self, run: &Run) -> bool {
        self.found.iter().flat_map(|one| &one.runs).any(|known| known.id == run.id)
    }
}

/// The page.
pub async fn cka(State(app): App, InQuery(query): InQuery) -> Result<impl IntoResponse + use<>> {
    let view = View::read(&query)?;
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let (mut notice, study, seed, token) = (None, text("study"), text("seed"), text("tokens"));
    let offered = offered(&app).await?;
    let chosen = if study.is_empty() {
        groups(&app, &query, MOST).await?
    } else {
        runs_of_study(&app, &study, &query, &offered, &mut notice).await?
    };
    let tokens = chosen.iter().flatten().filter_map(tokens_of).collect();
    let seeds: BTreeSet<u64> = chosen.iter().flatten().map(|run| run.seed).collect();
    let wanted = |group: &Vec<Run>| token.is_empty() || group.iter().all(|run| tokens_of(run).as_ref() == Some(&token));
    let mut wanted: Vec<Vec<Run>> = chosen.into_iter().filter(wanted).collect();
    if !study.is_empty() {
        wanted = by_seed(wanted, &seed);
    }
    wanted.truncate(MOST);
    let found = found(&app.store, wanted).await?;
    let drawing = Drawing::new(view, &found, query.get("base"));
    let page = CkaPage {
        layout: Layout::new("cka", &app),
        studies: app
            .library
            .all()
            .into_iter()
            .filter(|study| study.columns.iter().any(|c| c.stage == Stage::Cka))
            .collect(),
        scales: &app.scales,
        sources: offered.iter().map(|run| run.data.clone()).collect(),
        data: text("data"),
        scale: text("scale"),
        study,
        tokens,
        token,
        seeds,
        seed,
        view,
        base: drawing.base.map(Found::id).unwrap_or_default(),
        charts: charts(&found, &drawing),
        address: address(found.iter(), &drawing),
        offered,
        notice,
        found,
    };
    Ok(Page(page).into_response())
}

/// Seeds of one encoder together, each by itself, or one alone.
fn by_seed(groups: Vec<Vec<Run>>, seed: &str) -> Vec<Vec<Run>> {
    match seed {
        "" => groups,
        "each" => groups.into_iter().flatten().map(|run| vec![run]).collect(),
        one => groups
            .into_iter()
            .flatten()
            .filter(|run| run.seed.to_string() == one)
            .map(|run| vec![run])
            .collect(),
    }
}

fn tokens_of(run: &Run) -> Option<String> {
    let tokens = run.spec.value(run.stage.name(), "tokens");
    tokens.map(ToString::to_string)
}

/// The study's runs that compare features, in the order of its rows and the seeds of each together, with a word about those
/// that have not finished.
async fn runs_of_study(app: &AppState, name: &str, query: &Fields, offered: &[Run], notice: &mut Option<String>) -> Result<Vec<Vec<Run>>> {
    let study = app.study(name)?;
    let mut choice = Choice::read_or(query, app.smallest_scale());
    if choice.seeds.is_empty() {
        let same = |run: &&Run| run.scale == choice.scale && (choice.data.is_empty() || run.data == choice.data);
        let last = offered.iter().filter(same).map(|run| run.seed).max();
        choice.seeds = last.map(|seed| (seed + 1).to_string()).unwrap_or_default();
    }
    let plan = choice.plan(app, &study)?;
    let known = runs_of(&app.store, &plan).await?;
    let mut wanted: Vec<Vec<RunId>> = Vec::new();
    for row in &study.rows {
        for column in study.columns.iter().filter(|column| column.stage == Stage::Cka) {
            let cells = plan.cells.iter().filter(|cell| cell.row == row.id && cell.column == column.id);
            let seeds: Vec<RunId> = cells.map(|cell| cell.run.clone()).collect();
            if !seeds.is_empty() && !wanted.contains(&seeds) {
                wanted.push(seeds);
            }
        }
    }
    let finished = |id: &RunId| known.get(id).filter(|run| run.state == RunState::Finished).cloned();
    let runs: Vec<Vec<Run>> = wanted.iter().map(|seeds| seeds.iter().filter_map(finished).collect()).collect();
    let (done, all) = (runs.iter().flatten().count(), wanted.iter().flatten().count());
    if done < all {
        *notice = Some(format!("{done} of {all} runs of this study have finished."));
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
