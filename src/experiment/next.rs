//! What to run next to decide a claim: the numbers it lacks at seeds that were begun, then the next seed.

use std::collections::BTreeSet;

use serde::Serialize;

use super::claim::Place;
use super::resolve::{Cell, Plan};
use super::run::{RunId, RunSpec};
use super::verdict::{Judgment, Verdict};

/// A number that a claim wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wanted {
    /// Seed.
    pub seed: u64,
    /// Where it stands in the table.
    pub place: Place,
}

/// The numbers that a claim wants next; none once it is decided.
///
/// Only places of undecided parts are wanted. Seeds at which any of them has a number are made complete first, up to two of them
/// at least; if they are complete, the next seed follows.
pub fn wanted(judgment: &Judgment) -> Vec<Wanted> {
    if judgment.verdict.is_decided() {
        return Vec::new();
    }
    // A part without spread, or that the method cannot fill, is not helped by the seeds of others.
    let open: Vec<_> = judgment.findings.iter().filter(|finding| !finding.verdict.is_decided()).collect();
    let (mut places, mut known) = (BTreeSet::new(), BTreeSet::new());
    for finding in open {
        let both = [(&finding.part.upper, &finding.numbers.0), (&finding.part.lower, &finding.numbers.1)];
        for (place, numbers) in both {
            places.insert(place);
            known.extend(numbers.iter().map(|number| (number.seed, place)));
        }
    }
    let mut seeds: BTreeSet<u64> = known.iter().map(|(seed, _)| *seed).collect();
    let next = |seeds: &BTreeSet<u64>| (0..).find(|seed| !seeds.contains(seed)).unwrap_or(0);
    while seeds.len() < 2 {
        seeds.insert(next(&seeds));
    }
    if seeds.iter().all(|seed| places.iter().all(|place| known.contains(&(*seed, place)))) {
        seeds.insert(next(&seeds));
    }
    let all = seeds.iter().flat_map(|seed| places.iter().map(move |place| (*seed, *place)));
    all.filter(|number| !known.contains(number))
        .map(|(seed, place)| Wanted {
            seed,
            place: place.clone(),
        })
        .collect()
}

/// How many seeds a plan must have to hold whatever a claim wants that is judged on `seeds` of them.
pub fn seeds_to_plan(seeds: u64) -> u64 {
    (seeds + 1).max(2)
}

/// The runs that give what is wanted, with those they start from, parents before children.
pub fn runs_of(plan: &Plan, wanted: &[Wanted]) -> Vec<RunSpec> {
    let is_wanted = |cell: &&Cell| {
        let mut numbers = wanted.iter();
        numbers.any(|number| (number.seed, &number.place.row, &number.place.column) == (cell.seed, &cell.row, &cell.column))
    };
    let cells = plan.cells.iter().filter(is_wanted);
    let mut needed: BTreeSet<&RunId> = cells.map(|cell| &cell.run).collect();
    // Children come after their parents, so one way back finds all ancestors.
    for run in plan.runs.iter().rev() {
        if needed.contains(&run.id) {
            needed.extend(run.parent.as_ref());
        }
    }
    plan.runs.iter().filter(|run| needed.contains(&run.id)).cloned().collect()
}

/// About how many seeds in all would decide the claim, at the present differences and spreads.
///
/// It is the most that one of its parts needs, so all of them together have a smaller chance than each. `None` if one needs
/// more than an estimate goes to, or has too little for one.
pub fn seeds_estimate(judgment: &Judgment) -> Option<usize> {
    let open = judgment.findings.iter().filter(|finding| !finding.verdict.is_decided());
    let each = open.map(|finding| finding.seeds_to_separate.filter(|_| finding.verdict == Verdict::NotSeparated));
    each.collect::<Option<Vec<usize>>>()?.into_iter().max()
}

/// The estimate as a sentence.
pub fn estimate_text(seeds: usize) -> String {
    format!(
        "Estimate: about {seeds} seeds in all, if differences and spreads stay as they are \
         (80 % chance for each comparison; rough, for the spread of few seeds is itself uncertain)."
    )
}
