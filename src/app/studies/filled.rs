//! A study's table with the numbers of its runs, for pages, the terminal and exports alike.

use std::collections::HashMap;

use crate::experiment::{Plan, RunId, Study, Table};
use crate::run_dir::State;
use crate::store::{Result, Run, RunFilter, Store};

/// The runs of a plan that exist, and the table they fill.
#[derive(Clone, Debug)]
pub struct Filled {
    /// The runs that were ever queued.
    pub runs: HashMap<RunId, Run>,
    /// The numbers.
    pub table: Table,
}

/// How far a plan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Runs that are finished.
    pub finished: u64,
    /// Runs that were ever queued.
    pub known: u64,
    /// Runs in all.
    pub total: u64,
}

impl Done {
    /// Counts the plan's runs by where they stand.
    pub fn among(plan: &Plan, states: &HashMap<RunId, State>) -> Done {
        Done::counted(plan, |id| states.get(id).copied())
    }

    /// Counts the plan's runs.
    pub fn of(plan: &Plan, runs: &HashMap<RunId, Run>) -> Done {
        Done::counted(plan, |id| runs.get(id).map(|run| run.state))
    }

    fn counted(plan: &Plan, state: impl Fn(&RunId) -> Option<State>) -> Done {
        let known: Vec<State> = plan.runs.iter().filter_map(|run| state(&run.id)).collect();
        Done {
            finished: known.iter().filter(|state| **state == State::Finished).count() as u64,
            known: known.len() as u64,
            total: plan.runs.len() as u64,
        }
    }
}

/// Those of the plan's runs that were ever queued.
pub async fn runs_of(store: &Store, plan: &Plan) -> Result<HashMap<RunId, Run>> {
    let ids = plan.ids();
    let filter = RunFilter {
        limit: ids.len() as u64,
        ids: Some(ids),
        ..RunFilter::default()
    };
    Ok(store.runs(&filter).await?.into_iter().map(|run| (run.id.clone(), run)).collect())
}

/// Reads runs and results into the study's table.
pub async fn fill(store: &Store, study: &Study, plan: &Plan) -> Result<Filled> {
    let runs = runs_of(store, plan).await?;
    let results = store.summaries(&plan.ids()).await?;
    let finished = |id: &RunId| runs.get(id).is_some_and(|run| run.state == State::Finished);
    let values: HashMap<(RunId, String), f64> = results.into_iter().map(|(run, name, value)| ((run, name), value)).collect();
    let value = |id: &RunId, name: &str| values.get(&(id.clone(), name.to_owned())).copied().filter(|_| finished(id));
    let table = Table::build(study, plan, value, |id| missing_text(runs.get(id)));
    Ok(Filled { runs, table })
}

/// Why a run has no number.
fn missing_text(run: Option<&Run>) -> String {
    match run {
        None => "not queued".to_owned(),
        Some(run) if run.state == State::Finished => "finished without this number".to_owned(),
        Some(run) => match &run.reason {
            Some(reason) => format!("{}: {reason}", run.state_text()),
            None => run.state_text(),
        },
    }
}
