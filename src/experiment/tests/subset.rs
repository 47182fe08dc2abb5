//! Few images, few labels and columns with settings of their own.

use super::resolve::refused;
use super::*;

#[test]
fn a_choice_of_few_images_must_fit_together() {
    let asked = |settings: &[(&str, &str, Value)]| pretrain(&request(settings));
    let pool = [("data", "train_images", Value::Int(2000)), ("train", "batch_size", Value::Int(64))];
    let with = |more: &[(&'static str, &'static str, Value)]| asked(&[&pool[..], more].concat());
    assert!(
        with(&[("subset", "images", Value::Int(10))]).is_ok(),
        "a batch may be larger than the choice"
    );
    refused(
        with(&[("subset", "images", Value::Int(2001))]),
        "subset.images: 2001 is not allowed: it must be at most data.train_images = 2000",
    );
    refused(
        with(&[("subset", "selection", text("list"))]),
        "subset.list: a file of names is there exactly if subset.selection is list",
    );
    refused(
        with(&[("subset", "class", text("cat"))]),
        "subset.class: a class is there only if subset.selection is one_class",
    );
    refused(
        with(&[
            ("subset", "images", Value::Int(5)),
            ("subset", "selection", text("list")),
            ("subset", "list", text("a.txt")),
        ]),
        "subset.images: a list names all the images: it must be 0 with subset.selection = list",
    );
    refused(
        with(&[("repeat", "epoch_samples", Value::Int(63))]),
        "train.batch_size: a step of 64 images is larger than an epoch of repeat.epoch_samples: batch_size times gradient_accumulation must be at most 63",
    );
}

#[test]
fn a_choice_for_pretraining_is_not_one_for_what_follows() {
    let few = [("subset", "images", Value::Int(10))];
    let parent = pretrain(&request(&few)).unwrap();
    let asked = request(&few).fitting(Stage::Finetune, &catalog().methods[0]);
    let child = single_run(Stage::Finetune, "mae", &scale(""), &catalog(), &asked, 0, Some(&parent)).unwrap();
    assert!(!child.settings.contains_key("subset"));
    assert_eq!(child.section::<settings::LabelsSettings>("labels").unwrap().fraction, 1.0);
}

#[test]
fn the_lists_of_a_cached_probe_are_numbers() {
    let parent = pretrain(&Request::default()).unwrap();
    let probe = |key, value| {
        let request = request(&[("cached", key, text(value))]);
        single_run(Stage::ProbeCached, "mae", &scale(""), &catalog(), &request, 0, Some(&parent))
    };
    let settings: settings::CachedSettings = probe("learning_rates", "1, 0.1, 1e-2, 0.1").unwrap().section("cached").unwrap();
    assert_eq!(settings.learning_rates(), [0.01, 0.1, 1.0]);
    refused(
        probe("learning_rates", "0, 0.1"),
        "cached.learning_rates: 0, 0.1 is not allowed: it must be one or more numbers from 0.000000001 to 1000000 with commas between them",
    );
    refused(
        probe("weight_decays", ""),
        "cached.weight_decays:  is not allowed: it must be one or more numbers from 0 to 1000000 with commas between them",
    );
}

#[test]
fn a_column_may_have_settings_of_its_own_which_a_row_overrules() {
    let with = |(stage, measure): (&str, &str), set: &str| {
        let column = format!("\n[[column]]\nid = \"tenth\"\ntitle = \"10 %\"\nstage = \"{stage}\"\nmeasure = \"{measure}\"\n{set}\n");
        let study = Study::parse("a.toml", &STUDY.replacen("\n[[row]]", &(column + "\n[[row]]"), 1)).unwrap();
        plan(&study, &scale(""), &catalog(), &Request::default())
    };
    let finetune = ("finetune", "finetune.top1");
    let plan = with(finetune, "set.labels.fraction = 0.1\nset.train.epochs = 50").unwrap();
    let run = |row: &str, column: &str| {
        let cell = plan.cells.iter().find(|cell| cell.row == row && cell.column == column).unwrap();
        plan.runs.iter().find(|run| run.id == cell.run).unwrap()
    };
    let share = |row, column| run(row, column).value("labels", "fraction").cloned();
    assert_eq!(share("mae", "tenth"), Some(Value::Float(0.1)));
    assert_eq!(share("mae", "finetune"), Some(Value::Float(1.0)));
    assert_eq!(run("mae", "tenth").parent, run("mae", "finetune").parent);
    let epochs = |row| run(row, "tenth").value("train", "epochs").cloned();
    assert_eq!((epochs("mae"), epochs("mae_long")), (Some(Value::Int(50)), Some(Value::Int(200))));
    refused(
        with(finetune, "set.labels.part = 0.1"),
        "set.labels.part: no such setting: it must be one of fraction, list, seed (column `tenth`)",
    );
    refused(
        with(("pretrain", "pretrain.loss"), "set.train.epochs = 5"),
        "set: a column of stage pretrain has no settings of its own: they stand in the rows (column `tenth`)",
    );
}
