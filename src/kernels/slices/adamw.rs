//! One step of Adam with decoupled weight decay in a single pass (arXiv 1711.05101).

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::simd::{multiply_add, multiversion};

/// Numbers in a task.
const CHUNK: usize = 16 * 1024;

/// What a step needs besides the numbers, worked out once for all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// What the parameter is multiplied by: `1 - lr * weight_decay`.
    pub keep: f32,
    /// The learning rate over the first moment's correction.
    pub rate: f32,
    /// One over the root of the second moment's correction.
    pub scale: f32,
    /// Added to the root of the corrected second moment.
    pub epsilon: f32,
}

/// Updates a parameter and its moments in place; all are as long.
pub fn update(step: Step, param: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
    param
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(first.par_chunks_mut(CHUNK))
        .zip(second.par_chunks_mut(CHUNK))
        .for_each(|(((param, gradient), first), second)| chunk(step, param, gradient, first, second));
}

#[inline(always)]
fn chunk_body<const FUSED: bool>(step: Step, param: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
    for (((param, &g), first), second) in param.iter_mut().zip(gradient).zip(first).zip(second) {
        *first = multiply_add::<FUSED>(step.beta1, *first, (1.0 - step.beta1) * g);
        *second = multiply_add::<FUSED>(step.beta2, *second, (1.0 - step.beta2) * g * g);
        let root = multiply_add::<FUSED>(second.sqrt(), step.scale, step.epsilon);
        *param = multiply_add::<FUSED>(step.keep, *param, -(step.rate * *first / root));
    }
}

multiversion!(
    fn chunk(step: Step, param: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) = chunk_body
);

#[cfg(test)]
mod tests {
    use super::super::reference::{assert_close, waves, wide};
    use super::*;

    #[test]
    fn steps_are_those_of_the_formula_for_any_length() {
        for len in [1, 17, CHUNK + 3] {
            let (mut param, gradient) = (waves(len, 0.7), waves(len, 0.3));
            let (mut first, mut second) = (vec![0.0; len], vec![0.0; len]);
            let (mut p, g) = (wide(&param), wide(&gradient));
            let (mut m, mut v) = (vec![0.0; len], vec![0.0; len]);
            let (lr, decay, beta1, beta2, epsilon) = (1e-2, 0.05, 0.9, 0.95, 1e-8);
            for t in 1..=3 {
                let (c1, c2) = (1.0 - f64::powi(beta1, t), 1.0 - f64::powi(beta2, t));
                let step = Step {
                    beta1: beta1 as f32,
                    beta2: beta2 as f32,
                    keep: (1.0 - lr * decay) as f32,
                    rate: (lr / c1) as f32,
                    scale: (1.0 / c2.sqrt()) as f32,
                    epsilon: epsilon as f32,
                };
                update(step, &mut param, &gradient, &mut first, &mut second);
                for i in 0..len {
                    m[i] = beta1 * m[i] + (1.0 - beta1) * g[i];
                    v[i] = beta2 * v[i] + (1.0 - beta2) * g[i] * g[i];
                    p[i] -= lr * decay * p[i];
                    p[i] -= lr * (m[i] / c1) / ((v[i] / c2).sqrt() + epsilon);
                }
            }
            assert_close(&param, &p, 1e-6, "parameters");
            assert_close(&second, &v, 1e-6, "second moments");
        }
    }
}
