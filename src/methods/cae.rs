//! CAE: context autoencoder for self-supervised representation learning. arXiv 2202.03026.
//!
//! The encoder reads the visible patches alone. A regressor predicts from them what the encoder would make of the hidden
//! ones, without ever changing them; this latent prediction is aligned with what the encoder does make of the hidden
//! patches, and a decoder predicts from it which tokens a tokenizer made of them. Drop path acts in the encoder alone.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};

use super::blockwise::Blockwise;
use super::token_loss::{ALARMS, TokenLoss};
use super::tokenizer::Tokenizer;
use super::{Inputs, Losses, Masks, Method, StepInfo, Trainable, vit_config};
use crate::experiment::measure;
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{MethodInfo, RunSpec};
use crate::section;
use crate::vit::{Block, CrossBlock, DropPath, Vit, VitConfig, initialize, layer_norm, linear, normalize};
use crate::weights::Weights;

section! {
    /// What CAE adds.
    CaeOptions = "method" {
        /// Ratio of the patches masked, in rectangles; the same number in every image.
        mask_ratio: f64 = Literal::Float(0.5), Kind::Between { min: 0.0, max: 1.0 }, "CAE section 4.1";
        /// Blocks of the regressor, as wide as the encoder's.
        regressor_depth: usize = Literal::Int(4), Kind::Int { min: 1, max: 64 }, "CAE section 4.1";
        /// Blocks of the decoder, as wide as the encoder's.
        decoder_depth: usize = Literal::Int(4), Kind::Int { min: 1, max: 64 }, "CAE section 4.1";
        /// Weight of the alignment of the latent prediction.
        align_weight: f64 = Literal::Float(2.0), Kind::Float { min: 0.0, max: 1000.0 }, "CAE section 4.1";
    }
}

/// Encoder, regressor and decoder, and the tokenizer, which is no part of the weights.
#[derive(Module, Debug)]
pub struct Cae {
    encoder: Vit,
    decoder: LatentDecoder,
    #[module(skip)]
    tokenizer: Tokenizer,
    #[module(skip)]
    blocks: Blockwise,
    align_weight: f64,
    drop_path: f64,
}

/// Regressor and decoder.
#[derive(Module, Debug)]
struct LatentDecoder {
    mask_token: Param<Tensor<3>>,
    regressor: Vec<CrossBlock>,
    regressor_norm: LayerNorm,
    decoder_blocks: Vec<Block>,
    decoder_norm: LayerNorm,
    pred: Linear,
}

impl Trainable for Cae {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let images = inputs.views[0].clone();
        let [batch, ..] = images.dims();
        let masks = self.blocks.exactly(step.seed, step.step, batch);
        // What is aligned with drops branches of its own, as the repository's copy of the encoder does.
        let drops = [0, 1].map(|view| step.drop_path(self.drop_path, view));
        let terms = self.terms(images, &masks, drops.each_ref().map(Option::as_ref));
        let cross_entropy = terms.tokens.loss.clone();
        let total = cross_entropy.clone() + terms.alignment.clone() * self.align_weight;
        let parts = [(&measure::CROSS_ENTROPY, cross_entropy), (&measure::ALIGNMENT, terms.alignment)];
        Losses::new(total, parts.into_iter().chain(terms.tokens.terms()).collect())
    }

    /// As the CAE repository: positions and class token do not decay.
    fn decays(path: &str, dims: usize) -> bool {
        dims > 1 && !path.ends_with(".bias") && !path.ends_with("pos_embed") && !path.ends_with("cls_token")
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for Cae {
    const INFO: MethodInfo = MethodInfo {
        name: "cae",
        title: "CAE",
        paper: "arXiv 2202.03026",
        summary: "Predicts the encoding of masked patches from the visible ones, and from it the tokens a tokenizer made of them.",
        options: CaeOptions::SECTION,
        // 1.5e-3 at 2048 images; the warm-up is that of 300 epochs.
        recipe: &[
            ("model", "layer_scale", Value::Float(0.1)),
            ("augment", "crop_scale_min", Value::Float(0.08)),
            ("train", "warmup_epochs", Value::Float(10.0)),
            ("train", "base_lr", Value::Float(1.875e-4)),
            ("train", "min_lr", Value::Float(1e-5)),
            ("train", "beta2", Value::Float(0.999)),
            ("train", "clip_grad_norm", Value::Float(3.0)),
            ("train", "drop_path", Value::Float(0.1)),
        ],
        alarms: ALARMS,
        trains: true,
        labels: false,
        reconstructs: false,
        tokens: true,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<CaeOptions>("method")?, run.section::<TrainSettings>("train")?);
        let (vit, tokenizer) = (vit_config(run)?, Tokenizer::new(run, device)?);
        vit.check_absolute()?;
        let blocks = Blockwise::new("method.mask_ratio", options.mask_ratio, vit.grid())?;
        Ok(Cae {
            encoder: Vit::new(&vit, run.seed, device),
            decoder: LatentDecoder::new(&vit, &options, tokenizer.vocabulary(), run.seed, device),
            tokenizer,
            blocks,
            align_weight: options.align_weight,
            drop_path: train.drop_path,
        })
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn with_tokenizer(self, weights: &Weights) -> Result<Self, String> {
        let tokenizer = self.tokenizer.with_weights(weights)?;
        Ok(Cae { tokenizer, ..self })
    }
}

/// The two parts of the loss.
struct Terms {
    tokens: TokenLoss,
    /// `[1]`
    alignment: Tensor<1>,
}

impl Cae {
    /// `drops`: of the encoder on the visible patches, and on the hidden ones.
    fn terms(&self, images: Tensor<4>, masks: &Masks, drops: [Option<&DropPath>; 2]) -> Terms {
        let (device, hidden_masks) = (images.device(), masks.complement());
        let (visible, hidden) = (masks.ids_keep(&device), hidden_masks.ids_keep(&device));
        let seen = self.encoder.embed_visible(images.clone(), visible.clone());
        let seen = self.encoder.encode(seen, drops[0]); // [B, 1+K, D]
        let positions = [self.positions(visible), self.positions(hidden.clone())];
        let latent = self.decoder.regress(seen, positions.clone()); // [B, H, D]
        let target = self.target(images.clone(), hidden.clone(), drops[1]);
        let difference = latent.clone() - target;
        let logits = self.decoder.predict(latent, positions[1].clone()); // [B*H, V]
        let [count, _] = logits.dims();
        let tokens = self.tokenizer.tokens(images.without_autodiff());
        Terms {
            tokens: TokenLoss::of(logits, tokens.gather(1, hidden).reshape([count])),
            alignment: (difference.clone() * difference).mean(),
        }
    }

    /// What the encoder makes of the masked patches, without gradients.
    fn target(&self, images: Tensor<4>, hidden: Tensor<2, Int>, drop: Option<&DropPath>) -> Tensor<3> {
        let [_, count] = hidden.dims();
        let encoder = self.encoder.valid();
        let tokens = encoder.embed_visible(images.without_autodiff(), hidden);
        encoder.encode(tokens, drop).narrow(1, 1, count)
    }

    /// Positions of the patches named by `ids` `[batch, count]`: `[batch, count, dim]`.
    fn positions(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let table = self.encoder.patch_positions().expect("relative positions were refused");
        let ([batch, count], [_, _, dim]) = (ids.dims(), table.dims());
        table
            .squeeze_dim::<2>(0)
            .select(0, ids.reshape([batch * count]))
            .reshape([batch, count, dim])
    }
}

impl LatentDecoder {
    /// A decoder with MAE's first weights, which are Xavier's as the CAE repository's are.
    fn new(vit: &VitConfig, options: &CaeOptions, vocabulary: usize, seed: u64, device: &Device) -> LatentDecoder {
        let block =
            |_| Block::new(vit.dim, vit.heads, vit.mlp_ratio, vit.activation_checkpointing, device).with_layer_scale(vit.layer_scale);
        let decoder = LatentDecoder {
            mask_token: Param::from_tensor(Tensor::zeros([1, 1, vit.dim], device)),
            regressor: (0..options.regressor_depth).map(|_| CrossBlock::new(vit, device)).collect(),
            regressor_norm: layer_norm(vit.dim, device),
            decoder_blocks: (0..options.decoder_depth).map(block).collect(),
            decoder_norm: layer_norm(vit.dim, device),
            pred: LinearConfig::new(vit.dim, vocabulary).init(device),
        };
        initialize(decoder, seed)
    }

    /// The latent prediction of the masked patches.
    ///
    /// # Shapes
    /// seen: `[batch, 1 + kept, dim]`, the class token first; positions of the visible and of the masked patches:
    /// `[batch, kept, dim]` and `[batch, hidden, dim]`; output: `[batch, hidden, dim]`
    fn regress(&self, seen: Tensor<3>, [visible, hidden]: [Tensor<3>; 2]) -> Tensor<3> {
        // The class token has no position.
        let class = visible.zeros_like().narrow(1, 0, 1);
        let places = Tensor::cat(vec![class, visible, hidden.clone()], 1);
        let start = self.mask_token.val().expand(hidden.dims());
        let latent = self.regressor.iter().fold(start, |latent, block| {
            let others = Tensor::cat(vec![seen.clone(), latent.clone()], 1); // [B, 1+N, D]
            block.forward(latent, hidden.clone(), others, places.clone())
        });
        normalize(&self.regressor_norm, latent)
    }

    /// The scores of every token for every masked patch.
    ///
    /// # Shapes
    /// latent, positions: `[batch, hidden, dim]`; output: `[batch * hidden, vocabulary]`
    fn predict(&self, latent: Tensor<3>, positions: Tensor<3>) -> Tensor<2> {
        let [batch, hidden, dim] = latent.dims();
        let stream = self
            .decoder_blocks
            .iter()
            .fold(latent + positions, |stream, block| block.forward(stream));
        linear(&self.pred, normalize(&self.decoder_norm, stream).reshape([batch * hidden, dim]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::gradients;
    use super::super::tests::tiny_run;
    use super::*;
    use crate::experiment::Value as Setting;
    use burn::tensor::TensorData;

    fn cae(device: &Device) -> Cae {
        Cae::new(&tiny_run("cae", &[("train", "drop_path", Setting::Float(0.0))]), 10, device).unwrap()
    }

    fn images(a: f32, device: &Device) -> Tensor<4> {
        let values: Vec<f32> = (0..2 * 768).map(|i| (i as f32 * a).sin()).collect();
        Tensor::from_data(TensorData::new(values, [2, 3, 16, 16]), device)
    }

    /// The images with other pixels in the patches that `masks` hide.
    fn changed(images: Tensor<4>, masks: &Masks) -> Tensor<4> {
        let device = images.device();
        let hidden = masks.hidden(&device).unsqueeze_dim::<3>(2).repeat_dim(2, 48);
        let hidden = crate::vit::unpatchify(hidden, 4);
        images * (hidden.clone().neg() + 1.0) + self::images(1.3, &device) * hidden
    }

    #[test]
    fn masked_patches_are_behind_both_targets_and_not_behind_the_prediction() {
        let device = Device::flex().autodiff();
        let (cae, masks) = (cae(&device), Blockwise::new("r", 0.5, 4).unwrap().exactly(1, 0, 2));
        let latent = |images: Tensor<4>| {
            let (visible, hidden) = (masks.ids_keep(&device), masks.complement().ids_keep(&device));
            let seen = cae.encoder.encode(cae.encoder.embed_visible(images, visible.clone()), None);
            let positions = [cae.positions(visible), cae.positions(hidden)];
            cae.decoder.regress(seen, positions).into_data()
        };
        let (here, other) = (images(0.37, &device), changed(images(0.37, &device), &masks));
        assert_eq!(latent(here.clone()), latent(other.clone()));
        assert_ne!(latent(here.clone()), latent(changed(here.clone(), &masks.complement())));
        let target = |images| cae.target(images, masks.complement().ids_keep(&device), None).into_data();
        assert_ne!(target(here.clone()), target(other));
        assert_eq!(target(here.clone()), target(changed(here, &masks.complement())));
    }

    #[test]
    fn the_loss_is_the_cross_entropy_and_twice_the_alignment() {
        let device = Device::flex().autodiff();
        let (cae, masks) = (cae(&device), Blockwise::new("r", 0.5, 4).unwrap().exactly(1, 0, 2));
        let terms = cae.terms(images(0.37, &device), &masks, [None; 2]);
        let inputs = Inputs {
            views: vec![images(0.37, &device)],
            labels: Tensor::from_data([0, 1], &device),
            targets: None,
        };
        let step = StepInfo {
            seed: 1,
            step: 0,
            steps: 10,
            indices: vec![0, 1],
        };
        let total = cae.loss(&inputs, &step).total.into_scalar::<f64>();
        let expected = terms.tokens.loss.into_scalar::<f64>() + 2.0 * terms.alignment.into_scalar::<f64>();
        assert!((total - expected).abs() < 1e-5, "{total} is not {expected}");
    }

    #[test]
    fn the_alignment_moves_the_prediction_and_not_its_target() {
        let device = Device::flex().autodiff();
        let (cae, masks) = (cae(&device), Blockwise::new("r", 0.5, 4).unwrap().exactly(1, 0, 2));
        let terms = cae.terms(images(0.37, &device), &masks, [None; 2]);
        let gradients = gradients(&cae, &terms.alignment.backward());
        assert!(gradients.contains_key("regressor.0.query.weight") && !gradients.contains_key("pred.weight"));
        // The encoder has a gradient through the visible patches; along it, the loss changes as with the target held.
        let name = "blocks.1.mlp.fc2.bias";
        let held = cae.target(images(0.37, &device), masks.complement().ids_keep(&device), None);
        let loss = |step: f32| {
            let mut weights = crate::weights::to_timm(&cae);
            weights.get_mut(name).unwrap().data[3] += step;
            let moved = crate::weights::from_timm(cae.clone(), &weights).unwrap();
            let (visible, hidden) = (masks.ids_keep(&device), masks.complement().ids_keep(&device));
            let seen = moved
                .encoder
                .encode(moved.encoder.embed_visible(images(0.37, &device), visible.clone()), None);
            let latent = moved.decoder.regress(seen, [moved.positions(visible), moved.positions(hidden)]);
            let difference = latent.inner() - held.clone();
            (difference.clone() * difference).mean().into_scalar::<f64>()
        };
        let slope = (loss(0.05) - loss(-0.05)) / 0.1;
        let found = f64::from(gradients[name].data[3]);
        assert!((slope - found).abs() < 0.02 * found.abs() + 1e-6, "{found} is not {slope}");
    }
}
