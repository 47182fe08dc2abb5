//! Against scipy 1.17.1; the call stands beside each value.

use crate::experiment::statistics::{Difference, Pairing, holm};

const A: [f64; 4] = [83.1, 82.7, 83.4, 82.9];
const B: [f64; 4] = [82.5, 82.6, 82.8, 82.1];

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}

fn paired() -> Difference {
    let differences: Vec<f64> = A.iter().zip(B).map(|(a, b)| a - b).collect();
    Difference::paired(&differences).unwrap()
}

#[test]
fn pairs_are_compared_as_scipy_does() {
    let found = paired();
    assert_eq!((found.pairing, found.n, found.freedom), (Pairing::Paired, (4, 4), 3.0));
    // r = scipy.stats.ttest_rel(A, B)
    close(found.mean / found.standard_error, 3.516317104771512); // r.statistic
    close(2.0 * found.p_above(0.0), 0.039020304171667936); // r.pvalue
    let (low, high) = found.interval(0.95); // r.confidence_interval(.95)
    close(low, 0.04984822600136024);
    close(high, 1.0001517739986512);
    let (low, high) = found.interval(0.9); // r.confidence_interval(.9)
    close(low, 0.17363356561488658);
    close(high, 0.8763664343851245);
    // scipy.stats.ttest_1samp(d, -1, alternative="greater").pvalue, (d, 1, alternative="less").pvalue
    close(found.p_above(-1.0), 0.0010001343508142947);
    close(found.p_below(1.0), 0.02501952123992829);
    // d.mean() / d.std(ddof=1) * (1 - 3 / (4 * 3 - 1))
    close(found.size.unwrap(), 1.2786607653714588);
}

#[test]
fn groups_without_pairs_are_compared_as_scipy_does() {
    let found = Difference::welch(&A, &B[..3]).unwrap();
    // w = scipy.stats.ttest_ind(A, B[:3], equal_var=False)
    close(found.freedom, 4.615795563652466); // w.df
    close(found.mean / found.standard_error, 2.2586758572614793); // w.statistic
    close(2.0 * found.p_above(0.0), 0.07790201406358059); // w.pvalue
    let (low, high) = found.interval(0.95); // w.confidence_interval(.95)
    close(low, -0.065480536764643);
    close(high, 0.8488138700980028);
    // (a.mean() - b.mean()) / sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2) * (1 - 3 / (4 * 5 - 1))
    close(found.size.unwrap(), 1.3906624564015815);
}

/// The interval's half width in standard errors is the quantile itself.
#[test]
fn quantiles_are_scipys() {
    // [scipy.stats.t.ppf(q, df) for q in (.8, .95, .975, .995)]
    let cases = [
        (2, [1.3763819204711738, 6.313751514675037, 12.706204736174694, 63.656741162871526]),
        (3, [1.0606601717798214, 2.9199855803537242, 4.302652729749462, 9.924843200918287]),
        (11, [0.8790578285505889, 1.8124611228116756, 2.228138851986274, 3.16927267261695]),
        (
            101,
            [0.8452304244910163, 1.6602343260853392, 1.9839715185235518, 2.6258905214380173],
        ),
        (
            1001,
            [0.8419808221624288, 1.6463788172854643, 1.9623390808264083, 2.580754698065951],
        ),
    ];
    for (n, quantiles) in cases {
        let numbers: Vec<f64> = (0..n).map(f64::from).collect();
        let found = Difference::paired(&numbers).unwrap();
        for (level, quantile) in [0.6, 0.9, 0.95, 0.99].into_iter().zip(quantiles) {
            // statrs' own quantile is found by steps, to a few parts in 10^9.
            let found = (found.interval(level).1 - found.mean) / found.standard_error;
            assert!((found / quantile - 1.0).abs() < 1e-8, "{found} is not {quantile}");
        }
    }
}

#[test]
fn what_does_not_vary_cannot_be_judged() {
    assert_eq!(Difference::paired(&[1.0]), None);
    assert_eq!(Difference::paired(&[0.1 + 0.2, 0.3]), None, "rounding is no spread");
    assert_eq!(Difference::paired(&[0.0, 0.0, 0.0]), None);
    assert_eq!(Difference::welch(&[1.0, 1.0], &[2.0, 2.0]), None);
    assert_eq!(Difference::welch(&[1.0, 2.0], &[3.0]), None);
    // One group alone may stand still: Welch then has the other's degrees of freedom.
    close(Difference::welch(&[1.0, 1.0], &[2.0, 4.0, 6.0]).unwrap().freedom, 2.0);
}

#[test]
fn swapping_the_sides_turns_the_difference_round() {
    let (there, back) = (Difference::welch(&A, &B).unwrap(), Difference::welch(&B, &A).unwrap());
    close(there.mean, -back.mean);
    close(there.interval(0.95).0, -back.interval(0.95).1);
    close(there.p_above(0.3), back.p_below(-0.3));
    close(there.size.unwrap(), -back.size.unwrap());
    assert_eq!(
        Difference::paired(&[1.0, 2.0]).unwrap().size,
        None,
        "two pairs have no corrected size"
    );
}

#[test]
fn holm_corrects_as_in_his_example() {
    // statsmodels.stats.multitest.multipletests([.01, .04, .03, .005], method="holm"): .03, .06, .06, .02
    for (found, expected) in holm(&[0.01, 0.04, 0.03, 0.005]).into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
        close(found, expected);
    }
    assert_eq!(holm(&[0.7, 0.9]), [1.0, 1.0]);
    assert_eq!(holm(&[0.02]), [0.02]);
    assert!(holm(&[]).is_empty());
}

#[test]
fn a_smaller_difference_needs_more_seeds() {
    let found = paired();
    let seeds = |distance| found.seeds_to_separate(&[distance], 0.025);
    // 1 - scipy.stats.nct.cdf(t.ppf(.975, n - 1), n - 1, d_z * sqrt(n)): .655 of four seeds, .832 of five.
    assert_eq!(seeds(found.mean), Some(5));
    assert!(
        seeds(0.2) > seeds(0.4) && seeds(0.4) > seeds(0.8),
        "{:?}",
        [0.2, 0.4, 0.8].map(seeds)
    );
    assert_eq!(seeds(1e-4), None, "more than an estimate goes to");
    assert_eq!(seeds(100.0), Some(5), "four are there already and did not decide it");
    let groups = |first: &[f64], second: &[f64]| Difference::welch(first, second).unwrap().seeds_to_separate(&[100.0], 0.025);
    assert_eq!(groups(&A, &B), Some(5));
    assert_eq!(
        groups(&A, &B[..2]),
        Some(4),
        "the smaller group first becomes as large as the other"
    );
}

/// Two tests that must both succeed need more seeds than one: the chance that either falls short counts.
#[test]
fn an_equivalence_has_its_chance_as_a_whole() {
    let spread: Vec<f64> = (0..6).map(|seed| f64::from(seed % 2) - 0.5).collect();
    let found = Difference::paired(&spread).unwrap();
    close(found.mean, 0.0);
    let seeds = |distances: &[f64]| found.seeds_to_separate(distances, 0.05).unwrap();
    // s = .5477; the least n with 1 - 2 * t.sf(.3 / (s / n**.5) - t.ppf(.95, n - 1), n - 1) >= .8; without the 2, 23.
    assert_eq!(seeds(&[0.3, 0.3]), 31);
    assert_eq!(seeds(&[0.3]), 23);
    assert_eq!(seeds(&[0.3, 5.0]), seeds(&[0.3]), "an end that is far away costs nothing");
}
