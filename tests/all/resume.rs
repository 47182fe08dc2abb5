//! A run that is killed and goes on ends with the numbers of one that was never interrupted.

use std::process::{Child, Stdio};
use std::time::Duration;

use umbra::experiment::{RunSpec, Stage, Value, tokenizer_of};
use umbra::methods::METHODS;
use umbra::run_dir::{EventKind, RunDir};

use crate::support::{events, numbers, tiny_run, umbra, wait_for};

const LONG: &[(&str, &str, Value)] = &[("train", "epochs", Value::Int(20))];

fn start(dir: &RunDir) -> Child {
    umbra(&["work", "--threads", "2", "--checkpoint-steps", "7"])
        .arg(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the worker starts")
}

fn finish(dir: &RunDir) {
    let status = start(dir).wait().expect("the worker ends");
    assert!(status.success(), "{status}: {:?}", events(dir).last());
}

fn count(dir: &RunDir, wanted: impl Fn(&EventKind) -> bool) -> usize {
    events(dir).iter().filter(|event| wanted(&event.kind)).count()
}

fn starts(dir: &RunDir) -> usize {
    count(dir, |kind| matches!(kind, EventKind::Started { .. }))
}

fn checkpoints(dir: &RunDir) -> usize {
    count(dir, |kind| matches!(kind, EventKind::Checkpoint { .. }))
}

/// Kills a worker of `dir` that has begun, when there are `after` checkpoints and then `delay` has passed.
fn interrupt(dir: &RunDir, after: usize, delay: Duration) {
    let before = starts(dir);
    let mut worker = start(dir);
    wait_for("a checkpoint", Duration::from_secs(120), || {
        starts(dir) > before && checkpoints(dir) >= after || worker.try_wait().unwrap().is_some()
    });
    std::thread::sleep(delay);
    worker.kill().expect("SIGKILL is sent");
    worker.wait().expect("the worker ends");
}

fn run_in(root: &std::path::Path, parent: &RunSpec, run: &RunSpec, kills: &[(usize, u64)]) -> RunDir {
    let parent_dir = RunDir::create(root, parent).unwrap();
    if parent.id != run.id {
        finish(&parent_dir);
    }
    let dir = RunDir::create(root, run).unwrap();
    for (after, delay) in kills {
        interrupt(&dir, *after, Duration::from_millis(*delay));
    }
    finish(&dir);
    dir
}

fn check(parent: &RunSpec, run: &RunSpec) {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = run_in(whole.path(), parent, run, &[]);
    // As soon as it has begun, right after a checkpoint, and somewhere between two.
    let kills = [(0, 0), (2, 0), (4, 35)];
    let broken = run_in(broken.path(), parent, run, &kills);
    assert_eq!(starts(&broken), kills.len() + 1, "the run ended before it was killed three times");
    assert_eq!(numbers(&whole), numbers(&broken));
    assert_eq!(matrices(&whole), matrices(&broken));
    let model = |dir: &RunDir| std::fs::read(dir.model_file()).ok();
    assert_eq!(model(&whole), model(&broken));
    let has_model = !matches!(run.stage, Stage::Psnr | Stage::Cka | Stage::Compare);
    assert_eq!((model(&whole).is_some(), matrices(&whole).is_empty()), (has_model, has_model));
}

fn matrices(dir: &RunDir) -> Vec<EventKind> {
    let kinds = events(dir).into_iter().map(|event| event.kind);
    kinds.filter(|kind| matches!(kind, EventKind::Matrix { .. })).collect()
}

/// Teachers, centers and whatever else a method keeps are in its checkpoints.
#[test]
fn the_pretraining_of_every_method_killed_at_three_moments_ends_with_the_same_bits() {
    for method in METHODS.iter().filter(|method| method.trains) {
        eprintln!("{}", method.name);
        let run = tiny_run(Stage::Pretrain, method.name, None, LONG);
        check(&tokenizer_of(&run).unwrap_or_else(|| run.clone()), &run);
    }
}

#[test]
fn a_pretraining_on_few_images_with_neighbors_killed_at_three_moments_ends_with_the_same_bits() {
    let few = [
        ("subset", "images", Value::Int(3)),
        ("repeat", "stop", Value::Float(0.9)),
        ("knn", "every", Value::Int(3)),
        ("knn", "images", Value::Int(16)),
    ];
    let run = tiny_run(Stage::Pretrain, "mocov3", None, &[LONG, &few].concat());
    check(&run, &run);
}

#[test]
fn a_finetuning_killed_at_three_moments_ends_with_the_same_bits() {
    let parent = tiny_run(Stage::Pretrain, "random_init", None, &[]);
    let run = tiny_run(Stage::Finetune, "random_init", Some(&parent), LONG);
    check(&parent, &run);
}

#[test]
fn a_probe_killed_at_three_moments_ends_with_the_same_bits() {
    let parent = tiny_run(Stage::Pretrain, "random_init", None, &[]);
    // A step on features takes about a millisecond.
    let run = tiny_run(Stage::Probe, "random_init", Some(&parent), &[("train", "epochs", Value::Int(60))]);
    check(&parent, &run);
}

#[test]
fn evaluations_killed_at_three_moments_end_with_the_same_bits() {
    let parent = tiny_run(Stage::Pretrain, "mae", None, &[("snapshots", "every", Value::Int(1))]);
    let images = |section: &'static str| (section, "batch_size", Value::Int(4));
    let seeds = |section: &'static str| (section, "mask_seeds", Value::Int(20));
    let psnr = [("psnr", "batch_size", Value::Int(1))];
    let cka = [images("cka"), seeds("cka")];
    let compare = [
        images("compare"),
        seeds("compare"),
        ("compare", "ratio", Value::Float(0.5)),
        ("compare", "other_epoch", Value::Int(1)),
    ];
    let cached = [("cached", "epochs", Value::Int(100))];
    for (stage, changes) in [
        (Stage::Psnr, &psnr[..]),
        (Stage::Cka, &cka),
        (Stage::Compare, &compare),
        (Stage::ProbeCached, &cached),
    ] {
        eprintln!("{stage}");
        check(&parent, &tiny_run(stage, "mae", Some(&parent), changes));
    }
}
