//! One body, compiled for several instruction sets and chosen when the program runs; and the functions that
//! vectorize inside such a body.
//!
//! Threads are started outside and the choice is made inside, because the instruction set of a function does not
//! reach the closures that it hands to other threads.

/// Instruction sets that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// AVX-512 with its byte, word, double-word and short-vector parts.
    Avx512,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// Whatever the target has by itself.
    Plain,
}

/// What this processor can do.
pub fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512vl") && has!("avx512dq") && has!("avx512bw") && has!("fma") {
            return Level::Avx512;
        }
        if has!("avx2") && has!("fma") {
            return Level::Avx2;
        }
    }
    Level::Plain
}

/// Declares `fn name(arguments)` that runs the best compiled form of `body::<FUSED>`, an `#[inline(always)]`
/// function; `FUSED` says whether [`multiply_add`] is one instruction there.
macro_rules! multiversion {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512($($arg: $ty),*) {
                    $body::<true>($($arg),*);
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) {
                    $body::<true>($($arg),*);
                }
                match $crate::kernels::slices::simd::level() {
                    $crate::kernels::slices::simd::Level::Avx512 => {
                        #[expect(unsafe_code, reason = "calls a function whose instruction set was found on this processor")]
                        // SAFETY: `level` saw every feature that the function was compiled for.
                        return unsafe { avx512($($arg),*) };
                    }
                    $crate::kernels::slices::simd::Level::Avx2 => {
                        #[expect(unsafe_code, reason = "calls a function whose instruction set was found on this processor")]
                        // SAFETY: `level` saw every feature that the function was compiled for.
                        return unsafe { avx2($($arg),*) };
                    }
                    $crate::kernels::slices::simd::Level::Plain => {}
                }
            }
            // Every 64-bit ARM processor has a fused multiply-add.
            $body::<{ cfg!(target_arch = "aarch64") }>($($arg),*);
        }
    };
}
pub(crate) use multiversion;

/// Sums that are kept apart so that they vectorize: the lanes of one AVX-512 register.
pub const LANES: usize = 16;

/// `a * b + c`. Without the instruction, `mul_add` would be a slow library call.
#[inline(always)]
pub fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `e^x` to about two units in the last place; above 88 as at 88, below -87 as at -87; NaN stays NaN.
///
/// The exponent is split as `x = n ln 2 + r`, with `ln 2` in two parts (Cody and Waite), and `e^r` is a polynomial of
/// degree 6 (the coefficients of Cephes' `expf`).
#[inline(always)]
pub fn exp<const FUSED: bool>(x: f32) -> f32 {
    /// `1.5 * 2^23`: added to a number of this size, it rounds it to an integer, held in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // Comparisons and not `clamp`, so that a NaN passes through.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let rounded = multiply_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = multiply_add::<FUSED>(n, -0.693_359_4, x);
    let r = multiply_add::<FUSED>(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = multiply_add::<FUSED>(p, r, c);
    }
    let power = multiply_add::<FUSED>(p * r, r, r) + 1.0;
    // Shifted into the exponent's place, the integer multiplies by 2^n.
    power * f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
}

/// The chance that a standard normal variable is below `x`, and `e^(-x²/2)`, which the way to it yields.
///
/// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; the error function is within 7e-7.
#[inline(always)]
pub fn normal_cdf<const FUSED: bool>(x: f32) -> (f32, f32) {
    let e = exp::<FUSED>(-0.5 * x * x);
    let t = 1.0 / multiply_add::<FUSED>(x.abs(), 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2, 1.0);
    let mut p = 1.061_405_4;
    for c in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = multiply_add::<FUSED>(p, t, c);
    }
    let tail = 0.5 * p * t * e;
    (if x >= 0.0 { 1.0 - tail } else { tail }, e)
}

/// The sum of `term(i, values[i])`, in sixteen lanes: sums of floats are not vectorized by the compiler itself.
#[inline(always)]
pub fn sum_of(values: &[f32], term: impl Fn(usize, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let whole = values.len() / LANES * LANES;
    for (chunk, values) in values[..whole].chunks_exact(LANES).enumerate() {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(chunk * LANES + lane, values[lane]);
        }
    }
    let rest: f32 = (whole..values.len()).map(|i| term(i, values[i])).sum();
    sum_lanes(lanes) + rest
}

/// The sum of the lanes, halves first.
#[inline(always)]
pub fn sum_lanes(mut lanes: [f32; LANES]) -> f32 {
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

#[inline(always)]
fn add_body<const FUSED: bool>(values: &[f32], sums: &mut [f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

multiversion!(
    /// `sums += values`, element by element.
    pub fn add(values: &[f32], sums: &mut [f32]) = add_body
);

#[inline(always)]
fn multiply_body<const FUSED: bool>(factors: &[f32], values: &mut [f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

multiversion!(
    /// `values *= factors`, element by element.
    pub fn multiply(factors: &[f32], values: &mut [f32]) = multiply_body
);

#[inline(always)]
fn add_rows_body<const FUSED: bool>(rows: &[f32], sums: &mut [f32]) {
    for row in rows.chunks_exact(sums.len()) {
        add_body::<FUSED>(row, sums);
    }
}

multiversion!(
    /// Adds every row of a matrix as wide as `sums` to `sums`.
    pub fn add_rows(rows: &[f32], sums: &mut [f32]) = add_rows_body
);

/// The vectors added element by element, in their order.
pub fn sum_in_order(parts: impl IntoIterator<Item = Vec<f32>>) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    for part in parts {
        add(&part, &mut sum);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f32> {
        (-2000..=2000).map(|i| i as f32 * 0.005)
    }

    #[test]
    fn the_exponential_is_exact_to_a_few_units_in_the_last_place() {
        for x in grid().map(|x| x * 8.7) {
            for y in [exp::<true>(x), exp::<false>(x)] {
                let expected = f64::from(x).exp();
                assert!((f64::from(y) / expected - 1.0).abs() < 4e-7, "e^{x} is not {y}");
            }
        }
        assert!(exp::<true>(f32::NAN).is_nan() && exp::<true>(1e9).is_finite());
        assert!(exp::<true>(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn the_normal_distribution_is_right_to_seven_decimals() {
        // Simpson's rule from 0 in steps of 0.0025 is exact to 1e-13 here.
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (mut x, mut cdf) = (0.0f64, 0.5f64);
        while x < 6.0 {
            let (a, b) = (normal_cdf::<true>(x as f32).0, normal_cdf::<true>(-x as f32).0);
            assert!((f64::from(a) - cdf).abs() < 4e-7, "at {x}: {a} {cdf}");
            assert!((f64::from(b) - (1.0 - cdf)).abs() < 4e-7, "at -{x}: {b}");
            let step = 0.0025;
            cdf += step / 6.0 * (density(x) + 4.0 * density(x + step / 2.0) + density(x + step));
            x += step;
        }
        assert!(normal_cdf::<true>(f32::NAN).0.is_nan());
    }

    #[test]
    fn sums_of_any_length_are_complete() {
        for len in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let sum = sum_of(&values, |i, value| value + i as f32);
            assert_eq!(sum, (len * len) as f32 - len as f32);
        }
    }

    #[test]
    fn rows_are_added_to_their_columns() {
        let mut sums = vec![1.0, 2.0, 3.0];
        add_rows(&[1.0, 1.0, 1.0, 10.0, 20.0, 30.0], &mut sums);
        assert_eq!(sums, [12.0, 23.0, 34.0]);
        assert_eq!(sum_in_order([vec![1.0], vec![2.0]]), [3.0]);
    }
}
