//! One block: attention and MLP, each after a norm and added to the residual stream.

use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Device, Tensor};

use super::drop_path::BlockDrop;
use super::layer_norm;

/// A pre-norm transformer block.
#[derive(Module, Debug)]
pub struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    /// Makes a block; its weights come from [`super::initialise`].
    pub fn new(dim: usize, heads: usize, mlp_ratio: f64, device: &Device) -> Block {
        let hidden = (dim as f64 * mlp_ratio) as usize; // timm rounds down too.
        Block {
            norm1: layer_norm(dim, device),
            attn: Attention::new(dim, heads, device),
            norm2: layer_norm(dim, device),
            mlp: Mlp {
                fc1: LinearConfig::new(dim, hidden).init(device),
                fc2: LinearConfig::new(hidden, dim).init(device),
            },
        }
    }

    /// # Shapes
    /// x and output: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.norm1.forward(x));
        x.clone() + self.mlp.forward(self.norm2.forward(x))
    }

    /// As [`Block::forward`] with some residual branches dropped.
    pub(super) fn forward_dropping(&self, x: Tensor<3>, drop: &BlockDrop) -> Tensor<3> {
        let x = x.clone() + drop.attention(self.attn.forward(self.norm1.forward(x)));
        x.clone() + drop.mlp(self.mlp.forward(self.norm2.forward(x)))
    }
}

/// A linear layer on the last dimension. burn multiplies a 3-D input picture by picture where that is slower
/// than one large product, so tokens are laid out in rows first.
///
/// # Shapes
/// x: `[batch, tokens, in]`; output: `[batch, tokens, out]`
pub fn linear(layer: &Linear, x: Tensor<3>) -> Tensor<3> {
    let [batch, tokens, dim] = x.dims();
    let y = layer.forward(x.reshape([batch * tokens, dim]));
    let [_, out] = y.dims();
    y.reshape([batch, tokens, out])
}

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

    /// Written as products, because burn has no fused attention with a backward pass.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, dim] = x.dims();
        let width = dim / self.heads;
        let qkv = linear(&self.qkv, x)
            .reshape([batch, tokens, 3, self.heads, width])
            .permute([2, 0, 3, 1, 4]); // [3, B, H, N, W]
        let [q, k, v] = [0, 1, 2].map(|part| qkv.clone().narrow(0, part, 1).squeeze_dim::<4>(0)); // [B, H, N, W]
        let scores = (q * (width as f64).powf(-0.5)).matmul(k.swap_dims(2, 3)); // [B, H, N, N]
        let mixed = softmax(scores, 3).matmul(v); // [B, H, N, W]
        linear(&self.proj, mixed.swap_dims(1, 2).reshape([batch, tokens, dim]))
    }
}

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear(&self.fc2, gelu(linear(&self.fc1, x)))
    }
}
