//! A study's numbers as a table: mean, standard deviation, count, and what is missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::claim::Place;
use super::csv::field;
use super::measure::Better;
use super::resolve::Plan;
use super::run::RunId;
use super::study::{Column, Study};

/// A study filled with numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// The study's heading.
    pub title: String,
    /// What is measured.
    pub columns: Vec<Column>,
    /// What is compared.
    pub rows: Vec<TableRow>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableRow {
    /// The row's id.
    pub id: String,
    /// The heading.
    pub title: String,
    /// A remark.
    pub note: String,
    /// One entry a column.
    pub entries: Vec<Entry>,
}

/// One place of the table.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Entry {
    /// The seeds that have a number, with their runs.
    pub values: Vec<Measured>,
    /// The runs that have none yet, with their state.
    pub missing: Vec<Missing>,
    /// The paper's number.
    pub paper: Option<f64>,
    /// Whether that number may be another row's.
    pub uncertain: bool,
    /// Whether this is the best mean of the column.
    pub best: bool,
}

/// A number and the run it came from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Seed.
    pub seed: u64,
    /// Run.
    pub run: RunId,
    /// Number.
    pub value: f64,
}

/// A run without a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Missing {
    /// Seed.
    pub seed: u64,
    /// Run.
    pub run: RunId,
    /// Its state, or `not queued`.
    pub state: String,
}

impl Entry {
    /// The mean over the seeds that have a number.
    pub fn mean(&self) -> Option<f64> {
        let n = self.values.len();
        (n > 0).then(|| self.values.iter().map(|v| v.value).sum::<f64>() / n as f64)
    }

    /// The standard deviation over seeds (n - 1), from two seeds on.
    pub fn sd(&self) -> Option<f64> {
        let (n, mean) = (self.values.len(), self.mean()?);
        (n > 1).then(|| (self.values.iter().map(|v| (v.value - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt())
    }

    /// `81.2 ± 0.3`, or nothing.
    pub fn mean_text(&self, decimals: usize) -> Option<String> {
        let mean = self.mean()?;
        let sd = self.sd().map(|sd| format!(" ± {sd:.decimals$}")).unwrap_or_default();
        Some(format!("{mean:.decimals$}{sd}"))
    }

    /// The paper's number, with a question mark if it may be another row's: `83.3 ?`.
    pub fn paper_text(&self, decimals: usize) -> Option<String> {
        let mark = if self.uncertain { " ?" } else { "" };
        self.paper.map(|paper| format!("{paper:.decimals$}{mark}"))
    }

    /// `81.2 ± 0.3 (n=3)`, or nothing.
    pub fn text(&self, decimals: usize) -> String {
        let mean = self.mean_text(decimals);
        mean.map(|mean| format!("{mean} (n={})", self.values.len())).unwrap_or_default()
    }
}

impl Table {
    /// Whether any row has a number of the paper in that column.
    pub fn has_paper(&self, column: usize) -> bool {
        self.rows.iter().any(|row| row.entries[column].paper.is_some())
    }

    /// The entry at a place, if the table has the place.
    pub(super) fn entry(&self, place: &Place) -> Option<&Entry> {
        let at = self.columns.iter().position(|column| column.id == place.column)?;
        self.rows.iter().find(|row| row.id == place.row)?.entries.get(at)
    }

    /// The headings of a place: of its row and of its column.
    pub(super) fn head(&self, place: &Place) -> (String, String) {
        let row = self.rows.iter().find(|row| row.id == place.row);
        let column = self.column(&place.column);
        (
            row.map_or(&place.row, |row| &row.title).clone(),
            column.map_or(&place.column, |column| &column.title).clone(),
        )
    }

    /// The column of that id.
    pub(super) fn column(&self, id: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// How many seeds most of the numbers are of; the larger count of two that are as frequent.
    pub fn usual_n(&self) -> usize {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        let entries = self.rows.iter().flat_map(|row| &row.entries);
        for entry in entries.filter(|entry| !entry.values.is_empty()) {
            *counts.entry(entry.values.len()).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(n, places)| (*places, *n)).map_or(0, |(n, _)| n)
    }

    /// Fills the table: `value` finds a run's summary number by name, `state` a run's state.
    pub fn build(study: &Study, plan: &Plan, value: impl Fn(&RunId, &str) -> Option<f64>, state: impl Fn(&RunId) -> String) -> Table {
        let mut places: BTreeMap<(&str, &str), Entry> = BTreeMap::new();
        for cell in &plan.cells {
            let Some(column) = study.columns.iter().find(|c| c.id == cell.column) else {
                continue;
            };
            let entry = places.entry((&cell.row, &cell.column)).or_default();
            let (seed, run) = (cell.seed, cell.run.clone());
            match value(&run, &column.measure) {
                Some(value) => entry.values.push(Measured { seed, run, value }),
                None => entry.missing.push(Missing {
                    seed,
                    state: state(&run),
                    run,
                }),
            }
        }
        let rows = study.rows.iter().map(|row| {
            let entries = study.columns.iter().map(|column| {
                let mut entry = places.get(&(row.id.as_str(), column.id.as_str())).cloned().unwrap_or_default();
                entry.paper = row.paper.get(&column.id).copied();
                entry.uncertain = row.uncertain.contains(&column.id);
                entry
            });
            TableRow {
                id: row.id.clone(),
                title: row.title.clone(),
                note: row.note.clone(),
                entries: entries.collect(),
            }
        });
        let mut table = Table {
            title: study.title.clone(),
            columns: study.columns.clone(),
            rows: rows.collect(),
        };
        table.mark_best();
        table
    }

    /// The table of the seeds below `seeds` alone.
    pub fn of_seeds(mut self, seeds: u64) -> Table {
        for entry in self.rows.iter_mut().flat_map(|row| &mut row.entries) {
            entry.values.retain(|value| value.seed < seeds);
            entry.missing.retain(|missing| missing.seed < seeds);
            entry.best = false;
        }
        self.mark_best();
        self
    }

    /// Marks the best mean of each column that has at least two numbers to compare.
    pub(super) fn mark_best(&mut self) {
        for (index, column) in self.columns.iter().enumerate() {
            let sign = if column.better == Better::Lower { -1.0 } else { 1.0 };
            let means: Vec<Option<f64>> = self.rows.iter().map(|row| row.entries[index].mean().map(|m| m * sign)).collect();
            let best = means.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
            let contest = column.better != Better::Neither && means.iter().flatten().count() > 1;
            for (row, mean) in self.rows.iter_mut().zip(&means) {
                row.entries[index].best = contest && *mean == Some(best);
            }
        }
    }

    /// Whether any number is marked as the best of its column.
    pub fn has_best(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.entries).any(|entry| entry.best)
    }

    /// Long form: one line a seed. The paper's numbers stay numbers: their question mark has a column of its own.
    pub fn to_csv(&self) -> String {
        let mut text = String::from("row,column,seed,run,state,value,unit,paper,uncertain\n");
        for row in &self.rows {
            for (column, entry) in self.columns.iter().zip(&row.entries) {
                let mark = if entry.uncertain { "?" } else { "" };
                let paper = entry.paper.map(|p| p.to_string()).unwrap_or_default();
                for v in &entry.values {
                    let _ = writeln!(
                        text,
                        "{},{},{},{},finished,{},{},{paper},{mark}",
                        field(&row.id),
                        field(&column.id),
                        v.seed,
                        v.run,
                        v.value,
                        column.unit
                    );
                }
                for m in &entry.missing {
                    let _ = writeln!(
                        text,
                        "{},{},{},{},{},,{},{paper},{mark}",
                        field(&row.id),
                        field(&column.id),
                        m.seed,
                        m.run,
                        field(&m.state),
                        column.unit
                    );
                }
            }
        }
        text
    }

    /// A Markdown table, ours and the paper's side by side.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("### {}\n\n| |", self.title);
        for column in &self.columns {
            let _ = write!(text, " {} | paper |", in_cell(&column.heading()));
        }
        text.push_str("\n|---|");
        text.push_str(&"---|---|".repeat(self.columns.len()));
        for row in &self.rows {
            let _ = write!(text, "\n| {} |", in_cell(&row.title));
            for (column, entry) in self.columns.iter().zip(&row.entries) {
                let ours = entry.text(column.decimals);
                let ours = if entry.best { format!("**{ours}**") } else { ours };
                let paper = entry.paper_text(column.decimals).unwrap_or_default();
                let _ = write!(text, " {ours} | {paper} |");
            }
        }
        text.push('\n');
        text
    }
}

/// Text for a cell of a Markdown table, where a bar would start the next cell.
fn in_cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
