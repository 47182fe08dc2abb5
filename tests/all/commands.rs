//! The commands, as a person types them.

use std::path::Path;
use std::process::Command;

use umbra::experiment::{Stage, Value};
use umbra::run_dir::{EventKind, RunDir};

use crate::support::{UMBRA, complaint, events, output, tiny_flags, tiny_run};

fn run_tiny(data_dir: &Path, more: &[&str]) -> std::process::Output {
    let flags = tiny_flags();
    let mut args = vec![
        "run",
        "mae-vs-scratch",
        "--scale",
        "smoke",
        "--device",
        "cpu",
        "--data-dir",
        data_dir.to_str().unwrap(),
    ];
    args.extend(flags.iter().map(String::as_str));
    args.extend(more);
    output(&args)
}

#[test]
fn a_study_runs_without_a_server_and_prints_its_table() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run_tiny(dir.path(), &["--json"]);
    assert!(ran.status.success(), "{}", complaint(&ran));
    let table: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let finetuned = table["rows"][0]["entries"][0]["values"][0]["value"].as_f64().unwrap();
    assert!((0.0..=100.0).contains(&finetuned), "{table}");
    let psnr = table["rows"][0]["entries"][2]["values"][0]["value"].as_f64().unwrap();
    assert!((5.0..40.0).contains(&psnr), "{table}");

    let again = run_tiny(dir.path(), &[]);
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.contains("From scratch") && text.contains("(n=1)"), "{text}");

    let run = table["rows"][0]["entries"][0]["values"][0]["run"].as_str().unwrap().to_owned();
    let data_dir = dir.path().to_str().unwrap();
    let csv = output(&["export", &run, "--format", "csv", "--data-dir", data_dir]);
    assert!(String::from_utf8(csv.stdout).unwrap().contains("finetune.top1"));
    let model = dir.path().join("model.safetensors");
    let saved = output(&[
        "export",
        &run,
        "--format",
        "safetensors",
        "-o",
        model.to_str().unwrap(),
        "--data-dir",
        data_dir,
    ]);
    assert!(saved.status.success(), "{}", complaint(&saved));
    assert!(
        safetensors::SafeTensors::deserialize(&std::fs::read(&model).unwrap())
            .unwrap()
            .names()
            .contains(&"blocks.0.attn.qkv.weight")
    );

    let before = std::fs::read(dir.path().join("umbra.db")).unwrap().len();
    let indexed = output(&["reindex", "--data-dir", data_dir]);
    assert!(indexed.status.success() && before > 0, "{}", complaint(&indexed));
    let mut flags = tiny_flags();
    flags.extend(["export", "mae-vs-scratch", "--format", "md", "--data-dir", data_dir].map(String::from));
    flags.rotate_right(6);
    let table = output(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(String::from_utf8_lossy(&table.stdout).contains("(n=1)"), "{}", complaint(&table));
}

#[test]
fn lists_are_readable_by_people_and_programs() {
    for command in ["methods", "studies"] {
        let plain = output(&[command]);
        assert!(plain.status.success() && !plain.stdout.is_empty());
        let json = output(&[command, "--json"]);
        serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap();
    }
    let devices: serde_json::Value = serde_json::from_slice(&output(&["devices", "--json"]).stdout).unwrap();
    assert!(devices.as_array().unwrap().iter().any(|d| d["name"] == "cpu"));
}

#[test]
fn claims_are_judged_and_reported_on_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let listed = output(&["claims", "--scale", "smoke", "--data-dir", data_dir]);
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(
        text.contains("NOT ENOUGH DATA mae-beats-scratch") && text.contains("no seed yet (not queued)"),
        "{text}"
    );
    let next = output(&["claims", "next", "rmae-rebuilds-better", "--json", "--data-dir", data_dir]);
    let next: serde_json::Value = serde_json::from_slice(&next.stdout).unwrap();
    assert_eq!(
        (next["study"].as_str(), next["verdict"].as_str()),
        (Some("table1"), Some("not_enough"))
    );
    // Two methods of two seeds, each pretrained and scored.
    assert_eq!(next["next"]["runs"].as_array().unwrap().len(), 8, "{next}");
    refuses(
        &["claims", "next", "nothing", "--data-dir", data_dir],
        &["claim `nothing`", "mae-beats-scratch"],
    );
    let report = dir.path().join("report.html");
    // A bare name is a file of the folder that the command is given in.
    let args = ["export", "report", "--scale", "smoke", "--data-dir", data_dir, "-o", "report.html"];
    let written = crate::support::umbra(&args).current_dir(dir.path()).output().unwrap();
    assert!(written.status.success(), "{}", complaint(&written));
    let text = std::fs::read_to_string(&report).unwrap();
    assert!(
        text.starts_with("<!doctype html>") && text.contains("id=\"mae-vs-scratch-mae-beats-scratch\""),
        "{text}"
    );
}

#[test]
fn bench_measures_speed_and_memory() {
    let ran = output(&[
        "bench", "--method", "mae", "--scale", "smoke", "--batch", "8", "--steps", "4", "--json",
    ]);
    assert!(ran.status.success(), "{}", complaint(&ran));
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    for key in ["images_per_second", "step_ms", "peak_mib"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{report}");
    }
}

#[test]
fn the_loader_is_measured_alone_and_unused_images_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (data_dir, source) = (dir.path().to_str().unwrap(), dir.path().join("images"));
    for class in ["train/a", "train/b", "val/a", "val/b"] {
        std::fs::create_dir_all(source.join(class)).unwrap();
        let image = image::RgbImage::from_pixel(40, 40, image::Rgb([7; 3]));
        (0..4).for_each(|n| image.save(source.join(class).join(format!("{n}.png"))).unwrap());
    }
    let source = source.to_str().unwrap();
    let bench = |more: &[&str]| {
        let args = [
            "data",
            "bench",
            source,
            "--seconds",
            "0.1",
            "--threads",
            "2",
            "--data-dir",
            data_dir,
            "--json",
        ];
        let ran = output(&[&args, more].concat());
        assert!(ran.status.success(), "{}", complaint(&ran));
        serde_json::from_slice::<serde_json::Value>(&ran.stdout).unwrap()
    };
    let kept = bench(&["--batch", "4", "--set", "augment.blur=1"]);
    assert!(
        kept["images_per_second"].as_f64().unwrap() > 0.0 && kept["seconds"].as_f64().unwrap() >= 0.1,
        "{kept}"
    );
    assert_eq!(
        (&kept["kept"], &kept["images"]),
        (&serde_json::json!([40, 40]), &serde_json::json!(8))
    );
    let decoded = bench(&["--batch", "8", "--stage", "finetune", "--image-size", "16", "--decode"]);
    assert_eq!(
        (&decoded["kept"], &decoded["image_size"]),
        (&serde_json::Value::Null, &serde_json::json!(16))
    );
    refuses(
        &["data", "bench", source, "--batch", "9", "--data-dir", data_dir],
        &["--batch 9", "at most 8"],
    );
    refuses(
        &["data", "bench", source, "--batch", "4", "--seconds", "0", "--data-dir", data_dir],
        &["--seconds 0"],
    );

    let removed = |args: &[&str]| String::from_utf8(output(&[&["data", "clean", "--data-dir", data_dir], args].concat()).stdout).unwrap();
    assert!(removed(&[]).starts_with("removed 0 data sets"), "they were just used");
    // The one with blur and the refused ones share theirs: what is kept does not depend on what is done with it.
    assert!(removed(&["--days", "0"]).starts_with("removed 2 data sets"));
}

#[test]
fn images_can_be_looked_at_before_training() {
    let dir = tempfile::tempdir().unwrap();
    let sheet = dir.path().join("sheet.png");
    let looked = output(&[
        "data",
        "inspect",
        "builtin",
        "--contact-sheet",
        sheet.to_str().unwrap(),
        "--data-dir",
        dir.path().to_str().unwrap(),
    ]);
    assert!(looked.status.success(), "{}", complaint(&looked));
    assert!(image::open(&sheet).unwrap().width() > 100);
}

#[test]
fn a_folder_is_told_of_and_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let (root, sheet) = (dir.path().join("pets"), dir.path().join("sheet.png"));
    for (class, shade) in [("cat", 0), ("dog", 200)] {
        std::fs::create_dir_all(root.join(class)).unwrap();
        for n in 0..5 {
            let image = image::RgbImage::from_pixel(32, 32, image::Rgb([shade, n, 0]));
            image.save(root.join(class).join(format!("{n}.png"))).unwrap();
        }
    }
    std::fs::write(root.join("cat/notes.txt"), "none").unwrap();
    let said = |args: &[&str]| {
        let data_dir = ["--data-dir", dir.path().to_str().unwrap()];
        let answer = output(&[args, &data_dir].concat());
        assert!(answer.status.success(), "{}", complaint(&answer));
        String::from_utf8(answer.stdout).unwrap()
    };
    let inspect = [
        "data",
        "inspect",
        root.to_str().unwrap(),
        "--contact-sheet",
        sheet.to_str().unwrap(),
    ];
    let text = said(&inspect);
    for line in [
        "layout         class folders",
        "labels         2 classes",
        "images         8 train, 2 val",
        "duplicates     0",
        "  dog  4  1",
        "passed over    1 files are no images and were passed over: `cat/notes.txt`",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&said(&[&inspect[..], &["--json"]].concat())).unwrap();
    let fingerprint = json["fingerprint"].as_str().unwrap();
    assert!(text.contains(fingerprint));
    assert_eq!(
        json["classes"][1],
        serde_json::json!({ "name": "dog", "images": 5, "train": 4, "val": 1 })
    );
    assert_eq!((&json["kept"][0], &json["mean"][2]), (&32.into(), &0.0.into()));
    let list = said(&["data", "list"]);
    assert!(
        list.contains("builtin") && list.contains(fingerprint) && list.contains(root.to_str().unwrap()),
        "{list}"
    );
}

/// Every mistake is answered by one sentence on the error stream and an exit code of its own.
fn refuses(args: &[&str], words: &[&str]) {
    let answer = output(args);
    let text = complaint(&answer);
    assert!(!answer.status.success(), "{args:?} was accepted");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "{args:?}: {text:?} does not say {word:?}");
    }
}

#[test]
fn mistakes_on_the_command_line_are_answered_by_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let run = |set: &str, words: &[&str]| {
        refuses(
            &["run", "mae-vs-scratch", "--data-dir", data_dir, "--device", "cpu", "--set", set],
            words,
        )
    };
    run("train.epoch=3", &["train.epoch", "no such setting"]);
    run("train.epochs=many", &["train.epochs", "whole number"]);
    run("model.patch_size=5", &["patch_size", "does not divide", "32"]);
    run("method.mask_ratio=1.2", &["mask_ratio", "from 0 to 0.999"]);
    run("train.batch_size=4096", &["batch_size", "larger than the data"]);
    refuses(&["run", "table9", "--data-dir", data_dir], &["table9", "mae-vs-scratch"]);
    refuses(
        &["run", "mae-vs-scratch", "--scale", "huge", "--data-dir", data_dir],
        &["huge", "smoke"],
    );
    refuses(
        &["run", "mae-vs-scratch", "--device", "tpu", "--data-dir", data_dir],
        &["tpu", "cpu"],
    );
    refuses(&["export", "0123456789abcdef", "--data-dir", data_dir], &["0123456789abcdef"]);
    refuses(
        &["data", "inspect", "/no/such/folder", "--data-dir", data_dir],
        &["/no/such/folder"],
    );
    assert!(!dir.path().join("runs").exists(), "a refused request left something behind");
}

#[test]
fn an_open_address_needs_a_token_and_a_used_port_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    refuses(&["serve", "--listen", "0.0.0.0:0", "--data-dir", data_dir], &["UMBRA_TOKEN"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refuses(&["serve", "--listen", &address, "--data-dir", data_dir], &[&address]);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    refuses(
        &["run", "mae-vs-scratch", "--device", "cpu", "--data-dir", "/proc/umbra"],
        &["/proc/umbra"],
    );
    refuses(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "/proc/umbra"], &["/proc/umbra"]);
}

#[test]
fn a_full_disk_ends_the_run_with_the_path_and_nothing_half_written() {
    let root = tempfile::tempdir().unwrap();
    let run = tiny_run(Stage::Pretrain, "mae", None, &[("model", "dim", Value::Int(128))]);
    let dir = RunDir::create(root.path(), &run).unwrap();
    // A limit on the size of files answers a write as a full disk does, with an error in its middle.
    let script = r#"trap '' XFSZ; ulimit -f 200; exec "$0" work "$1""#;
    let worker = Command::new("sh").args(["-c", script, UMBRA]).arg(dir.path()).output().unwrap();
    assert_eq!(worker.status.code(), Some(1), "{}", complaint(&worker));
    let reason = events(&dir).into_iter().find_map(|e| match e.kind {
        EventKind::Failed { reason, causes } => Some(format!("{reason} {causes:?}")),
        _ => None,
    });
    assert!(
        reason.as_deref().is_some_and(|text| text.contains(&*dir.path().to_string_lossy())),
        "{reason:?}"
    );
    assert!(!dir.model_file().exists() && !dir.checkpoints().join("latest").exists());
    let resumed = output(&["work", dir.path().to_str().unwrap()]);
    assert!(resumed.status.success(), "with room again it goes on: {}", complaint(&resumed));
}
