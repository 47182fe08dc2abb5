//! `/compare?runs=a&runs=b`: runs side by side, their curves in common charts, and only the settings that
//! differ.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::IntoResponse;

use crate::app::runs::{CompareLine, different_settings, results_of};
use crate::experiment::Stage;
use crate::experiment::measure::SECONDS;
use crate::store::Run;
use crate::web::App;
use crate::web::charts::curves::{ChartView, Look, chart, runs_of};
use crate::web::error::Result;
use crate::web::fields::{InQuery, query_of};
use crate::web::filters::measure_text;
use crate::web::page::{Layout, Page};
use crate::web::runs::view::RunView;

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
    let results = lines(results_of(&app.store, &runs).await?, measure_text);
    let settings = lines(different_settings(&app.catalog, &runs), |text| text);
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

fn lines<T>(lines: Vec<CompareLine<T>>, text: impl Fn(T) -> String) -> Vec<Line> {
    let line = |line: CompareLine<T>| Line {
        name: line.name,
        values: line.values.into_iter().map(|value| value.map(&text).unwrap_or_default()).collect(),
    };
    lines.into_iter().map(line).collect()
}
