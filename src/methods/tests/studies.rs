//! The studies that come with Umbra: that each resolves everywhere, and that the scale `paper` is the paper's.

use super::*;

fn planned(study: &str, scale: &str) -> (Study, crate::experiment::Plan) {
    let study = Study::built_in().into_iter().find(|known| known.name == study).unwrap();
    let scale = Scale::built_in().into_iter().find(|known| known.name == scale).unwrap();
    let plan = plan(&study, &scale, &catalog(), &Request::default()).unwrap();
    (study, plan)
}

#[test]
fn every_built_in_study_resolves_at_every_built_in_scale() {
    for study in Study::built_in() {
        for scale in Scale::built_in() {
            let plan =
                plan(&study, &scale, &catalog(), &Request::default()).unwrap_or_else(|e| panic!("{} at {}: {e}", study.name, scale.name));
            let ids: BTreeSet<&RunId> = plan.runs.iter().map(|run| &run.id).collect();
            assert_eq!(ids.len(), plan.runs.len(), "a run is there twice");
            assert!(plan.cells.iter().all(|cell| ids.contains(&cell.run)));
            assert!(
                plan.runs
                    .iter()
                    .all(|run| run.parent.as_ref().is_none_or(|parent| ids.contains(parent)))
            );
            assert_eq!(plan.runs.iter().map(|run| run.seed).max(), Some(scale.seeds - 1));
            for row in &study.rows {
                let filled = plan.cells.iter().filter(|cell| cell.row == row.id).map(|cell| &cell.column);
                let filled: BTreeSet<&String> = filled.collect();
                assert!(
                    !filled.is_empty(),
                    "{} at {}: row {} measures nothing",
                    study.name,
                    scale.name,
                    row.id
                );
                let lost = row.paper.keys().find(|column| !filled.contains(column));
                assert_eq!(
                    lost, None,
                    "{}: row {} has the paper's number of what it cannot measure",
                    study.name, row.id
                );
            }
        }
    }
}

#[test]
fn the_papers_tables_and_its_figure_are_there_in_their_order() {
    let names: Vec<String> = Study::built_in().into_iter().map(|study| study.name).collect();
    let papers = [
        "table1", "table2", "table3", "table4", "table5", "table6", "table7", "table8", "figure1",
    ];
    assert!(names.ends_with(&papers.map(str::to_owned)), "{names:?}");
}

#[test]
fn the_scale_paper_has_the_papers_own_settings() {
    let settings = |study: &str, row: &str, column: &str, places: &[(&str, &str)]| {
        let (_, plan) = planned(study, "paper");
        let cell = plan.cells.iter().find(|cell| cell.row == row && cell.column == column).unwrap();
        let child = plan.runs.iter().find(|run| run.id == cell.run).unwrap().clone();
        let parent = plan.runs.iter().find(|run| Some(&run.id) == child.parent.as_ref()).unwrap().clone();
        let of = |run: &RunSpec| {
            places
                .iter()
                .map(|(s, k)| run.value(s, k).map_or_else(String::new, ToString::to_string))
                .collect::<Vec<_>>()
        };
        (of(&parent), of(&child))
    };
    let train = ["epochs", "warmup_epochs", "batch_size", "base_lr", "layer_decay"].map(|key| ("train", key));
    let (mae, finetuned) = settings("table1", "mae", "finetune", &train);
    assert_eq!(mae, ["100", "20", "1024", "0.00015", "1"]);
    assert_eq!(finetuned, ["100", "5", "1024", "0.001", "0.75"]);
    assert_eq!(
        settings("table1", "rmae", "finetune", &train).0,
        ["100", "20", "1024", "0.0003", "1"]
    );
    assert_eq!(settings("table1", "scratch_long", "finetune", &train[..1]).1, ["300"]);
    for (row, epochs) in [("mocov3", "300"), ("dino", "800"), ("mae_published", "1600"), ("cmae_400", "400")] {
        assert_eq!(settings("table2", row, "finetune", &train[..1]).0, [epochs], "{row}");
    }
    let (_, probe) = settings("table4", "cmae", "probe", &train[..2]);
    assert_eq!(probe, ["90", "10"]);
    assert_eq!(settings("table7", "one_class", "finetune", &[("data", "image_size")]).0, ["224"]);
    let (_, plan) = planned("table7", "paper");
    let chosen = plan.runs.iter().filter_map(|run| run.value("subset", "images"));
    assert!(chosen.map(ToString::to_string).all(|images| images == "1000"));
}
