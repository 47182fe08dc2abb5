//! GELU, `x Φ(x)`, with the exact normal distribution (arXiv 1606.08415).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::output::Output;
use super::simd::{multiply_add, multiversion, normal_cdf};

/// Numbers in a task.
const CHUNK: usize = 16 * 1024;

/// `1 / sqrt(2 π)`
const DENSITY: f32 = 0.398_942_3;

/// GELU of every number.
pub fn forward(x: &[f32]) -> Vec<f32> {
    let mut y = Output::new(x.len());
    y.slots(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| gelu(y.copy(x)));
    y.finish()
}

/// Multiplies `g` by the slope at `x`, so that it becomes the gradient of `x`.
pub fn backward(x: &[f32], g: &mut [f32]) {
    g.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(g, x)| times_slope(x, g));
}

#[inline(always)]
fn gelu_body<const FUSED: bool>(x: &mut [f32]) {
    for x in x {
        *x *= normal_cdf::<FUSED>(*x).0;
    }
}

multiversion!(
    /// GELU in place, on this thread.
    pub fn gelu(x: &mut [f32]) = gelu_body
);

#[inline(always)]
fn times_slope_body<const FUSED: bool>(x: &[f32], g: &mut [f32]) {
    for (g, &x) in g.iter_mut().zip(x) {
        let (cdf, e) = normal_cdf::<FUSED>(x);
        *g *= multiply_add::<FUSED>(x * DENSITY, e, cdf);
    }
}

multiversion!(
    /// `g *= gelu'(x)`, on this thread.
    fn times_slope(x: &[f32], g: &mut [f32]) = times_slope_body
);

#[inline(always)]
fn with_slope_body<const FUSED: bool>(x: &[f32], y: &mut [f32], slope: &mut [f32]) {
    for ((y, slope), &x) in y.iter_mut().zip(slope).zip(x) {
        let (cdf, e) = normal_cdf::<FUSED>(x);
        *y = x * cdf;
        *slope = multiply_add::<FUSED>(x * DENSITY, e, cdf);
    }
}

multiversion!(
    /// GELU and its slope at `x`, on this thread.
    pub fn with_slope(x: &[f32], y: &mut [f32], slope: &mut [f32]) = with_slope_body
);

#[cfg(test)]
mod tests {
    use super::super::reference::{self, assert_close, slopes, waves, wide};
    use super::*;

    #[test]
    fn values_and_slopes_are_those_of_the_exact_function() {
        for len in [1, 17, CHUNK + 5] {
            let x: Vec<f32> = waves(len, 0.7).iter().map(|v| v * 5.0).collect();
            let expected: Vec<f64> = wide(&x).into_iter().map(reference::gelu).collect();
            assert_close(&forward(&x), &expected, 1e-6, "values");
            let mut g = waves(len, 0.3);
            let slope: Vec<f64> = wide(&x).iter().flat_map(|x| slopes(&[*x], |x| reference::gelu(x[0]))).collect();
            let expected: Vec<f64> = wide(&g).iter().zip(&slope).map(|(g, s)| g * s).collect();
            backward(&x, &mut g);
            assert_close(&g, &expected, 2e-6, "gradient");
            let (mut y, mut at) = (vec![0.0; len], vec![0.0; len]);
            with_slope(&x, &mut y, &mut at);
            assert_close(&at, &slope, 2e-6, "slopes");
            assert_eq!(y, forward(&x));
        }
    }

    #[test]
    fn nothing_hides_a_nan() {
        assert!(forward(&[f32::NAN])[0].is_nan());
        let mut g = [1.0];
        backward(&[f32::NAN], &mut g);
        assert!(g[0].is_nan());
    }
}
