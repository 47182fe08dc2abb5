//! Rows that are longer than others, and rows that differ at one scale.

use super::resolve::refused;
use super::*;

/// The plan with this line in the row `mae_long`.
fn with(line: &str, scale: &Scale, request: &Request) -> Result<Plan, Invalid> {
    let study = Study::parse("a.toml", &STUDY.replace("set.finetune.train.epochs = 200", line)).unwrap();
    plan(&study, scale, &catalog(), request)
}

/// The setting of the row's fine-tuning.
fn finetuned(plan: &Plan, row: &str, section: &str, key: &str) -> Option<Value> {
    let cell = plan.cells.iter().find(|cell| cell.row == row && cell.column == "finetune").unwrap();
    let run = plan.runs.iter().find(|run| run.id == cell.run).unwrap();
    run.value(section, key).cloned()
}

#[test]
fn a_row_may_be_so_many_times_as_long_as_the_scale_says() {
    let epochs = |line: &str, scale_has: &str, asked: &Request| {
        let plan = with(line, &scale(scale_has), asked).unwrap();
        finetuned(&plan, "mae_long", "train", "epochs")
    };
    let thrice = "times.finetune.train.epochs = 3";
    let thirty = "[all.train]\nepochs = 30\n";
    assert_eq!(epochs(thrice, thirty, &Request::default()), Some(Value::Int(90)));
    assert_eq!(
        epochs("times.finetune.train.epochs = 0.35", thirty, &Request::default()),
        Some(Value::Int(11)),
        "rounded"
    );
    let limited = format!("most_times = 2.0\n{thirty}");
    assert_eq!(
        epochs(thrice, &limited, &Request::default()),
        Some(Value::Int(60)),
        "the scale's limit"
    );
    let both = "times.finetune.train.epochs = 3\nset.finetune.train.epochs = 200";
    assert_eq!(epochs(both, thirty, &Request::default()), Some(Value::Int(200)), "what is set wins");
    let asked = request(&[("train", "epochs", Value::Int(20))]);
    assert_eq!(epochs(thrice, thirty, &asked), Some(Value::Int(60)), "a request is for the others");
    assert_eq!(epochs(thrice, &limited, &asked), Some(Value::Int(40)), "with the scale's limit");
    assert_eq!(
        epochs(both, thirty, &asked),
        Some(Value::Int(60)),
        "and a request wins over what is set"
    );
}

#[test]
fn a_factor_is_of_a_number_that_is_there() {
    let refuse = |line: &str, sentence: &str| refused(with(line, &scale(""), &Request::default()), sentence);
    refuse(
        "times.finetune.train.epoch = 3",
        &format!(
            "times.finetune.train.epoch: no such setting: it must be one of {} (row `mae_long`)",
            settings::TrainSettings::SECTION
                .settings
                .iter()
                .map(|s| s.key)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    );
    refuse(
        "times.finetune.augment.crop = 3",
        "times.finetune.augment.crop: only a number can be multiplied (row `mae_long`)",
    );
    refuse(
        "times.finetune.train.epochs = 0",
        "times.finetune.train.epochs: 0 is not allowed: it must be a number above 0 and at most 10000 (row `mae_long`)",
    );
    refuse(
        "times.finetune.train.drop_path = 100",
        "train.drop_path: 10 is not allowed: it must be a number from 0 to 0.9 (row `mae_long`, stage finetune)",
    );
    refused(
        with("", &scale("most_times = 0.5\n"), &Request::default()),
        "most_times: 0.5 is not allowed: it must be a number of at least 1 (scale `toy`)",
    );
}

#[test]
fn a_row_may_differ_at_one_scale() {
    let at = "set.finetune.train.epochs = 200\nat.toy.finetune.train.epochs = 50";
    let plan = with(at, &scale(""), &Request::default()).unwrap();
    assert_eq!(finetuned(&plan, "mae_long", "train", "epochs"), Some(Value::Int(50)));
    let elsewhere = with(&at.replace("at.toy", "at.other"), &scale(""), &Request::default()).unwrap();
    assert_eq!(finetuned(&elsewhere, "mae_long", "train", "epochs"), Some(Value::Int(200)));
    refused(
        with("at.other.probe.probe.momentum = 2", &scale(""), &Request::default()),
        "at.other.probe.probe.momentum: 2 is not allowed: it must be a number from 0 to 0.999 (row `mae_long`)",
    );
}
