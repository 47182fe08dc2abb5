//! A layer norm and the linear layer that reads it, as one: the normalized rows are never stored.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::layer_norm::{Norm, gradient, normalize, renormalize};
use super::linear::{Layer, WeightSums};
use super::matrix::Matrix;
use super::output::{Output, Slot};
use super::panels::{group_rows, panel_rows, task_rows, with_scratch};
use super::simd::sum_in_order;

/// `LN(x) W + b` and what its gradient needs.
#[derive(Debug)]
pub struct Projected {
    /// Its rows.
    pub y: Vec<f32>,
    /// Mean of each row of `x`.
    pub mean: Vec<f32>,
    /// One over the deviation of each row of `x`.
    pub rstd: Vec<f32>,
}

/// Gradients of norm and layer.
#[derive(Debug)]
pub struct Gradients {
    /// Of the input.
    pub dx: Vec<f32>,
    /// Of the norm's factor.
    pub dgamma: Vec<f32>,
    /// Of the norm's shift.
    pub dbeta: Vec<f32>,
    /// Of the weight, `[in, out]`.
    pub dw: Vec<f32>,
    /// Of the bias.
    pub db: Vec<f32>,
}

/// `y = LN(x) W + b`.
pub fn forward(x: &[f32], norm: Norm, layer: Layer) -> Projected {
    let (k, n) = layer.sizes();
    let rows = x.len() / k;
    let task = task_rows(rows, 2 * k + n);
    let (mut y, mut mean, mut rstd) = (Output::new(rows * n), Output::new(rows), Output::new(rows));
    x.par_chunks(task * k)
        .zip(y.slots(task * n))
        .zip(mean.slots(task))
        .zip(rstd.slots(task))
        .for_each(|(((x, y), mean), rstd)| {
            with_scratch(x.len(), |normed| {
                normed.copy_from_slice(x);
                normalize(normed, norm, mean.zeros(), rstd.zeros());
                super::linear::apply(normed, layer, y);
            });
        });
    Projected {
        y: y.finish(),
        mean: mean.finish(),
        rstd: rstd.finish(),
    }
}

/// The gradients, where `g` is that of `y`, with which means and deviations came.
pub fn backward(x: &[f32], norm: Norm, w: &[f32], (mean, rstd): (&[f32], &[f32]), g: &[f32]) -> Gradients {
    let k = norm.gamma.len();
    let n = w.len() / k;
    let group = group_rows(mean.len(), k * n);
    let mut dx = Output::new(x.len());
    let parts: Vec<Sums> = x
        .par_chunks(group * k)
        .zip(g.par_chunks(group * n))
        .zip(mean.par_chunks(group))
        .zip(rstd.par_chunks(group))
        .zip(dx.slots(group * k))
        .map(|((((x, g), mean), rstd), dx)| {
            let mut sums = Sums::new(k, n);
            let panel = panel_rows(3 * k + n);
            let panels = x.chunks(panel * k).zip(g.chunks(panel * n));
            let statistics = mean.chunks(panel).zip(rstd.chunks(panel));
            for (((x, g), (mean, rstd)), dx) in panels.zip(statistics).zip(dx.split(panel * k)) {
                sums.take(x, norm, w, (mean, rstd), g, dx);
            }
            sums
        })
        .collect();
    Sums::total(parts, dx.finish())
}

struct Sums {
    weights: WeightSums,
    dgamma: Vec<f32>,
    dbeta: Vec<f32>,
}

impl Sums {
    fn new(k: usize, n: usize) -> Self {
        Sums {
            weights: WeightSums::new(k, n),
            dgamma: vec![0.0; k],
            dbeta: vec![0.0; k],
        }
    }

    /// Takes in a panel, on this thread.
    fn take(&mut self, x: &[f32], norm: Norm, w: &[f32], (mean, rstd): (&[f32], &[f32]), g: &[f32], dx: Slot) {
        let n = w.len() / norm.gamma.len();
        with_scratch(x.len(), |normed| {
            normed.copy_from_slice(x);
            renormalize(normed, norm, mean, rstd);
            self.weights.take(normed, g);
            let dx = dx.product(Matrix::rows(g, n), Matrix::rows(w, n).transposed());
            gradient(x, norm.gamma, mean, rstd, dx, &mut self.dgamma, &mut self.dbeta);
        });
    }

    fn total(parts: Vec<Sums>, dx: Vec<f32>) -> Gradients {
        let (mut weights, mut dgammas, mut dbetas) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            weights.push(part.weights);
            dgammas.push(part.dgamma);
            dbetas.push(part.dbeta);
        }
        let (dw, db) = WeightSums::total(weights);
        Gradients {
            dx,
            dgamma: sum_in_order(dgammas),
            dbeta: sum_in_order(dbetas),
            dw,
            db,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{self, assert_close, dot, slopes, waves, wide};
    use super::*;

    const EPSILON: f32 = 1e-6;

    #[test]
    fn values_and_gradients_are_those_of_the_formula_for_any_size() {
        for (rows, k, n) in [(1, 4, 1), (3, 5, 7), (6, 17, 9)] {
            let (x, gamma, beta) = (waves(rows * k, 0.7), waves(k, 0.9), waves(k, 0.2));
            let (w, b, g) = (waves(k * n, 0.11), waves(n, 0.6), waves(rows * n, 0.31));
            let (norm, layer) = (
                Norm {
                    gamma: &gamma,
                    beta: &beta,
                    epsilon: EPSILON,
                },
                Layer { w: &w, b: &b },
            );
            let [wx, wgamma, wbeta, ww, wb, wg] = [&x, &gamma, &beta, &w, &b, &g].map(|v| wide(v));
            let reference = |x: &[f64], gamma: &[f64], beta: &[f64], w: &[f64], b: &[f64]| {
                reference::linear(&reference::layer_norm(x, gamma, beta, f64::from(EPSILON)), w, b)
            };
            let out = forward(&x, norm, layer);
            assert_close(&out.y, &reference(&wx, &wgamma, &wbeta, &ww, &wb), 2e-6, "values");
            let got = backward(&x, norm, &w, (&out.mean, &out.rstd), &g);
            let slope = |values: &[f64], put: &dyn Fn(&[f64]) -> Vec<f64>| slopes(values, |v| dot(&put(v), &wg));
            assert_close(&got.dx, &slope(&wx, &|v| reference(v, &wgamma, &wbeta, &ww, &wb)), 1e-5, "x");
            assert_close(
                &got.dgamma,
                &slope(&wgamma, &|v| reference(&wx, v, &wbeta, &ww, &wb)),
                1e-5,
                "gamma",
            );
            assert_close(&got.dbeta, &slope(&wbeta, &|v| reference(&wx, &wgamma, v, &ww, &wb)), 1e-5, "beta");
            assert_close(&got.dw, &slope(&ww, &|v| reference(&wx, &wgamma, &wbeta, v, &wb)), 1e-5, "w");
            assert_close(&got.db, &slope(&wb, &|v| reference(&wx, &wgamma, &wbeta, &ww, v)), 1e-5, "b");
        }
    }

    #[test]
    fn it_is_the_norm_and_then_the_layer_over_many_panels() {
        let (rows, k, n) = (1100, 20, 12);
        let (x, gamma, beta, w, b) = (
            waves(rows * k, 0.7),
            waves(k, 0.9),
            waves(k, 0.2),
            waves(k * n, 0.11),
            waves(n, 0.6),
        );
        let (norm, layer) = (
            Norm {
                gamma: &gamma,
                beta: &beta,
                epsilon: EPSILON,
            },
            Layer { w: &w, b: &b },
        );
        let normed = super::super::layer_norm::forward(&x, norm);
        let projected = forward(&x, norm, layer);
        let expected = super::super::linear::forward(&normed.y, layer, None);
        assert_close(&projected.y, &wide(&expected), 1e-6, "values");
        let g = waves(rows * n, 0.31);
        let got = backward(&x, norm, &w, (&projected.mean, &projected.rstd), &g);
        let inner = super::super::linear::backward(&normed.y, &w, n, &g, (&[], 1), true);
        let mut dx = inner.dx.unwrap();
        let (dgamma, dbeta) = super::super::layer_norm::backward(&x, &gamma, &normed.mean, &normed.rstd, &mut dx);
        for (got, expected, what) in [
            (&got.dx, &dx, "x"),
            (&got.dgamma, &dgamma, "gamma"),
            (&got.dbeta, &dbeta, "beta"),
            (&got.dw, &inner.dw, "w"),
            (&got.db, &inner.db, "b"),
        ] {
            assert_close(got, &wide(expected), 1e-5, what);
        }
    }
}
