//! Whole runs on the built-in images, in this process.

mod cka;
mod compositions;
mod declared;
mod features;
mod psnr;
mod resume;
mod subset;

use std::fs;
use std::path::Path;

use crate::experiment::{Request, RunSpec, Scale, Stage, Value, single_run, tokenizer_of};
use crate::methods::catalog;
use crate::run_dir::Event;
use crate::weights;
use crate::worker::*;

const TINY: &[(&str, &str, Value)] = &[
    ("data", "train_images", Value::Int(40)),
    ("data", "val_images", Value::Int(20)),
    ("model", "patch_size", Value::Int(8)),
    ("model", "dim", Value::Int(16)),
    ("model", "depth", Value::Int(1)),
    ("model", "heads", Value::Int(2)),
    ("train", "batch_size", Value::Int(10)),
    ("train", "epochs", Value::Int(2)),
];

/// Of the methods that predict tokens; equal runs share it.
const SMALL_TOKENIZER: &[(&str, &str, Value)] = &[
    ("tokenizer", "vocabulary", Value::Int(12)),
    ("tokenizer", "sample", Value::Int(300)),
];

fn run(stage: Stage, method: &str, parent: Option<&RunSpec>, changes: &[(&str, &str, Value)]) -> RunSpec {
    let catalog = catalog();
    let request = Request::of(TINY.iter().chain(changes)).fitting(stage, catalog.get(method).unwrap());
    single_run(stage, method, &Scale::built_in()[0], &catalog, &request, 3, parent).unwrap()
}

fn options() -> WorkOptions {
    WorkOptions::new("cpu", 2, Some(3))
}

/// Carries out a run and returns its outcome and events.
fn carry_out(data_dir: &Path, run: &RunSpec) -> (RunDir, Outcome, Vec<Event>) {
    let dir = RunDir::create(data_dir, run).unwrap();
    let outcome = work(&dir, &options());
    let events = EventReader::new(&dir.events_file()).read(&LogPosition::default()).unwrap().events;
    declared::check(run.stage, &events);
    (dir, outcome, events)
}

fn summaries(events: &[Event]) -> Vec<(&str, f64)> {
    let summary = |event: &'_ Event| matches!(event.kind, EventKind::Summary { .. });
    events
        .iter()
        .filter(|e| summary(e))
        .map(|event| match &event.kind {
            EventKind::Summary { name, value } => (name.as_str(), *value),
            _ => unreachable!("the filter left only summaries"),
        })
        .collect()
}

fn metrics(events: &[Event], wanted: &str) -> Vec<(u64, f64)> {
    events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Metric { name, step, value } if name == wanted => Some((*step, *value)),
            _ => None,
        })
        .collect::<Vec<(u64, f64)>>()
}

fn reason(events: &[Event]) -> String {
    match &events.last().unwrap().kind {
        EventKind::Failed { reason, causes } => format!("{reason}: {}", causes.join(": ")),
        other => panic!("the run did not fail but {other:?}"),
    }
}

#[test]
fn pretraining_finetuning_probing_and_scoring_follow_on_each_other() {
    let root = tempfile::tempdir().unwrap();
    let parent = run(Stage::Pretrain, "mae", None, &[]);
    let (dir, outcome, events) = carry_out(root.path(), &parent);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert_eq!(metrics(&events, "train/loss").len(), 8);
    assert_eq!(summaries(&events)[0].0, "pretrain.loss");
    let images = events
        .iter()
        .filter(|e| matches!(&e.kind, EventKind::Image { file, .. } if dir.images().join(file).is_file()))
        .count();
    assert_eq!(images, 6);
    let (model, _) = weights::read(&dir.model_file()).unwrap();
    assert!(model.contains_key("blocks.0.attn.qkv.weight") && model.contains_key("decoder_pred.weight"));

    let (_, outcome, events) = carry_out(root.path(), &run(Stage::Finetune, "mae", Some(&parent), &[]));
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert_eq!(metrics(&events, "val/top1").iter().map(|m| m.0).collect::<Vec<_>>(), [4, 8]);
    let found = summaries(&events);
    assert_eq!(
        found.iter().map(|s| s.0).collect::<Vec<_>>(),
        ["finetune.top1", "finetune.top1_best"]
    );
    assert_eq!(found[0].1, metrics(&events, "val/top1")[1].1);

    let (_, outcome, events) = carry_out(root.path(), &run(Stage::Probe, "mae", Some(&parent), &[]));
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert_eq!(summaries(&events)[0].0, "probe.top1");

    let (_, outcome, events) = carry_out(root.path(), &run(Stage::Psnr, "mae", Some(&parent), &[]));
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    let found = summaries(&events);
    assert!(
        found.iter().all(|(_, value)| (3.0..60.0).contains(value) || value.abs() < 30.0),
        "{found:?}"
    );
    assert!(events.iter().any(|e| matches!(e.kind, EventKind::Image { .. })));
}

#[test]
fn every_method_goes_through_every_stage_it_has() {
    let root = tempfile::tempdir().unwrap();
    for method in &catalog().methods {
        let parent = run(Stage::Pretrain, method.name, None, SMALL_TOKENIZER);
        if let Some(tokenizer) = tokenizer_of(&parent) {
            let (_, outcome, events) = carry_out(root.path(), &tokenizer);
            assert_eq!(outcome, Outcome::Finished, "tokenizer of {}: {:?}", method.name, events.last());
        }
        let (_, outcome, events) = carry_out(root.path(), &parent);
        assert_eq!(outcome, Outcome::Finished, "{}: {:?}", method.name, events.last());
        for alarm in method.alarms {
            assert!(
                !metrics(&events, &format!("train/{}", alarm.term.short())).is_empty(),
                "{}: {}",
                method.name,
                alarm.term.short()
            );
        }
        let scored = if method.reconstructs { &[Stage::Psnr][..] } else { &[] };
        for stage in [Stage::Finetune, Stage::Probe, Stage::ProbeCached, Stage::Cka].iter().chain(scored) {
            let (_, outcome, events) = carry_out(root.path(), &run(*stage, method.name, Some(&parent), &[]));
            assert_eq!(outcome, Outcome::Finished, "{} {stage}: {:?}", method.name, events.last());
            assert!(
                summaries(&events).iter().all(|(_, value)| value.is_finite()),
                "{} {stage}",
                method.name
            );
        }
    }
}

#[test]
fn a_finetuned_model_starts_from_the_factors_and_the_relative_positions_that_were_pretrained() {
    let root = tempfile::tempdir().unwrap();
    let beits = [
        ("model", "position", Value::Text("relative".to_owned())),
        ("model", "layer_scale", Value::Float(0.1)),
    ];
    let parent = run(Stage::Pretrain, "supervised", None, &beits);
    let (dir, outcome, events) = carry_out(root.path(), &parent);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    let (pretrained, _) = weights::read(&dir.model_file()).unwrap();
    // Without an epoch, what fine-tuning writes is what it starts from.
    let child = run(Stage::Finetune, "supervised", Some(&parent), &[("train", "epochs", Value::Int(0))]);
    let (dir, outcome, events) = carry_out(root.path(), &child);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    let (start, _) = weights::read(&dir.model_file()).unwrap();
    for (name, first) in [
        ("blocks.0.gamma_1", 0.1),
        ("blocks.0.gamma_2", 0.1),
        ("rel_pos_bias.relative_position_bias_table", 0.0),
    ] {
        assert_eq!(start[name], pretrained[name], "{name}");
        assert!(pretrained[name].data.iter().any(|v| *v != first), "{name} did not learn");
    }
    let probe = run(Stage::Probe, "supervised", Some(&parent), &[]);
    let (_, outcome, events) = carry_out(root.path(), &probe);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
}

#[test]
fn a_tokenizer_is_learned_first_and_pretraining_predicts_its_tokens() {
    let root = tempfile::tempdir().unwrap();
    let small = [
        ("tokenizer", "vocabulary", Value::Int(12)),
        ("tokenizer", "sample", Value::Int(300)),
    ];
    let spec = run(Stage::Pretrain, "beit", None, &small);
    let (_, outcome, events) = carry_out(root.path(), &spec);
    assert_eq!(outcome, Outcome::Failed, "there is no tokenizer yet");
    assert!(reason(&events).contains("run.toml"), "{}", reason(&events));

    let tokenizer = tokenizer_of(&spec).unwrap();
    assert_eq!(Some(&tokenizer.id), spec.parent.as_ref());
    let (dir, outcome, events) = carry_out(root.path(), &tokenizer);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    let found = summaries(&events);
    assert_eq!(
        found.iter().map(|s| s.0).collect::<Vec<_>>(),
        ["tokenizer.usage", "tokenizer.perplexity", "tokenizer.psnr"]
    );
    assert!(
        found[0].1 > 0.5 && (2.0..=12.0).contains(&found[1].1) && found[2].1 > 5.0,
        "{found:?}"
    );
    let errors: Vec<f64> = metrics(&events, "train/loss").iter().map(|point| point.1).collect();
    assert!(errors.len() > 1 && errors.last() < errors.first(), "{errors:?}");
    let images = events
        .iter()
        .filter(|e| matches!(&e.kind, EventKind::Image { file, .. } if dir.images().join(file).is_file()));
    assert_eq!(images.count(), 1);

    let (dir, outcome, events) = carry_out(root.path(), &spec);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    let usage = metrics(&events, "train/target_usage");
    assert!(
        !usage.is_empty() && usage.iter().all(|(_, share)| (0.05..=1.0).contains(share)),
        "{usage:?}"
    );
    let (model, _) = weights::read(&dir.model_file()).unwrap();
    assert_eq!(model["pred.weight"].shape, [12, 16]);

    let other = run(Stage::Pretrain, "cae", None, &small);
    assert_eq!(other.parent, spec.parent, "one tokenizer for both");
    let (_, outcome, events) = carry_out(root.path(), &other);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert_eq!(metrics(&events, "train/alignment").len(), 8);

    let (_, outcome, events) = carry_out(root.path(), &run(Stage::Finetune, "beit", Some(&spec), &[]));
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
}

#[test]
fn tokenizers_with_gradients_are_learned_step_by_step_and_go_on_where_they_were() {
    for kind in ["vq", "dvae"] {
        let root = tempfile::tempdir().unwrap();
        let small = [
            ("tokenizer", "kind", Value::Text(kind.to_owned())),
            ("tokenizer", "vocabulary", Value::Int(12)),
            ("tokenizer", "width", Value::Int(32)),
            ("tokenizer", "batch_size", Value::Int(10)),
            ("tokenizer", "epochs", Value::Int(20)),
            ("tokenizer", "lr", Value::Float(0.01)),
        ];
        let spec = tokenizer_of(&run(Stage::Pretrain, "beit", None, &small)).unwrap();
        let (dir, outcome, events) = carry_out(root.path(), &spec);
        assert_eq!(outcome, Outcome::Finished, "{events:?}");
        let errors: Vec<f64> = metrics(&events, "train/mse").iter().map(|point| point.1).collect();
        assert_eq!(errors.len(), 80);
        assert!(errors[79] < 0.7 * errors[0], "{kind}: {} became {}", errors[0], errors[79]);
        let found = summaries(&events);
        assert!(found[0].1 > 0.2 && found[2].1 > 8.0, "{kind}: {found:?}");

        // The events after a checkpoint are cut and the rest is done again, with the same result.
        let (model, _) = weights::read(&dir.model_file()).unwrap();
        let other = tempfile::tempdir().unwrap();
        let again = RunDir::create(other.path(), &spec).unwrap();
        fs::create_dir_all(again.checkpoints()).unwrap();
        let half = fs::read_dir(dir.checkpoints()).unwrap().map(|entry| entry.unwrap().path());
        let half = half.filter(|path| path.is_dir()).min().unwrap();
        let name = half.file_name().unwrap().to_owned();
        fs::create_dir(again.checkpoints().join(&name)).unwrap();
        for file in fs::read_dir(&half).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), again.checkpoints().join(&name).join(file.file_name())).unwrap();
        }
        fs::write(again.checkpoints().join("latest"), name.to_str().unwrap()).unwrap();
        fs::copy(dir.events_file(), again.events_file()).unwrap();
        let events = fs::read_to_string(again.events_file()).unwrap();
        let cut: Vec<&str> = events.lines().filter(|line| !line.contains("\"finished\"")).collect();
        fs::write(again.events_file(), cut.join("\n") + "\n").unwrap();
        assert_eq!(work(&again, &options()), Outcome::Finished);
        let events = EventReader::new(&again.events_file()).read(&LogPosition::default()).unwrap().events;
        let resumed = |event: &Event| {
            matches!(
                event.kind,
                EventKind::Started {
                    resumed_step: Some(78),
                    ..
                }
            )
        };
        assert!(events.iter().any(resumed), "{events:?}");
        assert_eq!(weights::read(&again.model_file()).unwrap().0, model, "{kind}");
    }
}

#[test]
fn a_finished_run_is_left_alone_and_a_held_one_is_refused_without_a_word() {
    let root = tempfile::tempdir().unwrap();
    let spec = run(Stage::Pretrain, "random_init", None, &[]);
    let (dir, outcome, events) = carry_out(root.path(), &spec);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    let before = fs::read(dir.events_file()).unwrap();
    assert_eq!(work(&dir, &options()), Outcome::Finished);
    let lock = Lock::take(dir.path()).unwrap();
    assert_eq!(work(&dir, &options()), Outcome::Held);
    drop(lock);
    assert_eq!(fs::read(dir.events_file()).unwrap(), before);
}

#[test]
fn what_cannot_be_done_fails_with_one_sentence_in_the_log() {
    let root = tempfile::tempdir().unwrap();
    let parent = run(Stage::Pretrain, "random_init", None, &[]);
    let child = run(Stage::Finetune, "random_init", Some(&parent), &[]);
    let (_, outcome, events) = carry_out(root.path(), &child);
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason(&events).contains("run.toml"), "{}", reason(&events));

    let missing = run(
        Stage::Pretrain,
        "random_init",
        None,
        &[("data", "source", Value::Text("/no/such/folder".to_owned()))],
    );
    assert!(reason(&carry_out(root.path(), &missing).2).contains("/no/such/folder"));

    // All of the built-in images, whose number is known only when they are opened.
    let large = run(
        Stage::Pretrain,
        "mae",
        None,
        &[("data", "train_images", Value::Int(0)), ("train", "batch_size", Value::Int(65_536))],
    );
    assert!(reason(&carry_out(root.path(), &large).2).contains("train.batch_size = 65536 is larger than the data"));
}

#[test]
fn a_failed_attempt_is_followed_by_the_next_which_starts_the_work_anew() {
    let root = tempfile::tempdir().unwrap();
    let parent = run(Stage::Pretrain, "random_init", None, &[]);
    let child = run(Stage::Probe, "random_init", Some(&parent), &[]);
    assert_eq!(carry_out(root.path(), &child).1, Outcome::Failed);
    assert_eq!(carry_out(root.path(), &parent).1, Outcome::Finished);
    let (_, outcome, events) = carry_out(root.path(), &child);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    let attempts: Vec<u32> = events
        .iter()
        .filter_map(|e| {
            if let EventKind::Started { attempt, .. } = e.kind {
                Some(attempt)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(attempts, [1, 2]);
}

#[test]
fn a_parent_of_another_shape_is_refused_with_the_name_of_the_tensor() {
    let root = tempfile::tempdir().unwrap();
    let (narrow, wide) = (
        run(Stage::Pretrain, "random_init", None, &[]),
        run(Stage::Pretrain, "random_init", None, &[("model", "dim", Value::Int(32))]),
    );
    let (from, ..) = carry_out(root.path(), &wide);
    let (to, ..) = carry_out(root.path(), &narrow);
    fs::copy(from.model_file(), to.model_file()).unwrap();
    let (_, outcome, events) = carry_out(root.path(), &run(Stage::Finetune, "random_init", Some(&narrow), &[]));
    assert_eq!(outcome, Outcome::Failed);
    let reason = reason(&events);
    assert!(reason.contains("model.safetensors") && reason.contains("tensor `"), "{reason}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let root = tempfile::tempdir().unwrap();
    let spec = run(Stage::Pretrain, "mae", None, &[]);
    let dir = RunDir::create(root.path(), &spec).unwrap();
    // Permissions do not stop a test that runs as root; a file in the way stops everybody.
    fs::write(dir.checkpoints(), "in the way").unwrap();
    let (_, outcome, events) = carry_out(root.path(), &spec);
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason(&events).contains("checkpoints"), "{}", reason(&events));
}
