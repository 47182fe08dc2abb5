//! The claims of the studies that come with Umbra, against their own rows and the paper's numbers.

use std::collections::BTreeSet;

use super::*;
use crate::experiment::claim::Bound;
use crate::experiment::{Table, judge};

/// A study's table with the paper's numbers and none of ours.
fn empty(study: &Study) -> (Plan, Table) {
    let plan = plan(study, &Scale::built_in()[0], &catalog(), &Request::default()).unwrap();
    let table = Table::build(study, &plan, |_, _| None, |_| "not queued".to_owned());
    (plan, table)
}

#[test]
fn every_claim_is_of_numbers_that_its_study_measures() {
    for study in Study::built_in() {
        let (plan, _) = empty(&study);
        assert!(!study.claims.is_empty(), "{} claims nothing", study.name);
        for claim in &study.claims {
            for part in claim.parts() {
                for place in [part.upper, part.lower] {
                    let measured = plan.cells.iter().any(|cell| cell.row == place.row && cell.column == place.column);
                    assert!(measured, "{}, claim {}: nothing measures {place:?}", study.name, claim.id);
                }
            }
        }
    }
}

#[test]
fn a_claim_is_known_by_its_name_alone() {
    let studies = Study::built_in();
    let names: Vec<&str> = studies
        .iter()
        .flat_map(|study| &study.claims)
        .map(|claim| claim.id.as_str())
        .collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
}

/// What the paper concludes must follow from what it measured.
#[test]
fn the_papers_own_numbers_agree_with_every_claim() {
    let mut checked = 0;
    for study in Study::built_in() {
        let (_, table) = empty(&study);
        for claim in &study.claims {
            for finding in judge(claim, &table).findings {
                let Some(paper) = finding.paper else { continue };
                let holds = match finding.part.bound {
                    Bound::AtLeast(least) => paper > 0.0 && paper >= least,
                    Bound::Within(margin) => paper.abs() <= margin,
                };
                assert!(holds, "{}, claim {}: {:?} has {paper}", study.name, claim.id, finding.part);
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "only {checked} numbers were compared");
}
