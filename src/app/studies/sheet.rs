//! A study's numbers as they were asked for: for the page, for exports, for the terminal and for the page of one number.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Choice, Filled, TableOptions, fill};
use crate::app::{Result, Workspace};
use crate::experiment::{Arrangement, Invalid, Plan, Study, Table};

/// A table, and the one beside it.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Its part and order.
    pub arrangement: Arrangement,
    /// Its runs and cells, without settings.
    pub plan: Arc<Plan>,
    /// The table as its study has it, on which claims are judged.
    pub whole: Table,
    /// The table, arranged, and the runs that exist.
    pub own: Filled,
    /// Another scale or dataset, arranged in the same way.
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
pub async fn sheet(workspace: &Workspace, study: &Study, choice: &Choice, options: &TableOptions) -> Result<Result<Sheet, Invalid>> {
    let arrangement = options.arrangement(study)?;
    let plan = match choice.indexed(workspace, study) {
        Ok(plan) => plan,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let mut other = None;
    if let Some(choice) = options.other(choice) {
        let beside = match choice.indexed(workspace, study) {
            Ok(plan) => plan,
            Err(Invalid { message, .. }) => {
                let place = "against".to_owned();
                return Ok(Err(Invalid { place, message }));
            }
        };
        other = Some((choice, fill(&workspace.store, study, &beside).await?));
    }
    let mut own = fill(&workspace.store, study, &plan).await?;
    let numbers = Numbers::of(&plan, &own);
    let (theirs, rest) = other.map(|(choice, filled)| (filled.table, (choice, filled.runs))).unzip();
    let whole = own.table.clone();
    let (table, theirs) = own.table.arranged_beside(theirs, &arrangement);
    own.table = table;
    let other = rest.zip(theirs).map(|((choice, runs), table)| (choice, Filled { runs, table }));
    Ok(Ok(Sheet {
        arrangement,
        plan,
        whole,
        own,
        other,
        numbers,
    }))
}

impl Numbers {
    fn of(plan: &Plan, filled: &Filled) -> Numbers {
        let entries = filled.table.rows.iter().flat_map(|row| &row.entries);
        let sources: HashSet<_> = plan.cells.iter().map(|cell| &cell.run).collect();
        Numbers {
            known: entries.map(|entry| entry.values.len()).sum(),
            all: plan.cells.len(),
            shared: plan.cells.len() - sources.len(),
        }
    }
}
