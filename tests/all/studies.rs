//! Several studies at once, planned, run and made by a person, as typed on the command line.

use std::path::Path;

use serde_json::Value;

use crate::support::{complaint, output, tiny_flags};

/// A command about studies with settings so small that a run takes a second; every run that has few images has five.
fn tiny(data_dir: &Path, command: &[&str], more: &[&str]) -> std::process::Output {
    let flags = tiny_flags();
    let mut args = command.to_vec();
    args.extend(flags.iter().map(String::as_str));
    args.extend([
        "--set=train.warmup_epochs=0",
        "--set=subset.images=5",
        "--data-dir",
        data_dir.to_str().unwrap(),
    ]);
    args.extend(more);
    output(&args)
}

fn planned(data_dir: &Path, more: &[&str]) -> Value {
    let ran = tiny(data_dir, &["studies", "plan"], &[more, &["--json"]].concat());
    assert!(ran.status.success(), "{}", complaint(&ran));
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn studies_are_planned_and_run_together() {
    let dir = tempfile::tempdir().unwrap();
    let all = planned(dir.path(), &["--all"]);
    let names: Vec<&str> = all["studies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "table1", "table2", "table3", "table4", "table5", "table6", "table7", "table8", "figure1"
        ]
    );
    let total = |plan: &Value, key: &str| plan["total"][key].as_u64().unwrap();
    let sum: u64 = all["studies"].as_array().unwrap().iter().map(|s| s["runs"].as_u64().unwrap()).sum();
    assert!(total(&all, "runs") < sum && total(&all, "shared") > 0, "{all}");
    assert_eq!(
        (total(&all, "finished"), total(&all, "unknown")),
        (0, total(&all, "runs")),
        "nothing ran yet"
    );
    assert!(!dir.path().join("umbra.db").exists(), "a plan makes nothing");

    // A cut of `run --all`: two of the tables, one with and one without a number of pretraining.
    let ran = tiny(dir.path(), &["run", "table3", "table7"], &["--device", "cpu", "--json"]);
    assert!(ran.status.success(), "{}", complaint(&ran));
    let tables: Value = serde_json::from_slice(&ran.stdout).unwrap();
    for (table, rows) in tables.as_array().unwrap().iter().zip([4, 3]) {
        let entries = table["rows"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row["entries"].as_array().unwrap());
        let filled: Vec<bool> = entries.map(|entry| entry["values"].as_array().unwrap().len() == 1).collect();
        assert!(filled.len() >= rows && filled.iter().all(|filled| *filled), "{table}");
    }

    let after = planned(dir.path(), &["--all"]);
    assert_eq!(total(&after, "finished"), 14, "{after}");
    assert_eq!(total(&planned(dir.path(), &["table3", "table7"]), "finished"), 14);
    let known = total(&after, "runs") - total(&after, "finished") - total(&after, "unknown");
    assert!(known > 0 && after["total"]["seconds"].as_f64().unwrap() > 0.0, "{after}");
    let more = planned(dir.path(), &["table7", "--seeds", "2"]);
    assert_eq!(
        more["bases"],
        serde_json::json!({ "same_settings": 6 }),
        "another seed takes as long"
    );
}

#[test]
fn a_kept_speed_is_what_a_plan_expects_before_anything_ran() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let bench = [
        "bench",
        "--scale",
        "smoke",
        "--batch",
        "4",
        "--steps",
        "3",
        "--keep",
        "--data-dir",
        data_dir,
        "--set=model.dim=16",
    ];
    let ran = output(&bench);
    assert!(ran.status.success(), "{}", complaint(&ran));
    let plan = planned(dir.path(), &["table7"]);
    assert_eq!(plan["bases"], serde_json::json!({ "speed": 3 }), "{plan}");
    assert_eq!(plan["total"]["unknown"], 3, "the finetunings: supervised training was not measured");
}

#[test]
fn a_persons_own_study_is_listed_and_a_broken_one_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("studies");
    std::fs::create_dir(&folder).unwrap();
    let mine = "name = \"mine\"\ntitle = \"Mine\"\nsummary = \"Why?\"\n[[column]]\nid = \"psnr\"\ntitle = \"PSNR\"\nstage = \"psnr\"\nmeasure = \"psnr.composite\"\n[[row]]\nid = \"mae\"\ntitle = \"MAE\"\nmethod = \"mae\"\n";
    std::fs::write(folder.join("mine.toml"), mine).unwrap();
    std::fs::write(folder.join("broken.toml"), "name = 1\n").unwrap();
    let listed = output(&["studies", "--json", "--data-dir", dir.path().to_str().unwrap()]);
    let json: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let names: Vec<&str> = json["studies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"table1") && names.last() == Some(&"mine"), "{names:?}");
    assert!(complaint(&listed).contains("broken.toml, line 1"), "{}", complaint(&listed));
    assert_eq!(planned(dir.path(), &["mine"])["total"]["runs"], 2);
    let unknown = tiny(dir.path(), &["studies", "plan", "yours"], &[]);
    assert!(
        complaint(&unknown).contains("it must be one of") && complaint(&unknown).contains("mine"),
        "{}",
        complaint(&unknown)
    );
}
