//! A study's table for the page: numbers, what is missing, and where each leads.

use super::view::{RunView, sign_of};
use crate::experiment::table::{Entry, Missing};
use crate::store::Filled;

/// A column's heads.
pub struct Head {
    pub title: String,
    pub unit: String,
    pub better: &'static str,
    /// Whether any row has a number of the paper here.
    pub has_paper: bool,
}

/// A row of the page's table.
pub struct Line {
    pub title: String,
    pub note: String,
    pub places: Vec<Place>,
}

/// A place of the page's table.
pub struct Place {
    /// Mean ± standard deviation, and how many seeds.
    pub ours: Option<(String, usize)>,
    /// The runs with a number.
    pub from: Vec<Link>,
    pub best: bool,
    pub missing: Vec<Link>,
    pub paper: Option<String>,
    pub has_paper: bool,
}

/// A run of a place.
pub struct Link {
    pub seed: u64,
    pub text: String,
    pub class: &'static str,
    pub sign: &'static str,
    /// Its page, if it was ever queued.
    pub href: Option<String>,
}

/// The heads of the table.
pub fn heads(filled: &Filled) -> Vec<Head> {
    let columns = filled.table.columns.iter().enumerate();
    let head = |(index, column): (usize, &crate::experiment::Column)| Head {
        title: column.title.clone(),
        unit: column.unit.clone(),
        better: if column.lower_is_better {
            "lower is better"
        } else {
            "higher is better"
        },
        has_paper: filled.table.has_paper(index),
    };
    columns.map(head).collect()
}

/// The rows of the table.
pub fn lines(filled: &Filled) -> Vec<Line> {
    let rows = filled.table.rows.iter().map(|row| {
        let places = row.entries.iter().enumerate().map(|(index, entry)| place(filled, index, entry));
        Line {
            title: row.title.clone(),
            note: row.note.clone(),
            places: places.collect(),
        }
    });
    rows.collect()
}

fn place(filled: &Filled, column: usize, entry: &Entry) -> Place {
    let decimals = filled.table.columns[column].decimals;
    let ours = entry.mean_text(decimals).map(|text| (text, entry.values.len()));
    let from = entry.values.iter().map(|v| Link {
        seed: v.seed,
        text: format!("{:.decimals$}", v.value),
        class: "finished",
        sign: sign_of("finished"),
        href: Some(format!("/runs/{}", v.run)),
    });
    Place {
        ours,
        from: from.collect(),
        best: entry.best,
        missing: entry.missing.iter().map(|missing| link(filled, missing)).collect(),
        paper: entry.paper_text(decimals),
        has_paper: filled.table.has_paper(column),
    }
}

fn link(filled: &Filled, missing: &Missing) -> Link {
    let run = filled.runs.get(&missing.run);
    let class = run.map_or("none", RunView::state_class);
    Link {
        seed: missing.seed,
        text: missing.state.clone(),
        class,
        sign: sign_of(class),
        href: run.map(RunView::href),
    }
}
