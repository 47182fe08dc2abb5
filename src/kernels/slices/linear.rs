//! The linear layer `y = x W + b`, alone or added to a residual stream.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::matrix::{Matrix, MatrixMut};
use super::output::{Output, Slot};
use super::panels::{group_rows, panel_rows, task_rows, with_scratch};
use super::simd::{add_rows, multiply_add, multiversion, sum_in_order};

/// The weights of a linear layer.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[in, out]`
    pub w: &'a [f32],
    /// `[out]`
    pub b: &'a [f32],
}

impl Layer<'_> {
    /// Inputs and outputs.
    pub fn sizes(&self) -> (usize, usize) {
        (self.w.len() / self.b.len(), self.b.len())
    }
}

/// What a branch is added to: `stream + factor * branch`.
#[derive(Clone, Copy, Debug)]
pub struct Residual<'a> {
    /// The stream, as long as the branch.
    pub stream: &'a [f32],
    /// One factor an image, or none at all for 1 everywhere.
    pub factors: &'a [f32],
    /// Rows of an image.
    pub tokens: usize,
}

/// The factors of some rows: those of their images, or 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factors<'a> {
    factors: &'a [f32],
    tokens: usize,
}

impl<'a> Factors<'a> {
    pub(super) fn new(factors: &'a [f32], tokens: usize) -> Self {
        Factors { factors, tokens }
    }

    /// Whether every factor is 1.
    pub(super) fn ones(&self) -> bool {
        self.factors.is_empty()
    }

    fn of(&self, row: usize) -> f32 {
        self.factors.get(row / self.tokens.max(1)).copied().unwrap_or(1.0)
    }

    /// `branch = stream + factor * branch` for rows of `width` numbers, the first of which is row `first` of all.
    pub(super) fn add_to(&self, stream: &[f32], branch: &mut [f32], width: usize, first: usize) {
        if self.ones() {
            return add_scaled(1.0, stream, branch);
        }
        for (place, (stream, branch)) in stream.chunks_exact(width).zip(branch.chunks_exact_mut(width)).enumerate() {
            add_scaled(self.of(first + place), stream, branch);
        }
    }

    /// Multiplies rows of `width` numbers, the first of which is row `first` of all.
    pub(super) fn scale(&self, rows: &mut [f32], width: usize, first: usize) {
        for (place, row) in rows.chunks_exact_mut(width).enumerate() {
            let factor = self.of(first + place);
            row.iter_mut().for_each(|v| *v *= factor);
        }
    }
}

/// Gradients of a linear layer.
#[derive(Debug)]
pub struct Gradients {
    /// Of the input, if it was wanted.
    pub dx: Option<Vec<f32>>,
    /// Of the weight, `[in, out]`.
    pub dw: Vec<f32>,
    /// Of the bias.
    pub db: Vec<f32>,
}

/// `y = x W + b`, added to the residual stream if there is one.
pub fn forward(x: &[f32], layer: Layer, residual: Option<Residual>) -> Vec<f32> {
    let (k, n) = layer.sizes();
    let rows = x.len() / k;
    let task = task_rows(rows, k + 2 * n);
    let mut y = Output::new(rows * n);
    x.par_chunks(task * k)
        .zip(y.slots(task * n))
        .enumerate()
        .for_each(|(place, (x, y))| {
            let y = apply(x, layer, y);
            if let Some(residual) = residual {
                let first = place * task;
                let stream = &residual.stream[first * n..][..y.len()];
                Factors::new(residual.factors, residual.tokens).add_to(stream, y, n, first);
            }
        });
    y.finish()
}

/// The gradients of a layer with `n` outputs, where `g` is that of the stream that the branch was added to with its
/// factors (none for 1 everywhere), an image having so many rows.
pub fn backward(x: &[f32], w: &[f32], n: usize, g: &[f32], (factors, tokens): (&[f32], usize), want_dx: bool) -> Gradients {
    let k = w.len() / n;
    let rows = x.len() / k;
    let group = group_rows(rows, k * n);
    let factors = Factors::new(factors, tokens);
    let mut dx = Output::new(if want_dx { rows * k } else { 0 });
    let work = |place: usize, x: &[f32], g: &[f32], dx: Option<Slot>| {
        let mut sums = WeightSums::new(k, n);
        let panel = panel_rows(2 * k + 2 * n);
        let mut dx = dx.map(|dx| dx.split(panel * k));
        for (step, (x, g)) in x.chunks(panel * k).zip(g.chunks(panel * n)).enumerate() {
            with_scaled(g, &factors, n, place * group + step * panel, |g| {
                sums.take(x, g);
                if let Some(dx) = dx.as_mut().and_then(Iterator::next) {
                    dx.product(Matrix::rows(g, n), Matrix::rows(w, n).transposed());
                }
            });
        }
        sums
    };
    let groups = x.par_chunks(group * k).zip(g.par_chunks(group * n)).enumerate();
    let sums: Vec<WeightSums> = if want_dx {
        let groups = groups.zip(dx.slots(group * k));
        groups.map(|((place, (x, g)), dx)| work(place, x, g, Some(dx))).collect()
    } else {
        groups.map(|(place, (x, g))| work(place, x, g, None)).collect()
    };
    let (dw, db) = WeightSums::total(sums);
    Gradients {
        dx: want_dx.then(|| dx.finish()),
        dw,
        db,
    }
}

/// Writes `x W + b`, on this thread.
pub(super) fn apply<'a>(x: &[f32], layer: Layer, y: Slot<'a>) -> &'a mut [f32] {
    let (k, n) = layer.sizes();
    let y = y.repeat(layer.b);
    MatrixMut::rows(y, n).add_product(Matrix::rows(x, k), Matrix::rows(layer.w, n));
    y
}

/// Lends `g` times its factors, or `g` itself.
pub(super) fn with_scaled<R>(g: &[f32], factors: &Factors, width: usize, first: usize, work: impl FnOnce(&[f32]) -> R) -> R {
    if factors.ones() {
        return work(g);
    }
    with_scratch(g.len(), |scaled| {
        scaled.copy_from_slice(g);
        factors.scale(scaled, width, first);
        work(scaled)
    })
}

/// The gradients of a weight and a bias, summed over some rows.
#[derive(Debug)]
pub(super) struct WeightSums {
    dw: Vec<f32>,
    db: Vec<f32>,
}

impl WeightSums {
    /// Of no rows.
    pub(super) fn new(inputs: usize, outputs: usize) -> Self {
        WeightSums {
            dw: vec![0.0; inputs * outputs],
            db: vec![0.0; outputs],
        }
    }

    /// Takes in some rows, on this thread.
    pub(super) fn take(&mut self, x: &[f32], g: &[f32]) {
        let n = self.db.len();
        let inputs = self.dw.len() / n;
        MatrixMut::rows(&mut self.dw, n).add_product(Matrix::rows(x, inputs).transposed(), Matrix::rows(g, n));
        add_rows(g, &mut self.db);
    }

    /// All together, in their order.
    pub(super) fn total(parts: Vec<WeightSums>) -> (Vec<f32>, Vec<f32>) {
        let (dws, dbs): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.dw, part.db)).unzip();
        (sum_in_order(dws), sum_in_order(dbs))
    }
}

#[inline(always)]
fn add_scaled_body<const FUSED: bool>(factor: f32, stream: &[f32], branch: &mut [f32]) {
    for (branch, stream) in branch.iter_mut().zip(stream) {
        *branch = multiply_add::<FUSED>(factor, *branch, *stream);
    }
}

multiversion!(
    /// `branch = stream + factor * branch`, on this thread.
    fn add_scaled(factor: f32, stream: &[f32], branch: &mut [f32]) = add_scaled_body
);

#[cfg(test)]
mod tests {
    use super::super::reference::{self, assert_close, dot, slopes, waves, wide};
    use super::*;

    /// `stream + factor * (x W + b)` in the reference, a factor an image of two rows.
    fn expected(x: &[f64], w: &[f64], b: &[f64], stream: &[f64], factors: &[f32]) -> Vec<f64> {
        let branch = reference::linear(x, w, b);
        let factor = |i: usize| factors.get(i / b.len() / 2).map_or(1.0, |f| f64::from(*f));
        branch.iter().zip(stream).enumerate().map(|(i, (v, s))| s + factor(i) * v).collect()
    }

    #[test]
    fn values_and_gradients_are_those_of_the_formula_for_any_size() {
        for (rows, k, n) in [(2, 1, 1), (4, 3, 5), (6, 17, 4), (8, 5, 33)] {
            let (x, w, b) = (waves(rows * k, 0.7), waves(k * n, 0.9), waves(n, 0.2));
            let (stream, g) = (waves(rows * n, 0.5), waves(rows * n, 0.31));
            let layer = Layer { w: &w, b: &b };
            for factors in [vec![], (0..rows / 2).map(|i| i as f32 * 0.5).collect::<Vec<f32>>()] {
                let residual = Some(Residual {
                    stream: &stream,
                    factors: &factors,
                    tokens: 2,
                });
                let [wx, ww, wb, ws, wg] = [&x, &w, &b, &stream, &g].map(|v| wide(v));
                assert_close(
                    &forward(&x, layer, residual),
                    &expected(&wx, &ww, &wb, &ws, &factors),
                    1e-6,
                    "values",
                );
                let gradients = backward(&x, &w, n, &g, (&factors, 2), true);
                let loss = |x: &[f64], w: &[f64], b: &[f64]| dot(&expected(x, w, b, &ws, &factors), &wg);
                assert_close(&gradients.dx.unwrap(), &slopes(&wx, |x| loss(x, &ww, &wb)), 2e-6, "x");
                assert_close(&gradients.dw, &slopes(&ww, |w| loss(&wx, w, &wb)), 2e-6, "w");
                assert_close(&gradients.db, &slopes(&wb, |b| loss(&wx, &ww, b)), 2e-6, "b");
            }
        }
    }

    #[test]
    fn panels_and_groups_leave_no_row_out() {
        let (rows, k, n) = (1500, 3, 2);
        let (x, w, b) = (waves(rows * k, 0.7), waves(k * n, 0.9), waves(n, 0.2));
        // Waves would cancel out.
        let g: Vec<f32> = waves(rows * n, 0.31).into_iter().map(|v| v + 1.0).collect();
        let layer = Layer { w: &w, b: &b };
        assert_close(
            &forward(&x, layer, None),
            &reference::linear(&wide(&x), &wide(&w), &wide(&b)),
            1e-6,
            "values",
        );
        let gradients = backward(&x, &w, n, &g, (&[], 1), false);
        assert!(gradients.dx.is_none());
        let db: Vec<f64> = (0..n).map(|j| g.iter().skip(j).step_by(n).map(|v| f64::from(*v)).sum()).collect();
        let dw: Vec<f64> = (0..k * n)
            .map(|at| (0..rows).map(|r| f64::from(x[r * k + at / n]) * f64::from(g[r * n + at % n])).sum())
            .collect();
        assert_close(&gradients.db, &db, 1e-5, "b");
        assert_close(&gradients.dw, &dw, 1e-5, "w");
    }
}
