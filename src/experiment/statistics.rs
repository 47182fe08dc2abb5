//! The difference of two groups of numbers: Student's t for pairs, Welch's where there are none.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Most seeds that an estimate goes to.
const MOST: usize = 1000;
/// The chance to separate that an estimate of seeds aims at: Cohen 1988, section 2.4.
const POWER: f64 = 0.8;

/// How two groups are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairing {
    /// Each number with the other group's of the same seed.
    Paired,
    /// The groups as wholes.
    Welch,
}

/// The mean difference of two groups, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// How they are compared.
    pub pairing: Pairing,
    /// Mean of the first minus mean of the second.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Degrees of freedom of its t.
    pub freedom: f64,
    /// How many numbers the first group has, and the second.
    pub n: (usize, usize),
    /// In standard deviations, corrected for few numbers: Hedges' g. Of pairs in deviations of their differences (`d_z`), else in
    /// the root of the mean of both variances; Lakens 2013, Delacre and others 2021. `None` of
    /// two pairs, for which the correction leaves nothing.
    pub size: Option<f64>,
}

impl Difference {
    /// From the differences of at least two pairs; `None` if they do not vary, for then nobody can tell how sure they are.
    pub fn paired(differences: &[f64]) -> Option<Difference> {
        let (mean, variance) = moments(differences)?;
        let n = differences.len();
        Difference {
            pairing: Pairing::Paired,
            mean,
            standard_error: (variance / n as f64).sqrt(),
            freedom: n as f64 - 1.0,
            n: (n, n),
            size: small_sample(n as f64 - 1.0).map(|corrected| mean / variance.sqrt() * corrected),
        }
        .if_it_varies()
    }

    /// From two groups of at least two numbers each, with variances of their own; `None` if neither varies. Degrees of freedom:
    /// Welch 1947, after Satterthwaite 1946.
    pub fn welch(first: &[f64], second: &[f64]) -> Option<Difference> {
        let ((mean_1, variance_1), (mean_2, variance_2)) = (moments(first)?, moments(second)?);
        let (n_1, n_2) = (first.len() as f64, second.len() as f64);
        let (share_1, share_2) = (variance_1 / n_1, variance_2 / n_2);
        let mean = mean_1 - mean_2;
        Difference {
            pairing: Pairing::Welch,
            mean,
            standard_error: (share_1 + share_2).sqrt(),
            freedom: (share_1 + share_2).powi(2) / (share_1.powi(2) / (n_1 - 1.0) + share_2.powi(2) / (n_2 - 1.0)),
            n: (first.len(), second.len()),
            size: small_sample(n_1 + n_2 - 2.0).map(|corrected| mean / f64::midpoint(variance_1, variance_2).sqrt() * corrected),
        }
        .if_it_varies()
    }

    /// Rounding alone is no variance.
    fn if_it_varies(self) -> Option<Self> {
        (self.standard_error > 1e-12 * self.mean.abs().max(1e-12) && self.freedom.is_finite()).then_some(self)
    }

    /// The interval that holds the true difference with that probability.
    pub fn interval(&self, level: f64) -> (f64, f64) {
        let half = quantile(self.freedom, f64::midpoint(1.0, level)) * self.standard_error;
        (self.mean - half, self.mean + half)
    }

    /// How probable a difference so large or larger is, if the true one were `bound`.
    pub fn p_above(&self, bound: f64) -> f64 {
        students(self.freedom).sf((self.mean - bound) / self.standard_error)
    }

    /// How probable a difference so small or smaller is, if the true one were `bound`.
    pub fn p_below(&self, bound: f64) -> f64 {
        students(self.freedom).cdf((self.mean - bound) / self.standard_error)
    }

    /// About how many seeds, more than there are, give a chance of 80 % to tell the difference from everything that is one of
    /// `distances` away, each one-sided at `level`, if mean and spread stay as they are. For two the chances of falling short
    /// add up, as they do for the two one-sided tests of an equivalence: Phillips 1990. A rough guide: the spread of few seeds is
    /// itself uncertain. `None` above 1000.
    pub fn seeds_to_separate(&self, distances: &[f64], level: f64) -> Option<usize> {
        // The spread of one seed, and how fast the degrees of freedom grow.
        let (first, second) = (self.n.0 as f64, self.n.1 as f64);
        let (now, groups) = match self.pairing {
            Pairing::Paired => (first, 1.0),
            Pairing::Welch => (2.0 * first * second / (first + second), 2.0),
        };
        let spread = self.standard_error * now.sqrt();
        let enough = |n: &usize| {
            let freedom = groups * (*n as f64 - 1.0);
            let (needed, error) = (quantile(freedom, 1.0 - level), spread / (*n as f64).sqrt());
            let short = distances.iter().map(|distance| students(freedom).sf(distance / error - needed));
            short.sum::<f64>() <= 1.0 - POWER
        };
        // Groups of different sizes are made equal before another seed begins.
        let more = (self.n.0.min(self.n.1) + 1).max(self.n.0).max(self.n.1);
        (more..=MOST).find(enough)
    }
}

/// Holm's correction (1979): what each probability becomes when all of them are looked at together.
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let (mut corrected, mut largest) = (vec![1.0; probabilities.len()], 0.0f64);
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(probabilities[index] * (probabilities.len() - rank) as f64).min(1.0);
        corrected[index] = largest;
    }
    corrected
}

/// Mean and variance (n - 1), from two numbers on.
fn moments(numbers: &[f64]) -> Option<(f64, f64)> {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>();
    (numbers.len() > 1).then(|| (mean, squares / (n - 1.0)))
}

/// Hedges' correction of a standardized difference for few numbers: Hedges 1981, equation 6e's approximation,
/// from two degrees of freedom on; at one it is 0.
fn small_sample(freedom: f64) -> Option<f64> {
    (freedom > 1.5).then(|| 1.0 - 3.0 / (4.0 * freedom - 1.0))
}

fn students(freedom: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom).expect("differences have degrees of freedom above 0")
}

fn quantile(freedom: f64, probability: f64) -> f64 {
    students(freedom).inverse_cdf(probability)
}
