//! R-MAE: masked image modeling as learning features that do not change under occlusion. arXiv 2208.04164, Eq. 8.
//!
//! The same encoder and decoder see an image twice. What they make of the patches masked from the first view `T1`
//! is pulled towards what they make of them from the second view `T2`, which is held to the pixels.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::mae::{masked_mean_square, target_patches};
use super::masked_decoder::{DecoderConfig, MaskedDecoder};
use super::masking::check_ratio;
use super::{Inputs, Losses, Masks, Method, StepInfo, Trainable, vit_config};
use crate::choice;
use crate::experiment::measure;
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{MethodInfo, RunSpec};
use crate::section;
use crate::vit::{DropPath, Vit, VitConfig};

choice! {
    /// What the second view sees.
    SecondView {
        /// Exactly the patches that the first does not.
        Complement = "complement",
        /// An independent draw (dagger).
        Independent = "independent",
        /// The full image (double dagger).
        Full = "full",
    }
}

choice! {
    /// Where the constraint holds.
    ConstraintRegion {
        /// Where the distance is measured.
        Distance = "distance",
        /// On every patch.
        All = "all",
    }
}

section! {
    /// What R-MAE adds.
    RmaeOptions = "method" {
        /// Ratio of the patches masked from the first view.
        mask_ratio: f64 = Literal::Float(0.75), Kind::Between { min: 0.0, max: 1.0 }, "paper section 5";
        /// What the second view sees.
        second_view in SecondView = Complement, "paper Table 1";
        /// Ratio of the patches masked from an independent second view.
        second_mask_ratio: f64 = Literal::Float(0.25), Kind::Between { min: 0.0, max: 1.0 }, "paper Table 1";
        /// Weight of the constraint that holds the second view to the pixels.
        lambda: f64 = Literal::Float(1.0), Kind::Float { min: 0.0, max: 1000.0 }, "paper Eq. 8";
        /// Whether the second view is a fixed target of the first; Eq. 8 stops no gradient.
        detach_target: bool = Literal::Bool(false), Kind::Bool, "ours";
        /// Where the constraint holds.
        constraint_region in ConstraintRegion = Distance, "ours";
        /// Whether each target patch is normalized to mean 0 and deviation 1.
        norm_pix_loss: bool = Literal::Bool(true), Kind::Bool, "paper section 5";
    }
}

/// Encoder and decoder, as MAE's.
#[derive(Module, Debug)]
pub struct Rmae {
    encoder: Vit,
    decoder: MaskedDecoder,
    #[module(skip)]
    options: RmaeOptions,
    drop_path: f64,
}

impl Trainable for Rmae {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let images = inputs.views[0].clone();
        let [batch, ..] = images.dims();
        let patches = self.encoder.config().patches();
        let first = Masks::random(step.seed, step.step, batch, patches, self.options.mask_ratio);
        let second = self.second_masks(&first, step);
        let drops = [0, 1].map(|view| step.drop_path(self.drop_path, view));
        let terms = self.terms(images, [&first, &second], drops.each_ref().map(Option::as_ref));
        Losses::new(
            terms.distance.clone() + terms.constraint.clone() * self.options.lambda,
            vec![(&measure::DISTANCE, terms.distance), (&measure::CONSTRAINT, terms.constraint)],
        )
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for Rmae {
    const INFO: MethodInfo = MethodInfo {
        name: "rmae",
        title: "R-MAE",
        paper: "arXiv 2208.04164, Eq. 8",
        summary: "Pulls what is made of masked patches towards what a second view of the image makes of them.",
        options: RmaeOptions::SECTION,
        recipe: &[("train", "base_lr", Value::Float(3e-4))],
        alarms: &[],
        trains: true,
        labels: false,
        reconstructs: true,
        tokens: false,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<RmaeOptions>("method")?, run.section::<TrainSettings>("train")?);
        let (vit, decoder) = (vit_config(run)?, DecoderConfig::from_run(run)?);
        check_ratio("method.mask_ratio", options.mask_ratio, vit.patches())?;
        if options.second_view == SecondView::Independent {
            check_ratio("method.second_mask_ratio", options.second_mask_ratio, vit.patches())?;
        }
        Ok(Rmae {
            drop_path: train.drop_path,
            ..Rmae::build(&vit, &decoder, options, run.seed, device)
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

/// The two terms of Eq. 8, each `[1]`.
struct Terms {
    distance: Tensor<1>,
    constraint: Tensor<1>,
}

impl Rmae {
    /// Makes the model with MAE's first weights.
    pub fn build(vit: &VitConfig, decoder: &DecoderConfig, options: RmaeOptions, seed: u64, device: &Device) -> Rmae {
        Rmae {
            encoder: Vit::new(vit, seed, device),
            decoder: MaskedDecoder::new(vit, decoder, seed, device),
            options,
            drop_path: 0.0,
        }
    }

    /// What the second view does not see.
    fn second_masks(&self, first: &Masks, step: &StepInfo) -> Masks {
        let (batch, patches) = (first.masked.len(), first.patches());
        match self.options.second_view {
            SecondView::Complement => first.complement(),
            SecondView::Independent => Masks::random_view(1, step.seed, step.step, batch, patches, self.options.second_mask_ratio),
            SecondView::Full => Masks::none(batch, patches),
        }
    }

    /// `mean |d(z1) - d(z2)|²` and `mean |d(z2) - pixels|²` over the patches that the first view does not see and the
    /// second does.
    fn terms(&self, images: Tensor<4>, [first, second]: [&Masks; 2], [drop1, drop2]: [Option<&DropPath>; 2]) -> Terms {
        let device = images.device();
        let target = target_patches(images.clone(), self.encoder.config().patch_size, self.options.norm_pix_loss);
        let predict = |masks, drop| self.decoder.predict(&self.encoder, images.clone(), masks, drop);
        let (d1, d2) = (predict(first, drop1), predict(second, drop2));
        let seen = second.hidden(&device).neg() + 1.0;
        let region = first.hidden(&device) * seen;
        let constrained = match self.options.constraint_region {
            ConstraintRegion::Distance => region.clone(),
            ConstraintRegion::All => region.ones_like(),
        };
        let goal = if self.options.detach_target {
            d2.clone().detach()
        } else {
            d2.clone()
        };
        Terms {
            distance: masked_mean_square(d1, goal, region),
            constraint: masked_mean_square(d2, target, constrained),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::{self, assert_close, gradients};
    use super::*;

    fn options(second_view: SecondView) -> RmaeOptions {
        RmaeOptions {
            mask_ratio: 0.75,
            second_view,
            second_mask_ratio: 0.25,
            lambda: 1.0,
            detach_target: false,
            constraint_region: ConstraintRegion::Distance,
            norm_pix_loss: true,
        }
    }

    fn close(actual: Tensor<1>, expected: &serde_json::Value, tolerance: f64, what: &str) {
        let (actual, expected) = (actual.into_scalar::<f64>(), expected.as_f64().unwrap());
        assert!((actual / expected - 1.0).abs() < tolerance, "{what}: {actual} is not {expected}");
    }

    #[test]
    fn the_losses_and_gradients_of_all_three_variants_are_pytorchs() {
        let golden = golden::load();
        let device = Device::flex().autodiff();
        let (images, first) = (golden.images(&device), golden.masks());
        for (name, second_view, second) in [
            ("rmae", SecondView::Complement, first.complement()),
            ("rmae_dagger", SecondView::Independent, golden.second_masks()),
            ("rmae_double_dagger", SecondView::Full, Masks::none(3, 16)),
        ] {
            let rmae = golden.rmae(options(second_view), &device);
            let terms = rmae.terms(images.clone(), [&first, &second], [None; 2]);
            let expected = &golden.scalars[name];
            close(terms.distance.clone(), &expected["distance"], 1e-5, name);
            close(terms.constraint.clone(), &expected["constraint"], 1e-5, name);
            let gradients = gradients(&rmae, &(terms.distance + terms.constraint).backward());
            let qkv = "blocks.0.attn.qkv.weight";
            let prefix = format!("out.{name}.grad.");
            for (path, expected) in golden.with_prefix(&prefix) {
                assert_eq!(path, qkv);
                assert_close(&gradients[&path], expected, 1e-4, name);
            }
            let squares = gradients.values().flat_map(|g| &g.data).map(|v| f64::from(*v).powi(2));
            let norm = squares.sum::<f64>().sqrt();
            let expected = expected["grad_norm"].as_f64().unwrap();
            assert!((norm / expected - 1.0).abs() < 1e-4, "{name}: the norm is {norm}, not {expected}");
        }
    }

    #[test]
    fn a_detached_target_gets_no_gradient_from_the_distance() {
        let golden = golden::load();
        let device = Device::flex().autodiff();
        let first = golden.masks();
        let norm = |detach_target: bool| {
            let rmae = golden.rmae(
                RmaeOptions {
                    detach_target,
                    ..options(SecondView::Complement)
                },
                &device,
            );
            let terms = rmae.terms(golden.images(&device), [&first, &first.complement()], [None; 2]);
            let gradients = gradients(&rmae, &terms.distance.backward());
            gradients["decoder_pred.bias"].data.iter().map(|v| v.abs()).sum::<f32>()
        };
        // Both branches end in the same bias, so its gradients cancel unless one branch is held fixed.
        assert!(norm(false) < 1e-4 && norm(true) > 1e-2, "{} {}", norm(false), norm(true));
    }

    #[test]
    fn lambda_weighs_the_constraint_which_may_hold_on_every_patch() {
        use super::super::tests::{inputs, step, tiny_run};
        let device = Device::flex();
        let losses = |key: &'static str, value: crate::experiment::Value| {
            let run = tiny_run("rmae", &[("method", key, value)]);
            let losses = Rmae::new(&run, 10, &device).unwrap().loss(&inputs(&[16], &device), &step(0));
            let term = |place: usize| losses.terms[place].1.clone().into_scalar::<f64>();
            [losses.total.into_scalar::<f64>(), term(0), term(1)]
        };
        let [total, distance, constraint] = losses("lambda", crate::experiment::Value::Float(3.0));
        assert!((total / (distance + 3.0 * constraint) - 1.0).abs() < 1e-6);
        let golden = golden::load();
        let (images, first) = (golden.images(&device), golden.masks());
        let all = RmaeOptions {
            constraint_region: ConstraintRegion::All,
            ..options(SecondView::Complement)
        };
        let rmae = golden.rmae(all, &device);
        let found = rmae.terms(images.clone(), [&first, &first.complement()], [None; 2]).constraint;
        let predicted = rmae.reconstruct(images.clone(), &first.complement()).unwrap();
        let difference = predicted - target_patches(images, 4, true);
        let expected = (difference.clone() * difference).mean().into_scalar::<f64>();
        assert!((found.into_scalar::<f64>() / expected - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_image_with_no_common_patch_gives_no_nan() {
        let golden = golden::load();
        let device = Device::flex();
        let rmae = golden.rmae(options(SecondView::Independent), &device);
        let first = golden.masks();
        let terms = rmae.terms(golden.images(&device), [&first, &first], [None; 2]);
        assert_eq!(terms.distance.into_scalar::<f64>(), 0.0);
        assert_eq!(terms.constraint.into_scalar::<f64>(), 0.0);
    }

    #[test]
    fn an_independent_second_view_is_another_draw_with_its_own_ratio() {
        let rmae = golden::load().rmae(options(SecondView::Independent), &Device::flex());
        let step = StepInfo {
            seed: 3,
            step: 5,
            steps: 10,
            indices: vec![0, 1],
        };
        let first = Masks::random(3, 5, 2, 16, 0.75);
        let second = rmae.second_masks(&first, &step);
        assert_eq!(second.keep, 12);
        let common = first.masked[0].iter().zip(&second.masked[0]).filter(|(a, b)| **a && **b).count();
        assert!(common > 0 && second != rmae.second_masks(&first, &StepInfo { step: 6, ..step }));
    }
}
