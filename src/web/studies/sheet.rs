//! A study's numbers as they were asked for: for the page, for exports and for the page of one number.

use std::sync::Arc;

use crate::experiment::{Arrangement, Invalid, Plan, Study, Table};
use crate::store::Filled;
use crate::web::AppState;
use crate::web::error::Result;
use crate::web::studies::arrangement::View;
use crate::web::studies::choice::Choice;

/// A table, and the one beside it.
pub struct Sheet {
    /// Its part and order.
    pub arrangement: Arrangement,
    /// Its runs and places, by name.
    pub outline: Arc<Plan>,
    /// The table as its study has it, on which claims are judged.
    pub whole: Table,
    /// The table, arranged, and the runs that exist.
    pub own: Filled,
    /// Another scale or other images, arranged in the same way.
    pub other: Option<(Choice, Filled)>,
    /// The numbers before rows and columns were left out.
    pub numbers: Numbers,
}

/// The numbers of a table, a seed each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Those that are known.
    pub known: usize,
    /// All there will be.
    pub all: usize,
    /// Those whose run has another number too.
    pub shared: usize,
}

/// Fills the table of that choice and arranges it.
///
/// # Errors
/// The outer error is a view that the study does not have, or a fault of the database; the inner one a choice that is not allowed.
pub async fn sheet(app: &AppState, study: &Study, choice: &Choice, view: &View) -> Result<Result<Sheet, Invalid>> {
    let arrangement = view.arrangement(study)?;
    let outline = match choice.outline(app, study) {
        Ok(outline) => outline,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let mut other = None;
    if let Some(choice) = view.other(choice) {
        let beside = match choice.outline(app, study) {
            Ok(outline) => outline,
            Err(Invalid { message, .. }) => {
                let place = "against".to_owned();
                return Ok(Err(Invalid { place, message }));
            }
        };
        other = Some((choice, app.store.fill(study, &beside).await?));
    }
    let mut own = app.store.fill(study, &outline).await?;
    let numbers = Numbers::of(&outline, &own);
    let (theirs, rest) = other.map(|(choice, filled)| (filled.table, (choice, filled.runs))).unzip();
    let whole = own.table.clone();
    let (table, theirs) = own.table.arranged_beside(theirs, &arrangement);
    own.table = table;
    let other = rest.zip(theirs).map(|((choice, runs), table)| (choice, Filled { runs, table }));
    Ok(Ok(Sheet {
        arrangement,
        outline,
        whole,
        own,
        other,
        numbers,
    }))
}

impl Numbers {
    fn of(plan: &Plan, filled: &Filled) -> Numbers {
        let entries = filled.table.rows.iter().flat_map(|row| &row.entries);
        let sources: std::collections::HashSet<_> = plan.cells.iter().map(|cell| &cell.run).collect();
        Numbers {
            known: entries.map(|entry| entry.values.len()).sum(),
            all: plan.cells.len(),
            shared: plan.cells.len() - sources.len(),
        }
    }
}
