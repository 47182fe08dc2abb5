//! A study's runs and its table, for pages, the terminal and exports alike.

use std::borrow::Borrow;
use std::collections::HashMap;

use crate::experiment::{Plan, RunId, Scale, Study, Table};
use crate::run_dir::State;

use super::{Error, Result, Run, RunFilter, Store};

/// The runs of a plan that exist, and the table they fill.
#[derive(Clone, Debug)]
pub struct Filled {
    /// The runs that were ever queued.
    pub runs: HashMap<RunId, Run>,
    /// The numbers.
    pub table: Table,
}

/// How many seeds of a plan were begun: one more than the largest of which a run is known.
pub fn seeds_begun(plan: &Plan, states: &HashMap<RunId, State>) -> u64 {
    let known = plan.runs.iter().filter(|run| states.contains_key(&run.id));
    known.map(|run| run.seed + 1).max().unwrap_or(0)
}

impl Store {
    /// How many seeds of a study were begun at a scale on some images, but no fewer than the scale's own.
    ///
    /// `plan` makes the study's plan there for a number of seeds.
    ///
    /// # Errors
    /// What `plan` says is wrong.
    pub async fn seeds_begun<P: Borrow<Plan>, E: From<Error>>(
        &self,
        scale: &Scale,
        data: Option<&str>,
        plan: impl Fn(u64) -> std::result::Result<P, E>,
    ) -> std::result::Result<u64, E> {
        let most = self.most_seeds(&scale.name, &scale.source_or(data)).await?;
        let plan = plan(most.max(scale.seeds))?;
        let states = self.states(&plan.borrow().ids()).await?;
        Ok(seeds_begun(plan.borrow(), &states).max(scale.seeds))
    }

    /// Those of the plan's runs that were ever queued.
    pub async fn runs_of(&self, plan: &Plan) -> Result<HashMap<RunId, Run>> {
        let ids = plan.ids();
        let filter = RunFilter {
            limit: ids.len() as u64,
            ids: Some(ids),
            ..RunFilter::default()
        };
        Ok(self.runs(&filter).await?.into_iter().map(|run| (run.id.clone(), run)).collect())
    }

    /// Where those of the runs stand that were ever queued.
    pub async fn states(&self, ids: &[RunId]) -> Result<HashMap<RunId, State>> {
        let ids = serde_json::json!(ids).to_string();
        let rows = sqlx::query!(
            "select run_id, state from run where run_id in (select value from json_each(?))",
            ids
        )
        .fetch_all(&self.pool)
        .await?;
        let read = |id: String, state: String| Ok::<_, String>((id.parse()?, state.parse()?));
        rows.into_iter()
            .map(|row| read(row.run_id, row.state).map_err(Error::Broken))
            .collect()
    }

    /// Reads runs and results into the study's table.
    pub async fn fill(&self, study: &Study, plan: &Plan) -> Result<Filled> {
        let runs = self.runs_of(plan).await?;
        let results = self.summaries(&plan.ids()).await?;
        let finished = |id: &RunId| runs.get(id).is_some_and(|run| run.state == State::Finished);
        let values: HashMap<(RunId, String), f64> = results.into_iter().map(|(run, name, value)| ((run, name), value)).collect();
        let value = |id: &RunId, name: &str| values.get(&(id.clone(), name.to_owned())).copied().filter(|_| finished(id));
        let table = Table::build(study, plan, value, |id| missing_text(runs.get(id)));
        Ok(Filled { runs, table })
    }
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
