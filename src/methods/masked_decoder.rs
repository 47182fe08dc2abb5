//! MAE's decoder: it is given a mask token at every hidden place and predicts the pixels of every patch.
//!
//! Shared by the methods that reconstruct pixels (arXiv 2111.06377, section 3).

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Masks, vit_config};
use crate::experiment::RunSpec;
use crate::experiment::settings::ModelSettings;
use crate::vit::{Block, DropPath, Vit, VitConfig, initialize, layer_norm, linear, normalize, sincos_table};

/// Sizes of the decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Width.
    pub dim: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden width of the MLP as a multiple of the width.
    pub mlp_ratio: f64,
}

impl DecoderConfig {
    /// Reads the sizes from a run's settings.
    ///
    /// # Errors
    /// Names the settings that do not fit together.
    pub fn from_run(run: &RunSpec) -> Result<DecoderConfig, String> {
        let model = run.section::<ModelSettings>("model")?;
        // Whatever this decoder reads was encoded without the masked patches.
        vit_config(run)?.check_absolute()?;
        let decoder = DecoderConfig {
            dim: model.decoder_dim,
            depth: model.decoder_depth,
            heads: model.decoder_heads,
            mlp_ratio: model.mlp_ratio,
        };
        if !decoder.dim.is_multiple_of(4) || !decoder.dim.is_multiple_of(decoder.heads) {
            let (dim, heads) = (decoder.dim, decoder.heads);
            return Err(format!(
                "model.decoder_dim = {dim} is not allowed: it must be a multiple of 4 and of model.decoder_heads = {heads}"
            ));
        }
        Ok(decoder)
    }
}

/// The decoder, with the MAE repository's field names.
#[derive(Module, Debug)]
pub struct MaskedDecoder {
    decoder_embed: Linear,
    mask_token: Param<Tensor<3>>,
    decoder_pos_embed: Param<Tensor<3>>,
    decoder_blocks: Vec<Block>,
    decoder_norm: LayerNorm,
    decoder_pred: Linear,
}

impl MaskedDecoder {
    /// Makes a decoder with MAE's first weights for the tokens of such an encoder.
    pub fn new(vit: &VitConfig, config: &DecoderConfig, seed: u64, device: &Device) -> MaskedDecoder {
        let block = |_| Block::new(config.dim, config.heads, config.mlp_ratio, vit.activation_checkpointing, device);
        let decoder = MaskedDecoder {
            decoder_embed: LinearConfig::new(vit.dim, config.dim).init(device),
            mask_token: Param::from_tensor(Tensor::zeros([1, 1, config.dim], device)),
            decoder_pos_embed: sincos_table(config.dim, vit.grid(), device).set_require_grad(false),
            decoder_blocks: (0..config.depth).map(block).collect(),
            decoder_norm: layer_norm(config.dim, device),
            decoder_pred: LinearConfig::new(config.dim, vit.patch_values()).init(device),
        };
        initialize(decoder, seed)
    }

    /// What `encoder` and this decoder make of every patch of `images`, of which the encoder sees the visible ones.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; output: `[batch, patches, p*p*3]`
    pub fn predict(&self, encoder: &Vit, images: Tensor<4>, masks: &Masks, drop: Option<&DropPath>) -> Tensor<3> {
        let visible = encoder.embed_visible(images.clone(), masks.ids_keep(&images.device())); // [B, K, D]
        self.forward(encoder.encode(visible, drop), masks)
    }

    /// # Shapes
    /// latent: `[batch, 1 + kept, dim]`, the class token first; output: `[batch, patches, p*p*3]`
    pub fn forward(&self, latent: Tensor<3>, masks: &Masks) -> Tensor<3> {
        let visible = linear(&self.decoder_embed, latent); // [B, 1+K, D']
        let [batch, with_class, dim] = visible.dims();
        let [_, tokens, _] = self.decoder_pos_embed.dims();
        // Every token is a row of the visible ones, or the one row behind them: the mask token.
        let rows = Tensor::cat(
            vec![visible.reshape([batch * with_class, dim]), self.mask_token.val().reshape([1, dim])],
            0,
        );
        let places = decoder_rows(masks, with_class, &rows.device());
        let tokens = rows.select(0, places).reshape([batch, tokens, dim]) + self.decoder_pos_embed.val(); // [B, 1+N, D']
        let tokens = self.decoder_blocks.iter().fold(tokens, |tokens, block| block.forward(tokens));
        let [_, tokens_and_class, _] = tokens.dims();
        let patch_tokens = normalize(&self.decoder_norm, tokens).narrow(1, 1, tokens_and_class - 1);
        linear(&self.decoder_pred, patch_tokens)
    }
}

/// For every token of every image, class token first, its row among `with_class` rows an image; masked patches
/// have the row behind all of them.
fn decoder_rows(masks: &Masks, with_class: usize, device: &Device) -> Tensor<1, Int> {
    let hidden_row = (masks.masked.len() * with_class) as i64;
    let mut rows = Vec::with_capacity(masks.masked.len() * (1 + masks.patches()));
    for (image, mask) in masks.masked.iter().enumerate() {
        let mut next = (image * with_class) as i64;
        rows.push(next);
        for &hidden in mask {
            next += i64::from(!hidden);
            rows.push(if hidden { hidden_row } else { next });
        }
    }
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), &device.clone().inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_finds_its_row_and_hidden_ones_the_mask_token() {
        let masks = Masks::given(vec![vec![true, false, true, false], vec![false, true, true, false]]).unwrap();
        let rows = decoder_rows(&masks, 3, &Device::flex());
        let rows: Vec<i64> = rows.into_data().iter::<i64>().collect();
        assert_eq!(rows, [0, 6, 1, 6, 2, 3, 4, 6, 6, 5]);
    }
}
