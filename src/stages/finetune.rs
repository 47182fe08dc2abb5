//! Fine-tuning: encoder and a new head learn the labels together (methods as in MAE's FINETUNE.md).

use std::collections::BTreeMap;

use anyhow::{Error, Result};

use crate::data::loader::Batch;
use crate::data::mix::Mix;
use crate::experiment::measure::{self, Measure};
use crate::experiment::settings::{ClassifySettings, TrainSettings};
use crate::methods::{Classifier, Inputs};
use crate::metrics::validation::Validation;
use crate::stages::parent::Parent;
use crate::stages::{Work, image_list, model_file};
use crate::train::learner::{Learner, Learning};
use crate::train::length::Length;
use crate::train::optimizer::Optimizer;
use crate::train::report::Reporter;
use crate::train::{At, Course, Ended, upload};

/// Finetunes the parent's encoder.
///
/// Reports `finetune.top1`, that of the last evaluation, and `finetune.top1_best`, which was chosen on the
/// validation split and is for comparison with reports that do so.
///
/// # Errors
/// A parent without a fitting model, settings that do not fit the data, or anything that stops training.
pub fn run(work: &mut Work) -> Result<Ended> {
    let parent = Parent::of(work)?;
    let dataset = work.open_data()?;
    let labeled = image_list::labeled(work, &dataset)?;
    let images = labeled.as_ref().unwrap_or(&dataset.train);
    let (train, settings): (TrainSettings, ClassifySettings) = (work.section("train")?, work.section("classify")?);
    let length = Length::new(&train, images.len()).map_err(Error::msg)?;
    let (augment, device) = (work.augment(&dataset)?, work.session.device.clone());
    let encoder = parent.encoder(work.run, &device)?;
    let model = Classifier::new(encoder, dataset.classes.len(), &settings, train.drop_path, work.run.seed, &device);
    let mix = Mix::new(&settings, dataset.classes.len());
    let mut load = work.loader(images, &augment, Some(mix), &train, None);
    let optimizer = Optimizer::adamw(&train, &model);
    let validation = Validation {
        split: dataset.val.clone(),
        augment,
        batch_size: train.batch_size,
        threads: work.loader_threads(),
    };
    let learning = Learning::new(model, optimizer, device);
    let mut course = FinetuneCourse {
        learning,
        validation,
        eval_every: settings.eval_every,
    };
    let ended = work.session.train(&mut course, &train, length, &mut load)?;
    if let Ended::Done(values) = &ended {
        model_file::write(work, &dataset, &course.learning.export())?;
        summarize(
            [&measure::FINETUNE_TOP1, &measure::FINETUNE_TOP1_BEST],
            values,
            work.session.reporter,
        )?;
        if let Some(labeled) = &labeled {
            work.session.reporter.summary(&measure::FINETUNE_LABELS, labeled.len() as f64)?;
        }
    }
    Ok(ended)
}

/// Reports the accuracies that [`remember`] kept.
pub(super) fn summarize(measures: [&Measure; 2], values: &BTreeMap<String, f64>, reporter: &mut Reporter) -> Result<()> {
    let known = measures
        .into_iter()
        .filter_map(|measure| Some((measure, *values.get(measure.short())?)));
    known.into_iter().try_for_each(|(measure, value)| reporter.summary(measure, value))
}

/// Reports an evaluation and keeps the latest and the best accuracy.
pub(super) fn remember(
    accuracy: crate::metrics::validation::Accuracy,
    at: &At,
    reporter: &mut Reporter,
    values: &mut BTreeMap<String, f64>,
) -> Result<()> {
    reporter.metric(&measure::VAL_TOP1, at.step, accuracy.top1)?;
    reporter.metric(&measure::VAL_LOSS, at.step, accuracy.loss)?;
    values.insert("top1".to_owned(), accuracy.top1);
    let best = values.entry("top1_best".to_owned()).or_insert(accuracy.top1);
    *best = best.max(accuracy.top1);
    Ok(())
}

struct FinetuneCourse {
    learning: Learning<Classifier>,
    validation: Validation,
    eval_every: u64,
}

impl Course for FinetuneCourse {
    fn learner(&mut self) -> &mut dyn Learner {
        &mut self.learning
    }

    fn inputs(&mut self, batch: Batch) -> Inputs {
        upload(batch, &self.learning.device())
    }

    fn look(&mut self, at: &At, reporter: &mut Reporter, values: &mut BTreeMap<String, f64>) -> Result<()> {
        if !at.due(self.eval_every) {
            return Ok(());
        }
        let model = self.learning.evaluated();
        let device = self.learning.device();
        let accuracy = self.validation.classify(|batch| {
            let inputs = upload(batch, &device);
            (model.logits(inputs.views[0].clone()), inputs.labels)
        })?;
        remember(accuracy, at, reporter, values)
    }
}
