//! One block: attention and MLP, each after a norm and added to the residual stream.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::drop_path::BlockDrop;
use super::{NORM_EPSILON, layer_norm};
use crate::kernels::{self, BlockWeights, LinearWeights, NormWeights};

/// A pre-norm transformer block.
#[derive(Module, Debug)]
pub struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    /// LayerScale (arXiv 2103.17239) of the attention branch, `[dim]`, under BEiT's name.
    gamma_1: Option<Param<Tensor<1>>>,
    /// And of the MLP branch.
    gamma_2: Option<Param<Tensor<1>>>,
    activation_checkpointing: bool,
}

impl Block {
    /// Makes a block; its weights come from [`super::initialize`]. With `activation_checkpointing` it keeps nothing but its input
    /// for the gradient and works everything out again there.
    pub fn new(dim: usize, heads: usize, mlp_ratio: f64, activation_checkpointing: bool, device: &Device) -> Block {
        let hidden = (dim as f64 * mlp_ratio) as usize; // timm rounds down too.
        Block {
            norm1: layer_norm(dim, device),
            attn: Attention::new(dim, heads, device),
            norm2: layer_norm(dim, device),
            mlp: Mlp {
                fc1: LinearConfig::new(dim, hidden).init(device),
                fc2: LinearConfig::new(hidden, dim).init(device),
            },
            gamma_1: None,
            gamma_2: None,
            activation_checkpointing,
        }
    }

    /// The same block with each branch multiplied by a vector that learns and starts at `scale`; 0 leaves it out.
    pub fn with_layer_scale(mut self, scale: f64) -> Block {
        let [dim] = self.norm1.gamma.dims();
        let device = self.norm1.gamma.device();
        let gamma = || (scale > 0.0).then(|| Param::from_tensor(Tensor::full([dim], scale, &device)));
        (self.gamma_1, self.gamma_2) = (gamma(), gamma());
        self
    }

    /// # Shapes
    /// x and output: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward_with(x, None, None)
    }

    /// As [`Block::forward`] with a bias of its own on the scores of every image, `[batch, heads, tokens, tokens]`.
    pub(super) fn forward_with_own(&self, x: Tensor<3>, bias: Tensor<4>) -> Tensor<3> {
        let [batch, tokens, dim] = x.dims();
        let (heads, width) = (self.attn.heads, dim / self.attn.heads);
        let qkv = kernels::norm_linear(x.clone(), norm_weights(&self.norm1), linear_weights(&self.attn.qkv));
        let qkv = qkv.reshape([batch, tokens, 3, heads, width]);
        let part = |nth: usize| qkv.clone().narrow(2, nth, 1).squeeze_dim::<4>(2).permute([0, 2, 1, 3]); // [B, H, T, W]
        let scores = part(0).matmul(part(1).swap_dims(2, 3)).div_scalar((width as f64).sqrt()) + bias;
        let mixed = softmax(scores, 3)
            .matmul(part(2))
            .permute([0, 2, 1, 3])
            .reshape([batch, tokens, dim]);
        let proj = scaled(linear_weights(&self.attn.proj), self.gamma_1.as_ref());
        let x = kernels::linear_residual(mixed, proj, x, Default::default());
        let (fc1, fc2) = (
            linear_weights(&self.mlp.fc1),
            scaled(linear_weights(&self.mlp.fc2), self.gamma_2.as_ref()),
        );
        kernels::mlp_residual(x, norm_weights(&self.norm2), fc1, fc2, Default::default())
    }

    /// How much the class token, which stands first, attends to every token, in every head. The fused kernel does not keep
    /// these numbers, so they are worked out with plain operations, for people to look at.
    ///
    /// # Shapes
    /// x: `[batch, tokens, dim]`; bias: `[heads, tokens, tokens]`; output: `[batch, heads, tokens]`, which sum to 1
    pub(super) fn class_attention(&self, x: Tensor<3>, bias: Option<Tensor<3>>) -> Tensor<3> {
        let ([batch, tokens, dim], heads) = (x.dims(), self.attn.heads);
        let width = dim / heads;
        let qkv = linear(&self.attn.qkv, normalize(&self.norm1, x));
        let part = |nth: usize| {
            qkv.clone()
                .narrow(2, nth * dim, dim)
                .reshape([batch, tokens, heads, width])
                .swap_dims(1, 2)
        };
        let (query, keys) = (part(0).narrow(2, 0, 1), part(1)); // [B, H, 1, d], [B, H, T, d]
        let scores = query.matmul(keys.swap_dims(2, 3)).div_scalar((width as f64).sqrt()); // [B, H, 1, T]
        let scores = match bias {
            Some(bias) => scores + bias.narrow(1, 0, 1).unsqueeze(),
            None => scores,
        };
        softmax(scores, 3).squeeze_dim(2)
    }

    /// As [`Block::forward`] with some residual branches dropped and a bias `[heads, tokens, tokens]` on the scores.
    pub(super) fn forward_with(&self, x: Tensor<3>, drop: Option<&BlockDrop>, bias: Option<Tensor<3>>) -> Tensor<3> {
        let [batch, _, _] = x.dims();
        let (attention, mlp) = drop.map_or_else(Default::default, |drop| (drop.attention(batch), drop.mlp(batch)));
        let weights = BlockWeights {
            norm1: norm_weights(&self.norm1),
            qkv: linear_weights(&self.attn.qkv),
            proj: scaled(linear_weights(&self.attn.proj), self.gamma_1.as_ref()),
            norm2: norm_weights(&self.norm2),
            fc1: linear_weights(&self.mlp.fc1),
            fc2: scaled(linear_weights(&self.mlp.fc2), self.gamma_2.as_ref()),
            heads: self.attn.heads,
            bias,
        };
        if self.activation_checkpointing {
            kernels::recomputed_block(x, weights, attention, mlp)
        } else {
            kernels::block(x, weights, attention, mlp)
        }
    }
}

/// A linear layer on the last dimension.
///
/// # Shapes
/// x: `[.., in]`; output: `[.., out]`
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    kernels::linear(x, linear_weights(layer))
}

/// A layer norm made by [`layer_norm`], over the last dimension.
///
/// # Shapes
/// x and output: `[.., dim]`
pub fn normalize<const D: usize>(norm: &LayerNorm, x: Tensor<D>) -> Tensor<D> {
    kernels::layer_norm(x, norm_weights(norm))
}

fn norm_weights(norm: &LayerNorm) -> NormWeights {
    NormWeights {
        gamma: norm.gamma.val(),
        beta: norm.beta.as_ref().expect("every norm of ours has a shift").val(),
        epsilon: NORM_EPSILON,
    }
}

pub(super) fn linear_weights(layer: &Linear) -> LinearWeights {
    let weight = layer.weight.val();
    let zeros = || Tensor::zeros([weight.dims()[1]], &weight.device());
    LinearWeights {
        bias: layer.bias.as_ref().map_or_else(zeros, Param::val),
        weight,
    }
}

/// The layer whose output is `gamma * (x W + b)`, so that LayerScale needs no operation of its own.
pub(super) fn scaled(layer: LinearWeights, gamma: Option<&Param<Tensor<1>>>) -> LinearWeights {
    let Some(gamma) = gamma.map(Param::val) else { return layer };
    LinearWeights {
        weight: layer.weight * gamma.clone().unsqueeze(),
        bias: layer.bias * gamma,
    }
}

/// The bias of the keys, which BEiT leaves out, adds the same number to all scores of a query and cancels in the
/// softmax: a model with it is the same function.
#[derive(Module, Debug)]
struct Attention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
}

impl Attention {
    fn new(dim: usize, heads: usize, device: &Device) -> Attention {
        Attention {
            qkv: LinearConfig::new(dim, 3 * dim).init(device),
            proj: LinearConfig::new(dim, dim).init(device),
            heads,
        }
    }
}

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

#[cfg(test)]
mod tests {
    use burn::tensor::Int;

    use super::*;

    #[test]
    fn the_class_tokens_attention_sums_to_one_and_mixes_the_values_as_the_kernel_does() {
        let device = Device::flex();
        let waves = |count: i64, factor: f64| Tensor::<1, Int>::arange(0..count, &device).float().mul_scalar(factor).sin();
        let mut block = Block::new(8, 2, 2.0, false, &device);
        block.attn.qkv.weight = Param::from_tensor(waves(8 * 24, 0.7).reshape([8, 24]));
        let x = waves(2 * 5 * 8, 1.3).reshape([2, 5, 8]);
        for bias in [None, Some(waves(2 * 5 * 5, 2.1).reshape([2, 5, 5]))] {
            let shares = block.class_attention(x.clone(), bias.clone());
            let sums: Vec<f32> = shares.clone().sum_dim(2).into_data().iter().collect();
            assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6), "{sums:?}");
            let qkv = linear(&block.attn.qkv, normalize(&block.norm1, x.clone()));
            let values = qkv.clone().narrow(2, 16, 8).reshape([2, 5, 2, 4]).swap_dims(1, 2);
            let mixed = shares.unsqueeze_dim::<4>(2).matmul(values).reshape([2, 8]); // [B, H, 1, d]
            let kernel = match bias {
                Some(bias) => kernels::biased_attention(qkv, bias, 2),
                None => kernels::attention(qkv, 2),
            };
            let kernel = kernel.narrow(1, 0, 1).reshape([2, 8]);
            let difference = (mixed - kernel).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-5, "{difference}");
        }
    }
}
