//! Gradients of a module by the path of the parameter, flattened to one dimension.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

use crate::kernels::sum_of_squares;

/// Gradients by dotted path, each `[elements]`, without autodiff.
#[derive(Debug, Default)]
pub struct NamedGradients(BTreeMap<String, Tensor<1>>);

impl NamedGradients {
    /// Runs backward from `loss` and takes the gradient of every parameter of `module` that it reaches.
    pub fn of<M: Module>(module: &M, loss: &Tensor<1>) -> Self {
        let mut taker = Taker {
            path: Vec::new(),
            grads: loss.backward(),
            named: BTreeMap::new(),
        };
        module.visit(&mut taker);
        NamedGradients(taker.named)
    }

    /// Adds the gradients of another pass over the same module.
    pub fn add(&mut self, other: NamedGradients) {
        for (path, gradient) in other.0 {
            let sum = match self.0.remove(&path) {
                Some(mine) => mine + gradient,
                None => gradient,
            };
            self.0.insert(path, sum);
        }
    }

    /// The Euclidean norm over all gradients together, `[1]`; nothing if there are none.
    pub fn norm(&self) -> Option<Tensor<1>> {
        let squares = self.0.values().map(|g| sum_of_squares(g.clone()));
        squares.reduce(|sum, square| sum + square).map(Tensor::sqrt)
    }

    /// Shrinks all gradients by one factor if their common norm is above `limit`, as torch's
    /// `clip_grad_norm_` does. The factor stays on the device.
    pub fn clip(&mut self, limit: f64) {
        let Some(norm) = self.norm() else { return };
        let factor = shrinking(norm, limit);
        for gradient in self.0.values_mut() {
            *gradient = gradient.clone() * factor.clone();
        }
    }

    /// Shrinks each gradient whose own norm is above `limit` to that norm, as DINO does. Nothing is read back.
    pub fn clip_grad_norm_per_parameter(&mut self, limit: f64) {
        for gradient in self.0.values_mut() {
            let norm = sum_of_squares(gradient.clone()).sqrt();
            *gradient = gradient.clone() * shrinking(norm, limit);
        }
    }

    /// Takes out the gradient of the parameter at `path`.
    pub fn take(&mut self, path: &str) -> Option<Tensor<1>> {
        self.0.remove(path)
    }
}

/// What makes a gradient of `norm` no longer than `limit`, and 1 if it is not: torch's, whose 1e-6 keeps it finite.
fn shrinking(norm: Tensor<1>, limit: f64) -> Tensor<1> {
    (norm + 1e-6).recip().mul_scalar(limit).clamp_max(1.0)
}

/// Reads a tensor of one element, for which a GPU has to finish its work.
///
/// # Errors
/// Whatever went wrong on the device since it was last asked.
pub fn scalar(tensor: Tensor<1>) -> Result<f32> {
    let data = tensor.try_into_data().context("the device failed")?;
    data.iter::<f32>().next().context("a tensor without elements has no number")
}

struct Taker {
    path: Vec<String>,
    grads: Gradients,
    named: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Taker {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        if let Some(gradient) = param.val().grad_remove(&mut self.grads) {
            let elements = gradient.shape().num_elements();
            self.named.insert(self.path.join("."), gradient.reshape([elements]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn layer() -> (Linear, Tensor<2>) {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(2, 1).init(&device);
        (layer, Tensor::from_data([[3.0_f32, 4.0]], &device))
    }

    #[test]
    fn gradients_are_named_by_path_added_and_clipped_together() {
        let (layer, input) = layer();
        let once = || NamedGradients::of(&layer, &layer.forward(input.clone()).sum());
        let mut twice = once();
        twice.add(once());
        // d/dw = (3, 4), d/db = 1; twice that has the norm 2 * sqrt(26).
        let norm = |gradients: &NamedGradients| scalar(gradients.norm().unwrap()).unwrap();
        assert!((norm(&twice) - 2.0 * 26f32.sqrt()).abs() < 1e-5);
        twice.clip(11.0);
        assert!((norm(&twice) - 2.0 * 26f32.sqrt()).abs() < 1e-5, "it was below the limit");
        twice.clip(1.0);
        assert!((norm(&twice) - 1.0).abs() < 1e-5);
        assert_eq!(twice.take("weight").unwrap().dims(), [2]);
        assert!(twice.take("weight").is_none() && twice.take("bias").is_some());
    }

    #[test]
    fn gradients_clipped_one_by_one_keep_their_direction_and_short_ones_their_length() {
        let (layer, input) = layer();
        let mut gradients = NamedGradients::of(&layer, &layer.forward(input).sum());
        gradients.clip_grad_norm_per_parameter(2.5); // (3, 4) has the norm 5; 1 has less.
        let mut values = |path| gradients.take(path).unwrap().into_data().iter::<f32>().collect::<Vec<_>>();
        let (weight, bias) = (values("weight"), values("bias"));
        assert!((weight[0] - 1.5).abs() < 1e-5 && (weight[1] - 2.0).abs() < 1e-5, "{weight:?}");
        assert_eq!(bias, [1.0]);
    }
}
