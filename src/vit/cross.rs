//! CAE's cross-attention block: queries ask other tokens and never change them (arXiv 2202.03026, section 3.1, and its
//! repository's regressor).

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::block::{linear_weights, scaled};
use super::{VitConfig, layer_norm, linear, normalize};
use crate::kernels;

/// A block whose queries come from one sequence and whose keys and values from another.
#[derive(Module, Debug)]
pub struct CrossBlock {
    norm_q: LayerNorm,
    norm_k: LayerNorm,
    norm_v: LayerNorm,
    query: Linear,
    /// Without a bias, which would cancel in the softmax.
    key: Linear,
    value: Linear,
    proj: Linear,
    norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    /// Factors of the two branches, as a block of the encoder has them.
    gamma_1: Option<Param<Tensor<1>>>,
    gamma_2: Option<Param<Tensor<1>>>,
    heads: usize,
}

impl CrossBlock {
    /// A block as wide as the encoder's; its weights come from [`super::initialize`].
    pub fn new(vit: &VitConfig, device: &Device) -> CrossBlock {
        let (dim, hidden) = (vit.dim, (vit.dim as f64 * vit.mlp_ratio) as usize);
        let layer = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        let gamma = || (vit.layer_scale > 0.0).then(|| Param::from_tensor(Tensor::full([dim], vit.layer_scale, device)));
        CrossBlock {
            norm_q: layer_norm(dim, device),
            norm_k: layer_norm(dim, device),
            norm_v: layer_norm(dim, device),
            query: layer(dim, dim),
            key: LinearConfig::new(dim, dim).with_bias(false).init(device),
            value: layer(dim, dim),
            proj: layer(dim, dim),
            norm: layer_norm(dim, device),
            fc1: layer(dim, hidden),
            fc2: layer(hidden, dim),
            gamma_1: gamma(),
            gamma_2: gamma(),
            heads: vit.heads,
        }
    }

    /// The queries after `x = LN(x + attention)` and `x = x + MLP(x)`. Positions are added to queries and keys, not to
    /// values.
    ///
    /// # Shapes
    /// x, positions and output: `[batch, queries, dim]`; others and their positions: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>, positions: Tensor<3>, others: Tensor<3>, others_positions: Tensor<3>) -> Tensor<3> {
        let query = linear(&self.query, normalize(&self.norm_q, x.clone() + positions));
        let key = self.key.forward(normalize(&self.norm_k, others.clone() + others_positions));
        let value = linear(&self.value, normalize(&self.norm_v, others));
        let proj = scaled(linear_weights(&self.proj), self.gamma_1.as_ref());
        let x = normalize(&self.norm, x + kernels::linear(attend(query, key, value, self.heads), proj));
        let hidden = kernels::gelu(linear(&self.fc1, x.clone()));
        x + kernels::linear(hidden, scaled(linear_weights(&self.fc2), self.gamma_2.as_ref()))
    }
}

/// Softmax attention with scores over the root of a head's width.
///
/// # Shapes
/// query and output: `[batch, queries, dim]`; key, value: `[batch, tokens, dim]`
fn attend(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, queries, dim] = query.dims();
    let [query, key, value] = [query, key, value].map(|part| {
        let [_, tokens, _] = part.dims();
        part.reshape([batch, tokens, heads, dim / heads]).swap_dims(1, 2) // [B, H, T, W]
    });
    let scores = query.matmul(key.swap_dims(2, 3)) / ((dim / heads) as f64).sqrt();
    softmax(scores, 3).matmul(value).swap_dims(1, 2).reshape([batch, queries, dim])
}

#[cfg(test)]
mod tests {
    use super::super::{Position, initialize};
    use super::*;
    use crate::weights::{from_timm, to_timm};
    use burn::tensor::TensorData;

    fn waves(shape: [usize; 3], a: f64) -> Tensor<3> {
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|i| (a * i as f64 + 0.3).sin() as f32)
            .collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    fn block() -> CrossBlock {
        let config = VitConfig {
            image_size: 8,
            patch_size: 4,
            dim: 8,
            depth: 1,
            heads: 2,
            mlp_ratio: 2.0,
            position: Position::SinCos,
            layer_scale: 0.1,
            activation_checkpointing: false,
        };
        initialize(CrossBlock::new(&config, &Device::flex()), 4)
    }

    #[test]
    fn attention_with_itself_is_the_fused_attention() {
        let [query, key, value] = [0.7, 0.4, 0.9].map(|a| waves([2, 5, 8], a));
        let packed = Tensor::cat(vec![query.clone(), key.clone(), value.clone()], 2);
        let (plain, fused) = (attend(query, key, value, 2), kernels::attention(packed, 2));
        assert!((plain - fused).abs().max().into_scalar::<f32>() < 1e-6);
    }

    #[test]
    fn a_block_is_its_two_lines_worked_step_by_step() {
        let block = block();
        let (x, others) = (waves([2, 3, 8], 0.7), waves([2, 5, 8], 0.31));
        let (places, their_places) = (waves([2, 3, 8], 1.1), waves([2, 5, 8], 0.9));
        let attended = attend(
            block.query.forward(block.norm_q.forward(x.clone() + places.clone())),
            block.key.forward(block.norm_k.forward(others.clone() + their_places.clone())),
            block.value.forward(block.norm_v.forward(others.clone())),
            2,
        );
        let middle = block.norm.forward(x.clone() + block.proj.forward(attended) * 0.1);
        let branch = block.fc2.forward(burn::tensor::activation::gelu(block.fc1.forward(middle.clone())));
        let expected = middle + branch * 0.1;
        let found = block.forward(x, places, others, their_places);
        assert!((found - expected).abs().max().into_scalar::<f32>() < 1e-5);
    }

    #[test]
    fn values_know_nothing_of_positions() {
        let mut weights = to_timm(&block());
        // Without queries every key weighs the same, and only values can tell tokens apart.
        for name in ["query.weight", "query.bias"] {
            weights.get_mut(name).unwrap().data.fill(0.0);
        }
        let block = from_timm(block(), &weights).unwrap();
        let (x, others) = (waves([1, 3, 8], 0.7), waves([1, 5, 8], 0.31));
        let at = |a| {
            let out = block.forward(x.clone(), waves([1, 3, 8], a), others.clone(), waves([1, 5, 8], a));
            out.into_data().iter::<f32>().collect::<Vec<_>>()
        };
        let off = at(0.2).iter().zip(at(0.8)).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(off < 1e-6, "{off}");
    }
}
