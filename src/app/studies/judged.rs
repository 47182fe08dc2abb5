//! A study's claims as its runs stand now, and what to run next for each.

use std::collections::{BTreeSet, HashMap};

use super::{Filled, fill};
use crate::experiment::next::{runs_of, seeds_estimate, wanted};
use crate::experiment::{Judgment, Plan, RunId, RunSpec, Study};
use crate::run_dir::State;
use crate::store::{Result, Run, Store};

/// A claim as it is judged, and what to run next to decide it.
#[derive(Clone, Debug)]
pub struct JudgedClaim {
    /// What the numbers say.
    pub judgment: Judgment,
    /// What it wants.
    pub next: Next,
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
        let numbers = wanted(judgment);
        let mut next = Next {
            seeds: numbers.iter().map(|number| number.seed).collect(),
            estimate: seeds_estimate(judgment),
            ..Next::default()
        };
        for spec in runs_of(plan, &numbers) {
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

impl JudgedClaim {
    /// The claim as JSON, with the study's name: for the interface and the command line alike.
    pub fn to_json(&self, study: &Study) -> serde_json::Value {
        let JudgedClaim { judgment, next } = self;
        let runs = next.runs().into_iter();
        let runs: Vec<_> = runs.map(|run| serde_json::json!({ "id": run.id, "label": run.label })).collect();
        serde_json::json!({
            "study": study.name, "claim": judgment.claim, "verdict": judgment.verdict, "findings": judgment.findings,
            "next": { "runs": runs, "under_way": next.under_way, "seeds_estimate": next.estimate },
        })
    }
}

/// Judges a study's claims on the seeds below `seeds`, in the study's order. The plan must have a seed more than these, and two
/// at least, so that it holds what is wanted next.
pub async fn judge(store: &Store, study: &Study, plan: &Plan, seeds: u64) -> Result<Vec<JudgedClaim>> {
    let Filled { runs, table } = fill(store, study, plan).await?;
    let table = table.of_seeds(seeds);
    let claims = study.claims.iter().map(|claim| {
        let judgment = crate::experiment::judge(claim, &table);
        let next = Next::of(&judgment, plan, &runs);
        JudgedClaim { judgment, next }
    });
    Ok(claims.collect())
}
