//! The sum of squares, for norms over many tensors.

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use super::simd::{multiversion, sum_of};

/// Numbers in a task.
const CHUNK: usize = 16 * 1024;

/// The sum of the squares. Chunks are added in their order, in `f64`.
pub fn sum(values: &[f32]) -> f64 {
    let chunks: Vec<f32> = values
        .par_chunks(CHUNK)
        .map(|values| {
            let mut sum = 0.0;
            chunk(values, &mut sum);
            sum
        })
        .collect();
    chunks.into_iter().map(f64::from).sum()
}

#[inline(always)]
fn chunk_body<const FUSED: bool>(values: &[f32], sum: &mut f32) {
    *sum = sum_of(values, |_, v| v * v);
}

multiversion!(
    fn chunk(values: &[f32], sum: &mut f32) = chunk_body
);

#[cfg(test)]
mod tests {
    use super::super::reference::waves;
    use super::*;

    #[test]
    fn every_number_counts_once() {
        for len in [0, 1, 17, 2 * CHUNK + 5] {
            let values = waves(len, 0.7);
            let expected: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
            assert!((sum(&values) - expected).abs() <= 1e-6 * expected);
        }
        assert!(sum(&[f32::NAN]).is_nan());
    }
}
