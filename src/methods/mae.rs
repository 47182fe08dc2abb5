//! MAE: Masked Autoencoders Are Scalable Vision Learners. arXiv 2111.06377.
//!
//! Most patches are masked; an encoder reads the visible ones; a small decoder, given a mask token at every
//! hidden place, predicts the hidden pixels. Switches the paper leaves open are options of their own.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::cutmix::cutmix;
use super::masked_decoder::{DecoderConfig, MaskedDecoder};
use super::masking::check_ratio;
use super::{Inputs, Losses, Masks, Method, StepInfo, Trainable, vit_config};
use crate::choice;
use crate::experiment::settings::{DataSettings, TrainSettings};
use crate::experiment::{MethodInfo, RunSpec, ViewPlan};
use crate::section;
use crate::vit::{DropPath, Vit, VitConfig, patchify};

choice! {
    /// The colors of the pixels to predict.
    ColorTarget {
        /// The varied ones that the encoder sees.
        Jittered = "jittered",
        /// The image's own.
        Original = "original",
    }
}

choice! {
    /// The pixels to predict under a pasted rectangle.
    CutmixTarget {
        /// The image's own.
        Original = "original",
        /// The pasted ones.
        Mixed = "mixed",
    }
}

section! {
    /// What MAE adds.
    MaeOptions = "method" {
        /// Ratio of the patches masked; at 0 the encoder sees all and every patch is predicted.
        mask_ratio: f64 = Literal::Float(0.75), Kind::Float { min: 0.0, max: 0.999 }, "MAE";
        /// Whether each target patch is normalized to mean 0 and deviation 1.
        norm_pix_loss: bool = Literal::Bool(true), Kind::Bool, "paper section 5";
        /// The colors of the pixels to predict.
        color_target in ColorTarget = Jittered, "paper Table 4 has both";
        /// Cutmix's Beta parameter for a rectangle of another image pasted into what the encoder sees; 0 is off.
        cutmix: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 10.0 }, "paper Table 5";
        /// The pixels to predict under that rectangle.
        cutmix_target in CutmixTarget = Original, "open in the paper";
    }
}

/// Added to a patch's variance before the root (MAE repository).
const TARGET_EPSILON: f64 = 1e-6;

/// Encoder and decoder.
#[derive(Module, Debug)]
pub struct Mae {
    encoder: Vit,
    decoder: MaskedDecoder,
    #[module(skip)]
    options: MaeOptions,
    drop_path: f64,
}

impl Trainable for Mae {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let mixed = |images: &Tensor<4>| cutmix(images.clone(), self.options.cutmix, 0, step);
        let shown = mixed(&inputs.views[0]);
        let target = match (inputs.views.as_slice(), self.options.cutmix_target) {
            ([_], CutmixTarget::Mixed) => shown.clone(),
            ([.., own], CutmixTarget::Mixed) => mixed(own),
            ([.., own], CutmixTarget::Original) => own.clone(),
            ([], _) => unreachable!("an image has a view"),
        };
        let (batch, patches) = (shown.dims()[0], self.encoder.config().patches());
        let masks = Masks::random(step.seed, step.step, batch, patches, self.options.mask_ratio);
        let total = self.loss_towards(target, shown, &masks, step.drop_path(self.drop_path, 0).as_ref());
        Losses::new(total, Vec::new())
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
        alarms: &[],
        trains: true,
        labels: false,
        reconstructs: true,
        tokens: false,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<MaeOptions>("method")?, run.section::<TrainSettings>("train")?);
        let (vit, decoder) = (vit_config(run)?, DecoderConfig::from_run(run)?);
        if options.mask_ratio > 0.0 {
            check_ratio("method.mask_ratio", options.mask_ratio, vit.patches())?;
        }
        Ok(Mae {
            drop_path: train.drop_path,
            ..Mae::build(&vit, &decoder, options, run.seed, device)
        })
    }

    fn views(run: &RunSpec) -> Result<Vec<ViewPlan>, String> {
        let (data, options) = (run.section::<DataSettings>("data")?, run.section::<MaeOptions>("method")?);
        let shown = ViewPlan::new(run.section("augment")?, data.image_size);
        Ok(match options.color_target {
            ColorTarget::Jittered => vec![shown],
            ColorTarget::Original => vec![shown.clone(), shown.without_colors()],
        })
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn reconstruct(&self, images: Tensor<4>, masks: &Masks) -> Option<Tensor<3>> {
        Some(self.decoder.predict(&self.encoder, images, masks, None))
    }

    fn normalizes_targets(&self) -> bool {
        self.options.norm_pix_loss
    }
}

impl Mae {
    /// Makes the model with MAE's first weights.
    pub fn build(vit: &VitConfig, decoder: &DecoderConfig, options: MaeOptions, seed: u64, device: &Device) -> Mae {
        Mae {
            encoder: Vit::new(vit, seed, device),
            decoder: MaskedDecoder::new(vit, decoder, seed, device),
            options,
            drop_path: 0.0,
        }
    }

    /// The loss of `images` `[batch, 3, side, side]` with given patches masked, `[1]`.
    pub fn masked_loss(&self, images: Tensor<4>, masks: &Masks, drop: Option<&DropPath>) -> Tensor<1> {
        self.loss_towards(images.clone(), images, masks, drop)
    }

    /// The loss of what is made of the visible patches of `shown`, against the pixels of `target` where patches are
    /// hidden, or everywhere if none is.
    fn loss_towards(&self, target: Tensor<4>, shown: Tensor<4>, masks: &Masks, drop: Option<&DropPath>) -> Tensor<1> {
        let predicted = self.decoder.predict(&self.encoder, shown, masks, drop);
        let hidden = masks.hidden(&predicted.device());
        let region = if masks.keep == masks.patches() {
            hidden.ones_like()
        } else {
            hidden
        };
        let target = target_patches(target, self.encoder.config().patch_size, self.options.norm_pix_loss);
        masked_mean_square(predicted, target, region)
    }
}

/// What is to be predicted: the pixels of every patch, normalized patch by patch if asked for.
///
/// # Shapes
/// images: `[batch, 3, side, side]`; output: `[batch, patches, p*p*3]`
pub fn target_patches(images: Tensor<4>, patch_size: usize, normalized: bool) -> Tensor<3> {
    let patches = patchify(images, patch_size);
    if normalized { normalize_patches(patches) } else { patches }
}

/// Each patch less its mean, divided by its deviation: unbiased variance over all pixels and channels.
///
/// # Shapes
/// patches and output: `[batch, patches, values]`
pub fn normalize_patches(patches: Tensor<3>) -> Tensor<3> {
    let (variance, mean) = patches.clone().var_mean(2);
    (patches - mean) / (variance + TARGET_EPSILON).sqrt()
}

/// Mean over a patch's values, then over the patches of `region` (1 inside, 0 outside) of the whole batch:
/// sum / sum.
///
/// # Shapes
/// predicted, target: `[batch, patches, values]`; region: `[batch, patches]`; output: `[1]`
pub fn masked_mean_square(predicted: Tensor<3>, target: Tensor<3>, region: Tensor<2>) -> Tensor<1> {
    let error = predicted - target;
    let error = (error.clone() * error).mean_dim(2).squeeze_dim::<2>(2); // [B, N]
    // An empty region has no error, and not an undefined one.
    (error * region.clone()).sum() / region.sum().clamp_min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::golden::{self, assert_close, gradients};
    use super::*;
    use crate::weights::HostTensor;

    fn waves<const D: usize>(shape: [usize; D], a: f64, b: f64) -> Tensor<D> {
        super::super::contrast::tests::waves(shape, a, b, &Device::flex())
    }

    #[test]
    fn the_loss_is_the_reference_one_for_normalized_and_for_raw_pixels() {
        let target = patchify(waves([1, 3, 8, 8], 0.37, 0.2), 4);
        let masks = Masks::given(vec![vec![true, false, true, true]]).unwrap();
        for (target, expected) in [
            (normalize_patches(target.clone()), 1.717_781_325_989_446_3),
            (target, 1.132_522_846_531_332_2),
        ] {
            let loss = masked_mean_square(waves([1, 4, 48], 0.21, 0.5), target, masks.hidden(&Device::flex())).into_scalar::<f64>();
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
    fn occlusions_and_colors_change_what_is_shown_and_their_options_what_is_predicted() {
        use super::super::tests::{inputs, step, tiny_run};
        use crate::experiment::Value;
        let device = Device::flex();
        let loss = |set: &[(&str, Value)]| {
            let set: Vec<_> = set.iter().map(|(key, value)| ("method", *key, value.clone())).collect();
            let run = tiny_run("mae", &set);
            let sides: Vec<usize> = Mae::views(&run).unwrap().iter().map(|view| view.side).collect();
            let loss = Mae::new(&run, 10, &device).unwrap().loss(&inputs(&sides, &device), &step(0));
            (sides.len(), loss.total.into_scalar::<f32>())
        };
        let text = |value: &str| Value::Text(value.to_owned());
        let (views, plain) = loss(&[]);
        assert_eq!(views, 1);
        let (views, other_target) = loss(&[("color_target", text("original"))]);
        assert_eq!(views, 2);
        let cutmix = ("cutmix", Value::Float(1.0));
        let values = [
            plain,
            other_target,
            loss(std::slice::from_ref(&cutmix)).1,
            loss(&[cutmix, ("cutmix_target", text("mixed"))]).1,
            loss(&[("mask_ratio", Value::Float(0.0))]).1,
        ];
        let different: std::collections::BTreeSet<u32> = values.iter().map(|value| value.to_bits()).collect();
        assert!(
            different.len() == values.len() && values.iter().all(|value| value.is_finite()),
            "{values:?}"
        );
    }

    #[test]
    fn what_is_predicted_is_what_the_options_say() {
        use super::super::tests::{inputs, step, tiny_run};
        use crate::experiment::Value;
        let device = Device::flex();
        let text = |value: &str| Value::Text(value.to_owned());
        for (target, mixed) in [("jittered", false), ("jittered", true), ("original", false), ("original", true)] {
            let cutmix_target = if mixed { "mixed" } else { "original" };
            let set = [
                ("method", "cutmix", Value::Float(1.0)),
                ("method", "color_target", text(target)),
                ("method", "cutmix_target", text(cutmix_target)),
            ];
            let run = tiny_run("mae", &set);
            let mae = Mae::new(&run, 10, &device).unwrap();
            let sides: Vec<usize> = Mae::views(&run).unwrap().iter().map(|view| view.side).collect();
            let (batch, step) = (inputs(&sides, &device), step(0));
            let (jittered, own) = (batch.views[0].clone(), batch.views[batch.views.len() - 1].clone());
            let pasted = |images: &Tensor<4>| cutmix(images.clone(), 1.0, 0, &step);
            let expected = if mixed { pasted(&own) } else { own };
            let masks = Masks::random(step.seed, step.step, jittered.dims()[0], 16, 0.75);
            let expected = mae.loss_towards(expected, pasted(&jittered), &masks, None).into_scalar::<f32>();
            assert_eq!(mae.loss(&batch, &step).total.into_scalar::<f32>(), expected, "{target}, {mixed}");
        }
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
            HostTensor::from_tensor(&mae.encoder.encode(crate::vit::gather_tokens(tokens, masks.ids_keep(&device)), None))
        };
        let plain = latent(patches.clone());
        assert_eq!(plain, latent(patches.clone() + noise.clone() * hidden.clone()));
        assert_ne!(plain, latent(patches + noise * (hidden.neg() + 1.0)));
    }
}
