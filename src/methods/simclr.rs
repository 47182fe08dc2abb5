//! SimCLR: A Simple Framework for Contrastive Learning of Visual Representations. arXiv 2002.05709.
//!
//! Each of the `2 * batch` projections must find its image's other view among all others (NT-Xent). With Vision
//! Transformers it is trained by AdamW, as in MoCo v3's comparison (arXiv 2104.02057, section 5), and not by LARS.

use burn::module::Module;
use burn::tensor::Device;

use super::contrast::nt_xent;
use super::duplicates::{excluded, masks_duplicates};
use super::heads::{Head, HeadConfig, width};
use super::pairs::symmetric;
use super::spread::{COLLAPSE, spread};
use super::{BatchNegatives, Inputs, Losses, Method, StepInfo, Trainable, vit_config};
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{MethodInfo, RunSpec, ViewPlan};
use crate::section;
use crate::vit::Vit;

section! {
    /// What SimCLR adds.
    SimClrOptions = "method" {
        /// Temperature of the softmax.
        temperature: f64 = Literal::Float(0.5), Kind::Between { min: 0.0, max: 100.0 }, "SimCLR on CIFAR; 0.1 on ImageNet";
        /// Whether the loss is the sum of the means over either view, twice the mean over all.
        sum_of_views: bool = Literal::Bool(false), Kind::Bool, "SimCLR's paper; its repository sums";
        /// Hidden width of the projector; 0 is 2048, narrowed with an encoder narrower than ViT-S.
        head_hidden: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "SimCLR";
        /// Width of the vectors compared; 0 is 128, narrowed likewise.
        head_out: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "SimCLR";
    }
}

/// Encoder and projector.
#[derive(Module, Debug)]
pub struct SimClr {
    encoder: Vit,
    projector: Head,
    #[module(skip)]
    options: SimClrOptions,
    drop_path: f64,
    masks_duplicates: bool,
}

impl Trainable for SimClr {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let [(first, features), (second, _)] = [0, 1].map(|view| {
            let drop = step.drop_path(self.drop_path, view as u64);
            let features = self.encoder.represent(inputs.views[view].clone(), drop.as_ref());
            (self.projector.forward(features.clone()), features)
        });
        let terms = spread(&features, &first);
        let excluded = excluded(self.masks_duplicates, step, &first.device());
        let mean = nt_xent(first, second, self.options.temperature, excluded);
        let factor = if self.options.sum_of_views { 2.0 } else { 1.0 };
        Losses::new(mean.mul_scalar(factor), terms)
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for SimClr {
    const INFO: MethodInfo = MethodInfo {
        name: "simclr",
        title: "SimCLR",
        paper: "arXiv 2002.05709",
        summary: "Finds an image's other view among all views of the batch.",
        options: SimClrOptions::SECTION,
        recipe: &[
            ("train", "weight_decay", Value::Float(0.1)),
            ("train", "beta2", Value::Float(0.999)),
            ("augment", "crop_scale_min", Value::Float(0.08)),
            ("augment", "color_jitter", Value::Float(0.8)),
            ("augment", "grayscale", Value::Float(0.2)),
        ],
        alarms: COLLAPSE,
        trains: true,
        labels: false,
        reconstructs: false,
        tokens: false,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<SimClrOptions>("method")?, run.section::<TrainSettings>("train")?);
        let config = vit_config(run)?;
        let hidden = width(options.head_hidden, 2048, config.dim);
        let out = width(options.head_out, 128, config.dim);
        // The repository's head: a batch norm after either layer, the last without a shift; here without a scale, too.
        let head = HeadConfig::batch_normed(HeadConfig::widths(2, config.dim, hidden, out), true);
        Ok(SimClr {
            encoder: Vit::new(&config, run.seed, device),
            projector: Head::new("projector", head, run.seed, device),
            options,
            drop_path: train.drop_path,
            masks_duplicates: masks_duplicates(run)?,
        })
    }

    fn views(run: &RunSpec) -> Result<Vec<ViewPlan>, String> {
        Ok(symmetric(run)?.to_vec())
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn negatives(&self) -> BatchNegatives {
        BatchNegatives::Images
    }

    fn normalizes_batch(&self) -> bool {
        self.projector.normalizes_batch()
    }
}

#[cfg(test)]
mod tests {
    use super::super::contrast::tests::assert_is;
    use super::super::tests::{inputs, step, tiny_run};
    use super::*;
    use crate::experiment::Value as Setting;

    #[test]
    fn the_loss_is_nt_xent_of_the_projections_and_its_sum_is_twice_that() {
        let device = Device::flex();
        let model = |sum| {
            let set = [("method", "sum_of_views", Setting::Bool(sum))];
            SimClr::new(&tiny_run("simclr", &set), 10, &device).unwrap()
        };
        let inputs = inputs(&[16, 16], &device);
        let plain = model(false);
        let [z1, z2] = [0, 1].map(|view| plain.projector.forward(plain.encoder.represent(inputs.views[view].clone(), None)));
        let expected = nt_xent(z1, z2, 0.5, None).into_scalar::<f64>();
        assert_is(plain.loss(&inputs, &step(0)).total, expected);
        assert_is(model(true).loss(&inputs, &step(0)).total, 2.0 * expected);
    }
}
