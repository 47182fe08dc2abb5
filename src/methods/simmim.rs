//! SimMIM: a simple framework for masked image modeling. arXiv 2111.09886.
//!
//! The encoder reads the whole sequence with a mask token in place of the masked patches, and one linear layer predicts
//! their raw pixels; the loss is their mean absolute error.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::masked_head::MaskedHead;
use super::masking::{Masks, check_ratio, hidden_tensor};
use super::{Inputs, Losses, Method, StepInfo, Trainable, vit_config};
use crate::experiment::choices::Position;
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{MethodInfo, RunSpec};
use crate::section;
use crate::vit::{DropPath, Vit, patchify};

section! {
    /// What SimMIM adds.
    SimmimOptions = "method" {
        /// Share of the squares hidden.
        mask_ratio: f64 = Literal::Float(0.6), Kind::Between { min: 0.0, max: 1.0 }, "SimMIM section 4.1";
        /// Side of the squares that are hidden together, in patches, at most half the grid; the paper's 32 pixels are two
        /// patches of 16.
        mask_unit: usize = Literal::Int(2), Kind::Int { min: 1, max: 64 }, "SimMIM section 4.1";
    }
}

/// Encoder, mask token and head.
#[derive(Module, Debug)]
pub struct Simmim {
    encoder: Vit,
    decoder: MaskedHead,
    #[module(skip)]
    options: SimmimOptions,
    drop_path: f64,
}

impl Trainable for Simmim {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let images = inputs.views[0].clone();
        let [batch, ..] = images.dims();
        let hidden = hidden_tensor(&self.masked(step.seed, step.step, batch), &images.device());
        let predicted = self.predict(images.clone(), hidden.clone(), step.drop_path(self.drop_path, 0).as_ref());
        let target = patchify(images, self.encoder.config().patch_size);
        Losses::new(masked_mean_absolute(predicted, target, hidden), Vec::new())
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for Simmim {
    const INFO: MethodInfo = MethodInfo {
        name: "simmim",
        title: "SimMIM",
        paper: "arXiv 2111.09886",
        summary: "Puts a token in place of hidden squares and predicts their raw pixels with one linear layer.",
        options: SimmimOptions::SECTION,
        // The repository's configuration of ViT-B, `simmim_pretrain__vit_base__img224__800ep.yaml`, whose 1e-4 is at 512
        // images. Its rate falls once, at epoch 700 of 800; here it follows the cosine of every method.
        recipe: &[
            ("model", "position", Position::Relative.literal()),
            ("model", "layer_scale", Value::Float(0.1)),
            ("augment", "crop_scale_min", Value::Float(0.67)),
            ("train", "warmup_epochs", Value::Float(10.0)),
            ("train", "base_lr", Value::Float(5e-5)),
            ("train", "beta2", Value::Float(0.999)),
            ("train", "clip_grad_norm", Value::Float(5.0)),
            ("train", "drop_path", Value::Float(0.1)),
        ],
        alarms: &[],
        trains: true,
        labels: false,
        reconstructs: true,
        tokens: false,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<SimmimOptions>("method")?, run.section::<TrainSettings>("train")?);
        let vit = vit_config(run)?;
        let squares = vit.grid().div_ceil(unit(&options, vit.grid()));
        check_ratio("method.mask_ratio", options.mask_ratio, squares * squares)?;
        Ok(Simmim {
            decoder: MaskedHead::new(vit.dim, vit.patch_values(), run.seed, device),
            encoder: Vit::new(&vit, run.seed, device),
            options,
            drop_path: train.drop_path,
        })
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn mask_token(&self) -> Option<Tensor<3>> {
        Some(self.decoder.mask_token())
    }

    fn reconstruct(&self, images: Tensor<4>, masks: &Masks) -> Option<Tensor<3>> {
        let hidden = masks.hidden(&images.device());
        Some(self.predict(images, hidden, None))
    }
}

impl Simmim {
    /// The masked patches of a batch, `[batch][patches]`: squares, of which those at the far edges may be cut.
    fn masked(&self, seed: u64, step: u64, batch: usize) -> Vec<Vec<bool>> {
        let grid = self.encoder.config().grid();
        let unit = unit(&self.options, grid);
        let squares = grid.div_ceil(unit);
        let coarse = Masks::random(seed, step, batch, squares * squares, self.options.mask_ratio);
        let square = |patch: usize| patch / grid / unit * squares + patch % grid / unit;
        let fine = |mask: &Vec<bool>| (0..grid * grid).map(|patch| mask[square(patch)]).collect();
        coarse.masked.iter().map(fine).collect()
    }

    /// Predicted patches, `[batch, patches, p*p*3]`.
    fn predict(&self, images: Tensor<4>, hidden: Tensor<2>, drop: Option<&DropPath>) -> Tensor<3> {
        self.decoder.predict(self.decoder.encode(&self.encoder, images, hidden, drop))
    }
}

/// Side of a square, in patches.
fn unit(options: &SimmimOptions, grid: usize) -> usize {
    options.mask_unit.min(grid / 2).max(1)
}

/// Mean absolute error over the pixels and channels of the masked patches of the whole batch.
///
/// # Shapes
/// predicted, target: `[batch, patches, values]`; hidden: `[batch, patches]`; output: `[1]`
fn masked_mean_absolute(predicted: Tensor<3>, target: Tensor<3>, hidden: Tensor<2>) -> Tensor<1> {
    let error = (predicted - target).abs().mean_dim(2).squeeze_dim::<2>(2); // [B, N]
    (error * hidden.clone()).sum() / hidden.sum().clamp_min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny_run;
    use super::*;

    #[test]
    fn the_loss_is_the_mean_over_hidden_values_alone() {
        let device = Device::flex();
        let predicted = Tensor::<3>::from_floats([[[1.0, -2.0], [9.0, 9.0], [0.5, 0.0]]], &device);
        let target = Tensor::from_floats([[[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]], &device);
        let hidden = Tensor::from_floats([[1.0, 0.0, 1.0]], &device);
        let loss = masked_mean_absolute(predicted, target, hidden).into_scalar::<f64>();
        assert!((loss - (1.0 + 2.0 + 0.5 + 1.0) / 4.0).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn squares_are_hidden_together_also_where_they_do_not_fit_the_grid() {
        let method = |size: i64| {
            let run = tiny_run("simmim", &[("data", "image_size", crate::experiment::Value::Int(size))]);
            Simmim::new(&run, 10, &Device::flex()).unwrap()
        };
        for mask in method(16).masked(1, 2, 50) {
            for (row, column) in [(0, 0), (0, 2), (2, 0), (2, 2)] {
                let square = [0, 1, 4, 5].map(|offset| mask[row * 4 + column + offset]);
                assert!(square.iter().all(|hidden| *hidden == square[0]), "{mask:?}");
            }
            // 0.6 of four squares, rounded so that at least the share asked for is hidden.
            assert_eq!(mask.iter().filter(|hidden| **hidden).count(), 12);
        }
        assert!(method(28).masked(1, 2, 3).iter().all(|mask| mask.len() == 49));
    }

    #[test]
    fn what_is_hidden_has_no_influence_on_the_prediction() {
        let device = Device::flex();
        let run = tiny_run("simmim", &[]);
        let method = Simmim::new(&run, 10, &device).unwrap();
        let hidden: Tensor<2> = Tensor::from_floats(
            [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0]],
            &device,
        );
        let images = Tensor::<4>::ones([1, 3, 16, 16], &device);
        let noise = crate::vit::unpatchify(hidden.clone().unsqueeze_dim::<3>(2).repeat_dim(2, 48), 4);
        let predict = |images| method.predict(images, hidden.clone(), None).into_data();
        assert_eq!(predict(images.clone()), predict(images.clone() + noise.clone()));
        assert_ne!(predict(images.clone()), predict(images + (noise.neg() + 1.0)));
    }
}
