//! The same arithmetic in plain loops over `f64`, to test against.

/// The numbers `sin(a * i + 0.4)`.
pub fn waves(len: usize, a: f64) -> Vec<f32> {
    (0..len).map(|i| (a * i as f64 + 0.4).sin() as f32).collect()
}

/// As `f64`.
pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// Fails unless both are alike to `tolerance` of the largest expected value.
pub fn assert_close(actual: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-6, |most: f64, v| most.max(v.abs()));
    for (place, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (f64::from(*a) - e).abs() <= tolerance * largest,
            "{what} at {place}: {a} is not {e}"
        );
    }
}

/// The slope of `loss` along each of `values`, by central differences.
pub fn slopes(values: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut values = values.to_vec();
    (0..values.len())
        .map(|place| {
            let here = values[place];
            values[place] = here + STEP;
            let above = loss(&values);
            values[place] = here - STEP;
            let below = loss(&values);
            values[place] = here;
            (above - below) / (2.0 * STEP)
        })
        .collect()
}

/// `sum(values * weights)`: a loss whose gradient at `values` is `weights`.
pub fn dot(values: &[f64], weights: &[f64]) -> f64 {
    values.iter().zip(weights).map(|(a, b)| a * b).sum()
}

/// `x W + b` for rows of `x`; the width of `x` is `w.len() / b.len()`.
pub fn linear(x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let k = w.len() / n;
    x.chunks_exact(k)
        .flat_map(|x| (0..n).map(move |j| b[j] + (0..k).map(|p| x[p] * w[p * n + j]).sum::<f64>()))
        .collect()
}

/// Layer norm of rows as wide as `gamma`.
pub fn layer_norm(x: &[f64], gamma: &[f64], beta: &[f64], epsilon: f64) -> Vec<f64> {
    let d = gamma.len();
    x.chunks_exact(d)
        .flat_map(|x| {
            let mean = x.iter().sum::<f64>() / d as f64;
            let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / d as f64;
            (0..d).map(move |i| (x[i] - mean) / (variance + epsilon).sqrt() * gamma[i] + beta[i])
        })
        .collect()
}

/// Batch norm of columns of rows as wide as `gamma`, and ReLU.
pub fn batch_norm(x: &[f64], gamma: &[f64], beta: &[f64], epsilon: f64, relu: bool) -> Vec<f64> {
    let d = gamma.len();
    let rows = (x.len() / d) as f64;
    let column = |i: usize| x.iter().skip(i).step_by(d);
    let moments: Vec<(f64, f64)> = (0..d)
        .map(|i| {
            let mean = column(i).sum::<f64>() / rows;
            (mean, column(i).map(|v| (v - mean).powi(2)).sum::<f64>() / rows)
        })
        .collect();
    let value = |(place, v): (usize, &f64)| {
        let ((mean, variance), i) = (moments[place % d], place % d);
        let y = (v - mean) / (variance + epsilon).sqrt() * gamma[i] + beta[i];
        if relu { y.max(0.0) } else { y }
    };
    x.iter().enumerate().map(value).collect()
}

/// `x` times the chance that a standard normal variable is below `x`, by Simpson's rule from 0.
pub fn gelu(x: f64) -> f64 {
    const STEPS: usize = 200;
    let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let step = x / STEPS as f64;
    let area: f64 = (0..STEPS)
        .map(|i| {
            let t = i as f64 * step;
            step / 6.0 * (density(t) + 4.0 * density(t + step / 2.0) + density(t + step))
        })
        .sum();
    x * (0.5 + area)
}

/// Attention of one image on `[tokens, 3, heads, width]` with a bias `[heads, tokens, tokens]` on the scores; output
/// `[tokens, heads, width]`.
pub fn attention(qkv: &[f64], bias: Option<&[f64]>, tokens: usize, heads: usize, width: usize) -> Vec<f64> {
    let at = |token: usize, part: usize, head: usize, i: usize| qkv[((token * 3 + part) * heads + head) * width + i];
    let mut out = vec![0.0; tokens * heads * width];
    for head in 0..heads {
        for q in 0..tokens {
            let scores: Vec<f64> = (0..tokens)
                .map(|k| {
                    let bias = bias.map_or(0.0, |bias| bias[(head * tokens + q) * tokens + k]);
                    (0..width).map(|i| at(q, 0, head, i) * at(k, 1, head, i)).sum::<f64>() / (width as f64).sqrt() + bias
                })
                .collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores.iter().map(|s| (s - most).exp()).sum();
            for i in 0..width {
                out[(q * heads + head) * width + i] = (0..tokens).map(|k| (scores[k] - most).exp() / total * at(k, 2, head, i)).sum();
            }
        }
    }
    out
}
