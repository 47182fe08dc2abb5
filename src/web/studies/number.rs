//! `/studies/{name}/number`: one number of a study's table with the runs it comes from.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::app::studies::{self, Choice, NumberDetails, SeedDetails, with_seeds};
use crate::experiment::{Column, Study};
use crate::store::Run;
use crate::web::charts::curves::MOST_RUNS;
use crate::web::error::Result;
use crate::web::fields::{InPath, InQuery, query_of};
use crate::web::page::{Layout, Page};
use crate::web::runs::view::RunView;
use crate::web::studies::choice::table_href;
use crate::web::studies::table::paper_scale;
use crate::web::{App, filters};

#[derive(askama::Template)]
#[template(path = "studies/number.html")]
struct NumberPage<'a> {
    layout: Layout,
    study: &'a Study,
    choice: Choice,
    title: String,
    column: &'a Column,
    mean: Option<String>,
    n: usize,
    paper: Option<String>,
    seeds: Vec<Seed>,
    /// The row in its table.
    table: String,
    /// Its runs side by side, if there are several that can be told apart.
    compare: Option<String>,
}

/// One of the runs that a number comes from.
struct Seed {
    seed: u64,
    value: Option<String>,
    label: String,
    /// Nothing if it was never queued.
    run: Option<Run>,
}

impl NumberPage<'_> {
    fn paper_scale(&self) -> &str {
        paper_scale(self.study)
    }
}

/// The page.
pub async fn number(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<Response> {
    let study = app.study(path.text("name")?)?;
    let study = study.as_ref();
    let choice = with_seeds(&app, study, Choice::read(&query)).await?;
    let place = (query.get("row").unwrap_or_default(), query.get("column").unwrap_or_default());
    let NumberDetails { row, column, entry, seeds } = studies::number(&app, study, &choice, place).await?;
    let seed = |seed: SeedDetails| Seed {
        seed: seed.seed,
        value: seed.value.map(|value| format!("{value:.*}", column.decimals)),
        label: seed.label,
        run: seed.run,
    };
    let seeds: Vec<Seed> = seeds.into_iter().map(seed).collect();
    Ok(Page(NumberPage {
        layout: Layout::new("home", &app),
        title: format!("{}: {}", row.title, column.title),
        column,
        mean: entry.mean_text(column.decimals),
        n: entry.values.len(),
        paper: entry.paper_text(column.decimals),
        table: format!("{}#row-{}", table_href(&study.name, &choice), row.id),
        compare: compare(&seeds),
        study,
        choice,
        seeds,
    })
    .into_response())
}

fn compare(seeds: &[Seed]) -> Option<String> {
    let known: Vec<&str> = seeds.iter().filter_map(|seed| Some(seed.run.as_ref()?.id.as_str())).collect();
    (2..=MOST_RUNS)
        .contains(&known.len())
        .then(|| format!("/compare?{}", query_of([("runs", known.join(","))])))
}
