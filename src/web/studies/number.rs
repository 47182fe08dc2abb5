//! `/studies/{name}/number`: one number of a study's table with the runs it comes from.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::experiment::{Cell, Column, Study};
use crate::store::Run;
use crate::web::charts::curves::MOST_RUNS;
use crate::web::error::{Error, Result};
use crate::web::fields::{InPath, InQuery, query_of};
use crate::web::page::{Layout, Page};
use crate::web::runs::view::RunView;
use crate::web::studies::arrangement::View;
use crate::web::studies::choice::Choice;
use crate::web::studies::sheet::sheet;
use crate::web::studies::table::paper_scale;
use crate::web::studies::tabs::with_seeds;
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
    let (row, column) = (query.get("row").unwrap_or_default(), query.get("column").unwrap_or_default());
    let columns = study.columns.iter().map(|known| (known.id.as_str(), known));
    let (place, column) = find("column", column, columns)?;
    let rows = study.rows.iter().map(|known| (known.id.as_str(), known));
    let (at, row) = find("row", row, rows)?;
    let mut sheet = sheet(&app, study, &choice, &View::default()).await??;
    let entry = sheet.own.table.rows[at].entries[place].clone();
    let cells = sheet
        .outline
        .cells
        .iter()
        .filter(|cell| cell.row == row.id && cell.column == column.id);
    let seed = |cell: &Cell| Seed {
        seed: cell.seed,
        value: entry
            .values
            .iter()
            .find(|value| value.run == cell.run)
            .map(|value| format!("{:.*}", column.decimals, value.value)),
        label: sheet
            .outline
            .runs
            .iter()
            .find(|run| run.id == cell.run)
            .map(|run| run.label.clone())
            .unwrap_or_default(),
        run: sheet.own.runs.remove(&cell.run),
    };
    let seeds: Vec<Seed> = cells.map(seed).collect();
    let href = View::default().href(&format!("/studies/{}", study.name), &choice);
    Ok(Page(NumberPage {
        layout: Layout::new("home", &app),
        title: format!("{}: {}", row.title, column.title),
        column,
        mean: entry.mean_text(column.decimals),
        n: entry.values.len(),
        paper: entry.paper_text(column.decimals),
        table: format!("{href}#row-{}", row.id),
        compare: compare(&seeds),
        study,
        choice,
        seeds,
    })
    .into_response())
}

/// The part of a study with that id, and its place among the others.
fn find<'a, T>(what: &str, id: &str, known: impl Iterator<Item = (&'a str, T)> + Clone) -> Result<(usize, T)> {
    let found = known.clone().enumerate().find(|(_, (own, _))| *own == id);
    found.map(|(place, (_, part))| (place, part)).ok_or_else(|| {
        let ids = known.map(|(id, _)| id).collect::<Vec<_>>().join(", ");
        Error::NotFound(format!("{what}: `{id}` is not in this study: it must be one of {ids}"))
    })
}

fn compare(seeds: &[Seed]) -> Option<String> {
    let known: Vec<&str> = seeds.iter().filter_map(|seed| Some(seed.run.as_ref()?.id.as_str())).collect();
    (2..=MOST_RUNS)
        .contains(&known.len())
        .then(|| format!("/compare?{}", query_of([("runs", known.join(","))])))
}
