//! Evaluation: the one loop of what is measured without gradients, a batch after another.
//!
//! An [`Accumulator`] adds up; the session brings it its batches, tells progress, listens for a stop and writes checkpoints,
//! so that an evaluation that is killed at any moment and goes on ends with the same bits.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};

use super::checkpoint::{Checkpoint, Checkpoints, Counters};
use super::report::Reporter;
use super::{Ended, Session, first_phase, is_cpu};
use crate::run_dir::EventKind;
use crate::weights::{HostTensor, Weights};

/// Times as long as writing a checkpoint takes that at least pass before the next one; ours. Features of a whole split can be
/// gigabytes.
const REST: u32 = 20;

/// What is added up over batches.
pub trait Accumulator {
    /// What is taken in at once: images, or the number of an epoch.
    type Batch;
    /// A batch with what all passes over it share, such as its images on the device.
    type Ready;

    /// Passes over each batch, each with masks of its own for example.
    fn passes(&self) -> u64 {
        1
    }

    /// Called before the first batch, but not when the evaluation goes on from a checkpoint.
    ///
    /// # Errors
    /// Whatever went wrong; it ends the run.
    fn begin(&mut self, _reporter: &mut Reporter) -> Result<()> {
        Ok(())
    }

    /// Prepares a batch.
    ///
    /// # Errors
    /// Whatever went wrong; it ends the run.
    fn ready(&self, batch: Self::Batch) -> Result<Self::Ready>;

    /// Takes in one pass over a batch. What it adds depends on nothing but the batch, the pass and what was saved.
    ///
    /// # Errors
    /// Whatever went wrong; it ends the run.
    fn add(&mut self, ready: &Self::Ready, pass: u64, reporter: &mut Reporter) -> Result<()>;

    /// Whether the batches that are left would change nothing.
    fn is_done(&self) -> bool {
        false
    }

    /// What was added up so far.
    fn save(&self) -> Sums;

    /// Takes back what [`Accumulator::save`] gave.
    ///
    /// # Errors
    /// Names what is missing or of another size.
    fn restore(&mut self, saved: &Sums) -> Result<(), String>;
}

/// What an evaluation has added up, as a checkpoint keeps it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// By name.
    pub tensors: Weights,
    /// By name.
    pub numbers: BTreeMap<String, Vec<f64>>,
}

impl Sums {
    /// The same with a tensor.
    pub fn with_tensor(mut self, name: &str, tensor: HostTensor) -> Sums {
        self.tensors.insert(name.to_owned(), tensor);
        self
    }

    /// The same with the numbers of all of `parts`, one after another.
    pub fn with<'a, T, const N: usize>(mut self, name: &str, parts: impl IntoIterator<Item = &'a T>) -> Sums
    where
        T: Copy + 'a,
        [f64; N]: From<T>,
    {
        let numbers = parts.into_iter().flat_map(|part| <[f64; N]>::from(*part)).collect();
        self.numbers.insert(name.to_owned(), numbers);
        self
    }

    /// The tensor of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn tensor(&self, name: &str) -> Result<&HostTensor, String> {
        self.tensors.get(name).ok_or_else(|| format!("tensor `{name}` is missing"))
    }

    /// Gives `parts` their numbers back.
    ///
    /// # Errors
    /// If there are more or fewer of them.
    pub fn fill<'a, T, const N: usize>(&self, name: &str, parts: impl IntoIterator<Item = &'a mut T>) -> Result<(), String>
    where
        T: From<[f64; N]> + 'a,
    {
        let mut rest = self.numbers.get(name).map_or(&[][..], Vec::as_slice);
        for part in parts {
            let (first, others) = rest
                .split_first_chunk::<N>()
                .ok_or_else(|| format!("`{name}` has too few numbers"))?;
            (*part, rest) = (T::from(*first), others);
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(format!("`{name}` has too many numbers"))
        }
    }
}

/// A part of an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The folder of its checkpoints.
    pub name: &'static str,
    /// What the run does meanwhile.
    pub phase: &'static str,
    /// Batches in all.
    pub batches: u64,
    /// Images of one pass over a batch.
    pub images: usize,
}

impl Session<'_> {
    /// Goes through all batches from the latest checkpoint of this part, or from the start; `load` opens them from a batch
    /// number on. Stopping takes effect between two passes. A part that has come to its end goes through none again.
    ///
    /// # Errors
    /// A batch that cannot be read, what the accumulator says, a checkpoint that does not fit it or cannot be written.
    pub fn evaluate<A: Accumulator, I: Iterator<Item = Result<A::Batch>>>(
        &mut self,
        part: &Part,
        accumulator: &mut A,
        load: impl FnOnce(u64) -> I,
    ) -> Result<Ended> {
        let checkpoints = self.checkpoints.part(part.name);
        let (passes, resumed) = (accumulator.passes(), take_up(&checkpoints, accumulator)?);
        let (mut step, steps) = (resumed.unwrap_or(0), part.batches * passes);
        if resumed.is_some() && (step == steps || accumulator.is_done()) {
            return Ok(Ended::Done(BTreeMap::new()));
        }
        self.reporter.phase(first_phase(&self.device, part.phase))?;
        if resumed.is_none() {
            accumulator.begin(self.reporter)?;
        }
        self.reporter.begin(step);
        let mut saved = (Instant::now(), Duration::ZERO);
        let mut is_tuned = is_cpu(&self.device);
        let mut batches = load(step / passes);
        while step < steps && !accumulator.is_done() {
            let ready = accumulator.ready(batches.next().context("the batches ended before the evaluation did")??)?;
            for pass in step % passes..passes {
                if self.stop.load(Ordering::Relaxed) {
                    self.save_sums(&checkpoints, accumulator, step)?;
                    return Ok(Ended::Cancelled);
                }
                accumulator.add(&ready, pass, self.reporter)?;
                step += 1;
                let is_last = step == steps || accumulator.is_done();
                let is_time = saved.0.elapsed() >= self.pace.time.max(REST * saved.1);
                if is_last || is_time || self.pace.steps.is_some_and(|every| step.is_multiple_of(every)) {
                    let began = Instant::now();
                    self.save_sums(&checkpoints, accumulator, step)?;
                    saved = (Instant::now(), began.elapsed());
                }
                self.reporter.tick(step, steps, part.images as f64)?;
            }
            if !is_tuned {
                self.end_tuning(step, part.phase)?;
                is_tuned = true;
            }
        }
        Ok(Ended::Done(BTreeMap::new()))
    }

    fn save_sums(&mut self, checkpoints: &Checkpoints, accumulator: &impl Accumulator, step: u64) -> Result<()> {
        let Sums { tensors, numbers } = accumulator.save();
        let bits = |numbers: Vec<f64>| numbers.into_iter().map(f64::to_bits).collect();
        checkpoints.write(&Checkpoint {
            model: tensors,
            optimizer: Weights::new(),
            counters: Counters {
                step,
                // The event of this checkpoint comes next and belongs to it.
                seq: self.reporter.last_seq() + 1,
                sums: numbers.into_iter().map(|(name, numbers)| (name, bits(numbers))).collect(),
                ..Counters::default()
            },
        })?;
        self.reporter.event(EventKind::Checkpoint { step }).map(drop)
    }
}

/// Gives back what the latest checkpoint has; the steps that were done until then.
fn take_up(checkpoints: &Checkpoints, accumulator: &mut impl Accumulator) -> Result<Option<u64>> {
    let Some(saved) = checkpoints.latest()? else {
        return Ok(None);
    };
    let numbers = |bits: Vec<u64>| bits.into_iter().map(f64::from_bits).collect();
    let Counters { step, sums, .. } = saved.counters;
    let sums = Sums {
        tensors: saved.model,
        numbers: sums.into_iter().map(|(name, bits)| (name, numbers(bits))).collect(),
    };
    accumulator
        .restore(&sums)
        .map_err(|e| Error::msg(format!("the checkpoint of step {step} does not fit this run: {e}")))?;
    Ok(Some(step))
}
