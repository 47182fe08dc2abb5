//! Verdicts on made-up tables.

use rand_distr::{Distribution, Normal};

use super::*;
use crate::experiment::statistics::Pairing;
use crate::experiment::table::{Entry, Measured, Missing, TableRow};
use crate::rng::{Purpose, stream};

/// Seeds and their numbers.
pub type Numbers<'a> = &'a [(u64, f64)];

/// A table of one column with these rows.
pub fn numbers(rows: &[(&str, Numbers)]) -> Table {
    let run = |row: usize, seed: u64| format!("{row:08x}{seed:08x}").parse().unwrap();
    let row = |(index, (id, values)): (usize, &(&str, Numbers))| TableRow {
        id: (*id).to_owned(),
        title: id.to_uppercase(),
        note: String::new(),
        entries: vec![Entry {
            values: values
                .iter()
                .map(|(seed, value)| Measured {
                    seed: *seed,
                    run: run(index, *seed),
                    value: *value,
                })
                .collect(),
            missing: vec![Missing {
                seed: 99,
                run: run(index, 99),
                state: "not queued".to_owned(),
            }],
            paper: Some(80.0 + index as f64),
            uncertain: false,
            best: false,
        }],
    };
    Table {
        title: "Toy".to_owned(),
        columns: study().columns[..1].to_vec(),
        rows: rows.iter().enumerate().map(row).collect(),
    }
}

/// A claim about that column.
pub fn claim(kind: ClaimKind, keys: &str) -> Claim {
    let kind = match kind {
        ClaimKind::Order => "order",
        ClaimKind::Equal => "equal",
        ClaimKind::Gap => "gap",
    };
    toml::from_str(&format!(
        "id = \"toy\"\nsays = \"So.\"\nwhere = \"here\"\ncolumns = [\"finetune\"]\nkind = \"{kind}\"\n{keys}"
    ))
    .unwrap()
}

fn order() -> Claim {
    claim(ClaimKind::Order, "above = [\"a\"]\nbelow = [\"b\"]")
}

/// Numbers around `mean` with deviation 1, one a seed.
fn drawn(mean: f64, seeds: u64, place: u64) -> Vec<(u64, f64)> {
    let spread = Normal::new(mean, 1.0).unwrap();
    (0..seeds)
        .map(|seed| (seed, spread.sample(&mut stream(seed, Purpose::Split, place, 0))))
        .collect()
}

fn verdict(claim: &Claim, a: Numbers, b: Numbers) -> Verdict {
    judge(claim, &numbers(&[("a", a), ("b", b)])).verdict
}

#[test]
fn a_large_difference_decides_an_order_and_its_reverse() {
    let (high, low) = (drawn(85.0, 5, 1), drawn(75.0, 5, 2));
    assert_eq!(verdict(&order(), &high, &low), Verdict::Supported);
    assert_eq!(verdict(&order(), &low, &high), Verdict::Contradicted);
}

#[test]
fn noise_is_hardly_ever_separated() {
    let decided = (0..200).filter(|i| verdict(&order(), &drawn(80.0, 4, 2 * i), &drawn(80.0, 4, 2 * i + 1)).is_decided());
    // Five in a hundred are wrong by design: 2.5 % at either end. 10 expected, 20 are more than three deviations too many.
    let decided = decided.count();
    assert!((1..20).contains(&decided), "{decided} of 200");
}

/// What pages say of seeds that are added until a verdict appears: 15.1 % over 200,000 draws.
#[test]
fn looking_after_every_seed_finds_what_is_not_there() {
    let looks = |i: u64| {
        let (a, b) = (drawn(80.0, 6, 1000 + 2 * i), drawn(80.0, 6, 1001 + 2 * i));
        (2..=6).any(|seeds| verdict(&order(), &a[..seeds], &b[..seeds]).is_decided())
    };
    let wrong = (0..1000).filter(|i| looks(*i)).count();
    assert!((116..186).contains(&wrong), "{wrong} of 1000");
}

#[test]
fn swapping_the_sides_turns_the_verdict_round() {
    let (mut seen, turned) = (Vec::new(), |verdict| match verdict {
        Verdict::Supported => Verdict::Contradicted,
        Verdict::Contradicted => Verdict::Supported,
        other => other,
    });
    for (i, gap) in [-3.0, -1.0, 0.0, 0.5, 1.0, 3.0].into_iter().enumerate() {
        let (a, b) = (drawn(80.0 + gap, 6, 10 + i as u64), drawn(80.0, 6, 20 + i as u64));
        let there = verdict(&order(), &a, &b);
        assert_eq!(verdict(&order(), &b, &a), turned(there));
        seen.push(there);
    }
    assert!(seen.contains(&Verdict::Supported) && seen.contains(&Verdict::NotSeparated) && seen.contains(&Verdict::Contradicted));
}

#[test]
fn more_seeds_of_the_same_kind_never_undo_a_verdict() {
    let repeated = |numbers: Numbers, times: u64| -> Vec<(u64, f64)> {
        let n = numbers.len() as u64;
        (0..times)
            .flat_map(|i| numbers.iter().map(move |(seed, value)| (seed + i * n, *value)))
            .collect()
    };
    for i in 0..20 {
        let (a, b) = (drawn(82.0, 3, 40 + i), drawn(80.0, 3, 80 + i));
        let mut before = verdict(&order(), &a, &b);
        for times in 2..6 {
            let now = verdict(&order(), &repeated(&a, times), &repeated(&b, times));
            assert!(!before.is_decided() || now == before, "{before:?} became {now:?}");
            before = now;
        }
    }
}

#[test]
fn an_equivalence_holds_within_its_margin_only() {
    let equal = |margin: f64| claim(ClaimKind::Equal, &format!("same = [\"a\", \"b\"]\nmargin_points = {margin}"));
    let (a, b) = (drawn(80.0, 8, 5), drawn(80.2, 8, 6));
    assert_eq!(verdict(&equal(3.0), &a, &b), Verdict::Supported);
    assert_eq!(verdict(&equal(0.05), &a, &b), Verdict::NotSeparated, "too few to tell");
    assert_eq!(verdict(&equal(1.0), &drawn(85.0, 8, 5), &b), Verdict::Contradicted);
    let finding = &judge(&equal(3.0), &numbers(&[("a", &a), ("b", &b)])).findings[0];
    let (low, high) = finding.interval.unwrap();
    assert!((finding.level - 0.9).abs() < 1e-12 && low > -3.0 && high < 3.0, "{low} to {high}");
}

#[test]
fn an_equivalence_of_three_holds_between_any_two() {
    let equal = claim(ClaimKind::Equal, "same = [\"a\", \"b\", \"c\"]\nmargin_points = 0.5");
    let around = |mean: f64| [(0, mean), (1, mean + 0.02), (2, mean - 0.01), (3, mean + 0.01)];
    let noise = |mean: f64| [(0, mean + 0.01), (1, mean - 0.02), (2, mean), (3, mean + 0.02)];
    let judged = |b: f64, c: f64| {
        let rows = (around(80.0), noise(b), [(0, c), (1, c), (2, c + 0.02), (3, c - 0.02)]);
        judge(&equal, &numbers(&[("a", &rows.0), ("b", &rows.1), ("c", &rows.2)]))
    };
    assert_eq!(judged(80.2, 79.9).verdict, Verdict::Supported);
    // Each is within the margin of the first, and they are 0.8 apart.
    let apart = judged(80.4, 79.6);
    let verdicts: Vec<_> = apart.findings.iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Verdict::Supported, Verdict::Supported, Verdict::Contradicted]);
    assert_eq!(apart.verdict, Verdict::Contradicted);
    assert_eq!(apart.findings[2].what(), "B − C, Fine-tuned");
}

#[test]
fn a_gap_must_be_as_large_as_it_says() {
    let gap = |least: f64| claim(ClaimKind::Gap, &format!("above = [\"a\"]\nbelow = [\"b\"]\nleast_points = {least}"));
    let (a, b) = (drawn(85.0, 6, 7), drawn(80.0, 6, 8));
    assert_eq!(verdict(&gap(1.0), &a, &b), Verdict::Supported);
    assert_eq!(verdict(&gap(5.0), &a, &b), Verdict::NotSeparated);
    assert_eq!(verdict(&gap(12.0), &a, &b), Verdict::Contradicted);
}

#[test]
fn seeds_that_both_have_make_pairs_and_others_make_groups() {
    // Seeds differ by tens, the sides by one: only pairs can tell.
    let (a, b) = ([(0, 11.0), (1, 31.1), (2, 50.9)], [(0, 10.0), (1, 30.0), (2, 50.0)]);
    let table = numbers(&[("a", &a), ("b", &b)]);
    let judged = judge(&order(), &table);
    assert_eq!(judged.verdict, Verdict::Supported);
    let difference = judged.findings[0].difference.unwrap();
    assert_eq!((difference.pairing, difference.n), (Pairing::Paired, (3, 3)));
    assert_eq!(judged.findings[0].paper, Some(-1.0), "80 minus 81");
    assert_eq!(judged.findings[0].numbers.0[2].run, "0000000000000002".parse().unwrap());

    let apart = [(5, 10.0), (6, 30.0), (2, 50.0)];
    let judged = judge(&order(), &numbers(&[("a", &a), ("b", &apart)]));
    assert_eq!(judged.verdict, Verdict::NotSeparated);
    assert_eq!(judged.findings[0].difference.unwrap().pairing, Pairing::Welch);
}

#[test]
fn what_the_paper_is_uncertain_of_keeps_its_question_mark() {
    let (a, b) = ([(0, 81.0), (1, 81.5)], [(0, 80.0), (1, 80.1)]);
    let mut table = numbers(&[("a", &a), ("b", &b)]);
    let text = |table: &Table| judge(&order(), table).findings[0].paper_text();
    assert_eq!(text(&table).as_deref(), Some("−1.00 points"));
    table.rows[1].entries[0].uncertain = true;
    assert_eq!(text(&table).as_deref(), Some("−1.00 points ?"));
    assert!(judge(&order(), &table).findings[0].uncertain);
    table.rows[0].entries[0].paper = None;
    assert!(!judge(&order(), &table).findings[0].uncertain, "there is no difference to doubt");
}

#[test]
fn too_few_numbers_are_said_by_name() {
    let lacks = |a: Numbers, b: Numbers| {
        let judged = judge(&order(), &numbers(&[("a", a), ("b", b)]));
        assert_eq!(judged.verdict, Verdict::NotEnough);
        judged.lacks().unwrap()
    };
    let two = [(0, 80.0), (1, 81.0)];
    assert_eq!(lacks(&[(0, 80.0)], &two), "A: one seed.");
    assert_eq!(lacks(&[(0, 80.0)], &[(1, 79.0)]), "A, B: one seed.");
    assert_eq!(lacks(&[(0, 80.0)], &[]), "A: one seed; B: no seed yet (not queued).");
    assert_eq!(
        lacks(&[(0, 80.0), (1, f64::NAN)], &two),
        "A: one seed.",
        "what is not a number does not count"
    );
    assert_eq!(
        lacks(&two, &[(0, 79.0), (1, 80.0)]),
        "A and B: the same difference at every seed, so no spread to judge it by."
    );
    assert_eq!(
        judge(&order(), &numbers(&[("a", &two), ("b", &[(0, 70.0), (1, 71.5)])])).lacks(),
        None
    );
}

#[test]
fn a_chain_holds_if_every_link_does_and_falls_with_one() {
    let chain = claim(ClaimKind::Order, "chain = [\"a\", \"b\", \"c\"]");
    let judged = |a: f64, b: f64, c: f64| {
        let rows = [drawn(a, 5, 31), drawn(b, 5, 32), drawn(c, 5, 33)];
        judge(&chain, &numbers(&[("a", &rows[0]), ("b", &rows[1]), ("c", &rows[2])])).verdict
    };
    assert_eq!(judged(90.0, 80.0, 70.0), Verdict::Supported);
    assert_eq!(judged(90.0, 80.0, 80.1), Verdict::NotSeparated);
    assert_eq!(judged(90.0, 70.0, 80.0), Verdict::Contradicted);
    let rows = [drawn(70.0, 5, 31), drawn(80.0, 5, 32)];
    let one_missing = numbers(&[("a", &rows[0]), ("b", &rows[1]), ("c", &[])]);
    assert_eq!(
        judge(&chain, &one_missing).verdict,
        Verdict::Contradicted,
        "one broken link is enough"
    );
}

#[test]
fn many_parts_need_stronger_evidence_to_be_contradicted() {
    // Below zero by a little: alone it is contradicted, among many it may be chance.
    let (a, b) = (
        [(0, 80.0), (1, 80.3), (2, 79.8), (3, 80.1)],
        [(0, 80.5), (1, 80.6), (2, 80.6), (3, 80.4)],
    );
    assert_eq!(verdict(&order(), &a, &b), Verdict::Contradicted);
    let many = claim(ClaimKind::Order, "above = [\"a\", \"c\", \"d\", \"e\"]\nbelow = [\"b\"]");
    let high: Vec<_> = b.iter().map(|(seed, value)| (*seed, value + 5.0 + 0.1 * *seed as f64)).collect();
    let table = numbers(&[("a", &a), ("b", &b), ("c", &high), ("d", &high), ("e", &high)]);
    let judged = judge(&many, &table);
    assert_eq!(judged.verdict, Verdict::NotSeparated);
    let verdicts: Vec<_> = judged.findings.iter().map(|finding| finding.verdict).collect();
    assert_eq!(
        verdicts,
        [Verdict::NotSeparated, Verdict::Supported, Verdict::Supported, Verdict::Supported]
    );
}
