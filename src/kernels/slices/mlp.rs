//! The whole MLP branch of a block, `y = x + factor * (GELU(LN(x) W1 + b1) W2 + b2)`, as one.
//!
//! Only what stands before the GELU is kept for the gradient; the normalized rows and the hidden activations live
//! and die in the cache.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::gelu::{gelu, with_slope};
use super::layer_norm::{Norm, gradient, normalize, renormalize};
use super::linear::{Factors, Layer, WeightSums, apply, with_scaled};
use super::matrix::{Matrix, MatrixMut};
use super::output::{Output, Slot};
use super::panels::{group_rows, panel_rows, task_rows, with_scratch};
use super::simd::{add, multiply, sum_in_order};

/// The weights of the branch.
#[derive(Clone, Copy, Debug)]
pub struct Mlp<'a> {
    /// Before the first layer.
    pub norm: Norm<'a>,
    /// To the hidden width.
    pub fc1: Layer<'a>,
    /// And back.
    pub fc2: Layer<'a>,
    /// What the branch is multiplied by: one factor an image, or none at all for 1 everywhere.
    pub factors: &'a [f32],
    /// Rows of an image.
    pub tokens: usize,
}

/// The stream after the branch, and what its gradient needs.
#[derive(Debug)]
pub struct Forwarded {
    /// The stream.
    pub y: Vec<f32>,
    /// What the GELU read, `[rows, hidden]`.
    pub hidden: Vec<f32>,
    /// Mean of each row of `x`.
    pub mean: Vec<f32>,
    /// One over the deviation of each row of `x`.
    pub rstd: Vec<f32>,
}

/// Gradients of the branch, the stream's own included.
#[derive(Debug)]
pub struct Gradients {
    /// Of the stream before the branch.
    pub dx: Vec<f32>,
    /// Of the norm's factor.
    pub dgamma: Vec<f32>,
    /// Of the norm's shift.
    pub dbeta: Vec<f32>,
    /// Of the first weight.
    pub dw1: Vec<f32>,
    /// Of the first bias.
    pub db1: Vec<f32>,
    /// Of the second weight.
    pub dw2: Vec<f32>,
    /// Of the second bias.
    pub db2: Vec<f32>,
}

/// The stream after the branch, and what its gradient needs.
pub fn forward(x: &[f32], mlp: Mlp) -> Forwarded {
    let (d, h) = mlp.fc1.sizes();
    let rows = x.len() / d;
    let task = task_rows(rows, 3 * d + 2 * h);
    let (mut y, mut hidden) = (Output::new(rows * d), Output::new(rows * h));
    let (mut mean, mut rstd) = (Output::new(rows), Output::new(rows));
    x.par_chunks(task * d)
        .zip(y.slots(task * d))
        .zip(hidden.slots(task * h))
        .zip(mean.slots(task))
        .zip(rstd.slots(task))
        .enumerate()
        .for_each(|(place, ((((x, y), hidden), mean), rstd))| {
            with_scratch(x.len() + hidden.len(), |scratch| {
                let (normed, active) = scratch.split_at_mut(x.len());
                normed.copy_from_slice(x);
                normalize(normed, mlp.norm, mean.zeros(), rstd.zeros());
                active.copy_from_slice(apply(normed, mlp.fc1, hidden));
                second_half(x, active, mlp, y, place * task);
            });
        });
    Forwarded {
        y: y.finish(),
        hidden: hidden.finish(),
        mean: mean.finish(),
        rstd: rstd.finish(),
    }
}

/// The stream after the branch alone.
pub fn value(x: &[f32], mlp: Mlp) -> Vec<f32> {
    let (d, h) = mlp.fc1.sizes();
    let rows = x.len() / d;
    let task = task_rows(rows, 3 * d + h);
    let mut y = Output::new(rows * d);
    x.par_chunks(task * d)
        .zip(y.slots(task * d))
        .enumerate()
        .for_each(|(place, (x, y))| {
            let rows = x.len() / d;
            with_scratch(x.len() + rows * (h + 2), |scratch| {
                let (normed, rest) = scratch.split_at_mut(x.len());
                let (active, statistics) = rest.split_at_mut(rows * h);
                let (mean, rstd) = statistics.split_at_mut(rows);
                normed.copy_from_slice(x);
                normalize(normed, mlp.norm, mean, rstd);
                active.chunks_exact_mut(h).for_each(|row| row.copy_from_slice(mlp.fc1.b));
                MatrixMut::rows(active, h).add_product(Matrix::rows(normed, d), Matrix::rows(mlp.fc1.w, h));
                second_half(x, active, mlp, y, place * task);
            });
        });
    y.finish()
}

/// From what the GELU reads to the stream, for rows the first of which is row `first` of all.
fn second_half(x: &[f32], hidden: &mut [f32], mlp: Mlp, y: Slot, first: usize) {
    gelu(hidden);
    let y = apply(hidden, mlp.fc2, y);
    Factors::new(mlp.factors, mlp.tokens).add_to(x, y, mlp.norm.gamma.len(), first);
}

/// What [`forward`] found and the gradient needs.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// What the GELU read.
    pub hidden: &'a [f32],
    /// Mean of each row of `x`.
    pub mean: &'a [f32],
    /// One over the deviation of each row of `x`.
    pub rstd: &'a [f32],
}

/// The gradients, where `g` is that of the stream after the branch.
pub fn backward(x: &[f32], mlp: Mlp, kept: Kept, g: &[f32]) -> Gradients {
    let (d, h) = mlp.fc1.sizes();
    let Kept { hidden, mean, rstd } = kept;
    let group = group_rows(mean.len(), 2 * d * h);
    let mut dx = Output::new(x.len());
    let parts: Vec<Sums> = x
        .par_chunks(group * d)
        .zip(g.par_chunks(group * d))
        .zip(hidden.par_chunks(group * h))
        .zip(mean.par_chunks(group))
        .zip(rstd.par_chunks(group))
        .zip(dx.slots(group * d))
        .enumerate()
        .map(|(place, (((((x, g), hidden), mean), rstd), dx))| {
            let mut sums = Sums::new(d, h);
            let panel = panel_rows(4 * d + 3 * h);
            let inputs = x.chunks(panel * d).zip(hidden.chunks(panel * h));
            let statistics = mean.chunks(panel).zip(rstd.chunks(panel));
            let gradients = g.chunks(panel * d).zip(dx.split(panel * d));
            for (step, (((x, hidden), (mean, rstd)), (g, dx))) in inputs.zip(statistics).zip(gradients).enumerate() {
                let first = place * group + step * panel;
                sums.take(x, mlp, Kept { hidden, mean, rstd }, first, g, dx);
            }
            sums
        })
        .collect();
    Sums::total(parts, dx.finish())
}

struct Sums {
    fc1: WeightSums,
    fc2: WeightSums,
    dgamma: Vec<f32>,
    dbeta: Vec<f32>,
}

impl Sums {
    fn new(d: usize, h: usize) -> Self {
        Sums {
            fc1: WeightSums::new(d, h),
            fc2: WeightSums::new(h, d),
            dgamma: vec![0.0; d],
            dbeta: vec![0.0; d],
        }
    }

    /// Takes in a panel whose first row is row `first` of all, on this thread.
    fn take(&mut self, x: &[f32], mlp: Mlp, kept: Kept, first: usize, g: &[f32], dx: Slot) {
        let (d, h) = mlp.fc1.sizes();
        let Kept { hidden, mean, rstd } = kept;
        with_scratch(x.len() + 2 * hidden.len(), |scratch| {
            let (normed, rest) = scratch.split_at_mut(x.len());
            let (active, slope) = rest.split_at_mut(hidden.len());
            with_slope(hidden, active, slope);
            with_scaled(g, &Factors::new(mlp.factors, mlp.tokens), d, first, |g| {
                self.fc2.take(active, g);
                // The activations have done their work; their gradient takes their place.
                MatrixMut::rows(active, h).set_product(Matrix::rows(g, d), Matrix::rows(mlp.fc2.w, d).transposed());
            });
            multiply(slope, active);
            normed.copy_from_slice(x);
            renormalize(normed, mlp.norm, mean, rstd);
            self.fc1.take(normed, active);
            let dx = dx.product(Matrix::rows(active, h), Matrix::rows(mlp.fc1.w, h).transposed());
            gradient(x, mlp.norm.gamma, mean, rstd, dx, &mut self.dgamma, &mut self.dbeta);
            add(g, dx);
        });
    }

    fn total(parts: Vec<Sums>, dx: Vec<f32>) -> Gradients {
        let (mut fc1, mut fc2, mut dgammas, mut dbetas) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            fc1.push(part.fc1);
            fc2.push(part.fc2);
            dgammas.push(part.dgamma);
            dbetas.push(part.dbeta);
        }
        let ((dw1, db1), (dw2, db2)) = (WeightSums::total(fc1), WeightSums::total(fc2));
        Gradients {
            dx,
            dgamma: sum_in_order(dgammas),
            dbeta: sum_in_order(dbetas),
            dw1,
            db1,
            dw2,
            db2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{self, assert_close, dot, slopes, waves, wide};
    use super::*;

    const EPSILON: f32 = 1e-6;

    impl Forwarded {
        fn kept(&self) -> Kept<'_> {
            Kept {
                hidden: &self.hidden,
                mean: &self.mean,
                rstd: &self.rstd,
            }
        }
    }

    /// The branch in the reference; `weights` are gamma, beta, w1, b1, w2, b2.
    fn expected(x: &[f64], weights: &[Vec<f64>], factors: &[f32], tokens: usize) -> Vec<f64> {
        let d = weights[0].len();
        let normed = reference::layer_norm(x, &weights[0], &weights[1], f64::from(EPSILON));
        let hidden = reference::linear(&normed, &weights[2], &weights[3]);
        let active: Vec<f64> = hidden.into_iter().map(reference::gelu).collect();
        let branch = reference::linear(&active, &weights[4], &weights[5]);
        let factor = |i: usize| factors.get(i / d / tokens).map_or(1.0, |f| f64::from(*f));
        x.iter().zip(branch).enumerate().map(|(i, (x, v))| x + factor(i) * v).collect()
    }

    #[test]
    fn values_and_gradients_are_those_of_the_formula_for_any_size() {
        for (images, tokens, d, h) in [(1, 1, 4, 3), (2, 3, 5, 9), (3, 2, 17, 6)] {
            let rows = images * tokens;
            let x = waves(rows * d, 0.7);
            let weights = [
                waves(d, 0.9),
                waves(d, 0.2),
                waves(d * h, 0.11),
                waves(h, 0.6),
                waves(h * d, 0.13),
                waves(d, 0.8),
            ];
            let g = waves(rows * d, 0.31);
            for factors in [vec![], (0..images).map(|i| i as f32 * 1.25).collect::<Vec<f32>>()] {
                let [gamma, beta, w1, b1, w2, b2] = &weights;
                let mlp = Mlp {
                    norm: Norm {
                        gamma,
                        beta,
                        epsilon: EPSILON,
                    },
                    fc1: Layer { w: w1, b: b1 },
                    fc2: Layer { w: w2, b: b2 },
                    factors: &factors,
                    tokens,
                };
                let (wx, wg) = (wide(&x), wide(&g));
                let wide_weights: Vec<Vec<f64>> = weights.iter().map(|w| wide(w)).collect();
                let out = forward(&x, mlp);
                assert_eq!(out.y, value(&x, mlp));
                assert_close(&out.y, &expected(&wx, &wide_weights, &factors, tokens), 2e-6, "values");
                let got = backward(&x, mlp, out.kept(), &g);
                let dx = slopes(&wx, |x| dot(&expected(x, &wide_weights, &factors, tokens), &wg));
                assert_close(&got.dx, &dx, 1e-5, "x");
                let named = [&got.dgamma, &got.dbeta, &got.dw1, &got.db1, &got.dw2, &got.db2];
                for (place, got) in named.into_iter().enumerate() {
                    let slope = slopes(&wide_weights[place], |values| {
                        let mut changed = wide_weights.clone();
                        changed[place] = values.to_vec();
                        dot(&expected(&wx, &changed, &factors, tokens), &wg)
                    });
                    assert_close(got, &slope, 1e-5, &format!("weight {place}"));
                }
            }
        }
    }

    #[test]
    fn panels_and_groups_leave_no_row_out() {
        let (images, tokens, d, h) = (150, 7, 12, 20);
        let rows = images * tokens;
        let weights = [
            waves(d, 0.9),
            waves(d, 0.2),
            waves(d * h, 0.11),
            waves(h, 0.6),
            waves(h * d, 0.13),
            waves(d, 0.8),
        ];
        let [gamma, beta, w1, b1, w2, b2] = &weights;
        let factors: Vec<f32> = (0..images).map(|i| (i % 3) as f32).collect();
        let mlp = Mlp {
            norm: Norm {
                gamma,
                beta,
                epsilon: EPSILON,
            },
            fc1: Layer { w: w1, b: b1 },
            fc2: Layer { w: w2, b: b2 },
            factors: &factors,
            tokens,
        };
        let (x, g) = (waves(rows * d, 0.7), waves(rows * d, 0.31));
        let all = forward(&x, mlp);
        let gradients = backward(&x, mlp, all.kept(), &g);
        let (mut dw1, mut dx) = (vec![0.0; d * h], Vec::new());
        for (image, (x, g)) in x.chunks(tokens * d).zip(g.chunks(tokens * d)).enumerate() {
            let alone = Mlp {
                factors: &factors[image..=image],
                ..mlp
            };
            let one = forward(x, alone);
            assert_close(&all.y[image * tokens * d..][..tokens * d], &wide(&one.y), 1e-6, "values");
            let got = backward(x, alone, one.kept(), g);
            dw1.iter_mut().zip(got.dw1).for_each(|(sum, v)| *sum += f64::from(v));
            dx.extend(wide(&got.dx));
        }
        assert_close(&gradients.dx, &dx, 1e-6, "x");
        assert_close(&gradients.dw1, &dw1, 1e-5, "w1");
    }
}
