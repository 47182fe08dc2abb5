//! Fused operations of a transformer, forward and backward, that make training on the CPU fast.
//!
//! Three layers: `slices` is arithmetic on plain numbers; `backend` says for each backend what carries an operation
//! out, which is `slices` on burn's flex and a composition of burn's own operations (`composed`) everywhere else;
//! `autodiff` joins forward and backward into a step of burn's graph. This file is what models call. All of it
//! behaves as the composition does, to rounding.

mod autodiff;
mod backend;
mod composed;
mod flex;
mod memory;
mod ops;
mod products;
mod recompute;
mod slices;
mod tensors;
#[cfg(test)]
mod tests;
pub mod work;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

pub use memory::keep_freed_memory;
use ops::{OptimizerOps, TransformerOps};
pub use products::{products_are_rounded, round_products};
pub use slices::adamw::Step as AdamWStep;
use tensors::BlockExtras;
pub use tensors::Factors;

/// GELU with the exact normal distribution.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::gelu(x.into_dispatch()))
}

/// Weights of a norm.
#[derive(Clone, Debug)]
pub struct NormWeights {
    /// Factor, `[dim]`.
    pub gamma: Tensor<1>,
    /// Shift, `[dim]`.
    pub beta: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Weights of a linear layer.
#[derive(Clone, Debug)]
pub struct LinearWeights {
    /// `[in, out]`
    pub weight: Tensor<2>,
    /// `[out]`
    pub bias: Tensor<1>,
}

/// Layer norm over the last dimension.
///
/// # Shapes
/// x and output: `[.., dim]`
pub fn layer_norm<const D: usize>(x: Tensor<D>, norm: NormWeights) -> Tensor<D> {
    let (gamma, beta) = (norm.gamma.into_dispatch(), norm.beta.into_dispatch());
    Tensor::from_dispatch(Dispatch::layer_norm(x.into_dispatch(), gamma, beta, norm.epsilon as f32))
}

/// Batch norm: each number of the last dimension by its mean and deviation over all rows of this batch (of the rows, not an
/// estimate), and ReLU after it if asked for.
///
/// # Shapes
/// x and output: `[.., dim]`
pub fn batch_norm<const D: usize>(x: Tensor<D>, norm: NormWeights, relu: bool) -> Tensor<D> {
    let (gamma, beta) = (norm.gamma.into_dispatch(), norm.beta.into_dispatch());
    Tensor::from_dispatch(Dispatch::batch_norm(x.into_dispatch(), gamma, beta, norm.epsilon as f32, relu))
}

/// `x W + b`.
///
/// # Shapes
/// x: `[.., in]`; output: `[.., out]`
pub fn linear<const D: usize>(x: Tensor<D>, layer: LinearWeights) -> Tensor<D> {
    let (weight, bias) = (layer.weight.into_dispatch(), layer.bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::linear(x.into_dispatch(), weight, bias))
}

/// `LN(x) W + b`.
///
/// # Shapes
/// x: `[batch, tokens, in]`; output: `[batch, tokens, out]`
pub fn norm_linear(x: Tensor<3>, norm: NormWeights, layer: LinearWeights) -> Tensor<3> {
    let (gamma, beta) = (norm.gamma.into_dispatch(), norm.beta.into_dispatch());
    let (weight, bias) = (layer.weight.into_dispatch(), layer.bias.into_dispatch());
    let epsilon = norm.epsilon as f32;
    Tensor::from_dispatch(Dispatch::norm_linear(x.into_dispatch(), gamma, beta, weight, bias, epsilon))
}

/// `stream + factor * (x W + b)`.
///
/// # Shapes
/// x: `[batch, tokens, in]`; stream and output: `[batch, tokens, out]`; factors: one an image of the batch
pub fn linear_residual(x: Tensor<3>, layer: LinearWeights, stream: Tensor<3>, factors: Factors) -> Tensor<3> {
    let (weight, bias) = (layer.weight.into_dispatch(), layer.bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::linear_residual(
        x.into_dispatch(),
        weight,
        bias,
        stream.into_dispatch(),
        factors,
    ))
}

/// `stream + factor * (GELU(LN(stream) W1 + b1) W2 + b2)`, the MLP branch of a pre-norm block.
///
/// # Shapes
/// stream and output: `[batch, tokens, dim]`; factors: one an image of the batch
pub fn mlp_residual(stream: Tensor<3>, norm: NormWeights, fc1: LinearWeights, fc2: LinearWeights, factors: Factors) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::mlp_residual(
        stream.into_dispatch(),
        norm.gamma.into_dispatch(),
        norm.beta.into_dispatch(),
        fc1.weight.into_dispatch(),
        fc1.bias.into_dispatch(),
        fc2.weight.into_dispatch(),
        fc2.bias.into_dispatch(),
        factors,
        norm.epsilon as f32,
    ))
}

/// The weights of a pre-norm block.
#[derive(Clone, Debug)]
pub struct BlockWeights {
    /// Norm before the attention.
    pub norm1: NormWeights,
    /// Queries, keys and values.
    pub qkv: LinearWeights,
    /// After the heads.
    pub proj: LinearWeights,
    /// Norm before the MLP.
    pub norm2: NormWeights,
    /// To the hidden width.
    pub fc1: LinearWeights,
    /// And back.
    pub fc2: LinearWeights,
    /// Attention heads.
    pub heads: usize,
    /// Added to every image's scores, `[heads, tokens, tokens]`.
    pub bias: Option<Tensor<3>>,
}

/// A pre-norm block whose two branches are multiplied by a factor an image.
///
/// # Shapes
/// x and output: `[batch, tokens, dim]`
pub fn block(x: Tensor<3>, weights: BlockWeights, attention_factors: Factors, mlp_factors: Factors) -> Tensor<3> {
    let qkv = norm_linear(x.clone(), weights.norm1, weights.qkv);
    let mixed = match weights.bias {
        Some(bias) => biased_attention(qkv, bias, weights.heads),
        None => attention(qkv, weights.heads),
    };
    let x = linear_residual(mixed, weights.proj, x, attention_factors);
    mlp_residual(x, weights.norm2, weights.fc1, weights.fc2, mlp_factors)
}

/// [`block`], keeping nothing but `x` for the gradient: everything is worked out again there. It has no place for a
/// bias on the scores.
pub fn recomputed_block(x: Tensor<3>, weights: BlockWeights, attention_factors: Factors, mlp_factors: Factors) -> Tensor<3> {
    let BlockWeights {
        norm1,
        qkv,
        proj,
        norm2,
        fc1,
        fc2,
        heads,
        bias,
    } = weights;
    assert!(bias.is_none(), "settings that ask for both are refused");
    let extras = BlockExtras {
        attention_factors,
        mlp_factors,
        epsilon: norm1.epsilon as f32,
        heads,
    };
    Tensor::from_dispatch(Dispatch::recomputed_block(
        x.into_dispatch(),
        norm1.gamma.into_dispatch(),
        norm1.beta.into_dispatch(),
        qkv.weight.into_dispatch(),
        qkv.bias.into_dispatch(),
        proj.weight.into_dispatch(),
        proj.bias.into_dispatch(),
        norm2.gamma.into_dispatch(),
        norm2.beta.into_dispatch(),
        fc1.weight.into_dispatch(),
        fc1.bias.into_dispatch(),
        fc2.weight.into_dispatch(),
        fc2.bias.into_dispatch(),
        extras,
    ))
}

/// Softmax attention with scores over the root of a head's width.
///
/// # Shapes
/// qkv: `[batch, tokens, 3 * dim]`, query, key and value each split into `heads`; output: `[batch, tokens, dim]`
pub fn attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::attention(qkv.into_dispatch(), heads))
}

/// As [`attention`], with a bias added to the scores of every image.
///
/// # Shapes
/// qkv: `[batch, tokens, 3 * dim]`; bias: `[heads, tokens, tokens]`; output: `[batch, tokens, dim]`
pub fn biased_attention(qkv: Tensor<3>, bias: Tensor<3>, heads: usize) -> Tensor<3> {
    let (qkv, bias) = (qkv.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::biased_attention(qkv, bias, heads))
}

/// One step of AdamW on tensors that record no gradients: the parameter and its two moments.
pub fn adamw(step: AdamWStep, param: Tensor<1>, gradient: Tensor<1>, first: Tensor<1>, second: Tensor<1>) -> [Tensor<1>; 3] {
    let (first, second) = (first.into_dispatch(), second.into_dispatch());
    let (param, first, second) = Dispatch::adamw(param.into_dispatch(), gradient.into_dispatch(), first, second, step);
    [param, first, second].map(Tensor::from_dispatch)
}

/// The sum of the squares of a tensor that records no gradients, `[1]`.
pub fn sum_of_squares(x: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::sum_of_squares(x.into_dispatch()))
}
