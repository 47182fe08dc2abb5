//! What studies need together, and how long it will take.

use super::*;
use crate::experiment::forecast::{Basis, PastRun, Speed, distinct, duration};

fn planned(study: &Study, scale: &Scale) -> Plan {
    plan(study, scale, &catalog(), &request(&[("data", "train_images", Value::Int(2048))])).unwrap()
}

fn finetuned<'a>(plan: &'a Plan, row: &str, seed: u64) -> &'a RunSpec {
    let cell = plan
        .cells
        .iter()
        .find(|c| (c.row.as_str(), c.column.as_str(), c.seed) == (row, "finetune", seed));
    let id = &cell.unwrap().run;
    plan.runs.iter().find(|run| run.id == *id).unwrap()
}

#[test]
fn a_run_that_two_studies_need_is_counted_once() {
    let (whole, mut part) = (study(), study());
    part.name = "part".to_owned();
    part.rows.remove(1);
    let plans = [&whole, &part].map(|study| (study.name.clone(), planned(study, &scale(""))));
    let done = plans[1].1.runs[0].id.clone();
    let together = Together::of(&plans, |id| *id == done, &Past::default());
    let counts = |place: usize| {
        let part = &together.studies[place];
        (part.runs, part.shared, part.finished, part.unknown)
    };
    // Two seeds of: two pretrainings, three finetunings, one reconstruction; of which one fine-tuning is not in `part`.
    assert_eq!((counts(0), counts(1)), ((12, 10, 1, 11), (10, 10, 1, 9)));
    assert_eq!((together.total.runs, together.total.shared, together.total.missing()), (12, 10, 11));
    assert_eq!(
        together.stages,
        [(Stage::Pretrain, 4), (Stage::Finetune, 6), (Stage::Psnr, 2)].into()
    );
    let runs = distinct(&plans);
    assert_eq!(runs.len(), 12);
    assert!(runs.is_sorted_by_key(|run| run.stage), "parents first");
}

#[test]
fn a_time_is_expected_by_the_runs_that_are_most_alike() {
    let plan = planned(&study(), &scale(""));
    let [short, again, long] = [("mae", 0), ("mae", 1), ("mae_long", 0)].map(|(row, seed)| finetuned(&plan, row, seed));
    let other = finetuned(&plan, "random", 0);
    let took = |run: &RunSpec, seconds| PastRun {
        run: run.clone().into(),
        seconds,
    };
    let past = Past::new(vec![took(short, 10.0)], Vec::new());
    assert_eq!(past.expect(again), Some((10.0, Basis::SameSettings)), "another seed");
    assert_eq!(past.expect(long), Some((20.0, Basis::SameKind)), "200 epochs after 100");
    assert_eq!(
        past.expect(other),
        Some((10.0, Basis::SameStage)),
        "the same work on another method's encoder"
    );
    let both = Past::new(vec![took(short, 10.0), took(again, 12.0)], Vec::new());
    assert_eq!(both.expect(short), Some((11.0, Basis::SameSettings)), "the mean");
    let pretrain = plan.runs.iter().find(|run| run.stage == Stage::Pretrain).unwrap();
    assert_eq!(past.expect(pretrain), None, "nothing like it ran");
    assert_eq!(past.expect_all(&[again, long]), Some(30.0));
    assert_eq!(past.expect_all(&[again, pretrain]), None, "of one nothing is known");
    let elsewhere = planned(
        &study(),
        &Scale {
            name: "other".to_owned(),
            ..scale("")
        },
    );
    assert_eq!(past.expect(finetuned(&elsewhere, "mae", 0)), None, "nor at another scale");
}

#[test]
fn a_measured_speed_says_how_long_training_takes() {
    let plan = planned(&study(), &scale(""));
    let speed = |method: &str, images_per_second| Speed {
        method: method.to_owned(),
        scale: "toy".to_owned(),
        device: "cpu".to_owned(),
        images_per_second,
    };
    let past = Past::new(
        Vec::new(),
        vec![speed("mae", 1.0), speed("mae", 1024.0), speed("supervised", 512.0)],
    );
    let of = |stage: Stage| past.expect(plan.runs.iter().find(|run| run.stage == stage).unwrap());
    // 100 epochs of 2048 images.
    assert_eq!(of(Stage::Pretrain), Some((200.0, Basis::Speed)), "the newest speed");
    assert_eq!(of(Stage::Finetune), Some((400.0, Basis::Speed)), "as supervised training");
    assert_eq!(of(Stage::Psnr), None);
    let together = Together::of(&[("toy".to_owned(), plan.clone())], |_| false, &past);
    assert_eq!(
        together.bases.get(&Basis::Speed),
        Some(&8),
        "two of MAE and six finetunings; a random start is not trained"
    );
    assert_eq!(together.total.unknown, 4);
    assert_eq!(together.total.expected(), "at least 60 min");
}

#[test]
fn a_kept_speed_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let speed = Speed {
        method: "mae".to_owned(),
        scale: "toy".to_owned(),
        device: "cpu".to_owned(),
        images_per_second: 812.5,
    };
    assert_eq!(Speed::kept(dir.path()), []);
    speed.keep(dir.path()).unwrap();
    std::fs::write(
        dir.path().join("speeds.jsonl"),
        std::fs::read_to_string(dir.path().join("speeds.jsonl")).unwrap() + "not a speed\n",
    )
    .unwrap();
    speed.keep(dir.path()).unwrap();
    assert_eq!(Speed::kept(dir.path()), [speed.clone(), speed]);
}

#[test]
fn times_are_said_in_one_unit() {
    let all = [(12.4, "12 s"), (240.0, "4 min"), (7000.0, "1.9 h"), (400_000.0, "5 days")];
    all.iter().for_each(|(seconds, text)| assert_eq!(duration(*seconds), *text));
}
