//! The studies of the paper's tables 5 to 8: what their rows ask for is trained, as small as can be.

use std::collections::BTreeSet;

use crate::experiment::{Study, plan};
use crate::worker::tests::*;

fn pretrainings(study: &str, changes: &[(&str, &str, Value)]) -> Vec<RunSpec> {
    let study = Study::built_in().into_iter().find(|known| known.name == study).unwrap();
    let request = Request::of(TINY.iter().chain(changes));
    let plan = plan(&study, &Scale::built_in()[0], &catalog(), &request).unwrap();
    plan.runs.into_iter().filter(|run| run.stage == Stage::Pretrain).collect()
}

fn trains(runs: &[RunSpec]) {
    let root = tempfile::tempdir().unwrap();
    for run in runs {
        let (_, outcome, events) = carry_out(root.path(), run);
        assert_eq!(outcome, Outcome::Finished, "{}: {:?}", run.label, events.last());
        let losses = metrics(&events, "train/loss");
        let trains = catalog().get(&run.method).unwrap().trains;
        assert!(
            losses.iter().all(|(_, loss)| loss.is_finite()) && losses.is_empty() != trains,
            "{}",
            run.label
        );
    }
}

#[test]
fn every_composition_of_masks_cutmix_and_colors_trains_for_each_of_three_methods() {
    let runs = pretrainings("table5", &[]);
    for method in ["mae", "cmae", "supervised"] {
        let of: Vec<&RunSpec> = runs.iter().filter(|run| run.method == method).collect();
        let masks = |run: &RunSpec| run.value("method", "mask_ratio") != Some(&Value::Float(0.0));
        let colors = |run: &RunSpec| run.value("augment", "color_jitter") != Some(&Value::Float(0.0));
        let section = if method == "supervised" { "classify" } else { "method" };
        let pastes = |run: &RunSpec| run.value(section, "cutmix") != Some(&Value::Float(0.0));
        let different: BTreeSet<_> = of.iter().map(|run| (masks(run), pastes(run), colors(run))).collect();
        assert_eq!((of.len(), different.len()), (8, 8), "{method}");
    }
    trains(&runs);
}

#[test]
fn the_rows_of_the_tables_of_few_images_train() {
    // Of 40 images four are of each class.
    for (study, images, rows) in [("table6", 10, 8), ("table7", 4, 3), ("table8", 12, 6)] {
        let runs = pretrainings(study, &[("subset", "images", Value::Int(images))]);
        assert!(runs.len() <= rows, "{study}: {}", runs.len());
        trains(&runs);
    }
}
