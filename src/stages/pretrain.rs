//! Pretraining: any method of the registry, with images of what it reconstructs on the way.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Error, Result};
use burn::module::Module as _;

use crate::data::Dataset;
use crate::data::loader::Batch;
use crate::data::mix::Mix;
use crate::experiment::Alarm;
use crate::experiment::measure;
use crate::experiment::settings::{SnapshotSettings, TrainSettings};
use crate::methods::{Inputs, Method, MethodVisitor, exported, with_method};
use crate::metrics::knn::Knn;
use crate::metrics::validation::Validation;
use crate::run_dir::RunDir;
use crate::stages::examples::{Gallery, IMAGES};
use crate::stages::parent::Parent;
use crate::stages::subset::Seen;
use crate::stages::{Work, model_file, reading};
use crate::train::learner::{Learner, Learning};
use crate::train::optimizer::Optimizer;
use crate::train::report::Reporter;
use crate::train::{At, Course, EPOCH_LOSS, Ended, upload};
use crate::weights;

/// Validation images whose decibels are followed; the stage `psnr` takes all.
const SCORED: usize = 64;

/// Trains the run's method.
///
/// # Errors
/// Settings that do not fit the data, or anything that stops training.
pub fn run(work: &mut Work) -> Result<Ended> {
    let method = work.run.method.clone();
    with_method(&method, Pretrain(work)).map_err(Error::msg)?
}

struct Pretrain<'a, 'b>(&'a mut Work<'b>);

impl MethodVisitor for Pretrain<'_, '_> {
    type Out = Result<Ended>;

    fn visit<M: Method>(self) -> Result<Ended> {
        let work = self.0;
        let dataset = work.open_data()?;
        let mut model = M::new(work.run, dataset.classes.len(), &work.session.device).map_err(Error::msg)?;
        if M::INFO.tokens {
            let tokenizer = Parent::of(work)?;
            let fit = model.with_tokenizer(&tokenizer.weights);
            model = fit.map_err(|e| Error::msg(format!("{}: {e}", tokenizer.file)))?;
        }
        if M::INFO.trains {
            return train(work, &dataset, model);
        }
        if let Some(knn) = knn(work, &dataset)? {
            let frozen = knn.frozen(model.encoder().valid());
            let Some([voters, questions]) = reading::features(work, &frozen, &dataset, knn.splits(), KNN_BATCH)? else {
                return Ok(Ended::Cancelled);
            };
            work.session.reporter.summary(&measure::KNN_TOP1, knn.vote(&voters, &questions))?;
        }
        model_file::write(work, &dataset, &exported(&model))?;
        Ok(Ended::Done(BTreeMap::new()))
    }
}

fn train<M: Method>(work: &mut Work, dataset: &Dataset, model: M) -> Result<Ended> {
    let train: TrainSettings = work.section("train")?;
    let seen = Seen::of(work, dataset, &train)?;
    seen.warn_of_copies(work, &model)?;
    let knn = knn(work, dataset)?;
    let plan = M::views(work.run).map_err(Error::msg)?;
    let augment = work.augment_views(dataset, &plan)?;
    let mix = if M::INFO.labels {
        Some(Mix::new(&work.section("classify")?, dataset.classes.len()))
    } else {
        None
    };
    let mut load = work.loader(&seen.images, &augment, mix, &train, seen.repeated());
    let optimizer = Optimizer::adamw(&train, &model);
    let galleries = if M::INFO.reconstructs {
        let of = |most: usize| Gallery::of(work, dataset, &augment, most);
        Some((of(IMAGES)?, of(SCORED)?))
    } else {
        None
    };
    let learning = Learning::new(model, optimizer, work.session.device.clone());
    let mut course = PretrainCourse {
        learning,
        galleries,
        knn,
        dir: work.dir.clone(),
        snapshot_every: work.section::<SnapshotSettings>("snapshots")?.every,
    };
    let ended = work.session.train(&mut course, &train, seen.length, &mut load)?;
    if let Ended::Done(values) = &ended {
        model_file::write(work, dataset, &exported(course.learning.model()))?;
        if let Some(loss) = values.get(EPOCH_LOSS) {
            work.session.reporter.summary(&measure::PRETRAIN_LOSS, *loss)?;
        }
        if let Some(top1) = values.get(measure::KNN_TOP1.name) {
            work.session.reporter.summary(&measure::KNN_TOP1, *top1)?;
        }
        seen.report(work)?;
    }
    Ok(ended)
}

/// The neighbors that vote on the way, if the run wants them.
fn knn(work: &Work, dataset: &Dataset) -> Result<Option<Knn>> {
    let validation = Validation {
        split: dataset.val.clone(),
        augment: work.augment(dataset)?,
        batch_size: KNN_BATCH,
        threads: work.loader_threads(),
    };
    Ok(Knn::new(work.section("knn")?, dataset, &validation))
}

/// Images that neighbors are made of at a time; ours.
const KNN_BATCH: usize = 128;

struct PretrainCourse<M> {
    learning: Learning<M>,
    /// The images that are drawn, and those whose decibels are a curve.
    galleries: Option<(Gallery, Gallery)>,
    knn: Option<Knn>,
    dir: RunDir,
    /// Epochs between two copies of the encoder; 0 is none.
    snapshot_every: u64,
}

impl<M: Method> PretrainCourse<M> {
    /// Keeps the encoder as it is after so many epochs. A run that goes on writes the same file again.
    fn keep(&self, epoch: u64) -> Result<()> {
        let path = self.dir.snapshot_file(epoch);
        fs::create_dir_all(self.dir.snapshots()).with_context(|| format!("{}: cannot be made", self.dir.snapshots().display()))?;
        weights::write(&path, &weights::to_timm(self.learning.model().encoder()), &BTreeMap::new())
    }
}

impl<M: Method> Course for PretrainCourse<M> {
    fn learner(&mut self) -> &mut dyn Learner {
        &mut self.learning
    }

    fn alarms(&self) -> &'static [Alarm] {
        M::INFO.alarms
    }

    fn inputs(&mut self, batch: Batch) -> Inputs {
        upload(batch, &self.learning.device())
    }

    fn look(&mut self, at: &At, reporter: &mut Reporter, values: &mut BTreeMap<String, f64>) -> Result<()> {
        if let Some(epoch) = at.epoch.filter(|epoch| self.snapshot_every > 0 && epoch % self.snapshot_every == 0) {
            self.keep(epoch)?;
        }
        if let Some(knn) = &self.knn
            && (at.step == 0 || at.due(knn.every()))
        {
            let encoder = self.learning.evaluated().encoder().clone();
            let top1 = knn.top1(encoder, &self.learning.device())?;
            reporter.metric(&measure::KNN_CURVE, at.step, top1)?;
            values.insert(measure::KNN_TOP1.name.to_owned(), top1);
        }
        let Some((drawn, scored)) = self.galleries.as_ref().filter(|_| shows(at)) else {
            return Ok(());
        };
        let model = self.learning.evaluated();
        drawn.show(&model, &self.dir, at.step, reporter)?;
        match scored.psnr(&model) {
            Some(decibels) => reporter.metric(&measure::VAL_PSNR, at.step, decibels),
            None => Ok(()),
        }
    }
}

/// Images are drawn at the start, at the end, and four times between.
fn shows(at: &At) -> bool {
    const STRETCHES: u64 = 5;
    let stretch = |step: u64| step * STRETCHES / at.steps.max(1);
    at.step == 0 || stretch(at.step) > stretch(at.step - 1)
}

#[cfg(test)]
mod tests {
    use crate::stages::pretrain::*;

    #[test]
    fn images_are_drawn_at_the_start_the_end_and_four_times_between() {
        let shown = |steps: u64| {
            (0..=steps)
                .filter(|step| {
                    shows(&At {
                        step: *step,
                        steps,
                        epoch: None,
                    })
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(100), [0, 20, 40, 60, 80, 100]);
        assert_eq!(shown(2), [0, 1, 2]);
        assert_eq!(shown(0), [0]);
    }
}
