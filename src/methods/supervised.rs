//! Supervised training from the start: the fine-tuning recipe on a random encoder (section 5 of arXiv 2208.04164).
//!
//! The paper's text would apply finetuning's layer decay to the random encoder too; here it is 1 unless set.

use burn::tensor::Device;

use super::classifier::Classifier;
use super::masking::check_ratio;
use super::{Method, vit_config};
use crate::experiment::schema::Literal;
use crate::experiment::settings::{ClassifySettings, TrainSettings};
use crate::experiment::{MethodInfo, RunSpec};
use crate::section;
use crate::vit::Vit;

section! {
    /// What supervised training adds to finetuning's recipe.
    SupervisedOptions = "method" {
        /// Ratio of the patches that training leaves out of each image; 0 is none.
        mask_ratio: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 0.999 }, "paper Table 5" before Literal::Float(0.0);
    }
}

/// The classifier of fine-tuning, from its first weights.
pub type Supervised = Classifier;

impl Method for Supervised {
    const INFO: MethodInfo = MethodInfo {
        name: "supervised",
        title: "Supervised",
        paper: "arXiv 2208.04164, section 5",
        summary: "Trains encoder and head on labels from the start, with finetuning's recipe.",
        options: SupervisedOptions::SECTION,
        recipe: &[
            ("train", "warmup_epochs", Literal::Float(5.0)),
            ("train", "base_lr", Literal::Float(1e-3)),
            ("train", "min_lr", Literal::Float(1e-6)),
            ("train", "beta2", Literal::Float(0.999)),
            ("train", "drop_path", Literal::Float(0.1)),
            ("augment", "crop_scale_min", Literal::Float(0.08)),
            ("augment", "rand_augment", Literal::Float(9.0)),
            ("augment", "random_erasing", Literal::Float(0.25)),
        ],
        alarms: &[],
        trains: true,
        labels: true,
        reconstructs: false,
        tokens: false,
    };

    fn new(run: &RunSpec, classes: usize, device: &Device) -> Result<Self, String> {
        let (options, vit): (SupervisedOptions, _) = (run.section("method")?, vit_config(run)?);
        if options.mask_ratio > 0.0 {
            check_ratio("method.mask_ratio", options.mask_ratio, vit.patches())?;
            vit.check_absolute()?;
        }
        let encoder = Vit::new(&vit, run.seed, device);
        let (settings, train) = (run.section::<ClassifySettings>("classify")?, run.section::<TrainSettings>("train")?);
        let classifier = Classifier::new(encoder, classes, &settings, train.drop_path, run.seed, device);
        Ok(classifier.masked(options.mask_ratio))
    }

    fn encoder(&self) -> &Vit {
        Classifier::encoder(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Trainable;
    use super::super::tests::{inputs, step, tiny_run};
    use super::*;
    use crate::experiment::Value;

    #[test]
    fn training_sees_a_part_of_the_patches_another_in_every_step_and_evaluation_all() {
        let device = Device::flex();
        let inputs = inputs(&[16], &device);
        let made = |ratio: f64| {
            let set = [
                ("method", "mask_ratio", Value::Float(ratio)),
                ("train", "drop_path", Value::Float(0.0)),
                ("classify", "head_init", Value::Float(0.5)),
            ];
            <Supervised as Method>::new(&tiny_run("supervised", &set), 10, &device).unwrap()
        };
        let loss = |model: &Supervised, at: u64| model.loss(&inputs, &step(at)).total.into_scalar::<f32>();
        let (whole, part) = (made(0.0), made(0.75));
        assert_eq!(loss(&whole, 0), loss(&whole, 1));
        assert_ne!(loss(&part, 0), loss(&part, 1));
        assert_eq!(loss(&part, 1), loss(&part, 1));
        let scores = |model: &Supervised| model.logits(inputs.views[0].clone()).into_data();
        assert_eq!(scores(&whole), scores(&part));
    }

    #[test]
    fn a_ratio_that_leaves_nothing_and_relative_positions_are_refused() {
        let refused =
            |set: &[(&str, &str, Value)]| <Supervised as Method>::new(&tiny_run("supervised", set), 10, &Device::flex()).unwrap_err();
        let ratio = |ratio: f64| ("method", "mask_ratio", Value::Float(ratio));
        assert!(refused(&[ratio(0.99)]).contains("keeps 0 of 16 patches"));
        let relative = ("model", "position", Value::Text("relative".to_owned()));
        assert!(refused(&[ratio(0.5), relative]).contains("model.position"));
    }
}
