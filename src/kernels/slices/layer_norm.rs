//! Layer norm over the last dimension (arXiv 1607.06450).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::output::Output;
use super::panels::{group_rows, task_rows};
use super::simd::{LANES, multiply_add, multiversion, sum_in_order, sum_lanes, sum_of};

/// The weights of a norm, each as wide as a row.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Factor.
    pub gamma: &'a [f32],
    /// Shift.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// A normalized matrix and what its gradient needs.
#[derive(Debug)]
pub struct Normed {
    /// Its rows.
    pub y: Vec<f32>,
    /// Mean of each row of the input.
    pub mean: Vec<f32>,
    /// One over the deviation of each row of the input.
    pub rstd: Vec<f32>,
}

/// Normalizes rows as wide as the norm.
pub fn forward(x: &[f32], norm: Norm) -> Normed {
    let d = norm.gamma.len();
    let rows = x.len() / d;
    let task = task_rows(rows, 2 * d);
    let (mut y, mut mean, mut rstd) = (Output::new(x.len()), Output::new(rows), Output::new(rows));
    x.par_chunks(task * d)
        .zip(y.slots(task * d))
        .zip(mean.slots(task))
        .zip(rstd.slots(task))
        .for_each(|(((x, y), mean), rstd)| normalize(y.copy(x), norm, mean.zeros(), rstd.zeros()));
    Normed {
        y: y.finish(),
        mean: mean.finish(),
        rstd: rstd.finish(),
    }
}

/// Turns `g`, the gradient of the output, into that of `x`, and returns those of gamma and beta.
pub fn backward(x: &[f32], gamma: &[f32], mean: &[f32], rstd: &[f32], g: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
    let d = gamma.len();
    let group = group_rows(mean.len(), 2 * d);
    let parts: Vec<(Vec<f32>, Vec<f32>)> = x
        .par_chunks(group * d)
        .zip(g.par_chunks_mut(group * d))
        .zip(mean.par_chunks(group))
        .zip(rstd.par_chunks(group))
        .map(|(((x, g), mean), rstd)| {
            let (mut dgamma, mut dbeta) = (vec![0.0; d], vec![0.0; d]);
            gradient(x, gamma, mean, rstd, g, &mut dgamma, &mut dbeta);
            (dgamma, dbeta)
        })
        .collect();
    let (dgammas, dbetas): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    (sum_in_order(dgammas), sum_in_order(dbetas))
}

#[inline(always)]
fn normalize_body<const FUSED: bool>(x: &mut [f32], norm: Norm, mean: &mut [f32], rstd: &mut [f32]) {
    let d = norm.gamma.len();
    for ((x, mean), rstd) in x.chunks_exact_mut(d).zip(mean).zip(rstd) {
        *mean = sum_of(x, |_, v| v) / d as f32;
        let middle = *mean;
        let variance = sum_of(x, |_, v| (v - middle) * (v - middle)) / d as f32;
        *rstd = 1.0 / (variance + norm.epsilon).sqrt();
        scale_row::<FUSED>(x, norm, *mean, *rstd);
    }
}

multiversion!(
    /// Normalizes rows in place, on this thread, and writes their means and one over their deviations.
    pub fn normalize(x: &mut [f32], norm: Norm<'_>, mean: &mut [f32], rstd: &mut [f32]) = normalize_body
);

#[inline(always)]
fn renormalize_body<const FUSED: bool>(x: &mut [f32], norm: Norm, mean: &[f32], rstd: &[f32]) {
    for ((x, mean), rstd) in x.chunks_exact_mut(norm.gamma.len()).zip(mean).zip(rstd) {
        scale_row::<FUSED>(x, norm, *mean, *rstd);
    }
}

multiversion!(
    /// As [`normalize`], with the statistics that it found before.
    pub fn renormalize(x: &mut [f32], norm: Norm<'_>, mean: &[f32], rstd: &[f32]) = renormalize_body
);

#[inline(always)]
fn scale_row<const FUSED: bool>(x: &mut [f32], norm: Norm, mean: f32, rstd: f32) {
    for ((x, gamma), beta) in x.iter_mut().zip(norm.gamma).zip(norm.beta) {
        *x = multiply_add::<FUSED>((*x - mean) * rstd, *gamma, *beta);
    }
}

#[inline(always)]
fn gradient_body<const FUSED: bool>(
    x: &[f32],
    gamma: &[f32],
    mean: &[f32],
    rstd: &[f32],
    g: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let d = gamma.len();
    let (dgamma, dbeta) = (&mut dgamma[..d], &mut dbeta[..d]);
    for (((x, g), &mean), &rstd) in x.chunks_exact(d).zip(g.chunks_exact_mut(d)).zip(mean).zip(rstd) {
        let (x, g) = (&x[..d], &mut g[..d]);
        // The gradient less its own mean, and less its part along the normalized row.
        let (mut sums, mut products) = ([0.0; LANES], [0.0; LANES]);
        let mut take = |i: usize, lane: usize| {
            let normed = (x[i] - mean) * rstd;
            let weighted = g[i] * gamma[i];
            sums[lane] += weighted;
            products[lane] = multiply_add::<FUSED>(weighted, normed, products[lane]);
            dgamma[i] = multiply_add::<FUSED>(g[i], normed, dgamma[i]);
            dbeta[i] += g[i];
        };
        let whole = d / LANES * LANES;
        for start in (0..whole).step_by(LANES) {
            for lane in 0..LANES {
                take(start + lane, lane);
            }
        }
        for i in whole..d {
            take(i, i - whole);
        }
        let (shift, along) = (sum_lanes(sums) / d as f32, sum_lanes(products) / d as f32);
        for i in 0..d {
            let normed = (x[i] - mean) * rstd;
            g[i] = rstd * (multiply_add::<FUSED>(g[i], gamma[i], -shift) - normed * along);
        }
    }
}

multiversion!(
    /// Turns `g` into the gradient of `x` and adds to the gradients of gamma and beta, on this thread.
    pub fn gradient(
        x: &[f32],
        gamma: &[f32],
        mean: &[f32],
        rstd: &[f32],
        g: &mut [f32],
        dgamma: &mut [f32],
        dbeta: &mut [f32],
    ) = gradient_body
);

#[cfg(test)]
mod tests {
    use super::super::reference::{self, assert_close, dot, slopes, waves, wide};
    use super::*;

    const EPSILON: f32 = 1e-6;

    #[test]
    fn values_and_gradients_are_those_of_the_formula_for_any_width() {
        for (rows, d) in [(1, 4), (3, 7), (5, 16), (9, 33), (70, 96)] {
            let (x, gamma, beta) = (waves(rows * d, 0.7), waves(d, 0.9), waves(d, 0.2));
            let norm = Norm {
                gamma: &gamma,
                beta: &beta,
                epsilon: EPSILON,
            };
            let reference = |x: &[f64], gamma: &[f64], beta: &[f64]| reference::layer_norm(x, gamma, beta, f64::from(EPSILON));
            let (wx, wg, wb) = (wide(&x), wide(&gamma), wide(&beta));
            let normed = forward(&x, norm);
            assert_close(&normed.y, &reference(&wx, &wg, &wb), 2e-6, "values");
            if rows * d > 300 {
                continue; // Central differences would take long, and the code is the same.
            }
            let mut g = waves(rows * d, 0.31);
            let weights = wide(&g);
            let (dgamma, dbeta) = backward(&x, &gamma, &normed.mean, &normed.rstd, &mut g);
            assert_close(&g, &slopes(&wx, |x| dot(&reference(x, &wg, &wb), &weights)), 1e-5, "x");
            assert_close(
                &dgamma,
                &slopes(&wg, |gamma| dot(&reference(&wx, gamma, &wb), &weights)),
                1e-5,
                "gamma",
            );
            assert_close(&dbeta, &slopes(&wb, |beta| dot(&reference(&wx, &wg, beta), &weights)), 1e-5, "beta");
        }
    }

    #[test]
    fn a_constant_row_gives_its_shift_and_a_nan_stays_one() {
        let norm = Norm {
            gamma: &[1.0; 4],
            beta: &[0.5; 4],
            epsilon: EPSILON,
        };
        let normed = forward(&[3.0, 3.0, 3.0, 3.0, 1.0, f32::NAN, 1.0, 1.0], norm);
        assert_eq!(normed.y[..4], [0.5; 4]);
        assert!(normed.y[4..].iter().all(|v| v.is_nan()));
    }
}
