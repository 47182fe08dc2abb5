//! Pretraining: any method of the registry, with pictures of what it reconstructs on the way.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Error, Result};

use super::parent::Parent;
use super::pictures::Gallery;
use super::{Work, model_file};
use crate::data::Dataset;
use crate::data::loader::Batch;
use crate::data::mix::Mix;
use crate::experiment::Alarm;
use crate::experiment::settings::{SnapshotSettings, TrainSettings};
use crate::methods::{Inputs, Method, MethodVisitor, exported, with_method};
use crate::run_dir::RunDir;
use crate::train::learner::{Learner, Learning};
use crate::train::length::Length;
use crate::train::optimizer::Optimizer;
use crate::train::report::Reporter;
use crate::train::{At, Course, EPOCH_LOSS, Ended, upload};
use crate::weights;

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
        if !M::INFO.trains {
            model_file::write(work, &dataset, &exported(&model))?;
            return Ok(Ended::Done(BTreeMap::new()));
        }
        train(work, &dataset, model)
    }
}

fn train<M: Method>(work: &mut Work, dataset: &Dataset, model: M) -> Result<Ended> {
    let train: TrainSettings = work.section("train")?;
    let length = Length::new(&train, dataset.train.len()).map_err(Error::msg)?;
    let plan = M::views(work.run).map_err(Error::msg)?;
    let augment = work.augment_views(dataset, &plan)?;
    let mix = if M::INFO.labels {
        Some(Mix::new(&work.section("classify")?, dataset.classes.len()))
    } else {
        None
    };
    let mut load = work.loader(dataset, &augment, mix, &train);
    let optimizer = Optimizer::adamw(&train, &model);
    let gallery = if M::INFO.reconstructs {
        Some(Gallery::of(work, dataset, &augment)?)
    } else {
        None
    };
    let learning = Learning::new(model, optimizer, work.session.device.clone());
    let mut course = PretrainCourse {
        learning,
        gallery,
        dir: work.dir.clone(),
        snapshot_every: work.section::<SnapshotSettings>("snapshots")?.every,
    };
    let ended = work.session.train(&mut course, &train, length, &mut load)?;
    if let Ended::Done(values) = &ended {
        model_file::write(work, dataset, &exported(course.learning.model()))?;
        if let Some(loss) = values.get(EPOCH_LOSS) {
            work.session.reporter.summary("pretrain.loss", *loss)?;
        }
    }
    Ok(ended)
}

struct PretrainCourse<M> {
    learning: Learning<M>,
    gallery: Option<Gallery>,
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

    fn look(&mut self, at: &At, reporter: &mut Reporter, _values: &mut BTreeMap<String, f64>) -> Result<()> {
        if let Some(epoch) = at.epoch.filter(|epoch| self.snapshot_every > 0 && epoch % self.snapshot_every == 0) {
            self.keep(epoch)?;
        }
        match &self.gallery {
            Some(gallery) if shows(at) => gallery.show(&self.learning.evaluated(), &self.dir, at.step, reporter),
            _ => Ok(()),
        }
    }
}

/// Pictures are drawn at the start, at the end, and four times between.
fn shows(at: &At) -> bool {
    const STRETCHES: u64 = 5;
    let stretch = |step: u64| step * STRETCHES / at.steps.max(1);
    at.step == 0 || stretch(at.step) > stretch(at.step - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_drawn_at_the_start_the_end_and_four_times_between() {
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
