//! Linear probing: how much a linear head reads from a frozen encoder (as in MAE's LINPROBE.md).

use std::collections::BTreeMap;

use anyhow::{Error, Result};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::data::loader::Batch;
use crate::experiment::choices::ProbeOptimizer;
use crate::experiment::measure;
use crate::experiment::settings::{ProbeSettings, TrainSettings};
use crate::methods::classifier::{new_head, soft_cross_entropy};
use crate::methods::{Inputs, Losses, StepInfo, Trainable};
use crate::metrics::batch_norm::BatchNorm;
use crate::metrics::frozen::Frozen;
use crate::metrics::validation::Validation;
use crate::stages::finetune::{remember, summarize};
use crate::stages::parent::Parent;
use crate::stages::{Work, model_file};
use crate::train::lars::{Lars, TRUST};
use crate::train::learner::{Learner, Learning};
use crate::train::length::Length;
use crate::train::optimizer::{Optimizer, Rule};
use crate::train::report::Reporter;
use crate::train::{At, Course, Ended, upload};
use crate::weights::Weights;

/// Standard deviation of the head's first weights; MAE repository.
const HEAD_INIT: f64 = 0.01;

/// Probes the parent's encoder and reports `probe.top1` and `probe.top1_best`.
///
/// # Errors
/// As [`crate::stages::finetune::run`].
pub fn run(work: &mut Work) -> Result<Ended> {
    let parent = Parent::of(work)?;
    let dataset = work.open_data()?;
    let (train, settings): (TrainSettings, ProbeSettings) = (work.section("train")?, work.section("probe")?);
    let length = Length::new(&train, dataset.train.len()).map_err(Error::msg)?;
    let (augment, device) = (work.augment(&dataset)?, work.session.device.clone());
    let encoder = parent.encoder(work.run, &device.clone().inner())?;
    let dim = encoder.config().dim;
    let head = Head {
        head: new_head(dim, dataset.classes.len(), HEAD_INIT, work.run.seed, &device),
    };
    let trust = match settings.optimizer {
        ProbeOptimizer::Lars => Some(TRUST),
        ProbeOptimizer::Sgd => None,
    };
    let optimizer = Optimizer::new(
        Rule::Lars(Lars {
            momentum: settings.momentum,
            trust,
        }),
        &train,
        &head,
    );
    let mut load = work.loader(&dataset.train, &augment, None, &train, None);
    let mut course = ProbeCourse {
        validation: Validation {
            split: dataset.val.clone(),
            augment,
            batch_size: train.batch_size.min(512),
            threads: work.loader_threads(),
        },
        features: Frozen::new(encoder, settings.feature),
        norm: BatchNorm::new(dim, &device.clone().inner()),
        learning: Learning::new(head, optimizer, device),
        eval_every: settings.eval_every,
    };
    let ended = work.session.train(&mut course, &train, length, &mut load)?;
    if let Ended::Done(values) = &ended {
        let mut model = course.learning.export();
        model.extend(course.norm.save());
        model_file::write(work, &dataset, &model)?;
        summarize([&measure::PROBE_TOP1, &measure::PROBE_TOP1_BEST], values, work.session.reporter)?;
    }
    Ok(ended)
}

/// The linear head.
#[derive(Module, Debug)]
pub struct Head {
    head: Linear,
}

impl Head {
    /// # Shapes
    /// features: `[batch, dim]`; output: `[batch, classes]`
    fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        self.head.forward(features)
    }
}

impl Trainable for Head {
    /// Reads normalized features `[batch, dim, 1, 1]` as its only view.
    fn loss(&self, inputs: &Inputs, _step: &StepInfo) -> Losses {
        let features = inputs.views[0].clone();
        let [batch, dim, _, _] = features.dims();
        let logits = self.logits(features.reshape([batch, dim]));
        let [_, classes] = logits.dims();
        let targets = inputs.labels.clone().one_hot::<2>(classes).float();
        Losses::new(soft_cross_entropy(logits, targets), Vec::new())
    }

    fn depth(&self) -> usize {
        0
    }
}

struct ProbeCourse {
    learning: Learning<Head>,
    features: Frozen,
    norm: BatchNorm,
    validation: Validation,
    eval_every: u64,
}

impl Course for ProbeCourse {
    fn learner(&mut self) -> &mut dyn Learner {
        &mut self.learning
    }

    fn inputs(&mut self, batch: Batch) -> Inputs {
        let inputs = upload(batch, &self.learning.device());
        let features = self.norm.train(self.features.of(inputs.views[0].clone()));
        let [batch, dim] = features.dims();
        Inputs {
            views: vec![features.reshape([batch, dim, 1, 1])],
            ..inputs
        }
    }

    fn look(&mut self, at: &At, reporter: &mut Reporter, values: &mut BTreeMap<String, f64>) -> Result<()> {
        if !at.due(self.eval_every) {
            return Ok(());
        }
        let head = self.learning.evaluated();
        let device = self.learning.device();
        let accuracy = self.validation.classify(|batch| {
            let inputs = upload(batch, &device);
            let features = self.norm.evaluate(self.features.of(inputs.views[0].clone()));
            (head.logits(features), inputs.labels)
        })?;
        remember(accuracy, at, reporter, values)
    }

    fn extra(&self) -> Weights {
        self.norm.save()
    }

    fn restore_extra(&mut self, saved: &Weights) -> Result<(), String> {
        self.norm.restore(saved)
    }
}
