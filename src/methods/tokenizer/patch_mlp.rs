//! Two layers from one patch to numbers, or back.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::vit::{gelu, linear};

/// Layer, GELU, layer. A token made by it knows its own patch alone.
#[derive(Module, Debug)]
pub struct PatchMlp {
    fc1: Linear,
    fc2: Linear,
}

impl PatchMlp {
    /// Makes it; its weights come from [`crate::vit::initialize`].
    pub fn new(inputs: usize, width: usize, outputs: usize, device: &Device) -> PatchMlp {
        PatchMlp {
            fc1: LinearConfig::new(inputs, width).init(device),
            fc2: LinearConfig::new(width, outputs).init(device),
        }
    }

    /// # Shapes
    /// x: `[rows, inputs]`; output: `[rows, outputs]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        linear(&self.fc2, gelu(linear(&self.fc1, x)))
    }
}
