//! Softmax attention on packed queries, keys and values, `[pictures, tokens, 3, heads, width]`.
//!
//! Nothing is split, transposed or joined in memory: the products read and write with strides. For the gradient only
//! the logarithm of each row's sum of exponentials is kept; the weights are worked out again from it.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::matrix::{Matrix, MatrixMut};
use super::output::Output;
use super::panels::with_scratch;
use super::simd::{LANES, exp, multiply_add, multiversion, sum_of};

/// Queries that are worked on at once: their scores against every key stay in the cache.
const QUERIES: usize = 128;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Tokens of a picture.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Width of a head.
    pub width: usize,
}

impl Shape {
    /// Width of all heads.
    fn dim(&self) -> usize {
        self.heads * self.width
    }

    /// From one token's row to the next in the packed input.
    fn stride(&self) -> usize {
        3 * self.dim()
    }

    /// What the scores are multiplied by.
    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Query (0), key (1) or value (2) of a head, from one token on.
    fn part<'a>(&self, picture: &'a [f32], part: usize, head: usize, first: usize, tokens: usize) -> Matrix<'a> {
        let start = first * self.stride() + part * self.dim() + head * self.width;
        Matrix::strided(&picture[start..], tokens, self.width, self.stride())
    }

    /// The same to write.
    fn part_mut<'a>(&self, picture: &'a mut [f32], part: usize, head: usize, first: usize, tokens: usize) -> MatrixMut<'a> {
        let start = first * self.stride() + part * self.dim() + head * self.width;
        MatrixMut::strided(&mut picture[start..], tokens, self.width, self.stride())
    }
}

/// What the heads mix, `[pictures, tokens, heads * width]`, and the logarithms `[pictures, heads, tokens]`.
pub fn forward(qkv: &[f32], shape: Shape) -> (Vec<f32>, Vec<f32>) {
    let Shape { tokens, heads, width } = shape;
    let pictures = qkv.len() / (tokens * shape.stride());
    let (mut mixed, mut logs) = (Output::new(pictures * tokens * shape.dim()), Output::new(pictures * heads * tokens));
    qkv.par_chunks(tokens * shape.stride())
        .zip(mixed.slots(tokens * shape.dim()))
        .zip(logs.slots(heads * tokens))
        .for_each(|((qkv, mixed), logs)| {
            let (mixed, logs) = (mixed.zeros(), logs.zeros());
            for (head, logs) in logs.chunks_exact_mut(tokens).enumerate() {
                for (tile, logs) in logs.chunks_mut(QUERIES).enumerate() {
                    let (first, count) = (tile * QUERIES, logs.len());
                    with_scratch(count * tokens, |scores| {
                        let key = shape.part(qkv, 1, head, 0, tokens);
                        let query = shape.part(qkv, 0, head, first, count);
                        MatrixMut::rows(scores, tokens).set_product(query, key.transposed());
                        softmax(scores, tokens, shape.scale(), logs);
                        let mixed = &mut mixed[first * shape.dim() + head * width..];
                        MatrixMut::strided(mixed, count, width, shape.dim())
                            .set_product(Matrix::rows(scores, tokens), shape.part(qkv, 2, head, 0, tokens));
                    });
                }
            }
        });
    (mixed.finish(), logs.finish())
}

/// The gradient of `qkv`, where `g` is that of what was mixed.
pub fn backward(qkv: &[f32], shape: Shape, logs: &[f32], g: &[f32]) -> Vec<f32> {
    let Shape { tokens, heads, .. } = shape;
    let mut dqkv = Output::new(qkv.len());
    qkv.par_chunks(tokens * shape.stride())
        .zip(g.par_chunks(tokens * shape.dim()))
        .zip(logs.par_chunks(heads * tokens))
        .zip(dqkv.slots(tokens * shape.stride()))
        .for_each(|(((qkv, g), logs), dqkv)| {
            let dqkv = dqkv.zeros();
            for (head, logs) in logs.chunks_exact(tokens).enumerate() {
                for (tile, logs) in logs.chunks(QUERIES).enumerate() {
                    tile_gradient(qkv, shape, head, tile * QUERIES, logs, g, dqkv);
                }
            }
        });
    dqkv.finish()
}

/// The gradients that some queries of a head add.
fn tile_gradient(qkv: &[f32], shape: Shape, head: usize, first: usize, logs: &[f32], g: &[f32], dqkv: &mut [f32]) {
    let (tokens, count) = (shape.tokens, logs.len());
    let query = shape.part(qkv, 0, head, first, count);
    let [key, value] = [1, 2].map(|part| shape.part(qkv, part, head, 0, tokens));
    let g = Matrix::strided(&g[first * shape.dim() + head * shape.width..], count, shape.width, shape.dim());
    with_scratch(2 * count * tokens, |scratch| {
        let (weights, slopes) = scratch.split_at_mut(count * tokens);
        MatrixMut::rows(weights, tokens).set_product(query, key.transposed());
        MatrixMut::rows(slopes, tokens).set_product(g, value.transposed());
        score_gradient(weights, slopes, tokens, shape.scale(), logs);
        let (weights, slopes) = (Matrix::rows(weights, tokens), Matrix::rows(slopes, tokens));
        shape.part_mut(dqkv, 2, head, 0, tokens).add_product(weights.transposed(), g);
        shape.part_mut(dqkv, 0, head, first, count).set_product(slopes, key);
        shape.part_mut(dqkv, 1, head, 0, tokens).add_product(slopes.transposed(), query);
    });
}

#[inline(always)]
fn softmax_body<const FUSED: bool>(scores: &mut [f32], tokens: usize, scale: f32, logs: &mut [f32]) {
    for (row, log) in scores.chunks_exact_mut(tokens).zip(logs) {
        let most = largest(row) * scale;
        for score in row.iter_mut() {
            *score = exp::<FUSED>(multiply_add::<FUSED>(*score, scale, -most));
        }
        let sum = sum_of(row, |_, v| v);
        let share = 1.0 / sum;
        for score in row.iter_mut() {
            *score *= share;
        }
        *log = most + sum.ln();
    }
}

multiversion!(
    /// Turns rows of scores into weights that sum to one, and writes the logarithm of each row's sum.
    fn softmax(scores: &mut [f32], tokens: usize, scale: f32, logs: &mut [f32]) = softmax_body
);

#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |most, v| if *v > most { *v } else { most })
}

#[inline(always)]
fn score_gradient_body<const FUSED: bool>(scores: &mut [f32], slopes: &mut [f32], tokens: usize, scale: f32, logs: &[f32]) {
    for ((weights, slopes), log) in scores.chunks_exact_mut(tokens).zip(slopes.chunks_exact_mut(tokens)).zip(logs) {
        for weight in weights.iter_mut() {
            *weight = exp::<FUSED>(multiply_add::<FUSED>(*weight, scale, -log));
        }
        let slopes = &mut slopes[..tokens];
        let mean = sum_of(weights, |i, weight| weight * slopes[i]);
        for (slope, weight) in slopes.iter_mut().zip(weights.iter()) {
            *slope = scale * weight * (*slope - mean);
        }
    }
}

multiversion!(
    /// Turns scores into weights, and the gradients of the weights into those of the scores.
    fn score_gradient(scores: &mut [f32], slopes: &mut [f32], tokens: usize, scale: f32, logs: &[f32]) = score_gradient_body
);

#[cfg(test)]
mod tests {
    use super::super::reference::{self, assert_close, dot, slopes, waves, wide};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_formula_for_any_size() {
        for (pictures, tokens, heads, width) in [(1, 1, 1, 1), (2, 3, 2, 5), (1, 17, 1, 4), (3, 5, 3, 2)] {
            let shape = Shape { tokens, heads, width };
            let one = tokens * 3 * heads * width;
            let qkv: Vec<f32> = waves(pictures * one, 0.7).iter().map(|v| v * 2.0).collect();
            let (mixed, logs) = forward(&qkv, shape);
            let reference = |qkv: &[f64]| -> Vec<f64> {
                qkv.chunks(one)
                    .flat_map(|qkv| reference::attention(qkv, tokens, heads, width))
                    .collect()
            };
            let wide_qkv = wide(&qkv);
            assert_close(&mixed, &reference(&wide_qkv), 2e-6, "values");
            let g = waves(mixed.len(), 0.31);
            let expected = slopes(&wide_qkv, |qkv| dot(&reference(qkv), &wide(&g)));
            assert_close(&backward(&qkv, shape, &logs, &g), &expected, 1e-5, "gradient");
        }
    }

    #[test]
    fn more_queries_than_a_tile_are_all_answered() {
        let shape = Shape {
            tokens: QUERIES + 3,
            heads: 1,
            width: 2,
        };
        let qkv = waves(shape.tokens * 6, 0.7);
        let (mixed, logs) = forward(&qkv, shape);
        assert_close(&mixed, &reference::attention(&wide(&qkv), shape.tokens, 1, 2), 2e-6, "values");
        // The loss is the sum of the squares of what is mixed, along one direction of change.
        let change = waves(qkv.len(), 0.13);
        let moved = |step: f64| {
            let qkv: Vec<f64> = qkv.iter().zip(&change).map(|(v, c)| f64::from(*v) + step * f64::from(*c)).collect();
            let mixed = reference::attention(&qkv, shape.tokens, 1, 2);
            dot(&mixed, &mixed)
        };
        let g: Vec<f32> = mixed.iter().map(|v| 2.0 * v).collect();
        let slope = dot(&wide(&backward(&qkv, shape, &logs, &g)), &wide(&change));
        let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((slope / expected - 1.0).abs() < 1e-4, "{slope} is not {expected}");
    }

    #[test]
    fn large_scores_do_not_overflow_and_a_nan_stays_one() {
        let shape = Shape {
            tokens: 2,
            heads: 1,
            width: 1,
        };
        let (mixed, _) = forward(&[300.0, 300.0, 1.0, 0.0, -300.0, 2.0], shape);
        assert_eq!(mixed, [1.0, 1.5]);
        let (mixed, _) = forward(&[1.0, f32::NAN, 1.0, 0.0, 1.0, 2.0], shape);
        assert!(mixed.iter().all(|v| v.is_nan()));
    }
}
