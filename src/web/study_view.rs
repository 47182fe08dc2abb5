//! How a study's table is looked at: columns, rows, order, seeds. It stands in the address, so that every view has a link.

use super::error::{Error, Result};
use super::fields::Fields;
use crate::experiment::{Arrangement, Study};

/// The view as it was asked for, so that a form can show it again and links can change one part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Ids of the columns; empty is all.
    pub columns: Vec<String>,
    /// Text that rows must have.
    pub rows: String,
    /// What rows are sorted by, as [`Arrangement::read`] has it.
    pub sort: String,
    /// The direction; `None` is the order's own habit.
    pub descending: Option<bool>,
}

impl View {
    /// Reads `columns`, `rows`, `sort` and `dir`.
    pub fn read(fields: &Fields, study: &Study) -> View {
        let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let columns = fields.list("columns");
        // A form that has every box ticked asks for what no box at all does.
        let all = columns.iter().eq(study.columns.iter().map(|column| &column.id));
        View {
            columns: if all { Vec::new() } else { columns },
            rows: text("rows"),
            sort: text("sort"),
            descending: match fields.get("dir") {
                Some("desc") => Some(true),
                Some("asc") => Some(false),
                _ => None,
            },
        }
    }

    /// The part of the table it stands for.
    ///
    /// # Errors
    /// A column or an order that the study does not have.
    pub fn arrangement(&self, study: &Study) -> Result<Arrangement> {
        Arrangement::read(&self.columns, &self.rows, &self.sort, self.descending, &study.columns).map_err(Error::BadRequest)
    }
}
