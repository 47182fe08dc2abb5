//! Every stage on a GPU's code path: OpenGL, which Mesa imitates on any machine with a processor.
//!
//! Without an OpenGL driver, or in a build without GPU backends, the test says so and passes, unless
//! `UMBRA_REQUIRE_GL` is set.

use std::path::{Path, PathBuf};
use std::process::Output;

use umbra::experiment::{RunSpec, Stage, Value};
use umbra::run_dir::{Event, EventKind, RunDir};

use crate::support::{complaint, events, tiny_run, umbra};

/// The shapes of the self-test, so that the driver compiles most kernels only once. Every shape costs a
/// driver without a GPU seconds.
const SHAPES: &[(&str, &str, Value)] = &[
    ("data", "train_images", Value::Int(32)),
    ("data", "val_images", Value::Int(8)),
    ("model", "patch_size", Value::Int(8)),
    ("model", "dim", Value::Int(64)),
    ("model", "heads", Value::Int(2)),
    ("model", "mlp_ratio", Value::Float(1.0)),
    ("model", "decoder_dim", Value::Int(64)),
    ("train", "batch_size", Value::Int(8)),
    ("train", "epochs", Value::Int(3)),
];

fn cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gl-cache")
}

/// A command whose driver keeps compiled kernels beside the build, not in the user's own cache.
fn on_gl(args: &[&str]) -> Output {
    let run = umbra(args)
        .env("XDG_CACHE_HOME", cache())
        .env_remove("UMBRA_SKIP_SELF_TEST")
        .output();
    run.expect("the binary starts")
}

/// Whether the device `gl` is there. If it must be and is not, the test fails.
fn has_gl() -> bool {
    let listed = on_gl(&["devices", "--json"]);
    let devices: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("a list of devices");
    let gl = devices.as_array().unwrap().iter().find(|device| device["name"] == "gl");
    if let Some(gl) = gl {
        eprintln!("runs on {gl}");
        return true;
    }
    let reason = if cfg!(feature = "gpu") {
        "no OpenGL driver answers (Debian: libegl1, libgl1-mesa-dri)"
    } else {
        "this build has no GPU backends"
    };
    assert!(std::env::var_os("UMBRA_REQUIRE_GL").is_none(), "{reason}: {}", complaint(&listed));
    eprintln!("passed over: {reason}");
    false
}

/// Carries out a run of `shapes` on a device and returns its events.
fn work(data_dir: &Path, run: &RunSpec, device: &str) -> Vec<Event> {
    let dir = RunDir::create(data_dir, run).unwrap();
    let worker = on_gl(&["work", dir.path().to_str().unwrap(), "--device", device, "--threads", "2"]);
    assert!(worker.status.success(), "{} on {device}: {}", run.stage, complaint(&worker));
    events(&dir)
}

fn phases(events: &[Event]) -> Vec<&str> {
    let name = |event| match event {
        &Event {
            kind: EventKind::Phase { ref name },
            ..
        } => Some(name.as_str()),
        _ => None,
    };
    events.iter().filter_map(name).collect()
}

/// The values of a metric or a summary, in order.
fn values(events: &[Event], wanted: &str) -> Vec<f64> {
    let value = |event: &Event| match &event.kind {
        EventKind::Metric { name, value, .. } | EventKind::Summary { name, value } if name == wanted => Some(*value),
        _ => None,
    };
    events.iter().filter_map(value).collect()
}

/// Compares what two devices made of the same run.
#[track_caller]
fn near(name: &str, tolerance: f64, gl: &[Event], cpu: &[Event]) {
    let (gl, mut cpu) = (values(gl, name), values(cpu, name));
    assert!(!gl.is_empty(), "{name} was not reported");
    // The CPU reads every loss, a GPU every tenth and the last.
    if name == "train/loss" {
        cpu = vec![cpu[9], cpu[11]];
    }
    assert_eq!(gl.len(), cpu.len(), "{name}");
    for (gl, cpu) in gl.iter().zip(&cpu) {
        assert!((gl - cpu).abs() <= tolerance, "{name}: {gl} on gl, {cpu} on the CPU");
    }
}

#[test]
fn every_stage_runs_through_opengl_and_ends_near_the_cpus_numbers() {
    if !has_gl() {
        return;
    }
    let (on_gl, on_cpu) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let both = |run: &RunSpec| (work(on_gl.path(), run, "gl"), work(on_cpu.path(), run, "cpu"));

    let pretrain = tiny_run(Stage::Pretrain, "mae", None, SHAPES);
    let (gl, cpu) = both(&pretrain);
    let begun = ["checking the GPU against the CPU", "loading", "tuning kernels", "training"];
    assert_eq!(phases(&gl), begun);
    assert_eq!(std::fs::read_dir(on_gl.path().join("self-tests")).unwrap().count(), 1);
    assert!(!on_cpu.path().join("self-tests").exists(), "the CPU needs no comparison");
    near("train/loss", 1e-3, &gl, &cpu);
    assert!(cache().join("cubecl").is_dir(), "tuned kernels are kept");
    assert!(
        values(&gl, "device/memory_mib").iter().any(|mib| *mib > 0.0),
        "the memory is watched"
    );
    assert!(RunDir::of(on_gl.path(), &pretrain.id).model_file().is_file());

    let finetune = tiny_run(Stage::Finetune, "mae", Some(&pretrain), SHAPES);
    let (gl, cpu) = both(&finetune);
    assert_eq!(phases(&gl), begun[1..], "a pass is remembered");
    near("val/loss", 1e-2, &gl, &cpu);

    let probe = tiny_run(Stage::Probe, "mae", Some(&pretrain), SHAPES);
    let (gl, cpu) = both(&probe);
    near("val/loss", 1e-2, &gl, &cpu);

    let rounded: Vec<_> = SHAPES
        .iter()
        .cloned()
        .chain([("train", "precision", Value::Text("f16".to_owned()))])
        .collect();
    let refused = RunDir::create(on_gl.path(), &tiny_run(Stage::Pretrain, "mae", None, &rounded)).unwrap();
    let worker = self::on_gl(&["work", refused.path().to_str().unwrap(), "--device", "gl", "--threads", "2"]);
    assert!(
        !worker.status.success() && complaint(&worker).contains("train.precision"),
        "{}",
        complaint(&worker)
    );

    let psnr = tiny_run(Stage::Psnr, "mae", Some(&pretrain), SHAPES);
    let (gl, cpu) = both(&psnr);
    assert_eq!(phases(&gl), ["loading", "tuning kernels", "evaluating"]);
    for name in ["psnr.masked", "psnr.composite", "psnr.masked_zero"] {
        near(name, 0.05, &gl, &cpu);
    }
}
