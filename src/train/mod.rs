//! Training and evaluation: the one loop that every stage with gradients goes through, and the one of all that measure.
//!
//! Reading order: this file (the loop), `learner` (a model and its optimizer), `optimizer`, `lars`,
//! `gradients`, `schedule`, `length`, `supply`, `watch`, `checkpoint`, `report`, `evaluation` (the loop without
//! gradients), `self_test` (a GPU against the CPU).

pub mod checkpoint;
pub mod evaluation;
pub mod gradients;
pub mod lars;
pub mod learner;
pub mod length;
pub mod optimizer;
pub mod parameter_group;
pub mod report;
pub mod schedule;
pub mod self_test;
mod supply;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::loader::{Batch, Meter};
use crate::experiment::settings::TrainSettings;
use crate::experiment::{Alarm, measure};
use crate::methods::{Inputs, StepInfo};
use crate::run_dir::EventKind;
use crate::weights::Weights;
use checkpoint::{Checkpoint, Checkpoints, Counters};
use learner::Learner;
use length::Length;
use report::Reporter;
use schedule::{Rates, Schedule};
use supply::Supply;

/// Points that a curve has at most; a point is the mean over the steps since the one before, of which a GPU reads a part.
const CURVE_POINTS: u64 = 500;
/// Steps between two looks at the loss on a GPU, which has to finish its work for each. Curves, the loss of an epoch and
/// alarms know these steps alone there.
const GPU_READ_EVERY: u64 = 10;
/// Steps in which a GPU meets every operation of training: the optimizer has no state yet in the first.
const TUNING_STEPS: u64 = 2;

/// What a stage adds to the loop: the learner, its inputs, and what is measured on the way.
pub trait Course {
    /// The model and its optimizer.
    fn learner(&mut self) -> &mut dyn Learner;

    /// Brings a batch to the device.
    fn inputs(&mut self, batch: Batch) -> Inputs;

    /// Called before the first step and after every step: evaluates, draws images. What must outlast
    /// a restart goes into `values`.
    ///
    /// # Errors
    /// Whatever went wrong; it ends the run.
    fn look(&mut self, at: &At, reporter: &mut Reporter, values: &mut BTreeMap<String, f64>) -> Result<()>;

    /// Where its curves show that training goes wrong.
    fn alarms(&self) -> &'static [Alarm] {
        &[]
    }

    /// Tensors of the stage that belong to a checkpoint beside the learner's.
    fn extra(&self) -> Weights {
        Weights::new()
    }

    /// Takes back what [`Course::extra`] gave.
    ///
    /// # Errors
    /// Names the tensor that is missing.
    fn restore_extra(&mut self, _saved: &Weights) -> Result<(), String> {
        Ok(())
    }
}

/// Where the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The number of epochs done, if the step completed one.
    pub epoch: Option<u64>,
}

impl At {
    /// The place after `step` steps.
    fn of(length: &Length, step: u64) -> At {
        let (steps, epoch) = (length.steps(), length.completed(step));
        At { step, steps, epoch }
    }

    /// Whether nothing comes after.
    pub fn last(&self) -> bool {
        self.step == self.steps
    }

    /// Whether curves have a point here.
    fn on_curve(&self) -> bool {
        self.last() || self.step.is_multiple_of(self.steps.div_ceil(CURVE_POINTS))
    }

    /// Whether an evaluation every `every` epochs is due. The last step always is.
    pub fn due(&self, every: u64) -> bool {
        self.last() || self.epoch.is_some_and(|epoch| epoch % every == 0)
    }
}

/// How a stretch of training or of an evaluation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// All steps are done; what the stage remembered.
    Done(BTreeMap<String, f64>),
    /// Somebody asked to stop; a checkpoint was written.
    Cancelled,
}

/// When checkpoints are written, besides at the end. Neither changes a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// After so many steps.
    pub steps: Option<u64>,
    /// After so long.
    pub time: Duration,
}

/// One attempt at a run, as far as training sees it.
pub struct Session<'a> {
    /// Seed of the run.
    pub seed: u64,
    /// Where events go.
    pub reporter: &'a mut Reporter,
    /// Where checkpoints go.
    pub checkpoints: &'a Checkpoints,
    /// When they do.
    pub pace: Pace,
    /// Set when somebody asks to stop.
    pub stop: &'a AtomicBool,
    /// Where the model is.
    pub device: Device,
}

/// Batches in their order, and what their loader has done.
pub type Opened = (Box<dyn Iterator<Item = Result<Batch>>>, Meter);

/// Opens the batches of the run from a batch number on.
pub type Load<'a> = &'a mut dyn FnMut(u64) -> Result<Opened>;

impl Session<'_> {
    /// Trains from the latest checkpoint, or from the start, to the end.
    ///
    /// # Errors
    /// A loss that is no number, a batch that cannot be read, a checkpoint that does not fit the model or
    /// cannot be written.
    pub fn train(&mut self, course: &mut dyn Course, train: &TrainSettings, length: Length, load: Load) -> Result<Ended> {
        let (steps, schedule) = (length.steps(), Schedule::new(train));
        let images = (train.batch_size * train.gradient_accumulation) as f64;
        let resumed = self.resume(course)?;
        let is_new = resumed.is_none();
        let mut counters = resumed.unwrap_or_default();
        let (first, mut saved_at) = (counters.step, Instant::now());
        let tuned = first + TUNING_STEPS;
        self.reporter.phase(first_phase(&self.device, "training"))?;
        self.reporter.begin(first);
        if is_new {
            course.look(&At::of(&length, 0), self.reporter, &mut counters.values)?;
        }
        let mut supply = Supply::new(load(first * length.gradient_accumulation)?, train.batch_size);
        while counters.step < steps {
            if self.stop.load(Ordering::Relaxed) {
                self.save(course, &mut counters)?;
                return Ok(Ended::Cancelled);
            }
            let rates = schedule.rates(length.scheduled(counters.step));
            self.step(course, &mut supply, &length, rates, &mut counters)?;
            if counters.step == tuned && !is_cpu(&self.device) {
                self.end_tuning(tuned, "training")?;
                supply.begin();
            }
            let at = At::of(&length, counters.step);
            self.log(course.alarms(), &at, rates.lr, &mut counters)?;
            supply.tell(&at, self.reporter)?;
            course.look(&at, self.reporter, &mut counters.values)?;
            let due = self.pace.steps.is_some_and(|every| counters.step.is_multiple_of(every)) || saved_at.elapsed() >= self.pace.time;
            if due || at.last() {
                self.save(course, &mut counters)?;
                saved_at = Instant::now();
            }
            self.reporter.tick(counters.step, steps, images)?;
        }
        if steps == 0 {
            self.save(course, &mut counters)?;
        }
        Ok(Ended::Done(counters.values))
    }

    /// Waits for the GPU, whose work is only asked for until then, and gives back what its trials took.
    fn end_tuning(&mut self, step: u64, phase: &str) -> Result<()> {
        self.device.sync().context("the GPU did not finish its first steps")?;
        self.device.memory_cleanup();
        self.reporter.phase(phase)?;
        self.reporter.begin(step);
        Ok(())
    }

    /// Takes up the latest checkpoint, if there is one.
    fn resume(&mut self, course: &mut dyn Course) -> Result<Option<Counters>> {
        let Some(saved) = self.checkpoints.latest()? else {
            return Ok(None);
        };
        let fit = course.learner().restore(saved.counters.step, &saved.model, &saved.optimizer);
        fit.and_then(|()| course.restore_extra(&saved.model))
            .map_err(|e| Error::msg(format!("the checkpoint of step {} does not fit this run: {e}", saved.counters.step)))?;
        Ok(Some(saved.counters))
    }

    /// One update of the weights.
    fn step(&self, course: &mut dyn Course, supply: &mut Supply, length: &Length, rates: Rates, counters: &mut Counters) -> Result<()> {
        let began = Instant::now();
        let mut passes = Vec::new();
        for _ in 0..length.gradient_accumulation {
            let batch = supply.next()?;
            let info = StepInfo {
                seed: self.seed,
                step: batch.step,
                steps: length.batches(),
                indices: batch.indices.clone(),
            };
            passes.push((course.inputs(batch), info));
        }
        counters.step += 1;
        let read = is_cpu(&self.device) || counters.step.is_multiple_of(GPU_READ_EVERY) || counters.step == length.steps();
        let report = course.learner().step(passes, rates, read)?;
        report.check(counters.step)?;
        if read {
            counters.window.add(&report.terms);
            counters.epoch.add(&report.terms);
        }
        supply.worked(began.elapsed());
        counters.seconds += began.elapsed().as_secs_f64();
        Ok(())
    }

    fn log(&mut self, alarms: &[Alarm], at: &At, lr: f64, counters: &mut Counters) -> Result<()> {
        if at.on_curve() {
            let means = counters.window.take();
            for (name, mean) in &means {
                let term =
                    measure::term(name).with_context(|| format!("the checkpoint has a term `{name}`, which this version does not know"))?;
                self.reporter.metric(term, at.step, *mean)?;
            }
            watch::watch(alarms, at, &means, &mut counters.values, self.reporter)?;
            self.reporter.metric(&measure::TRAIN_LR, at.step, lr)?;
            self.reporter.metric(&measure::SECONDS, at.step, counters.seconds)?;
        }
        if at.epoch.is_some() || at.last() {
            // The last step may follow at once on the end of an epoch, with nothing read in between.
            if let Some((_, mean)) = counters
                .epoch
                .take()
                .into_iter()
                .find(|(name, _)| name == measure::TRAIN_LOSS.short())
            {
                counters.values.insert(EPOCH_LOSS.to_owned(), mean);
            }
        }
        Ok(())
    }

    fn save(&mut self, course: &mut dyn Course, counters: &mut Counters) -> Result<()> {
        // The event of this checkpoint comes next and belongs to it.
        counters.seq = self.reporter.last_seq() + 1;
        let (mut model, optimizer) = course.learner().save();
        model.extend(course.extra());
        self.checkpoints.write(&Checkpoint {
            model,
            optimizer,
            counters: counters.clone(),
        })?;
        self.reporter.event(EventKind::Checkpoint { step: counters.step }).map(drop)
    }
}

/// Under which name the mean loss of the latest epoch is remembered.
pub const EPOCH_LOSS: &str = "epoch_loss";

/// Whether `device` computes at once, so that reading a number costs nothing.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

/// The name of the phase `name` while `device` does such work for the first time: a GPU tries out kernels for it,
/// which can take minutes.
pub fn first_phase(device: &Device, name: &'static str) -> &'static str {
    if is_cpu(device) { name } else { "tuning kernels" }
}

/// Uploads a batch as it is. The tensors record no gradients; mixed with a model's they are constants.
pub fn upload(batch: Batch, device: &Device) -> Inputs {
    let (device, count) = (device.clone().inner(), batch.labels.len());
    let labels: Vec<i64> = batch.labels.iter().map(|&label| i64::from(label)).collect();
    let view = |pixels: Vec<f32>| {
        let side = (pixels.len() / (3 * count)).isqrt(); // Views are square, each with a side of its own.
        Tensor::from_data(TensorData::new(pixels, [count, 3, side, side]), &device)
    };
    let share = |shares: Vec<f32>| {
        let classes = shares.len() / count;
        Tensor::from_data(TensorData::new(shares, [count, classes]), &device)
    };
    Inputs {
        views: batch.views.into_iter().map(view).collect(),
        labels: Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), &device),
        targets: batch.targets.map(share),
    }
}
