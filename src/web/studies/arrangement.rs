//! How a study's table is looked at: columns, rows, order, seeds, another table beside it. It stands in the address, so that
//! every view has a link.

use crate::experiment::{Arrangement, Study};
use crate::web::error::{Error, Result};
use crate::web::fields::{Fields, query_of};
use crate::web::studies::choice::Choice;

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
    /// Whether the number of every seed is shown.
    pub seeds: bool,
    /// The scale whose numbers stand beside, with a colon and the source of its images unless they are its own.
    pub against: String,
}

impl View {
    /// Reads `columns`, `rows`, `sort`, `dir`, `show` and `against`.
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
            seeds: fields.list("show").iter().any(|part| part == "seeds"),
            against: text("against"),
        }
    }

    /// The part of the table it stands for.
    ///
    /// # Errors
    /// A column or an order that the study does not have.
    pub fn arrangement(&self, study: &Study) -> Result<Arrangement> {
        Arrangement::read(&self.columns, &self.rows, &self.sort, self.descending, &study.columns).map_err(Error::BadRequest)
    }

    /// Whether the column is shown.
    pub fn shows(&self, column: &str) -> bool {
        self.columns.is_empty() || self.columns.iter().any(|id| id == column)
    }

    /// Whether it is the whole table as its study has it.
    pub fn is_usual(&self) -> bool {
        *self == View::default()
    }

    /// The same view with no table beside.
    pub fn alone(&self) -> View {
        let of_two = [".against", ".difference"].iter().any(|suffix| self.sort.ends_with(suffix));
        let alone = View {
            against: String::new(),
            ..self.clone()
        };
        if of_two {
            View {
                sort: String::new(),
                descending: None,
                ..alone
            }
        } else {
            alone
        }
    }

    /// The choice whose numbers stand beside those of `choice`, if any.
    pub fn other(&self, choice: &Choice) -> Option<Choice> {
        let (scale, data) = self.against.split_once(':').unwrap_or((&self.against, ""));
        (!scale.is_empty()).then(|| Choice {
            fault: None,
            scale: scale.to_owned(),
            data: data.to_owned(),
            seeds: choice.seeds.clone(),
        })
    }

    /// Names and values for links and hidden fields; what is as usual is empty.
    pub fn pairs(&self) -> [(&'static str, String); 6] {
        let direction = |descending| if descending { "desc" } else { "asc" };
        [
            ("columns", self.columns.join(",")),
            ("rows", self.rows.clone()),
            ("sort", self.sort.clone()),
            ("dir", self.descending.map(direction).unwrap_or_default().to_owned()),
            ("show", if self.seeds { "seeds".to_owned() } else { String::new() }),
            ("against", self.against.clone()),
        ]
    }

    /// The address of a choice's table in this view, `path` being what stands before the query.
    pub fn href(&self, path: &str, choice: &Choice) -> String {
        let query = query_of(choice.pairs().into_iter().chain(self.pairs()));
        format!("{path}?{query}")
    }

    /// The same view sorted by `key`; the present order is turned round.
    pub fn sorted_by(&self, key: &str, arrangement: &Arrangement) -> View {
        let turned = arrangement
            .order
            .as_ref()
            .filter(|_| self.sort == key)
            .map(|order| !order.descending);
        View {
            sort: key.to_owned(),
            descending: turned,
            ..self.clone()
        }
    }
}
