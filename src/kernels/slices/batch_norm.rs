//! Batch norm: every column by its mean and deviation over the rows (arXiv 1502.03167), then ReLU where one follows.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::layer_norm::{Norm, Normed};
use super::output::Output;
use super::panels::task_rows;
use super::simd::{add_rows, multiply_add, multiversion, sum_in_order};

/// Rows whose sums are taken one after another; fixed, so that a sum is the same for any number of threads.
const BLOCK: usize = 256;

/// Normalizes the columns of rows as wide as the norm; `relu` cuts what comes out below zero.
///
/// Mean and one over the deviation are one a column.
pub fn forward(x: &[f32], norm: Norm, relu: bool) -> Normed {
    let d = norm.gamma.len();
    let rows = (x.len() / d) as f32;
    let mut mean = over_blocks(x, d, add_rows);
    mean.iter_mut().for_each(|mean| *mean /= rows);
    let mut rstd = over_blocks(x, d, |block, sums| column_squares(block, &mean, sums));
    rstd.iter_mut().for_each(|sum| *sum = 1.0 / (*sum / rows + norm.epsilon).sqrt());
    let mut y = Output::new(x.len());
    let task = task_rows(x.len() / d, 2 * d) * d;
    x.par_chunks(task)
        .zip(y.slots(task))
        .for_each(|(x, y)| scale(y.copy(x), norm, &mean, &rstd, relu));
    Normed { y: y.finish(), mean, rstd }
}

/// Turns `g`, the gradient of the output, into that of `x`, and returns those of gamma and beta.
pub fn backward(x: &[f32], norm: Norm, mean: &[f32], rstd: &[f32], relu: bool, g: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
    let d = norm.gamma.len();
    let parts: Vec<(Vec<f32>, Vec<f32>)> = x
        .par_chunks(BLOCK * d)
        .zip(g.par_chunks_mut(BLOCK * d))
        .map(|(x, g)| {
            let (mut dgamma, mut dbeta) = (vec![0.0; d], vec![0.0; d]);
            cut_and_sum(x, norm, (mean, rstd), relu, g, (&mut dgamma, &mut dbeta));
            (dgamma, dbeta)
        })
        .collect();
    let (dgammas, dbetas): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let (dgamma, dbeta) = (sum_in_order(dgammas), sum_in_order(dbetas));
    let rows = (x.len() / d) as f32;
    let task = task_rows(x.len() / d, 2 * d) * d;
    x.par_chunks(task)
        .zip(g.par_chunks_mut(task))
        .for_each(|(x, g)| gradient(x, norm, mean, rstd, (&dgamma, &dbeta), rows, g));
    (dgamma, dbeta)
}

/// What `work` adds up over each block, all blocks added in their order.
fn over_blocks(x: &[f32], d: usize, work: impl Fn(&[f32], &mut [f32]) + Sync) -> Vec<f32> {
    let sums = x.par_chunks(BLOCK * d).map(|block| {
        let mut sums = vec![0.0; d];
        work(block, &mut sums);
        sums
    });
    sum_in_order(sums.collect::<Vec<_>>())
}

#[inline(always)]
fn column_squares_body<const FUSED: bool>(block: &[f32], mean: &[f32], sums: &mut [f32]) {
    for row in block.chunks_exact(sums.len()) {
        for ((sum, x), mean) in sums.iter_mut().zip(row).zip(mean) {
            let centered = x - mean;
            *sum = multiply_add::<FUSED>(centered, centered, *sum);
        }
    }
}

multiversion!(
    /// Adds the squares of every row less `mean` to `sums`.
    fn column_squares(block: &[f32], mean: &[f32], sums: &mut [f32]) = column_squares_body
);

/// A normalized number, scaled and shifted.
#[inline(always)]
fn value<const FUSED: bool>(x: f32, norm: &Norm, mean: &[f32], rstd: &[f32], column: usize) -> f32 {
    multiply_add::<FUSED>((x - mean[column]) * rstd[column], norm.gamma[column], norm.beta[column])
}

#[inline(always)]
fn scale_body<const FUSED: bool>(x: &mut [f32], norm: Norm, mean: &[f32], rstd: &[f32], relu: bool) {
    let d = norm.gamma.len();
    let (norm, mean, rstd) = (cut(norm, d), &mean[..d], &rstd[..d]);
    for row in x.chunks_exact_mut(d) {
        for (column, x) in row.iter_mut().enumerate() {
            let y = value::<FUSED>(*x, &norm, mean, rstd, column);
            // So and not by `max`, which would hide a NaN.
            *x = if relu && y <= 0.0 { 0.0 } else { y };
        }
    }
}

multiversion!(
    fn scale(x: &mut [f32], norm: Norm<'_>, mean: &[f32], rstd: &[f32], relu: bool) = scale_body
);

#[inline(always)]
fn cut_and_sum_body<const FUSED: bool>(
    x: &[f32],
    norm: Norm,
    (mean, rstd): (&[f32], &[f32]),
    relu: bool,
    g: &mut [f32],
    (dgamma, dbeta): (&mut [f32], &mut [f32]),
) {
    let d = norm.gamma.len();
    let (norm, mean, rstd) = (cut(norm, d), &mean[..d], &rstd[..d]);
    let (dgamma, dbeta) = (&mut dgamma[..d], &mut dbeta[..d]);
    for (x, g) in x.chunks_exact(d).zip(g.chunks_exact_mut(d)) {
        for i in 0..d {
            if relu && value::<FUSED>(x[i], &norm, mean, rstd, i) <= 0.0 {
                g[i] = 0.0;
            }
            dgamma[i] = multiply_add::<FUSED>(g[i], (x[i] - mean[i]) * rstd[i], dgamma[i]);
            dbeta[i] += g[i];
        }
    }
}

multiversion!(
    /// Clears the gradient where ReLU cut, and adds to the gradients of gamma and beta.
    fn cut_and_sum(
        x: &[f32],
        norm: Norm<'_>,
        statistics: (&[f32], &[f32]),
        relu: bool,
        g: &mut [f32],
        sums: (&mut [f32], &mut [f32]),
    ) = cut_and_sum_body
);

#[inline(always)]
fn gradient_body<const FUSED: bool>(
    x: &[f32],
    norm: Norm,
    mean: &[f32],
    rstd: &[f32],
    (dgamma, dbeta): (&[f32], &[f32]),
    rows: f32,
    g: &mut [f32],
) {
    let d = norm.gamma.len();
    let (gamma, mean, rstd) = (&norm.gamma[..d], &mean[..d], &rstd[..d]);
    let (dgamma, dbeta) = (&dgamma[..d], &dbeta[..d]);
    let share = 1.0 / rows;
    for (x, g) in x.chunks_exact(d).zip(g.chunks_exact_mut(d)) {
        for i in 0..d {
            // Less its own mean, and less its part along the normalized column.
            let along = (x[i] - mean[i]) * rstd[i] * dgamma[i];
            g[i] = gamma[i] * rstd[i] * (g[i] - (dbeta[i] + along) * share);
        }
    }
}

multiversion!(
    /// Turns `g`, cut, into the gradient of `x`, given the sums over all `rows`.
    fn gradient(
        x: &[f32],
        norm: Norm<'_>,
        mean: &[f32],
        rstd: &[f32],
        sums: (&[f32], &[f32]),
        rows: f32,
        g: &mut [f32],
    ) = gradient_body
);

/// The weights as slices whose length the compiler knows to be that of a row.
#[inline(always)]
fn cut(norm: Norm<'_>, d: usize) -> Norm<'_> {
    Norm {
        gamma: &norm.gamma[..d],
        beta: &norm.beta[..d],
        ..norm
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{self, assert_close, dot, slopes, waves, wide};
    use super::*;

    const EPSILON: f32 = 1e-5;

    #[test]
    fn values_and_gradients_are_those_of_the_formula_for_any_shape() {
        for (rows, d) in [(4, 3), (5, 17), (7, 32), (600, 5)] {
            for relu in [false, true] {
                let (x, gamma, beta) = (waves(rows * d, 0.7), waves(d, 0.9), waves(d, 0.2));
                let norm = Norm {
                    gamma: &gamma,
                    beta: &beta,
                    epsilon: EPSILON,
                };
                let reference = |x: &[f64], gamma: &[f64], beta: &[f64]| reference::batch_norm(x, gamma, beta, f64::from(EPSILON), relu);
                let (wx, wg, wb) = (wide(&x), wide(&gamma), wide(&beta));
                let normed = forward(&x, norm, relu);
                assert_close(&normed.y, &reference(&wx, &wg, &wb), 4e-6, "values");
                if rows * d > 300 {
                    continue; // Central differences would take long, and the code is the same.
                }
                let mut g = waves(rows * d, 0.31);
                let weights = wide(&g);
                let (dgamma, dbeta) = backward(&x, norm, &normed.mean, &normed.rstd, relu, &mut g);
                assert_close(&g, &slopes(&wx, |x| dot(&reference(x, &wg, &wb), &weights)), 2e-5, "x");
                let of_gamma = slopes(&wg, |gamma| dot(&reference(&wx, gamma, &wb), &weights));
                assert_close(&dgamma, &of_gamma, 2e-5, "gamma");
                let of_beta = slopes(&wb, |beta| dot(&reference(&wx, &wg, beta), &weights));
                assert_close(&dbeta, &of_beta, 2e-5, "beta");
            }
        }
    }

    #[test]
    fn many_rows_give_the_gradients_of_one_block_after_another() {
        let (rows, d) = (3 * BLOCK + 7, 4);
        let (x, gamma, beta) = (waves(rows * d, 0.7), waves(d, 0.9), waves(d, 0.2));
        let norm = Norm {
            gamma: &gamma,
            beta: &beta,
            epsilon: EPSILON,
        };
        let normed = forward(&x, norm, true);
        let mut g = waves(rows * d, 0.31);
        let cut = |i: usize| if normed.y[i] > 0.0 { f64::from(g[i]) } else { 0.0 };
        let sum = |column: usize| (0..rows).map(|row| cut(row * d + column)).sum::<f64>();
        let expected: Vec<f64> = (0..d).map(sum).collect();
        let (_, dbeta) = backward(&x, norm, &normed.mean, &normed.rstd, true, &mut g.clone());
        assert_close(&dbeta, &expected, 2e-5, "beta");
        // The gradient of a normalized column neither shifts nor stretches it.
        backward(&x, norm, &normed.mean, &normed.rstd, true, &mut g);
        for column in 0..d {
            let shift: f64 = (0..rows).map(|row| f64::from(g[row * d + column])).sum();
            assert!(shift.abs() < 1e-3, "{shift}");
        }
    }

    #[test]
    fn a_constant_column_gives_its_shift_and_a_nan_spoils_its_own_column_alone() {
        let norm = Norm {
            gamma: &[1.0; 2],
            beta: &[0.5; 2],
            epsilon: EPSILON,
        };
        let normed = forward(&[3.0, f32::NAN, 3.0, 1.0, 3.0, 2.0], norm, true);
        assert_eq!([normed.y[0], normed.y[2], normed.y[4]], [0.5; 3]);
        assert!([1, 3, 5].iter().all(|i| normed.y[*i].is_nan()));
    }
}
