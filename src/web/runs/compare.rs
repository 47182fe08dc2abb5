//! `/compare?runs=a&runs=b`: runs side by side, their curves in common charts, and only the settings that
//! differ.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::IntoResponse;

use crate::experiment::measure::{self, SECONDS};
use crate::experiment::{RunId, Stage, Values};
use crate::store::Run;
use crate::web::charts::curves::{ChartView, Look, chart, runs_of};
use crate::web::error::Result;
use crate::web::fields::{InQuery, query_of};
use crate::web::filters::measure_text;
use crate::web::page::{Layout, Page};
use crate::web::runs::view::RunView;
use crate::web::{App, AppState};

#[derive(askama::Template)]
#[template(path = "runs/compare.html")]
struct ComparePage {
    layout: Layout,
    runs: Vec<Run>,
    look: Look,
    charts: Vec<ChartView>,
    results: Vec<Line>,
    settings: Vec<Line>,
    /// Where a comparison of the features of two encoders is launched.
    likeness: Option<String>,
}

/// A name and what each run has under it.
struct Line {
    name: String,
    values: Vec<String>,
}

/// The page.
pub async fn compare(State(app): App, InQuery(query): InQuery) -> Result<impl IntoResponse> {
    let (runs, look) = (runs_of(&app, &query).await?, Look::read(&query)?);
    let mut metrics = BTreeSet::new();
    for run in &runs {
        metrics.extend(app.store.metric_names(&run.id).await?);
    }
    metrics.remove(SECONDS.name);
    let mut charts = Vec::new();
    for metric in metrics {
        charts.push(chart(&app, &runs, &[metric], &look).await?);
    }
    let (results, settings) = (results(&app, &runs).await?, settings(&app, &runs));
    Ok(Page(ComparePage {
        layout: Layout::new("runs", &app),
        likeness: likeness(&runs),
        runs,
        look,
        charts,
        results,
        settings,
    }))
}

/// The form for the comparison of two encoders' features, filled in.
fn likeness(runs: &[Run]) -> Option<String> {
    let [first, second] = runs else { return None };
    let encoders = runs.iter().all(|run| Stage::Compare.starts_from().contains(&run.stage));
    encoders.then(|| {
        let fields = [
            ("stage", Stage::Compare.to_string()),
            ("method", first.method.clone()),
            ("scale", first.scale.clone()),
            ("parent", first.id.to_string()),
            ("seed", first.seed.to_string()),
            ("compare.other", second.id.to_string()),
        ];
        format!("/launch?{}", query_of(fields))
    })
}

async fn results(app: &AppState, runs: &[Run]) -> Result<Vec<Line>> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.id.clone()).collect();
    let found = app.store.summaries(&ids).await?;
    let names: BTreeSet<&String> = found.iter().map(|(_, name, _)| name).collect();
    let value = |id: &RunId, name: &String| found.iter().find(|(run, n, _)| run == id && n == name).map(|(.., value)| *value);
    let line = |name: &String| Line {
        name: measure::heading(name),
        values: ids.iter().map(|id| value(id, name).map(measure_text).unwrap_or_default()).collect(),
    };
    Ok(names.into_iter().map(line).collect())
}

/// The settings in which at least two of the runs differ.
fn settings(app: &AppState, runs: &[Run]) -> Vec<Line> {
    let completed = |run: &Run| run.spec.completed(&app.catalog.sections_of(run.spec.stage, &run.spec.method));
    let runs: Vec<Values> = runs.iter().map(completed).collect();
    let places: BTreeSet<(&str, &str)> = runs
        .iter()
        .flatten()
        .flat_map(|(section, keys)| keys.keys().map(move |key| (section.as_str(), key.as_str())))
        .collect();
    let value = |run: &Values, section: &str, key: &str| run.get(section)?.get(key).map(ToString::to_string);
    let lines = places.into_iter().map(|(section, key)| Line {
        name: format!("{section}.{key}"),
        values: runs.iter().map(|run| value(run, section, key).unwrap_or_default()).collect(),
    });
    lines
        .filter(|line| line.values.iter().any(|value| *value != line.values[0]))
        .collect()
}
