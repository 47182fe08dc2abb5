//! The loop, the optimizers and every method of the registry together, on tiny models.

mod evaluation;
mod optimizers;
mod registry;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use super::checkpoint::Checkpoints;
use super::gradients::NamedGradients;
use super::lars::Lars;
use super::learner::{Learner, Learning};
use super::length::{End, Length};
use super::optimizer::{Optimizer, Rule};
use super::report::Reporter;
use super::schedule::Rates;
use super::{At, Course, Ended, Load, Pace, Session, upload};
use crate::data::loader::{Batch, Meter};
use crate::experiment::measure::{self, Measure};
use crate::experiment::settings::TrainSettings;
use crate::experiment::{Request, RunSpec, Scale, Stage, Value, single_run};
use crate::methods::mae::{Mae, masked_mean_square, normalize_patches};
use crate::methods::{self, Inputs, Losses, Masks, Method, MethodVisitor, StepInfo, Trainable, golden, with_method};
use crate::rng::{Purpose, stream};
use crate::run_dir::{Event, EventKind, EventLog, EventReader, LogPosition, RunDir};
use crate::vit::patchify;
use crate::weights::{HostTensor, Weights};

const SIDE: usize = 16;

/// Settings of a tiny run: 6 epochs, batches of 4, no gradient accumulation.
pub(crate) fn settings() -> TrainSettings {
    tiny("mae").section("train").unwrap()
}

/// A tiny pretraining run.
fn tiny(method: &str) -> RunSpec {
    tiny_with(method, &[])
}

/// As [`tiny`], with more settings.
fn tiny_with(method: &str, more: &[(&str, &str, Value)]) -> RunSpec {
    let set = [
        ("data", "image_size", Value::Int(SIDE as i64)),
        ("model", "dim", Value::Int(16)),
        ("model", "depth", Value::Int(1)),
        ("model", "heads", Value::Int(2)),
        ("model", "decoder_dim", Value::Int(16)),
        ("train", "batch_size", Value::Int(4)),
        ("train", "epochs", Value::Int(6)),
        ("train", "base_lr", Value::Float(0.3)),
        ("train", "drop_path", Value::Float(0.0)),
    ];
    let catalog = methods::catalog();
    let request = Request::of(set.iter().chain(more)).fitting(Stage::Pretrain, catalog.get(method).unwrap());
    single_run(Stage::Pretrain, method, &Scale::built_in()[0], &catalog, &request, 5, None).unwrap()
}

/// Batch `step` of made-up images, `size` of them, the same whenever it is asked for.
fn batch(step: u64, size: usize) -> Batch {
    batch_of(step, size, &[SIDE])
}

/// As [`batch`], with views of these sides, which have nothing in common.
fn batch_of(step: u64, size: usize, sides: &[usize]) -> Batch {
    let view = |(nth, side): (usize, &usize)| {
        let noise = StandardNormal.sample_iter(stream(1, Purpose::Builtin, step, nth as u64));
        noise.take(size * 3 * side * side).collect()
    };
    let indices: Vec<u32> = (0..size as u32).collect();
    Batch {
        step,
        epoch: 0,
        labels: indices.iter().map(|i| i % 10).collect(),
        indices,
        views: sides.iter().enumerate().map(view).collect(),
        targets: None,
    }
}

fn info(step: u64, size: usize) -> StepInfo {
    StepInfo {
        seed: 5,
        step,
        steps: 100,
        indices: (0..size as u32).collect(),
    }
}

/// MAE whose masks depend on the image alone, so that they are the same in any batch.
#[derive(Module, Debug)]
struct FixedMasks {
    encoder: Mae,
}

impl Trainable for FixedMasks {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let masks = Masks::for_evaluation(0, &step.indices, (SIDE / 4).pow(2), 0.5);
        let images = inputs.views[0].clone();
        let predicted = self.encoder.reconstruct(images.clone(), &masks).unwrap();
        let hidden = masks.hidden(&images.device());
        Losses::new(
            masked_mean_square(predicted, normalize_patches(patchify(images, 4)), hidden),
            Vec::new(),
        )
    }

    fn depth(&self) -> usize {
        1
    }
}

/// The loss and the weights after a step over parts of one batch, each from one image to before another.
fn after_one_step(parts: &[(usize, usize)]) -> (f64, Weights) {
    let device = Device::flex().autodiff();
    let model = FixedMasks {
        encoder: Mae::new(&tiny("mae"), 10, &device).unwrap(),
    };
    let rule = Rule::Lars(Lars {
        momentum: 0.0,
        trust: None,
    });
    let optimizer = Optimizer::new(rule, &settings(), &model);
    let mut learning = Learning::new(model, optimizer, device.clone());
    let passes = parts.iter().map(|&(from, to)| {
        let inputs = upload(batch(0, 4), &device);
        let views = vec![inputs.views[0].clone().narrow(0, from, to - from)];
        let indices = (from as u32..to as u32).collect();
        (Inputs { views, ..inputs }, StepInfo { indices, ..info(0, 4) })
    });
    let report = learning.step(passes.collect(), Rates::constant(0.5), true).unwrap();
    (report.terms[0].1, learning.save().0)
}

#[test]
fn two_half_batches_make_the_step_of_one_batch() {
    let (whole, halves) = (after_one_step(&[(0, 4)]), after_one_step(&[(0, 2), (2, 4)]));
    assert!((whole.0 - halves.0).abs() < 1e-6);
    for (name, tensor) in &whole.1 {
        golden::assert_close(&halves.1[name], tensor, 1e-5, name);
    }
}

/// A course over made-up images that can ask to stop, or spoil a batch.
struct Toy<'a> {
    learning: Learning<Mae>,
    stop: &'a AtomicBool,
    stop_at: Option<u64>,
    spoil_at: Option<u64>,
}

impl<'a> Toy<'a> {
    fn new(stop: &'a AtomicBool) -> Self {
        let device = Device::flex().autodiff();
        let model = Mae::new(&tiny("mae"), 10, &device).unwrap();
        let optimizer = Optimizer::adamw(&settings(), &model);
        Toy {
            learning: Learning::new(model, optimizer, device),
            stop,
            stop_at: None,
            spoil_at: None,
        }
    }
}

impl Course for Toy<'_> {
    fn learner(&mut self) -> &mut dyn Learner {
        &mut self.learning
    }

    fn inputs(&mut self, mut batch: Batch) -> Inputs {
        if self.spoil_at == Some(batch.step) {
            batch.views[0][0] = f32::INFINITY;
        }
        upload(batch, &self.learning.device())
    }

    fn look(&mut self, at: &At, reporter: &mut Reporter, values: &mut BTreeMap<String, f64>) -> Result<()> {
        if self.stop_at == Some(at.step) {
            self.stop.store(true, Ordering::Relaxed);
        }
        *values.entry("looks".to_owned()).or_default() += 1.0;
        reporter.metric(&curve("looks"), at.step, values["looks"])
    }
}

/// A curve of a test.
pub(crate) const fn curve(name: &'static str) -> Measure {
    Measure { name, ..measure::TRAIN_LR }
}

/// Goes on writing the log of a run directory.
pub(crate) fn reporter(root: &Path) -> Reporter {
    let dir = RunDir::at(root);
    let checkpoints = Checkpoints::at(dir.checkpoints(), 2);
    std::fs::create_dir_all(dir.checkpoints()).unwrap();
    let seq = checkpoints.newest().unwrap().map_or(0, |counters| counters.seq);
    let mut reporter = Reporter::new(EventLog::resume(&dir.events_file(), seq).unwrap(), &dir);
    reporter.event(EventKind::Queued { priority: 0 }).unwrap();
    reporter
}

fn train_in(root: &Path, course: &mut Toy, steps: Option<u64>) -> Result<Ended> {
    let (mut reporter, checkpoints) = (reporter(root), Checkpoints::at(RunDir::at(root).checkpoints(), 2));
    let (stop, device) = (course.stop, Device::flex().autodiff());
    stop.store(false, Ordering::Relaxed);
    let pace = Pace {
        steps,
        time: Duration::from_secs(3600),
    };
    let mut session = Session {
        seed: 5,
        reporter: &mut reporter,
        checkpoints: &checkpoints,
        pace,
        stop,
        device,
    };
    let length = Length {
        epochs: 6,
        batches_per_epoch: 3,
        gradient_accumulation: 2,
        end: End::FULL,
    };
    let load: Load = &mut |first| Ok((Box::new((first..18).map(|step| Ok(batch(step, 4)))), Meter::default()));
    session.train(course, &settings(), length, load)
}

fn metrics(root: &Path) -> Vec<(String, u64, f64)> {
    let events = EventReader::new(&root.join("events.jsonl"))
        .read(&LogPosition::default())
        .unwrap()
        .events;
    let metric = |event: Event| match event.kind {
        EventKind::Metric { name, step, value } => (name != measure::SECONDS.name).then_some((name, step, value)),
        _ => None,
    };
    events.into_iter().filter_map(metric).collect()
}

#[test]
fn a_run_that_was_stopped_and_resumed_equals_one_that_was_not() {
    let (whole, parts, stop) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let mut uninterrupted = Toy::new(&stop);
    let ended = train_in(whole.path(), &mut uninterrupted, Some(4)).unwrap();
    let mut first = Toy {
        stop_at: Some(3),
        ..Toy::new(&stop)
    };
    assert_eq!(train_in(parts.path(), &mut first, None).unwrap(), Ended::Cancelled);
    // As if killed: the steps after the checkpoint of step 4 were done, and are done again.
    let mut second = Toy {
        spoil_at: Some(12),
        ..Toy::new(&stop)
    };
    train_in(parts.path(), &mut second, Some(4)).unwrap_err();
    let mut third = Toy::new(&stop);
    assert_eq!(train_in(parts.path(), &mut third, None).unwrap(), ended);
    assert_eq!(third.learning.save(), uninterrupted.learning.save());
    assert_eq!(metrics(parts.path()), metrics(whole.path()));
    assert_eq!(metrics(whole.path()).iter().filter(|(name, ..)| name == "train/loss").count(), 9);
}

#[test]
fn a_run_that_was_stopped_before_its_first_step_looks_once_all_the_same() {
    let (whole, parts, stop) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), AtomicBool::new(false));
    train_in(whole.path(), &mut Toy::new(&stop), None).unwrap();
    let mut first = Toy {
        stop_at: Some(0),
        ..Toy::new(&stop)
    };
    assert_eq!(train_in(parts.path(), &mut first, None).unwrap(), Ended::Cancelled);
    train_in(parts.path(), &mut Toy::new(&stop), None).unwrap();
    assert_eq!(metrics(parts.path()), metrics(whole.path()));
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_with_the_step_and_every_term() {
    let (dir, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let mut course = Toy {
        spoil_at: Some(2),
        ..Toy::new(&stop)
    };
    let error = train_in(dir.path(), &mut course, None).unwrap_err().to_string();
    assert!(error.contains("at step 2 (loss = NaN)"), "{error}");
}

#[test]
fn a_checkpoint_of_another_shape_is_refused_with_the_name_of_the_tensor() {
    let (dir, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let checkpoints = Checkpoints::at(dir.path().join("checkpoints"), 2);
    let mut course = Toy {
        stop_at: Some(1),
        ..Toy::new(&stop)
    };
    train_in(dir.path(), &mut course, None).unwrap();
    let mut checkpoint = checkpoints.latest().unwrap().unwrap();
    checkpoint.model.insert(
        "decoder.mask_token".to_owned(),
        HostTensor {
            shape: vec![1, 1, 3],
            data: vec![0.0; 3],
        },
    );
    checkpoint.counters.step += 1;
    checkpoints.write(&checkpoint).unwrap();
    let error = train_in(dir.path(), &mut Toy::new(&stop), None).unwrap_err().to_string();
    assert!(
        error.contains("`decoder.mask_token`") && error.contains("[1, 1, 3]") && error.contains("[1, 1, 16]"),
        "{error}"
    );
}

#[test]
fn labels_and_targets_are_uploaded_as_they_are() {
    let mut labeled = batch(0, 2);
    labeled.targets = Some(vec![0.25, 0.75, 1.0, 0.0]);
    let inputs = upload(labeled, &Device::flex().autodiff());
    assert_eq!(inputs.views[0].dims(), [2, 3, SIDE, SIDE]);
    let expected = Tensor::<2>::from_data(TensorData::new(vec![0.25f32, 0.75, 1.0, 0.0], [2, 2]), &Device::flex());
    assert_eq!(inputs.targets.unwrap().into_data(), expected.into_data());
    assert_eq!(inputs.labels.into_data().iter::<i64>().collect::<Vec<_>>(), [0, 1]);
}
