//! Keys of built-in runs as they were first made: what somebody has is found under its key for ever.

use super::*;

/// Scale, row and column of the study `methods`, and the id of its run at seed 0. Those of `smoke` are of its 6 epochs.
const PINNED: &[(&str, &str, &str, &str)] = &[
    ("smoke", "mae", "finetune", "6d4c192e2436cdfd"),
    ("smoke", "mae", "probe", "b246f9a14eed779c"),
    ("smoke", "mae", "psnr", "f2585ca37155aa7d"),
    ("quick", "scratch", "finetune", "dd0d3bcffe8c34c6"),
    ("quick", "cmae", "probe", "cfe14f55444d61cb"),
    ("laptop", "rmae_dagger", "psnr", "7e8aee0fa0230ec3"),
    ("laptop", "beit", "finetune", "c9f404cdcbca8d4b"),
    ("cifar", "mae", "finetune", "92cd9527500cfbc5"),
    ("cifar", "dino", "probe", "f26171c3c4bcd759"),
    ("cifar", "supervised", "finetune", "8e7404e77025fe14"),
];

#[test]
fn new_settings_leave_the_keys_of_runs_made_before() {
    // The key of a run counts in those of its children, so these hold the keys of pretrainings and tokenizers too.
    let study = Study::built_in().into_iter().find(|study| study.name == "methods").unwrap();
    for (scale, row, column, id) in PINNED {
        let scale = Scale::built_in().into_iter().find(|known| known.name == *scale).unwrap();
        // The scale had as many images when these runs were made.
        let then = [("data", "train_images", Value::Int(10_000))];
        let request = if scale.name == "quick" {
            Request::of(&then)
        } else {
            Request::default()
        };
        let plan = plan(&study, &scale, &catalog(), &request).unwrap();
        let cell = plan
            .cells
            .iter()
            .find(|c| (c.row.as_str(), c.column.as_str(), c.seed) == (row, column, 0));
        assert_eq!(cell.unwrap().run.as_str(), *id, "{row}, {column} at {}", scale.name);
    }
}
