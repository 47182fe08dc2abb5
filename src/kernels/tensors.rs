//! What the operations take and give: tensors of one backend, and what goes with them.

use std::sync::Arc;

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// A backend's float tensor.
pub type F<B> = FloatTensor<B>;

/// A norm's weights.
#[derive(Clone, Debug)]
pub struct NormTensors<B: Backend> {
    pub gamma: F<B>,
    pub beta: F<B>,
    pub epsilon: f32,
}

/// Mean and one over the deviation of each row or column that was normalized.
#[derive(Clone, Debug)]
pub struct Statistics<B: Backend> {
    pub mean: F<B>,
    pub rstd: F<B>,
}

/// An MLP branch's weights.
#[derive(Clone, Debug)]
pub struct MlpTensors<B: Backend> {
    pub norm: NormTensors<B>,
    pub weight1: F<B>,
    pub bias1: F<B>,
    pub weight2: F<B>,
    pub bias2: F<B>,
}

/// Gradients of a linear layer; of the input only if it was wanted.
pub struct LinearGradients<B: Backend> {
    pub x: Option<F<B>>,
    pub weight: F<B>,
    pub bias: F<B>,
}

/// A block's weights.
#[derive(Clone, Debug)]
pub struct BlockTensors<B: Backend> {
    pub norm1: NormTensors<B>,
    pub qkv_weight: F<B>,
    pub qkv_bias: F<B>,
    pub proj_weight: F<B>,
    pub proj_bias: F<B>,
    pub mlp: MlpTensors<B>,
}

/// What the branches of images are multiplied by: one factor each, or none at all for 1 everywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Factors(Arc<[f32]>);

impl Factors {
    /// One factor an image.
    pub fn new(factors: Vec<f32>) -> Self {
        Factors(factors.into())
    }

    /// Every image's, empty for 1 everywhere.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

/// What a block needs besides tensors.
#[derive(Clone, Debug)]
pub struct BlockExtras {
    /// Of the attention branch.
    pub attention_factors: Factors,
    /// Of the MLP branch.
    pub mlp_factors: Factors,
    /// Added to the variance in both norms.
    pub epsilon: f32,
    /// Attention heads.
    pub heads: usize,
}
