//! The Vision Transformer: pre-norm blocks, a class token, timm's field names and epsilon 1e-6.

mod beit_init;
mod block;
mod config;
mod cross;
mod drop_path;
mod init;
mod look;
mod patch;
mod position;
mod relative;

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Int, Tensor};

use crate::rng::{Purpose, place, stream};

pub use crate::kernels::gelu;
pub use beit_init::initialize_as_beit;
pub use block::{Block, linear, normalize};
pub use config::{Position, VitConfig};
pub use cross::CrossBlock;
pub use drop_path::DropPath;
pub use init::{TOKEN_STD, initialize, truncated_normal, uniform};
pub use look::Seen;
pub use patch::{PatchEmbed, patchify, unpatchify};
use position::resized;
pub use position::sincos_table;
pub use relative::RelativeBias;

/// Added to the variance in every layer norm, as timm and MAE do. burn's own default is 1e-5.
pub const NORM_EPSILON: f64 = 1e-6;

/// The backbone.
#[derive(Module, Debug)]
pub struct Vit {
    patch_embed: PatchEmbed,
    cls_token: Param<Tensor<3>>,
    pos_embed: Option<Param<Tensor<3>>>,
    rel_pos_bias: Option<RelativeBias>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    #[module(skip)]
    config: VitConfig,
}

impl Vit {
    /// Makes a backbone with MAE's initial weights, each tensor from a stream of its own, so that every method
    /// starts from the same encoder at the same seed. A sine-cosine table does not learn.
    pub fn new(config: &VitConfig, seed: u64, device: &Device) -> Vit {
        let tokens = config.patches() + 1;
        let pos_embed = match config.position {
            Position::SinCos => Some(sincos_table(config.dim, config.grid(), device).set_require_grad(false)),
            Position::Learned => {
                let mut rng = stream(seed, Purpose::Init, place("pos_embed"), 0);
                Some(Param::from_tensor(truncated_normal(
                    [1, tokens, config.dim],
                    TOKEN_STD,
                    &mut rng,
                    device,
                )))
            }
            Position::Relative => None,
        };
        let block = |_| Block::new(config.dim, config.heads, config.mlp_ratio, config.activation_checkpointing, device);
        let vit = Vit {
            patch_embed: PatchEmbed::new(config.patch_size, config.dim, device),
            cls_token: Param::from_tensor(Tensor::zeros([1, 1, config.dim], device)),
            pos_embed,
            rel_pos_bias: (config.position == Position::Relative).then(|| RelativeBias::new(config.grid(), config.heads, device)),
            blocks: (0..config.depth)
                .map(|index| block(index).with_layer_scale(config.layer_scale))
                .collect(),
            norm: layer_norm(config.dim, device),
            config: config.clone(),
        };
        initialize(vit, seed)
    }

    /// Its sizes.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Whether the position table learns.
    pub fn positions_learn(&self) -> bool {
        self.pos_embed.as_ref().is_some_and(|table| table.val().is_require_grad())
    }

    /// The same backbone with positions that learn, as in fine-tuning.
    pub fn unfreeze_positions(mut self) -> Vit {
        self.pos_embed = self.pos_embed.map(|table| table.set_require_grad(true));
        self
    }

    /// The same backbone with a final norm that does not learn, for a head that reads the stream before it.
    pub fn freeze_norm(mut self) -> Vit {
        self.norm = self.norm.no_grad();
        self
    }

    /// The same backbone, with a patch projection that stays as it is if `frozen`.
    pub fn freeze_patches_if(mut self, frozen: bool) -> Vit {
        if frozen {
            self.patch_embed = self.patch_embed.no_grad();
        }
        self
    }

    /// The class token after every block and the final norm: one vector an image.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; output: `[batch, dim]`
    pub fn represent(&self, images: Tensor<4>, drop: Option<&DropPath>) -> Tensor<2> {
        self.encode(self.embed(images), drop).narrow(1, 0, 1).squeeze_dim(1)
    }

    /// Patch tokens with their positions, without the class token.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`, of a side that patches divide; a side other than the model's gets its positions
    /// interpolated. output: `[batch, patches, dim]`
    pub fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let [.., side] = images.dims();
        let (native, grid) = (self.config.grid(), side / self.config.patch_size);
        let tokens = self.patch_embed.project(self.patch_embed.patches(images));
        match self.patch_positions() {
            Some(positions) if grid != native => tokens + resized(positions, native, grid),
            _ => self.place(tokens),
        }
    }

    /// As [`Vit::embed`] for the patches named by `ids` alone: the others are not even projected.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; ids: `[batch, kept]`; output: `[batch, kept, dim]`
    pub fn embed_visible(&self, images: Tensor<4>, ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, kept] = ids.dims();
        let tokens = self
            .patch_embed
            .project(gather_tokens(self.patch_embed.patches(images), ids.clone()));
        let Some(positions) = self.patch_positions() else { return tokens };
        let positions = positions.squeeze_dim::<2>(0).select(0, ids.reshape([batch * kept])); // [B*K, D]
        tokens + positions.reshape([batch, kept, self.config.dim])
    }

    /// As [`Vit::embed`] with `token` in place of every patch where `hidden` is 1, as BEiT and C-MAE do: the
    /// sequence keeps its length, and a masked patch keeps its position alone.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; hidden: `[batch, patches]`, 0 or 1; token: `[1, 1, dim]`; output:
    /// `[batch, patches, dim]`
    pub fn embed_masked(&self, images: Tensor<4>, hidden: Tensor<2>, token: Tensor<3>) -> Tensor<3> {
        let tokens = self.patch_embed.project(self.patch_embed.patches(images));
        let hidden = hidden.unsqueeze_dim::<3>(2);
        let shown = tokens * (hidden.clone().neg() + 1.0) + token * hidden;
        self.place(shown)
    }

    /// Adds the positions of every patch.
    fn place(&self, tokens: Tensor<3>) -> Tensor<3> {
        match self.patch_positions() {
            Some(positions) => tokens + positions,
            None => tokens,
        }
    }

    /// `[1, patches, dim]`, if positions are absolute.
    pub fn patch_positions(&self) -> Option<Tensor<3>> {
        let table = self.pos_embed.as_ref()?;
        Some(table.val().narrow(1, 1, self.config.patches()))
    }

    /// The class token in front, every block, the final norm.
    ///
    /// # Shapes
    /// tokens: `[batch, kept, dim]`; output: `[batch, 1 + kept, dim]`
    pub fn encode(&self, tokens: Tensor<3>, drop: Option<&DropPath>) -> Tensor<3> {
        normalize(&self.norm, self.encode_without_norm(tokens, drop))
    }

    /// As [`Vit::encode`], without the final norm.
    pub fn encode_without_norm(&self, tokens: Tensor<3>, drop: Option<&DropPath>) -> Tensor<3> {
        let (stream, bias) = (self.prepend_class_token(tokens), self.bias());
        self.blocks.iter().enumerate().fold(stream, |stream, (index, block)| {
            let drop = drop.map(|drop| drop.for_block(index, self.blocks.len()));
            block.forward_with(stream, drop.as_ref(), bias.clone())
        })
    }

    /// The residual stream after every block, without the final norm, each `[batch, 1 + kept, dim]`.
    pub fn stream(&self, tokens: Tensor<3>) -> Vec<Tensor<3>> {
        let mut after = Vec::with_capacity(self.blocks.len());
        self.watch(tokens, |stream| after.push(stream));
        after
    }

    /// Calls `look` with the residual stream after every block, first to last, without keeping any of them.
    ///
    /// # Shapes
    /// tokens: `[batch, patches, dim]`; the stream: `[batch, 1 + patches, dim]`
    pub fn watch(&self, tokens: Tensor<3>, mut look: impl FnMut(Tensor<3>)) {
        let (mut stream, bias) = (self.prepend_class_token(tokens), self.bias());
        for block in &self.blocks {
            stream = block.forward_with(stream, None, bias.clone());
            look(stream.clone());
        }
    }

    /// As [`Vit::watch`] for the patches named by `ids` alone: the others are not computed. Relative positions are those
    /// of the patches that are there.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; ids: `[batch, kept]`; the stream: `[batch, 1 + kept, dim]`
    pub fn watch_visible(&self, images: Tensor<4>, ids: Tensor<2, Int>, mut look: impl FnMut(Tensor<3>)) {
        let tokens = self.embed_visible(images, ids.clone());
        let Some(relative) = &self.rel_pos_bias else {
            return self.watch(tokens, look);
        };
        let (mut stream, bias) = (self.prepend_class_token(tokens), relative.of_visible(ids));
        for block in &self.blocks {
            stream = block.forward_with_own(stream, bias.clone());
            look(stream.clone());
        }
    }

    /// What relative positions add to the scores of every block.
    fn bias(&self) -> Option<Tensor<3>> {
        self.rel_pos_bias.as_ref().map(RelativeBias::forward)
    }

    fn prepend_class_token(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, _, dim] = tokens.dims();
        let class = match &self.pos_embed {
            Some(table) => self.cls_token.val() + table.val().narrow(1, 0, 1),
            None => self.cls_token.val(),
        };
        Tensor::cat(vec![class.expand([batch, 1, dim]), tokens], 1)
    }
}

/// A layer norm with timm's epsilon.
pub fn layer_norm(dim: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(dim).with_epsilon(NORM_EPSILON).init(device)
}

/// The tokens named by `ids`, image by image.
///
/// # Shapes
/// tokens: `[batch, n, dim]`; ids: `[batch, k]`; output: `[batch, k, dim]`
pub fn gather_tokens(tokens: Tensor<3>, ids: Tensor<2, Int>) -> Tensor<3> {
    let [batch, n, dim] = tokens.dims();
    let [_, k] = ids.dims();
    // Whole rows are copied, which is much faster than picking every number by an index of its own.
    let first_row = Tensor::<1, Int>::arange(0..batch as i64, &ids.device())
        .mul_scalar(n as i64)
        .reshape([batch, 1]);
    let rows = (ids + first_row).reshape([batch * k]);
    tokens.reshape([batch * n, dim]).select(0, rows).reshape([batch, k, dim])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::HostTensor;

    #[test]
    fn gathered_tokens_are_the_named_ones_of_their_own_image() {
        let device = Device::flex();
        let tokens = Tensor::<1, Int>::arange(0..12, &device).float().reshape([2, 3, 2]);
        let ids = Tensor::<2, Int>::from_data([[2, 0], [1, 1]], &device);
        let rows: Vec<f32> = gather_tokens(tokens, ids).into_data().try_into_vec().unwrap();
        assert_eq!(rows, [4., 5., 0., 1., 8., 9., 8., 9.]);
    }

    #[test]
    fn nothing_is_dropped_at_rate_zero_and_something_above() {
        let device = Device::flex();
        let config = tiny();
        let vit = Vit::new(&config, 1, &device);
        let images = Tensor::<1, Int>::arange(0..8 * 192, &device).float().reshape([8, 3, 8, 8]).sin();
        let encode = |drop: Option<&DropPath>| HostTensor::from_tensor(&vit.encode(vit.embed(images.clone()), drop));
        let at = |rate| DropPath { rate, seed: 1, step: 2 };
        assert_eq!(encode(None), encode(Some(&at(0.0))));
        assert_ne!(encode(None), encode(Some(&at(0.9))));
        assert_eq!(encode(Some(&at(0.9))), encode(Some(&at(0.9))));
    }

    #[test]
    fn a_patch_behind_the_token_is_not_seen_and_the_others_are_embedded_as_ever() {
        let device = Device::flex();
        let vit = Vit::new(&tiny(), 1, &device);
        let images = Tensor::<1, Int>::arange(0..192, &device).float().reshape([1, 3, 8, 8]).sin();
        let hidden = Tensor::from_floats([[1.0, 0.0, 0.0, 1.0]], &device);
        let token = Tensor::full([1, 1, 16], 0.5, &device);
        let masked = |images| vit.embed_masked(images, hidden.clone(), token.clone());
        let other = images.clone() + unpatchify(hidden.clone().unsqueeze_dim::<3>(2).repeat_dim(2, 48), 4);
        assert_eq!(masked(images.clone()).into_data(), masked(other).into_data());
        let (shown, plain) = (masked(images.clone()).narrow(1, 1, 2), vit.embed(images).narrow(1, 1, 2));
        assert_eq!(shown.into_data(), plain.into_data());
    }

    fn tiny() -> VitConfig {
        VitConfig {
            image_size: 8,
            patch_size: 4,
            dim: 16,
            depth: 3,
            heads: 2,
            mlp_ratio: 2.0,
            position: Position::SinCos,
            layer_scale: 0.0,
            activation_checkpointing: false,
        }
    }
}
