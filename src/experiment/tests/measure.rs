//! What runs report is declared once, and studies ask for nothing else.

use std::collections::BTreeSet;

use super::*;
use crate::experiment::measure::{self, CKA_AT, FINETUNE_TOP1, SUBSET_IMAGES, heading};

/// A study of one column.
fn parse(column: &str) -> Result<Column, String> {
    let head = "name = \"a\"\ntitle = \"A\"\nsummary = \"\"\n";
    let row = "[[row]]\nid = \"mae\"\ntitle = \"MAE\"\nmethod = \"mae\"\n";
    Study::parse("a.toml", &format!("{head}[[column]]\nid = \"x\"\n{column}\n{row}")).map(|study| study.columns[0].clone())
}

#[test]
fn every_name_is_declared_once_with_a_title_and_a_meaning() {
    for stage in Stage::ALL {
        let of = stage.measures();
        for kind in [
            of.results().collect::<Vec<_>>(),
            of.curves().collect(),
            of.matrices().collect(),
            of.images().collect(),
        ] {
            let names: BTreeSet<&str> = kind.iter().map(|measure| measure.name).collect();
            assert_eq!(names.len(), kind.len(), "{stage}");
            assert!(kind.iter().all(|m| !m.title.is_empty() && m.meaning.ends_with('.')), "{stage}");
        }
    }
    for stage in [Stage::Pretrain, Stage::Tokenizer] {
        for curve in stage.measures().curves().filter(|curve| curve.name.starts_with("train/")) {
            assert_eq!(measure::term(curve.short()), Some(curve), "two curves end alike");
        }
    }
}

#[test]
fn a_column_is_named_and_judged_as_its_measure_unless_it_says_otherwise() {
    let column = parse("stage = \"finetune\"\nmeasure = \"finetune.top1\"").unwrap();
    assert_eq!(
        (column.title.as_str(), column.unit, column.better, column.decimals),
        (FINETUNE_TOP1.title, Unit::Percent, Better::Higher, 1)
    );
    assert_eq!(column.heading(), "Fine-tuned top-1 (%)");
    let column = parse("title = \"Ours\"\nstage = \"cka\"\nmeasure = \"cka.at_0.5\"\ndecimals = 2").unwrap();
    assert_eq!(
        (column.title.as_str(), column.unit, column.better, column.decimals),
        ("Ours", Unit::None, Better::Neither, 2)
    );
    let column = parse("stage = \"cka\"\nmeasure = \"cka.at_0.5\"").unwrap();
    assert_eq!((column.title.as_str(), column.decimals), ("CKA, mask ratio 0.5", 3));
    // As a file of before 0.2 has it.
    let column = parse("stage = \"pretrain\"\nmeasure = \"few.pictures\"\nbetter = \"lower\"\nunit = \"\"").unwrap();
    assert_eq!((column.measure.as_str(), column.better), (SUBSET_IMAGES.name, Better::Lower));
}

#[test]
fn a_measure_that_its_stage_does_not_have_is_refused_with_what_is_near() {
    let refused = |column: &str, sentence: &str| {
        let error = parse(column).unwrap_err();
        assert_eq!(error, format!("a.toml, line 4 (`[[column]]`): column `x`: {sentence}"));
    };
    refused(
        "stage = \"finetune\"\nmeasure = \"finetune.top_1\"",
        "no stage has a measure `finetune.top_1`: the nearest is `finetune.top1`",
    );
    refused(
        "stage = \"probe\"\nmeasure = \"top1\"",
        "no stage has a measure `top1`: the nearest is `knn.top1`",
    );
    refused(
        "stage = \"probe\"\nmeasure = \"finetune.top1\"",
        "the stage probe has no measure `finetune.top1`: it is of the stage finetune",
    );
    refused(
        "stage = \"cka\"\nmeasure = \"cka.at_half\"",
        "no stage has a measure `cka.at_half`: the nearest is `cka.at_{ratio}`",
    );
    refused(
        "stage = \"psnr\"\nmeasure = \"psnr.masked\"\nunit = \"%\"",
        "unit = `%` is not that of `psnr.masked`, which has dB: leave it out",
    );
}

#[test]
fn a_parameter_is_part_of_the_name() {
    assert_eq!(
        (CKA_AT.at(&0.9).as_str(), CKA_AT.parameter("cka.at_0.9")),
        ("cka.at_0.9", Some("0.9"))
    );
    assert_eq!(
        (CKA_AT.parameter("cka.at_all"), FINETUNE_TOP1.parameter("finetune.top1")),
        (None, Some(""))
    );
    assert_eq!(heading("cka.at_0.9"), "CKA, mask ratio 0.9");
    assert_eq!(heading("of.another.version"), "of.another.version");
}
