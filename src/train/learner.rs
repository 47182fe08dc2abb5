//! A model together with its optimizer, behind a face that does not depend on the model's type.

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor};

use super::gradients::{NamedGradients, scalar};
use super::optimizer::Optimizer;
use super::schedule::Rates;
use crate::experiment::measure::{self, Measure};
use crate::methods::{Inputs, StepInfo, Trainable};
use crate::weights::{self, Weights};

/// What the loop needs of a model that learns.
pub trait Learner {
    /// One optimizer step over the passes in `batches`, whose gradients are averaged. The losses are
    /// read back, which a GPU must wait for, only if `read` is set.
    ///
    /// # Errors
    /// Whatever the device says went wrong, when it is asked for the losses.
    fn step(&mut self, batches: Vec<(Inputs, StepInfo)>, rates: Rates, read: bool) -> Result<StepReport>;

    /// Every weight under its path, and the optimizer's state.
    fn save(&self) -> (Weights, Weights);

    /// Goes on from what [`Learner::save`] gave after `steps` steps.
    ///
    /// # Errors
    /// Names the tensor that does not fit, with both shapes.
    fn restore(&mut self, steps: u64, model: &Weights, optimizer: &Weights) -> Result<(), String>;

    /// The weights under the names other tools know.
    fn export(&self) -> Weights;
}

/// The losses of one step, by name, the total first under `loss`. Empty if they were not read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Name and value.
    pub terms: Vec<(&'static str, f64)>,
}

impl StepReport {
    /// Says what is wrong with the losses, if they are no numbers.
    ///
    /// # Errors
    /// One sentence with the step and every term.
    pub fn check(&self, step: u64) -> Result<()> {
        if self.terms.iter().all(|(_, value)| value.is_finite()) {
            return Ok(());
        }
        let terms: Vec<String> = self.terms.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        bail!(
            "the loss is no longer a number at step {step} ({}): lower train.base_lr, or limit train.clip_grad_norm",
            terms.join(", ")
        )
    }
}

/// A model and its optimizer.
#[derive(Debug)]
pub struct Learning<T> {
    /// Empty only while a step moves it through the optimizer.
    model: Option<T>,
    optimizer: Optimizer,
    device: Device,
}

impl<T: Trainable> Learning<T> {
    /// Joins them; `device` is where the model is.
    pub fn new(model: T, optimizer: Optimizer, device: Device) -> Self {
        Learning {
            model: Some(model),
            optimizer,
            device,
        }
    }

    /// The model as it is now, which records gradients.
    pub fn model(&self) -> &T {
        self.model.as_ref().expect("the model is put back at the end of every step")
    }

    /// Where the model is.
    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// A copy for evaluation, which records none.
    pub fn evaluated(&self) -> T {
        self.model().valid()
    }

    fn replace(&mut self, change: impl FnOnce(T, &mut Optimizer) -> T) {
        let model = self.model.take().expect("the model is put back at the end of every step");
        self.model = Some(change(model, &mut self.optimizer));
    }
}

impl<T: Trainable> Learner for Learning<T> {
    fn step(&mut self, batches: Vec<(Inputs, StepInfo)>, rates: Rates, read: bool) -> Result<StepReport> {
        let passes = batches.len() as f64;
        let mut report = StepReport::default();
        let mut gradients = NamedGradients::default();
        let (mut last, mut seen) = (None, Vec::new());
        for (inputs, info) in batches {
            let losses = self.model().loss(&inputs, &info);
            gradients.add(NamedGradients::of(self.model(), &losses.total.clone().div_scalar(passes)));
            if read {
                add_means(&mut report, &measure::TRAIN_LOSS, losses.total, passes)?;
                for (measure, term) in losses.terms {
                    add_means(&mut report, measure, term, passes)?;
                }
            }
            seen.extend(losses.seen);
            last = Some(info);
        }
        self.replace(|model, optimizer| {
            let model = optimizer.step(model, gradients, rates);
            match &last {
                Some(info) => model.after_step(info, seen),
                None => model,
            }
        });
        Ok(report)
    }

    fn save(&self) -> (Weights, Weights) {
        (weights::collect(self.model()), self.optimizer.state())
    }

    fn restore(&mut self, steps: u64, model: &Weights, optimizer: &Weights) -> Result<(), String> {
        let restored = weights::restore(self.model().clone(), model)?;
        self.model = Some(restored);
        self.optimizer.restore(steps, optimizer, &self.device)
    }

    fn export(&self) -> Weights {
        weights::to_timm(self.model())
    }
}

fn add_means(report: &mut StepReport, measure: &'static Measure, value: Tensor<1>, passes: f64) -> Result<()> {
    let name = measure.short();
    let value = f64::from(scalar(value)?) / passes;
    match report.terms.iter_mut().find(|(known, _)| *known == name) {
        Some((_, sum)) => *sum += value,
        None => report.terms.push((name, value)),
    }
    Ok(())
}
