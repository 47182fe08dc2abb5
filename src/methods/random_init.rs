//! No pretraining: an encoder with its first weights, the control of every method.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Inputs, Losses, Method, StepInfo, Trainable, vit_config};
use crate::experiment::schema::Section;
use crate::experiment::{MethodInfo, RunSpec};
use crate::vit::Vit;

/// Only an encoder.
#[derive(Module, Debug)]
pub struct RandomInit {
    encoder: Vit,
}

impl Trainable for RandomInit {
    /// Nothing is learned, so there is nothing to lose: always 0.
    fn loss(&self, inputs: &Inputs, _step: &StepInfo) -> Losses {
        Losses::new(Tensor::zeros([1], &inputs.labels.device()), Vec::new())
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for RandomInit {
    const INFO: MethodInfo = MethodInfo {
        name: "random_init",
        title: "Random init",
        paper: "control",
        summary: "Does not pretrain: later stages start from random weights.",
        options: Section {
            name: "method",
            settings: &[],
        },
        recipe: &[],
        alarms: &[],
        trains: false,
        labels: false,
        reconstructs: false,
        tokens: false,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        Ok(RandomInit {
            encoder: Vit::new(&vit_config(run)?, run.seed, device),
        })
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }
}
