//! Which part of a table is shown and in which order: pages, exports and the command line read the same words.

use std::cmp::Ordering;

use super::study::Column;
use super::table::{Entry, Table, TableRow};

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
}

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
        let highest_first = |column: &Column| descending.unwrap_or(!column.lower_is_better);
        let order = match (sort, find(sort), sort.strip_suffix(".paper").and_then(find)) {
            ("", ..) => None,
            (_, Some(column), _) => Some(Order {
                by: By::Ours(column.id.clone()),
                descending: highest_first(column),
            }),
            (_, _, Some(column)) => Some(Order {
                by: By::Paper(column.id.clone()),
                descending: highest_first(column),
            }),
            ("row.title", ..) => Some(Order {
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
    pub fn arranged(mut self, arrangement: &Arrangement) -> Table {
        self.rows.retain(|row| arrangement.shows(&row.id, &row.title));
        if let Some(Order { by, descending }) = &arrangement.order {
            self.sort(by, *descending);
        }
        if !arrangement.columns.is_empty() {
            let places = arrangement.columns.iter().filter_map(|id| self.place(id)).collect::<Vec<_>>();
            self.columns = places.iter().map(|place| self.columns[*place].clone()).collect();
            for row in &mut self.rows {
                row.entries = places.iter().map(|place| row.entries[*place].clone()).collect();
            }
        }
        self.mark_best();
        self
    }

    fn sort(&mut self, by: &By, descending: bool) {
        let number = |id: &String, of: fn(&Entry) -> Option<f64>| {
            let place = self.place(id);
            move |row: &TableRow| of(&row.entries[place?])
        };
        match by {
            By::Title => self
                .rows
                .sort_by(|a, b| turned(a.title.to_lowercase().cmp(&b.title.to_lowercase()), descending)),
            By::Ours(id) => {
                let key = number(id, Entry::mean);
                self.rows.sort_by(|a, b| numbers(key(a), key(b), descending));
            }
            By::Paper(id) => {
                let key = number(id, |entry| entry.paper);
                self.rows.sort_by(|a, b| numbers(key(a), key(b), descending));
            }
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }
}

/// The order of two numbers that may be missing, which come last whatever the direction.
pub fn numbers(a: Option<f64>, b: Option<f64>, descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => turned(a.total_cmp(&b), descending),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn turned(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}
