//! The stages of a run: each takes a [`Work`], trains or measures, and reports named numbers and images.
//!
//! A file each: `pretrain` trains a method; `finetune`, `probe` and `probe_cached` train on its encoder; `psnr` scores its
//! reconstructions; `cka` compares features of full and of masked images, `compare` those of two encoders; `tokenizer`
//! learns what some methods predict. All share the rest: `parent` (the run one starts from), `model_file`, `image_list` (of a
//! stage that uses a part of the images; `subset` is what that means for pretraining), `reading` (features of whole splits),
//! `examples` (what people see). `features` serves people who want the numbers themselves.

pub mod cka;
pub mod compare;
pub mod examples;
pub mod features;
pub mod finetune;
pub mod image_list;
pub mod model_file;
pub mod parent;
pub mod pretrain;
pub mod probe;
pub mod probe_cached;
pub mod psnr;
pub mod reading;
pub mod subset;
pub mod tokenizer;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use crate::data::augment::Augment;
use crate::data::loader::{EvalLoader, LoaderPlan, TrainLoader, ahead};
use crate::data::mix::Mix;
use crate::data::{self, Dataset, Split};
use crate::experiment::settings::{DataSettings, TrainSettings};
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
        dataset.check_for(self.run)?;
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
            crate::metrics::validation::plain_views()
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

    /// Opens plain views of these batches of images, named by their numbers, from a batch number on.
    fn plain(&self, dataset: &Dataset, split: &Split, batches: Vec<Vec<u32>>) -> Result<impl FnOnce(u64) -> EvalLoader + use<>> {
        let (split, augment, threads) = (split.clone(), self.augment(dataset)?, self.loader_threads());
        Ok(move |first| EvalLoader::of_batches(split, augment, batches, first, threads))
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
