//! `/studies/{name}/number`: one number of a study's table with the runs it comes from.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::charts::MOST_RUNS;
use super::error::{Error, Result};
use super::fields::{InPath, InQuery, query_of};
use super::page::{Layout, Page};
use super::study_choice::Choice;
use super::study_sheet::sheet;
use super::study_table::paper_scale;
use super::study_view::View;
use super::view::RunView;
use super::{App, filters};
use crate::experiment::{Column, Study};
use crate::store::Run;

#[derive(askama::Template)]
#[template(path = "number.html")]
struct NumberPage<'a> {
    layout: Layout,
    study: &'a Study,
    choice: Choice,
    title: String,
    column: &'a Column,
    mean: Option<String>,
    n: usize,
    paper: Option<String>,
    /// Seed, its number, and its run; or its name, if it was never queued.
    seeds: Vec<(u64, Option<String>, String, Option<Run>)>,
    table: String,
    compare: Option<String>,
}

impl NumberPage<'_> {
    fn paper_scale(&self) -> &str {
        paper_scale(self.study)
    }
}

/// The page.
pub async fn number(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<Response> {
    let study = app.study(path.text("name")?)?;
    let (choice, asked) = (Choice::read(&query), |name: &str| query.get(name).unwrap_or_default().to_owned());
    let (row, column) = (asked("row"), asked("column"));
    let none = |what: &str, id: &str, known: Vec<&str>| {
        let known = known.join(", ");
        Error::NotFound(format!("{what}: `{id}` is not in this study: it must be one of {known}"))
    };
    let columns = || study.columns.iter().map(|column| column.id.as_str()).collect();
    let column = study
        .columns
        .iter()
        .find(|known| known.id == column)
        .ok_or_else(|| none("column", &column, columns()))?;
    let mut sheet = sheet(&app, study, &choice, &View::default()).await??;
    let place = sheet
        .own
        .table
        .columns
        .iter()
        .position(|known| known.id == column.id)
        .unwrap_or_default();
    let found = sheet.own.table.rows.iter().find(|known| known.id == row);
    let rows = || study.rows.iter().map(|row| row.id.as_str()).collect();
    let found = found.ok_or_else(|| none("row", &row, rows()))?;
    let entry = &found.entries[place];
    let cells = sheet
        .outline
        .cells
        .iter()
        .filter(|cell| cell.row == row && cell.column == column.id);
    let seeds = cells.map(|cell| {
        let value = entry.values.iter().find(|value| value.run == cell.run);
        let label = sheet
            .outline
            .runs
            .iter()
            .find(|run| run.id == cell.run)
            .map(|run| run.label.clone());
        let value = value.map(|value| format!("{:.*}", column.decimals, value.value));
        (cell.seed, value, label.unwrap_or_default(), sheet.own.runs.remove(&cell.run))
    });
    let seeds: Vec<_> = seeds.collect();
    let known: Vec<&str> = seeds.iter().filter_map(|(.., run)| Some(run.as_ref()?.id.as_str())).collect();
    let compare = (2..=MOST_RUNS)
        .contains(&known.len())
        .then(|| format!("/compare?{}", query_of([("runs", known.join(","))])));
    Ok(Page(NumberPage {
        layout: Layout::new("home", &app),
        title: format!("{}: {}", found.title, column.title),
        column,
        mean: entry.mean_text(column.decimals),
        n: entry.values.len(),
        paper: entry.paper_text(column.decimals),
        table: format!("{}#row-{row}", View::default().href(&format!("/studies/{}", study.name), &choice)),
        study,
        choice,
        seeds,
        compare,
    })
    .into_response())
}
