//! MAE: Masked Autoencoders Are Scalable Vision Learners. arXiv 2111.06377.
//!
//! Most patches are hidden; an encoder reads the visible ones; a small decoder, given a mask token at every
//! hidden place, predicts the hidden pixels. Switches the paper leaves open are options of their own.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::masking::keep_count;
use super::{Inputs, Losses, Masks, Method, StepInfo, Trainable, vit_config};
use crate::experiment::settings::{ModelSettings, TrainSettings};
use crate::experiment::{MethodInfo, RunSpec};
use crate::section;
use crate::vit::{Block, DropPath, Vit, VitConfig, gather_tokens, initialise, layer_norm, linear, normalise, patchify, sincos_table};

section! {
    /// What MAE adds.
    MaeOptions = "method" {
        /// Share of the patches hidden.
        mask_ratio: f64 = Literal::Float(0.75), Kind::Between { min: 0.0, max: 1.0 }, "MAE";
        /// Whether each target patch is normalised to mean 0 and deviation 1.
        norm_pix_loss: bool = Literal::Bool(true), Kind::Bool, "paper section 5";
    }
}

/// Added to a patch's variance before the root (MAE repository).
const TARGET_EPSILON: f64 = 1e-6;

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

/// Encoder and decoder, with the MAE repository's field names.
#[derive(Module, Debug)]
pub struct Mae {
    encoder: Vit,
    decoder_embed: Linear,
    mask_token: Param<Tensor<3>>,
    decoder_pos_embed: Param<Tensor<3>>,
    decoder_blocks: Vec<Block>,
    decoder_norm: LayerNorm,
    decoder_pred: Linear,
    #[module(skip)]
    options: MaeOptions,
    drop_path: f64,
}

impl Trainable for Mae {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let images = inputs.views[0].clone();
        let [batch, ..] = images.dims();
        let masks = Masks::random(
            step.seed,
            step.step,
            batch,
            self.encoder.config().patches(),
            self.options.mask_ratio,
        );
        let drop = DropPath {
            rate: self.drop_path,
            seed: step.seed,
            step: step.step,
        };
        let total = self.masked_loss(images, &masks, (self.drop_path > 0.0).then_some(&drop));
        Losses { total, terms: Vec::new() }
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for Mae {
    const INFO: MethodInfo = MethodInfo {
        name: "mae",
        title: "MAE",
        paper: "arXiv 2111.06377",
        summary: "Hides most patches and predicts their pixels from the visible ones.",
        options: MaeOptions::SECTION,
        recipe: &[], // The sections' defaults are MAE's.
        trains: true,
        labels: false,
        reconstructs: true,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, model) = (run.section::<MaeOptions>("method")?, run.section::<ModelSettings>("model")?);
        let (vit, train) = (vit_config(run)?, run.section::<TrainSettings>("train")?);
        let decoder = DecoderConfig {
            dim: model.decoder_dim,
            depth: model.decoder_depth,
            heads: model.decoder_heads,
            mlp_ratio: model.mlp_ratio,
        };
        let (patches, keep) = (vit.patches(), keep_count(vit.patches(), options.mask_ratio));
        if keep == 0 || keep == patches {
            let ratio = options.mask_ratio;
            return Err(format!(
                "method.mask_ratio = {ratio} keeps {keep} of {patches} patches: at least one must be hidden and one visible"
            ));
        }
        if !decoder.dim.is_multiple_of(4) || !decoder.dim.is_multiple_of(decoder.heads) {
            let (dim, heads) = (decoder.dim, decoder.heads);
            return Err(format!(
                "model.decoder_dim = {dim} is not allowed: it must be a multiple of 4 and of model.decoder_heads = {heads}"
            ));
        }
        Ok(Mae {
            drop_path: train.drop_path,
            ..Mae::build(&vit, &decoder, options, run.seed, device)
        })
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn reconstruct(&self, images: Tensor<4>, masks: &Masks) -> Option<Tensor<3>> {
        Some(self.predict(images, masks, None))
    }

    fn normalises_targets(&self) -> bool {
        self.options.norm_pix_loss
    }
}

impl Mae {
    /// Makes the model with MAE's first weights.
    pub fn build(vit: &VitConfig, decoder: &DecoderConfig, options: MaeOptions, seed: u64, device: &Device) -> Mae {
        let block = |_| Block::new(decoder.dim, decoder.heads, decoder.mlp_ratio, device);
        let rest = Decoder {
            decoder_embed: LinearConfig::new(vit.dim, decoder.dim).init(device),
            mask_token: Param::from_tensor(Tensor::zeros([1, 1, decoder.dim], device)),
            decoder_blocks: (0..decoder.depth).map(block).collect(),
            decoder_norm: layer_norm(decoder.dim, device),
            decoder_pred: LinearConfig::new(decoder.dim, vit.patch_values()).init(device),
        };
        let rest = initialise(rest, seed);
        Mae {
            encoder: Vit::new(vit, seed, device),
            decoder_embed: rest.decoder_embed,
            mask_token: rest.mask_token,
            decoder_pos_embed: sincos_table(decoder.dim, vit.grid(), device).set_require_grad(false),
            decoder_blocks: rest.decoder_blocks,
            decoder_norm: rest.decoder_norm,
            decoder_pred: rest.decoder_pred,
            options,
            drop_path: 0.0,
        }
    }

    /// The loss of `images` `[batch, 3, side, side]` with given patches hidden, `[1]`.
    pub fn masked_loss(&self, images: Tensor<4>, masks: &Masks, drop: Option<&DropPath>) -> Tensor<1> {
        let predicted = self.predict(images.clone(), masks, drop);
        masked_mean_square(predicted, self.target(images), masks)
    }

    /// Predicted patches, `[batch, patches, p*p*3]`.
    fn predict(&self, images: Tensor<4>, masks: &Masks, drop: Option<&DropPath>) -> Tensor<3> {
        let visible = gather_tokens(self.encoder.embed(images.clone()), masks.ids_keep(&images.device())); // [B, K, D]
        self.decode(self.encoder.encode(visible, drop), masks)
    }

    /// # Shapes
    /// latent: `[batch, 1 + kept, dim]`, the class token first; output: `[batch, patches, p*p*3]`
    fn decode(&self, latent: Tensor<3>, masks: &Masks) -> Tensor<3> {
        let patches = self.encoder.config().patches();
        let visible = linear(&self.decoder_embed, latent); // [B, 1+K, D']
        let [batch, with_class, dim] = visible.dims();
        let kept = with_class - 1;
        let mask_tokens = self.mask_token.val().expand([batch, patches - kept, dim]);
        let shuffled = Tensor::cat(vec![visible.clone().narrow(1, 1, kept), mask_tokens], 1); // [B, N, D']
        let tokens = gather_tokens(shuffled, masks.ids_restore(&visible.device()));
        let tokens = Tensor::cat(vec![visible.narrow(1, 0, 1), tokens], 1) + self.decoder_pos_embed.val(); // [B, 1+N, D']
        let tokens = self.decoder_blocks.iter().fold(tokens, |tokens, block| block.forward(tokens));
        let patch_tokens = normalise(&self.decoder_norm, tokens).narrow(1, 1, patches);
        linear(&self.decoder_pred, patch_tokens)
    }

    fn target(&self, images: Tensor<4>) -> Tensor<3> {
        let patches = patchify(images, self.encoder.config().patch_size);
        if self.options.norm_pix_loss {
            normalise_patches(patches)
        } else {
            patches
        }
    }
}

/// What stands between encoder and prediction, for its first weights.
#[derive(Module, Debug)]
struct Decoder {
    decoder_embed: Linear,
    mask_token: Param<Tensor<3>>,
    decoder_blocks: Vec<Block>,
    decoder_norm: LayerNorm,
    decoder_pred: Linear,
}

/// Each patch less its mean, divided by its deviation: unbiased variance over all pixels and channels.
///
/// # Shapes
/// patches and output: `[batch, patches, values]`
pub fn normalise_patches(patches: Tensor<3>) -> Tensor<3> {
    let (variance, mean) = patches.clone().var_mean(2);
    (patches - mean) / (variance + TARGET_EPSILON).sqrt()
}

/// Mean over a patch's values, then over the hidden patches of the whole batch: sum / sum.
///
/// # Shapes
/// predicted, target: `[batch, patches, values]`; output: `[1]`
pub fn masked_mean_square(predicted: Tensor<3>, target: Tensor<3>, masks: &Masks) -> Tensor<1> {
    let hidden = masks.hidden(&predicted.device());
    let error = predicted - target;
    let error = (error.clone() * error).mean_dim(2).squeeze_dim::<2>(2); // [B, N]
    (error * hidden.clone()).sum() / hidden.sum()
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::super::golden::{self, assert_close, gradients};
    use super::*;
    use crate::weights::HostTensor;

    /// The numbers `sin(a * index + b)`, in float64 before they are rounded.
    fn waves<const D: usize>(shape: [usize; D], a: f64, b: f64) -> Tensor<D> {
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|i| (a * i as f64 + b).sin() as f32)
            .collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    #[test]
    fn the_loss_is_the_reference_one_for_normalised_and_for_raw_pixels() {
        let target = patchify(waves([1, 3, 8, 8], 0.37, 0.2), 4);
        let masks = Masks::given(vec![vec![true, false, true, true]]).unwrap();
        for (target, expected) in [
            (normalise_patches(target.clone()), 1.717_781_325_989_446_3),
            (target, 1.132_522_846_531_332_2),
        ] {
            let loss = masked_mean_square(waves([1, 4, 48], 0.21, 0.5), target, &masks).into_scalar::<f64>();
            assert!((loss / expected - 1.0).abs() < 1e-5, "{loss} is not {expected}");
        }
    }

    #[test]
    fn loss_predictions_and_gradients_are_pytorchs() {
        let golden = golden::load();
        let device = Device::flex().autodiff();
        let (mae, images, masks) = (golden.mae(&device), golden.images(&device), golden.masks());
        let predicted = HostTensor::from_tensor(&mae.reconstruct(images.clone(), &masks).unwrap());
        assert_close(&predicted, golden.tensor("out.mae.pred"), 1e-5, "predictions");
        let loss = mae.masked_loss(images, &masks, None);
        let (value, expected) = (loss.clone().into_scalar::<f64>(), golden.scalars["mae.loss"].as_f64().unwrap());
        assert!((value / expected - 1.0).abs() < 1e-5, "{value} is not {expected}");
        let gradients = gradients(&mae, &loss.backward());
        for (name, expected) in golden.with_prefix("out.mae.grad.") {
            assert_close(&gradients[&name], expected, 1e-4, &name);
        }
        let norm = gradients
            .values()
            .flat_map(|g| &g.data)
            .map(|v| f64::from(*v).powi(2))
            .sum::<f64>()
            .sqrt();
        let expected = golden.scalars["mae.grad_norm"].as_f64().unwrap();
        assert!(
            (norm / expected - 1.0).abs() < 1e-4,
            "the norm of all gradients is {norm}, not {expected}"
        );
    }

    #[test]
    fn a_masked_patch_has_no_influence_on_the_encoder() {
        let golden = golden::load();
        let device = Device::flex();
        let (mae, images, masks) = (golden.mae(&device), golden.images(&device), golden.masks());
        let patches = patchify(images.clone(), 4);
        let hidden = masks.hidden(&device).unsqueeze_dim::<3>(2);
        let noise = waves(patches.dims(), 1.3, 0.4);
        let latent = |patches: Tensor<3>| {
            let tokens = mae.encoder.embed(crate::vit::unpatchify(patches, 4));
            HostTensor::from_tensor(&mae.encoder.encode(gather_tokens(tokens, masks.ids_keep(&device)), None))
        };
        let plain = latent(patches.clone());
        assert_eq!(plain, latent(patches.clone() + noise.clone() * hidden.clone()));
        assert_ne!(plain, latent(patches + noise * (hidden.neg() + 1.0)));
    }
}
