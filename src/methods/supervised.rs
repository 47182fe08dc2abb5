//! Supervised training from the start: the finetuning recipe on a random encoder (section 5 of arXiv 2208.04164).
//!
//! The paper's text would apply finetuning's layer decay to the random encoder too; here it is 1 unless set.

use burn::tensor::Device;

use super::classifier::Classifier;
use super::{Method, vit_config};
use crate::experiment::schema::{Literal, Section};
use crate::experiment::settings::{ClassifySettings, TrainSettings};
use crate::experiment::{MethodInfo, RunSpec};
use crate::vit::Vit;

/// The classifier of finetuning, from its first weights.
pub type Supervised = Classifier;

impl Method for Supervised {
    const INFO: MethodInfo = MethodInfo {
        name: "supervised",
        title: "Supervised",
        paper: "arXiv 2208.04164, section 5",
        summary: "Trains encoder and head on labels from the start, with finetuning's recipe.",
        options: Section {
            name: "method",
            settings: &[],
        },
        recipe: &[
            ("train", "warmup_epochs", Literal::Float(5.0)),
            ("train", "base_lr", Literal::Float(1e-3)),
            ("train", "min_lr", Literal::Float(1e-6)),
            ("train", "beta2", Literal::Float(0.999)),
            ("train", "drop_path", Literal::Float(0.1)),
            ("augment", "crop_min", Literal::Float(0.08)),
            ("augment", "rand_augment", Literal::Float(9.0)),
            ("augment", "erase", Literal::Float(0.25)),
        ],
        alarms: &[],
        trains: true,
        labels: true,
        reconstructs: false,
        tokens: false,
    };

    fn new(run: &RunSpec, classes: usize, device: &Device) -> Result<Self, String> {
        let encoder = Vit::new(&vit_config(run)?, run.seed, device);
        let (settings, train) = (run.section::<ClassifySettings>("classify")?, run.section::<TrainSettings>("train")?);
        Ok(Classifier::new(encoder, classes, &settings, train.drop_path, run.seed, device))
    }

    fn encoder(&self) -> &Vit {
        Classifier::encoder(self)
    }
}
