//! A study's claims as its runs stand now, and what to run next for each.

use std::collections::{BTreeSet, HashMap};

use crate::experiment::next::{runs_of, seeds_estimate, wanted};
use crate::experiment::{Judgment, Plan, RunId, RunSpec, Study, Table, judge};
use crate::run_dir::State;

use super::{Filled, Result, Run, Store};

/// A study's table and what it says about the study's claims.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The numbers.
    pub table: Table,
    /// The runs that were ever queued.
    pub runs: HashMap<RunId, Run>,
    /// The claims, in the study's order, each with what to run next.
    pub claims: Vec<(Judgment, Next)>,
}

/// What to run next to decide a claim. Nothing of it once the claim is decided.
#[derive(Clone, Debug, Default)]
pub struct Next {
    /// Runs to queue that never were, parents before children.
    pub fresh: Vec<RunSpec>,
    /// Runs to retry that failed or were cancelled.
    pub again: Vec<RunSpec>,
    /// Runs that wait or work already.
    pub under_way: usize,
    /// The seeds of the numbers that are wanted.
    pub seeds: BTreeSet<u64>,
    /// About how many seeds in all would decide each of its comparisons: an estimate.
    pub estimate: Option<usize>,
}

impl Next {
    /// What a claim wants of the plan's runs.
    pub fn of(judgment: &Judgment, plan: &Plan, runs: &HashMap<RunId, Run>) -> Next {
        let wishes = wanted(judgment);
        let mut next = Next {
            seeds: wishes.iter().map(|wish| wish.seed).collect(),
            estimate: seeds_estimate(judgment),
            ..Next::default()
        };
        for spec in runs_of(plan, &wishes) {
            match runs.get(&spec.id).map(|run| run.state) {
                None => next.fresh.push(spec),
                Some(State::Failed | State::Cancelled) => next.again.push(spec),
                Some(State::Queued | State::Running) => next.under_way += 1,
                Some(State::Finished) => {}
            }
        }
        next
    }

    /// Runs to queue or retry.
    pub fn runs(&self) -> Vec<&RunSpec> {
        self.again.iter().chain(&self.fresh).collect()
    }
}

impl Store {
    /// Judges a study's claims on the seeds below `seeds`. The plan must have a seed more than these, and two at least, so
    /// that it holds what is wanted next.
    pub async fn judge(&self, study: &Study, plan: &Plan, seeds: u64) -> Result<Judged> {
        let Filled { runs, table } = self.fill(study, plan).await?;
        let table = table.of_seeds(seeds);
        let claims = study.claims.iter().map(|claim| {
            let judgment = judge(claim, &table);
            let next = Next::of(&judgment, plan, &runs);
            (judgment, next)
        });
        Ok(Judged {
            claims: claims.collect(),
            table,
            runs,
        })
    }
}
