//! Studies from a few choices.

use super::resolve::refused;
use super::*;
use crate::experiment::grid::Grid;

fn grid(settings: &str) -> Grid {
    Grid {
        name: "sweep".to_owned(),
        title: "A \"sweep\"".to_owned(),
        summary: "Which?".to_owned(),
        methods: vec!["mae".to_owned()],
        measures: vec!["finetune".to_owned(), "cka".to_owned()],
        settings: settings.to_owned(),
        ..Grid::default()
    }
}

#[test]
fn methods_times_values_are_rows() {
    let settings = "method.mask_ratio = 0.5, 0.75\n# A remark.\nfinetune.train.epochs = 10, 20\ntrain.batch_size = 256\n";
    let mut grid = grid(settings);
    grid.seeds = "4".to_owned();
    let text = grid.to_toml(&catalog()).unwrap();
    let study = Study::parse("sweep.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(
        (study.title.as_str(), study.seeds, study.columns.len()),
        ("A \"sweep\"", Some(4), 2)
    );
    let titles: Vec<&str> = study.rows.iter().map(|row| row.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "MAE, mask_ratio 0.5, epochs 10",
            "MAE, mask_ratio 0.5, epochs 20",
            "MAE, mask_ratio 0.75, epochs 10",
            "MAE, mask_ratio 0.75, epochs 20",
        ]
    );
    let plan = plan(&study, &scale(""), &catalog(), &Request::default()).unwrap();
    let count = |stage| plan.runs.iter().filter(|run| run.stage == stage).count();
    // Rows that differ in fine-tuning alone share their pretraining.
    assert_eq!((count(Stage::Pretrain), count(Stage::Finetune), count(Stage::Cka)), (8, 16, 8));
    let pretrainings = plan.runs.iter().filter(|run| run.stage == Stage::Pretrain);
    assert!(
        pretrainings
            .map(|run| run.value("train", "batch_size"))
            .all(|v| v == Some(&Value::Int(256)))
    );
}

#[test]
fn a_list_is_one_value_unless_semicolons_part_it() {
    let rows = |settings: &str| {
        let text = grid(settings).to_toml(&catalog()).unwrap();
        Study::parse("sweep.toml", &text).unwrap().rows
    };
    assert_eq!(rows("cka.cka.ratios = 0.1, 0.5").len(), 1);
    let two = rows("cka.cka.ratios = 0.1, 0.5; 0.9");
    assert_eq!((two.len(), two[1].set["cka"]["cka"]["ratios"].clone()), (2, text("0.9")));
    assert_eq!(rows("").len(), 1);
}

#[test]
fn a_choice_that_cannot_be_is_a_sentence() {
    let refuse = |settings: &str, sentence: &str| refused(grid(settings).to_toml(&catalog()), sentence);
    refuse(
        "epochs = 3",
        "settings: `epochs = 3` is not a setting: write stage.section.key = value, value",
    );
    refuse(
        "train.epoch = 3",
        "settings: `train.epoch` is no setting: the launch form and `umbra methods` list them all",
    );
    refuse(
        "train.epochs = 3, many",
        "settings: train.epochs: many is not allowed: it must be a whole number from 0 to 100000",
    );
    refuse("train.epochs = 3, 3", "settings: train.epochs: 3 is there twice");
    let values: Vec<String> = (1..=201).map(|n| n.to_string()).collect();
    refuse(
        &format!("train.epochs = {}", values.join(",")),
        "settings: 201 rows are more than 200: leave out values or methods",
    );
    let none = Grid {
        methods: Vec::new(),
        ..grid("")
    };
    refused(none.to_toml(&catalog()), "methods: none is chosen: a study has at least one row");
    let none = Grid {
        measures: Vec::new(),
        ..grid("")
    };
    refused(none.to_toml(&catalog()), "measures: none is chosen: a study has at least one");
}
