//! How long the stage `cka` takes for a ViT-Ti on 2000 images of 32 by 32 pixels, nine ratios and three draws of masks, and
//! how much memory: `cargo bench --no-default-features --features cpu --bench cka -- [threads] [tokens]`.
//!
//! `cka_torch.py` does the same work in plain `PyTorch`.

use std::time::Instant;

use umbra::experiment::{Request, RunSpec, Scale, Stage, Value, single_run};
use umbra::methods::catalog;
use umbra::run_dir::RunDir;
use umbra::worker::{Outcome, WorkOptions, work};

fn main() {
    // Cargo adds `--bench` to what is asked for.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let threads = asked.first().map_or(2, |text| text.parse().expect("a number of threads"));
    let tokens = asked.get(1).map_or("mean_patch", String::as_str);
    let root = std::env::temp_dir().join(format!("umbra-bench-cka-{}", std::process::id()));
    let parent = run(Stage::Pretrain, None, tokens);
    let child = run(Stage::Cka, Some(&parent), tokens);
    for spec in [&parent, &child] {
        let dir = RunDir::create(&root, spec).expect("the folder for temporary files can be written");
        let began = Instant::now();
        let outcome = work(&dir, &WorkOptions::new("cpu", threads, None));
        assert_eq!(outcome, Outcome::Finished, "see {}", dir.path().display());
        eprintln!("{}: {:.1} s", spec.stage, began.elapsed().as_secs_f64());
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
        eprintln!("peak memory, {peak}");
    }
    let _ = std::fs::remove_dir_all(&root);
}

/// An encoder of ViT-Ti's size that was not trained, and what compares its features.
fn run(stage: Stage, parent: Option<&RunSpec>, tokens: &str) -> RunSpec {
    let (catalog, scales) = (catalog(), Scale::built_in());
    let scale = scales.iter().find(|scale| scale.name == "cifar").expect("cifar is built in");
    let request = Request::of(&[
        ("data", "source", Value::Text("builtin".to_owned())),
        ("data", "val_images", Value::Int(2000)),
        ("cka", "tokens", Value::Text(tokens.to_owned())),
    ]);
    let method = catalog.get("random_init").expect("the control is a method");
    single_run(stage, "random_init", scale, &catalog, &request.fitting(stage, method), 0, parent).expect("the settings are allowed")
}
