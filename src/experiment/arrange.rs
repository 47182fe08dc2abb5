//! Which part of a table is shown and in which order: pages, exports and the command line read the same words.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::measure::Better;
use super::study::Column;
use super::table::{Table, TableRow};

/// A part of a table, in an order of its own. The default is the whole table as its study has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrangement {
    /// Ids of the columns, from left to right; empty is all.
    pub columns: Vec<String>,
    /// Rows with this text in their title or id; letter case is ignored, and a comma stands between alternatives.
    pub rows: String,
    /// How the rows are sorted; `None` is the study's own order.
    pub order: Option<Order>,
}

/// What rows are sorted by.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The part of a row.
    pub by: By,
    /// Whether the largest come first. Rows without a number come last either way.
    pub descending: bool,
}

/// The part of a row that decides its place.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// The heading.
    Title,
    /// Our mean in that column.
    Ours(String),
    /// The paper's number in that column.
    Paper(String),
    /// Our mean in that column of the table beside this one.
    Against(String),
    /// That mean less our own.
    Difference(String),
}

/// What stands after a column's id for a number other than our mean, in addresses and on the command line.
type Suffix = (&'static str, fn(String) -> By);
const SUFFIXES: [Suffix; 3] = [(".paper", By::Paper), (".against", By::Against), (".difference", By::Difference)];

impl Arrangement {
    /// Reads what an address or a command line says; `sort` is `row.title`, a column's id, or one with `.paper` after it.
    /// Without a direction the best come first, and titles from A to Z.
    ///
    /// # Errors
    /// A column that is not there, with those that are.
    pub fn read(columns: &[String], rows: &str, sort: &str, descending: Option<bool>, known: &[Column]) -> Result<Arrangement, String> {
        let find = |id: &str| known.iter().find(|column| column.id == id);
        let ids = || known.iter().map(|column| column.id.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(unknown) = columns.iter().find(|id| find(id).is_none()) {
            return Err(format!(
                "columns: `{unknown}` is not a column of this study: it must be one of {}",
                ids()
            ));
        }
        let mut columns = columns.to_vec();
        let mut seen = Vec::new();
        columns.retain(|id| {
            !seen.contains(id) && {
                seen.push(id.clone());
                true
            }
        });
        let column = |by: fn(String) -> By, column: &Column| Order {
            by: by(column.id.clone()),
            descending: descending.unwrap_or(column.better != Better::Lower),
        };
        let suffixed = || {
            SUFFIXES
                .iter()
                .find_map(|(suffix, by)| Some(column(*by, find(sort.strip_suffix(suffix)?)?)))
        };
        let order = match (sort, find(sort).map(|ours| column(By::Ours, ours)).or_else(suffixed)) {
            ("", _) => None,
            (_, Some(order)) => Some(order),
            ("row.title", _) => Some(Order {
                by: By::Title,
                descending: descending.unwrap_or(false),
            }),
            _ => {
                return Err(format!(
                    "sort: `{sort}` is not known: it must be row.title, or one of {}, which may have .paper after it",
                    ids()
                ));
            }
        };
        Ok(Arrangement {
            columns,
            rows: rows.trim().to_owned(),
            order,
        })
    }

    /// Whether a row is shown.
    pub fn shows(&self, id: &str, title: &str) -> bool {
        let (id, title) = (id.to_lowercase(), title.to_lowercase());
        let mut wanted = self
            .rows
            .split(',')
            .map(|part| part.trim().to_lowercase())
            .filter(|part| !part.is_empty())
            .peekable();
        wanted.peek().is_none() || wanted.any(|part| title.contains(&part) || id.contains(&part))
    }
}

impl Table {
    /// The part of the table that was asked for. The best are marked among the rows that are left.
    pub fn arranged(self, arrangement: &Arrangement) -> Table {
        self.arranged_beside(None, arrangement).0
    }

    /// The same part of two tables of one study, in the same order.
    pub fn arranged_beside(mut self, mut other: Option<Table>, arrangement: &Arrangement) -> (Table, Option<Table>) {
        if let Some(order) = &arrangement.order {
            self.sort(order, other.as_ref());
        }
        if let Some(other) = &mut other {
            let place = |row: &TableRow| self.rows.iter().position(|own| own.id == row.id);
            other.rows.sort_by_key(place);
            other.cut(arrangement);
        }
        self.cut(arrangement);
        (self, other)
    }

    fn cut(&mut self, arrangement: &Arrangement) {
        self.rows.retain(|row| arrangement.shows(&row.id, &row.title));
        if !arrangement.columns.is_empty() {
            let places: Vec<usize> = arrangement.columns.iter().filter_map(|id| self.place(id)).collect();
            self.columns = places.iter().map(|place| self.columns[*place].clone()).collect();
            for row in &mut self.rows {
                row.entries = places.iter().map(|place| row.entries[*place].clone()).collect();
            }
        }
        self.mark_best();
    }

    fn sort(&mut self, order: &Order, other: Option<&Table>) {
        if order.by == By::Title {
            self.rows
                .sort_by(|a, b| turned(a.title.to_lowercase().cmp(&b.title.to_lowercase()), order.descending));
            return;
        }
        let keys: BTreeMap<String, Option<f64>> = self
            .rows
            .iter()
            .map(|row| (row.id.clone(), self.number(row, &order.by, other)))
            .collect();
        self.rows.sort_by(|a, b| numbers(keys[&a.id], keys[&b.id], order.descending));
    }

    fn number(&self, row: &TableRow, by: &By, other: Option<&Table>) -> Option<f64> {
        let own = |id: &str| Some(&row.entries[self.place(id)?]);
        let theirs = |id: &str| {
            let other = other?;
            let row = other.rows.iter().find(|theirs| theirs.id == row.id)?;
            row.entries[other.place(id)?].mean()
        };
        match by {
            By::Title => None,
            By::Ours(id) => own(id)?.mean(),
            By::Paper(id) => own(id)?.paper,
            By::Against(id) => theirs(id),
            By::Difference(id) => Some(theirs(id)? - own(id)?.mean()?),
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }
}

/// The order of two numbers that may be missing, which come last whatever the direction.
fn numbers(a: Option<f64>, b: Option<f64>, descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => turned(a.total_cmp(&b), descending),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn turned(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}
