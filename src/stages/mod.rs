//! The stages of a run: each takes a [`Work`], trains or measures, and reports named numbers and images.
//!
//! `pretrain` trains a method, `finetune`, `probe` and `probe_cached` train on its encoder, `psnr` scores its
//! reconstructions, `occlusion` compares features of whole and of masked images by `cka`, `compare` those of two encoders;
//! `tokenizer` learns what some methods predict. `chosen` keeps the list of the images of a stage that uses a part of them,
//! `few` is what that means for pretraining, `frozen` reads features, `knn` lets neighbors vote. `features` serves people who
//! want the numbers themselves.

pub mod cka;
pub mod compare;
pub mod examples;
pub mod features;
pub mod finetune;
pub mod heat;
pub mod image_list;
pub mod model_file;
pub mod parent;
pub mod pretrain;
pub mod probe;
pub mod probe_cached;
pub mod psnr;
pub mod subset;
pub mod tokenizer;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use burn::tensor::{Int, Tensor};

use crate::data::augment::Augment;
use crate::data::loader::{Batch, EvalLoader, LoaderPlan, TrainLoader, ahead};
use crate::data::mix::Mix;
use crate::data::{self, Dataset, Split};
use crate::experiment::settings::{AugmentSettings, DataSettings, TrainSettings};
use crate::experiment::{Described, RunSpec, Stage, ViewPlan};
use crate::run_dir::RunDir;
use crate::train::{Ended, Opened, Session, is_cpu};

/// One attempt at a run.
pub struct Work<'a> {
    /// What is to be done.
    pub run: &'a RunSpec,
    /// Where results go.
    pub dir: &'a RunDir,
    /// Where parents and the image cache are.
    pub data_dir: &'a Path,
    /// Threads for computing.
    pub threads: usize,
    /// Events, checkpoints, device.
    pub session: Session<'a>,
}

/// Carries out the run's stage.
///
/// # Errors
/// One sentence about what is wrong with settings, data, parent or disk, with its causes.
pub fn carry_out(work: &mut Work) -> Result<Ended> {
    match work.run.stage {
        Stage::Tokenizer => tokenizer::run(work),
        Stage::Pretrain => pretrain::run(work),
        Stage::Finetune => finetune::run(work),
        Stage::Probe => probe::run(work),
        Stage::ProbeCached => probe_cached::run(work),
        Stage::Psnr => psnr::run(work),
        Stage::Cka => cka::run(work),
        Stage::Compare => compare::run(work),
    }
}

impl Work<'_> {
    /// A section of the run's settings.
    fn section<T: serde::de::DeserializeOwned + Described>(&self, name: &str) -> Result<T> {
        self.run.section(name).map_err(Error::msg)
    }

    /// Opens the run's images, and passes their warnings on.
    fn open_data(&mut self) -> Result<Dataset> {
        self.session.reporter.phase("loading")?;
        let settings: DataSettings = self.section("data")?;
        let (reporter, mut told) = (&mut *self.session.reporter, Instant::now());
        let mut trouble = None;
        let dataset = data::open(&settings, &self.data_dir.join("cache"), &mut |done, total| {
            if told.elapsed() >= Duration::from_secs(2) {
                told = Instant::now();
                trouble = reporter.phase(&format!("loading images, {} %", 100 * done / total.max(1))).err();
            }
        })?;
        trouble.map_or(Ok(()), Err)?;
        dataset
            .warnings
            .iter()
            .try_for_each(|warning| self.session.reporter.warning(warning.clone()))?;
        Ok(dataset)
    }

    /// Makes the views of `plan` of these images.
    fn augment_views(&self, dataset: &Dataset, plan: &[ViewPlan]) -> Result<Augment> {
        let data: DataSettings = self.section("data")?;
        Ok(Augment::with_views(plan, data.image_size, dataset.mean, dataset.std))
    }

    /// The run's augmentation for these images. Runs without the section only need its plain views.
    fn augment(&self, dataset: &Dataset) -> Result<Augment> {
        let data: DataSettings = self.section("data")?;
        let settings = if self.run.settings.contains_key("augment") {
            self.section("augment")?
        } else {
            plain_views()
        };
        Ok(Augment::new(&settings, data.image_size, dataset.mean, dataset.std))
    }

    /// Threads that make batches while the model computes; on a CPU the model needs most of them.
    fn loader_threads(&self) -> usize {
        if is_cpu(&self.session.device) {
            self.threads.div_ceil(2)
        } else {
            self.threads
        }
    }

    /// Opens batches of these training images from a batch number on; `repeated` is [`LoaderPlan::repeated`].
    fn loader(
        &self,
        split: &Split,
        augment: &Augment,
        mix: Option<Mix>,
        train: &TrainSettings,
        repeated: Option<u64>,
    ) -> impl FnMut(u64) -> Result<Opened> + use<> {
        let (split, augment, seed, threads) = (split.clone(), augment.clone(), self.run.seed, self.loader_threads());
        let (batch_size, epochs) = (train.batch_size, train.epochs);
        move |first_batch| {
            let plan = LoaderPlan {
                seed,
                batch_size,
                epochs,
                repeated,
                first_batch,
                threads,
                ahead: ahead(threads),
            };
            let loader = TrainLoader::new(split.clone(), augment.clone(), mix, plan);
            let meter = loader.meter();
            Ok((Box::new(loader), meter))
        }
    }
}

/// An augmentation that leaves images as they are, for stages that only evaluate.
fn plain_views() -> AugmentSettings {
    let (crop, crop_min) = ("none".to_owned(), 1.0);
    AugmentSettings {
        crop,
        crop_min,
        crop_max: 1.0,
        flip: 0.0,
        jitter: 0.0,
        jitter_saturation: 0.0,
        jitter_strength: 0.0,
        gray: 0.0,
        blur: 0.0,
        solarize: 0.0,
        rand_augment: 0.0,
        erase: 0.0,
    }
}

/// Images to be judged on, often the validation split, and how they are read.
#[derive(Clone, Debug)]
pub struct Validation {
    /// The images.
    pub split: Split,
    /// Makes their plain views.
    pub augment: Augment,
    /// Images at a time.
    pub batch_size: usize,
    /// Threads that read them.
    pub threads: usize,
}

impl Validation {
    /// Plain views of all its images.
    fn batches(&self) -> EvalLoader {
        EvalLoader::new(self.split.clone(), self.augment.clone(), self.batch_size, self.threads)
    }

    /// Top-1 accuracy in percent and mean cross entropy of `logits` over the split.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn classify(&self, mut logits: impl FnMut(Batch) -> (Tensor<2>, Tensor<1, Int>)) -> Result<Accuracy> {
        let (mut right, mut loss, mut count) = (0, 0.0, 0);
        for batch in self.batches() {
            let (logits, labels) = logits(batch?);
            let [images, classes] = logits.dims();
            let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
            let labels: Vec<i64> = labels.into_data().iter::<i64>().collect();
            for (scores, label) in logits.chunks(classes).zip(labels) {
                right += usize::from(best(scores) == label as usize);
                loss += cross_entropy(scores, label as usize);
            }
            count += images;
        }
        Ok(Accuracy {
            top1: 100.0 * right as f64 / count.max(1) as f64,
            loss: loss / count.max(1) as f64,
        })
    }
}

/// How well a classifier does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Images whose best class is the right one, in percent.
    pub top1: f64,
    /// Mean cross entropy.
    pub loss: f64,
}

/// The class with the largest score, the first of equals.
fn best(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best })
}

fn cross_entropy(scores: &[f32], label: usize) -> f64 {
    let largest = f64::from(scores[best(scores)]);
    let sum: f64 = scores.iter().map(|score| (f64::from(*score) - largest).exp()).sum();
    sum.ln() + largest - f64::from(scores[label])
}

#[cfg(test)]
mod tests {
    use crate::stages::*;

    #[test]
    fn the_best_class_is_the_first_of_the_largest() {
        assert_eq!(best(&[0.5, 2.0, -1.0, 2.0]), 1);
        assert_eq!(best(&[f32::NAN, 1.0]), 0);
    }

    #[test]
    fn cross_entropy_does_not_overflow_and_matches_hand_worked_values() {
        assert!((cross_entropy(&[0.0, 0.0, 0.0, 0.0], 2) - 4f64.ln()).abs() < 1e-12);
        assert!((cross_entropy(&[1000.0, 998.0], 0) - (1.0 + (-2f64).exp()).ln()).abs() < 1e-9);
    }
}
