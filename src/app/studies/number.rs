//! One number of a study's table with the runs it comes from.

use super::{Choice, TableOptions, sheet};
use crate::app::{Error, Result, Workspace};
use crate::experiment::table::Entry;
use crate::experiment::{Cell, Column, Row, Study};
use crate::store::Run;

/// A number of a table.
#[derive(Clone, Debug)]
pub struct NumberDetails<'a> {
    /// Its row.
    pub row: &'a Row,
    /// Its column.
    pub column: &'a Column,
    /// The number, and the paper's.
    pub entry: Entry,
    /// The runs that it comes from, a seed each.
    pub seeds: Vec<SeedDetails>,
}

/// One of the runs that a number comes from.
#[derive(Clone, Debug)]
pub struct SeedDetails {
    /// Its seed.
    pub seed: u64,
    /// Its number, once there is one.
    pub value: Option<f64>,
    /// Its name for people.
    pub label: String,
    /// Nothing if it was never queued.
    pub run: Option<Run>,
}

/// The number in a row and a column.
///
/// # Errors
/// A row, a column or a choice that is not allowed, or a database that cannot be read.
pub async fn number<'a>(
    workspace: &Workspace,
    study: &'a Study,
    choice: &Choice,
    (row, column): (&str, &str),
) -> Result<NumberDetails<'a>> {
    let columns = study.columns.iter().map(|known| (known.id.as_str(), known));
    let (place, column) = find("column", column, columns)?;
    let rows = study.rows.iter().map(|known| (known.id.as_str(), known));
    let (at, row) = find("row", row, rows)?;
    let mut sheet = sheet(workspace, study, choice, &TableOptions::default()).await??;
    let entry = sheet.own.table.rows[at].entries[place].clone();
    let cells = sheet.plan.cells.iter();
    let cells = cells.filter(|cell| cell.row == row.id && cell.column == column.id);
    let seed = |cell: &Cell| SeedDetails {
        seed: cell.seed,
        value: entry.values.iter().find(|value| value.run == cell.run).map(|value| value.value),
        label: sheet
            .plan
            .runs
            .iter()
            .find(|run| run.id == cell.run)
            .map(|run| run.label.clone())
            .unwrap_or_default(),
        run: sheet.own.runs.remove(&cell.run),
    };
    Ok(NumberDetails {
        seeds: cells.map(seed).collect(),
        row,
        column,
        entry,
    })
}

/// The part of a study with that id, and its place among the others.
fn find<'a, T>(what: &str, id: &str, known: impl Iterator<Item = (&'a str, T)> + Clone) -> Result<(usize, T)> {
    let found = known.clone().enumerate().find(|(_, (own, _))| *own == id);
    found.map(|(place, (_, part))| (place, part)).ok_or_else(|| {
        let ids = known.map(|(id, _)| id).collect::<Vec<_>>().join(", ");
        Error::Missing(format!("{what}: `{id}` is not in this study: it must be one of {ids}"))
    })
}
