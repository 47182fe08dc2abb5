//! LARS (You et al., arXiv 1708.03888) as MAE's linear probing uses it, and plain momentum.

use burn::tensor::Tensor;

use super::parameter_group::ParameterGroup;

/// Momentum whose rate for each matrix follows the ratio of the norms of weights and gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lars {
    /// Decay of the velocity.
    pub momentum: f64,
    /// Trust coefficient; `None` is plain momentum SGD, with weight decay added to the gradient.
    pub trust: Option<f64>,
}

/// MAE repository, `util/lars.py`.
pub const TRUST: f64 = 0.001;

impl Lars {
    /// One step of one parameter `[elements]`: the new value and the new velocity. Parameters of one
    /// dimension are neither decayed nor trusted.
    pub(super) fn update(
        &self,
        param: Tensor<1>,
        gradient: Tensor<1>,
        moments: Vec<Tensor<1>>,
        lr: f64,
        group: &ParameterGroup,
    ) -> (Tensor<1>, Vec<Tensor<1>>) {
        let mut gradient = gradient;
        if group.dims > 1 {
            gradient = gradient + param.clone().mul_scalar(group.weight_decay);
            if let Some(trust) = self.trust {
                let ratio = trust_ratio(&param, &gradient, trust);
                gradient = gradient * ratio;
            }
        }
        let velocity = match moments.into_iter().next() {
            Some(velocity) => velocity.mul_scalar(self.momentum) + gradient,
            None => gradient,
        };
        (param - velocity.clone().mul_scalar(lr), vec![velocity])
    }
}

/// `trust * |w| / |g|` as `[1]`, or 1 where either norm is zero.
fn trust_ratio(param: &Tensor<1>, gradient: &Tensor<1>, trust: f64) -> Tensor<1> {
    let norm = |t: &Tensor<1>| (t.clone() * t.clone()).sum().sqrt();
    let (weights, change) = (norm(param), norm(gradient));
    let undefined = (weights.clone() * change.clone()).equal_elem(0.0);
    (weights.mul_scalar(trust) / change).mask_fill(undefined, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    /// `count` values sin(a * i + b).
    fn sines(count: usize, a: f64, b: f64) -> Tensor<1> {
        let data: Vec<f32> = (0..count).map(|i| (a * i as f64 + b).sin() as f32).collect();
        Tensor::from_data(TensorData::new(data, [count]), &Device::flex())
    }

    fn two_steps(param: Tensor<1>, gradient: &Tensor<1>, dims: usize) -> Vec<f32> {
        let rule = Lars {
            momentum: 0.9,
            trust: Some(TRUST),
        };
        let group = ParameterGroup {
            lr_scale: 1.0,
            weight_decay: 0.01,
            dims,
            keeps_rate: false,
        };
        let (param, moments) = rule.update(param, gradient.clone(), Vec::new(), 0.5, &group);
        let (param, _) = rule.update(param, gradient.clone(), moments, 0.5, &group);
        param.into_data().iter::<f32>().collect()
    }

    fn check(actual: &[f32], expected: &[f64]) {
        for (a, e) in actual.iter().zip(expected) {
            assert!((f64::from(*a) - e).abs() < 2e-6, "{actual:?} {expected:?}");
        }
    }

    #[test]
    fn two_steps_match_the_values_of_the_reference_in_double_precision() {
        let weight = two_steps(sines(12, 0.7, 0.3), &sines(12, 0.9, 0.1), 2);
        check(&weight[..4], &[0.295361849975, 0.840161646442, 0.990191657926, 0.674936689826]);
        let bias = two_steps(sines(3, 0.2, 0.0), &sines(3, 0.8, 0.4), 1);
        check(&bias, &[-0.564656596348, -1.152787343857, -0.929062926589]);
    }

    #[test]
    fn a_zero_matrix_still_moves() {
        let zero = sines(4, 0.0, 0.0);
        let moved = two_steps(zero, &sines(4, 0.9, 0.1), 2);
        assert!(moved.iter().all(|v| v.is_finite() && *v != 0.0));
    }
}
