use super::verdict::{Numbers, claim, numbers};
use super::*;
use crate::experiment::next::{Wanted, estimate_text, runs_of, seeds_estimate, seeds_to_plan, wanted};

/// What an order of `a` above `b` wants next: seed and row.
fn wants(a: Numbers, b: Numbers) -> Vec<(u64, String)> {
    let order = claim(ClaimKind::Order, "above = [\"a\"]\nbelow = [\"b\"]");
    let judged = judge(&order, &numbers(&[("a", a), ("b", b)]));
    wanted(&judged).into_iter().map(|asked| (asked.seed, asked.place.row)).collect()
}

fn pairs(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(seed, row)| (*seed, (*row).to_owned())).collect()
}

#[test]
fn nothing_at_all_wants_two_seeds_of_everything() {
    assert_eq!(wants(&[], &[]), pairs(&[(0, "a"), (0, "b"), (1, "a"), (1, "b")]));
}

#[test]
fn seeds_that_were_begun_are_made_complete_before_another_begins() {
    let three = [(0, 80.0), (1, 81.0), (2, 80.5)];
    assert_eq!(wants(&three, &[(1, 80.4)]), pairs(&[(0, "b"), (2, "b")]));
    assert_eq!(wants(&three, &[(0, 80.9), (1, 80.1), (2, 80.4)]), pairs(&[(3, "a"), (3, "b")]));
    assert_eq!(wants(&[(4, 80.0)], &[]), pairs(&[(0, "a"), (0, "b"), (4, "b")]));
}

#[test]
fn a_decided_claim_wants_nothing_and_a_decided_part_no_more() {
    assert!(wants(&[(0, 90.0), (1, 90.5)], &[(0, 10.0), (1, 10.4)]).is_empty());
    let chain = claim(ClaimKind::Order, "chain = [\"a\", \"b\", \"c\"]");
    let table = numbers(&[
        ("a", &[(0, 90.0), (1, 90.5)]),
        ("b", &[(0, 10.0), (1, 10.4)]),
        ("c", &[(0, 10.1), (1, 10.2)]),
    ]);
    let rows: Vec<_> = wanted(&judge(&chain, &table)).into_iter().map(|asked| asked.place.row).collect();
    assert_eq!(rows, ["b", "c"]);
}

#[test]
fn what_is_wanted_becomes_runs_with_those_they_start_from() {
    let order = claim(ClaimKind::Order, "above = [\"mae\"]\nbelow = [\"random\"]");
    let judged = judge(&order, &numbers(&[("mae", &[(0, 80.0)]), ("random", &[(0, 70.0)])]));
    let wanted: Vec<Wanted> = wanted(&judged);
    let request = Request {
        seeds: Some(seeds_to_plan(1)),
        ..Request::default()
    };
    let plan = plan(&study(), &scale(""), &catalog(), &request).unwrap();
    let runs: Vec<_> = runs_of(&plan, &wanted)
        .into_iter()
        .map(|run| (run.method, run.stage, run.seed))
        .collect();
    let of = |method: &str, stage: Stage| (method.to_owned(), stage, 1);
    assert_eq!(
        runs,
        [
            of("mae", Stage::Pretrain),
            of("random_init", Stage::Pretrain),
            of("mae", Stage::Finetune),
            of("random_init", Stage::Finetune)
        ]
    );
}

#[test]
fn the_estimate_is_of_the_part_that_needs_most() {
    let chain = claim(ClaimKind::Order, "chain = [\"a\", \"b\", \"c\"]");
    let a = [(0, 81.0), (1, 81.9), (2, 81.4)];
    let b = [(0, 80.9), (1, 80.4), (2, 80.6)];
    let c = [(0, 80.3), (1, 80.9), (2, 80.0)];
    let judged = judge(&chain, &numbers(&[("a", &a), ("b", &b), ("c", &c)]));
    let each: Vec<_> = judged.findings.iter().map(|finding| finding.seeds_to_separate.unwrap()).collect();
    assert!(each[0] < each[1] && each[0] > 3, "{each:?}");
    assert_eq!(seeds_estimate(&judged), Some(each[1]));
    let little = judge(&chain, &numbers(&[("a", &a), ("b", &b), ("c", &[])]));
    assert_eq!(seeds_estimate(&little), None);
}

#[test]
fn the_estimate_allows_for_what_an_undecided_claim_is_judged_by() {
    // Alone b would be above a at four seeds; of several comparisons it has not been at four.
    let (a, b) = (
        [(0, 80.0), (1, 80.3), (2, 79.8), (3, 80.1)],
        [(0, 80.5), (1, 80.6), (2, 80.6), (3, 80.4)],
    );
    let high: Vec<_> = b.iter().map(|(seed, value)| (*seed, value + 5.0 + 0.1 * *seed as f64)).collect();
    let estimate = |above: &str| {
        let order = claim(ClaimKind::Order, &format!("above = [{above}]\nbelow = [\"b\"]"));
        let rows = ["c", "d", "e", "f", "g", "h"].map(|row| (row, high.as_slice()));
        let table = numbers(&[[("a", a.as_slice()), ("b", b.as_slice())].as_slice(), &rows].concat());
        seeds_estimate(&judge(&order, &table))
    };
    assert_eq!(estimate("\"a\""), None, "it is decided");
    let (four, seven) = (
        estimate("\"a\", \"c\", \"d\", \"e\""),
        estimate("\"a\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\""),
    );
    assert!(four > Some(4) && seven > four, "{four:?}, {seven:?}");
    assert!(estimate_text(7).contains("about 7 seeds in all") && estimate_text(7).contains("80 % chance for each comparison"));
}
