//! Softmax attention on packed queries, keys and values, `[images, tokens, 3, heads, width]`.
//!
//! Nothing is split, transposed or joined in memory: the products read and write with strides. For the gradient only
//! the logarithm of each row's sum of exponentials is kept; the weights are worked out again from it. A bias
//! `[heads, tokens, tokens]`, the same for every image, may be added to the scores.

use std::ops::Range;

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
    /// Tokens of an image.
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
    fn part<'a>(&self, image: &'a [f32], part: usize, head: usize, first: usize, tokens: usize) -> Matrix<'a> {
        let start = first * self.stride() + part * self.dim() + head * self.width;
        Matrix::strided(&image[start..], tokens, self.width, self.stride())
    }

    /// The same to write.
    fn part_mut<'a>(&self, image: &'a mut [f32], part: usize, head: usize, first: usize, tokens: usize) -> MatrixMut<'a> {
        let start = first * self.stride() + part * self.dim() + head * self.width;
        MatrixMut::strided(&mut image[start..], tokens, self.width, self.stride())
    }

    /// Numbers of the packed input of one image.
    fn one(&self) -> usize {
        self.tokens * self.stride()
    }

    /// Where the biases of some queries of a head stand.
    fn rows(&self, head: usize, first: usize, count: usize) -> Range<usize> {
        let start = (head * self.tokens + first) * self.tokens;
        start..start + count * self.tokens
    }
}

/// The queries of one tile.
#[derive(Clone, Copy)]
struct Tile {
    head: usize,
    first: usize,
    count: usize,
}

/// What the heads mix, `[images, tokens, heads * width]`, and the logarithms `[images, heads, tokens]`.
pub fn forward(qkv: &[f32], bias: Option<&[f32]>, shape: Shape) -> (Vec<f32>, Vec<f32>) {
    let Shape { tokens, heads, width } = shape;
    let images = qkv.len() / (tokens * shape.stride());
    let (mut mixed, mut logs) = (Output::new(images * tokens * shape.dim()), Output::new(images * heads * tokens));
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
                        if let Some(bias) = bias {
                            add_bias(scores, &bias[shape.rows(head, first, count)], shape.scale());
                        }
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

/// The gradients of `qkv` and of the bias, where `g` is that of what was mixed.
pub fn backward(qkv: &[f32], bias: Option<&[f32]>, shape: Shape, logs: &[f32], g: &[f32]) -> (Vec<f32>, Option<Vec<f32>>) {
    let Shape { tokens, heads, .. } = shape;
    // The bias belongs to every image, so each thread adds up the gradients of its own images.
    let images = match bias {
        Some(_) => (qkv.len() / shape.one()).div_ceil(rayon::current_num_threads()),
        None => 1,
    };
    let mut dqkv = Output::new(qkv.len());
    let sums: Vec<Vec<f32>> = qkv
        .par_chunks(images * shape.one())
        .zip(g.par_chunks(images * tokens * shape.dim()))
        .zip(logs.par_chunks(images * heads * tokens))
        .zip(dqkv.slots(images * shape.one()))
        .map(|(((qkv, g), logs), dqkv)| {
            let mut dbias = vec![0.0; bias.map_or(0, <[f32]>::len)];
            let (g, logs) = (g.chunks_exact(tokens * shape.dim()), logs.chunks_exact(heads * tokens));
            for (((qkv, g), logs), dqkv) in qkv.chunks_exact(shape.one()).zip(g).zip(logs).zip(dqkv.split(shape.one())) {
                image_gradient(qkv, bias, shape, logs, g, dqkv.zeros(), &mut dbias);
            }
            dbias
        })
        .collect();
    let dbias = sums.into_iter().reduce(|mut sum, next| {
        sum.iter_mut().zip(next).for_each(|(sum, next)| *sum += next);
        sum
    });
    (dqkv.finish(), dbias.filter(|_| bias.is_some()))
}

/// Writes the gradient of one image and adds to that of the bias.
fn image_gradient(qkv: &[f32], bias: Option<&[f32]>, shape: Shape, logs: &[f32], g: &[f32], dqkv: &mut [f32], dbias: &mut [f32]) {
    for (head, logs) in logs.chunks_exact(shape.tokens).enumerate() {
        for (tile, logs) in logs.chunks(QUERIES).enumerate() {
            let (first, count) = (tile * QUERIES, logs.len());
            let rows = shape.rows(head, first, count);
            let bias = bias.map(|bias| (&bias[rows.clone()], &mut dbias[rows]));
            tile_gradient(qkv, shape, Tile { head, first, count }, bias, logs, g, dqkv);
        }
    }
}

/// The gradients that some queries of a head add; of the bias to the second half of `bias`.
fn tile_gradient(qkv: &[f32], shape: Shape, tile: Tile, bias: Option<(&[f32], &mut [f32])>, logs: &[f32], g: &[f32], dqkv: &mut [f32]) {
    let (tokens, Tile { head, first, count }) = (shape.tokens, tile);
    let query = shape.part(qkv, 0, head, first, count);
    let [key, value] = [1, 2].map(|part| shape.part(qkv, part, head, 0, tokens));
    let g = Matrix::strided(&g[first * shape.dim() + head * shape.width..], count, shape.width, shape.dim());
    with_scratch(2 * count * tokens, |scratch| {
        let (weights, slopes) = scratch.split_at_mut(count * tokens);
        MatrixMut::rows(weights, tokens).set_product(query, key.transposed());
        MatrixMut::rows(slopes, tokens).set_product(g, value.transposed());
        if let Some((bias, _)) = &bias {
            add_bias(weights, bias, shape.scale());
        }
        score_gradient(weights, slopes, tokens, shape.scale(), logs);
        if let Some((_, dbias)) = bias {
            add_bias(dbias, slopes, shape.scale());
        }
        let (weights, slopes) = (Matrix::rows(weights, tokens), Matrix::rows(slopes, tokens));
        shape.part_mut(dqkv, 2, head, 0, tokens).add_product(weights.transposed(), g);
        shape.part_mut(dqkv, 0, head, first, count).set_product(slopes, key);
        shape.part_mut(dqkv, 1, head, 0, tokens).add_product(slopes.transposed(), query);
    });
}

/// Adds `change / scale`: to scores that are still to be scaled a bias, and to a bias's gradient the slopes, which
/// are scaled already.
fn add_bias(sum: &mut [f32], change: &[f32], scale: f32) {
    let factor = 1.0 / scale;
    for (sum, change) in sum.iter_mut().zip(change) {
        *sum += change * factor;
    }
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
        for (images, tokens, heads, width) in [(1, 1, 1, 1), (2, 3, 2, 5), (1, 17, 1, 4), (3, 5, 3, 2)] {
            let shape = Shape { tokens, heads, width };
            let one = tokens * 3 * heads * width;
            let qkv: Vec<f32> = waves(images * one, 0.7).iter().map(|v| v * 2.0).collect();
            let (mixed, logs) = forward(&qkv, None, shape);
            let reference = |qkv: &[f64]| -> Vec<f64> {
                qkv.chunks(one)
                    .flat_map(|qkv| reference::attention(qkv, None, tokens, heads, width))
                    .collect()
            };
            let wide_qkv = wide(&qkv);
            assert_close(&mixed, &reference(&wide_qkv), 2e-6, "values");
            let g = waves(mixed.len(), 0.31);
            let expected = slopes(&wide_qkv, |qkv| dot(&reference(qkv), &wide(&g)));
            assert_close(&backward(&qkv, None, shape, &logs, &g).0, &expected, 1e-5, "gradient");
        }
    }

    #[test]
    fn a_bias_is_added_to_the_scores_of_every_image_and_gets_the_sum_of_their_gradients() {
        for (images, tokens, heads, width) in [(1, 1, 1, 1), (5, 3, 2, 5), (2, 6, 3, 2), (1, QUERIES + 2, 1, 1)] {
            let shape = Shape { tokens, heads, width };
            let qkv = waves(images * shape.one(), 0.7);
            let bias = waves(heads * tokens * tokens, 0.9);
            let (mixed, logs) = forward(&qkv, Some(&bias), shape);
            let reference = |qkv: &[f64], bias: &[f64]| -> Vec<f64> {
                qkv.chunks(shape.one())
                    .flat_map(|qkv| reference::attention(qkv, Some(bias), tokens, heads, width))
                    .collect()
            };
            let (wq, wb) = (wide(&qkv), wide(&bias));
            assert_close(&mixed, &reference(&wq, &wb), 3e-6, "values");
            let g = waves(mixed.len(), 0.31);
            let (dqkv, dbias) = backward(&qkv, Some(&bias), shape, &logs, &g);
            if tokens > QUERIES {
                // Central differences of every number would take long: one direction of change tells.
                let change = wide(&waves(bias.len(), 0.13));
                let moved = |step: f64| -> f64 {
                    let bias: Vec<f64> = wb.iter().zip(&change).map(|(v, c)| v + step * c).collect();
                    dot(&reference(&wq, &bias), &wide(&g))
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let slope = dot(&wide(&dbias.unwrap()), &change);
                assert!(
                    (slope - expected).abs() < 1e-4 * expected.abs().max(1e-2),
                    "{slope} is not {expected}"
                );
                continue;
            }
            let expected = slopes(&wb, |bias| dot(&reference(&wq, bias), &wide(&g)));
            assert_close(&dbias.unwrap(), &expected, 2e-5, "gradient of the bias");
            let expected = slopes(&wq, |qkv| dot(&reference(qkv, &wb), &wide(&g)));
            assert_close(&dqkv, &expected, 1e-5, "gradient");
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
        let (mixed, logs) = forward(&qkv, None, shape);
        assert_close(&mixed, &reference::attention(&wide(&qkv), None, shape.tokens, 1, 2), 2e-6, "values");
        // The loss is the sum of the squares of what is mixed, along one direction of change.
        let change = waves(qkv.len(), 0.13);
        let moved = |step: f64| {
            let qkv: Vec<f64> = qkv.iter().zip(&change).map(|(v, c)| f64::from(*v) + step * f64::from(*c)).collect();
            let mixed = reference::attention(&qkv, None, shape.tokens, 1, 2);
            dot(&mixed, &mixed)
        };
        let g: Vec<f32> = mixed.iter().map(|v| 2.0 * v).collect();
        let slope = dot(&wide(&backward(&qkv, None, shape, &logs, &g).0), &wide(&change));
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
        let (mixed, _) = forward(&[300.0, 300.0, 1.0, 0.0, -300.0, 2.0], None, shape);
        assert_eq!(mixed, [1.0, 1.5]);
        let (mixed, _) = forward(&[1.0, f32::NAN, 1.0, 0.0, 1.0, 2.0], None, shape);
        assert!(mixed.iter().all(|v| v.is_nan()));
    }
}
