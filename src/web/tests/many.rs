//! Ten thousand runs, taken in as a server does at its start. How fast the pages are then is for `benches/pages.rs`.

use super::*;
use crate::experiment::{Request, plan_seeds};
use crate::run_dir::{Event, RunFile};

const RUNS: u64 = 10_000;

/// Writes one of many runs like that one.
fn write_like(data_dir: &Path, like: &RunSpec, number: u64) {
    let mut run = RunSpec::new(like.stage, &like.method, 1_000 + number, None, like.settings.clone(), &[]);
    run.label = format!("run {number} of many");
    write_quickly(data_dir, run, number);
}

/// Writes a finished run without the waits for the disk that a real worker makes.
fn write_quickly(data_dir: &Path, run: RunSpec, number: u64) {
    let dir = RunDir::of(data_dir, &run.id);
    std::fs::create_dir_all(dir.path()).unwrap();
    let created = 1_700_000_000 + number;
    let umbra = "test".to_owned();
    std::fs::write(dir.spec_file(), toml::to_string(&RunFile { umbra, created, run }).unwrap()).unwrap();
    let kinds = [queued(), started(), summary("finetune.top1", number as f64), finished()];
    let time = created as f64;
    let events = kinds.into_iter().zip(1..).map(|(kind, seq)| Event { seq, time, kind });
    let lines: String = events.map(|event| serde_json::to_string(&event).unwrap() + "\n").collect();
    std::fs::write(dir.events_file(), lines).unwrap();
}

#[tokio::test]
async fn pages_answer_with_ten_thousand_runs() {
    let plan = smoke_plan();
    let like = |number: u64| &plan.runs[number as usize % plan.runs.len()];
    let site = Site::new(|dir| (0..RUNS).for_each(|number| write_like(dir, like(number), number))).await;
    let paths = [
        "/runs",
        "/runs?page=100&sort=label",
        "/runs?q=999&sort=duration",
        "/runs?study=mae-vs-scratch",
        "/runs?group=method&measure=finetune.top1",
        "/runs?group=study&measure=finetune.top1&sort=mean",
        "/runs?group=train.base_lr&measure=finetune.top1",
        "/",
        "/studies/mae-vs-scratch?scale=smoke",
        "/queue",
        "/launch?stage=finetune",
    ];
    for path in paths {
        site.page(path).await;
    }
    site.page("/runs?page=100")
        .await
        .has(&["9\u{2009}901–10\u{2009}000 of 10\u{2009}000 runs"]);
}

/// A study of two thousand finished runs with five hundred points each: sixteen rows, three columns, some forty seeds.
#[tokio::test]
async fn a_study_of_two_thousand_runs_has_its_pages() {
    let (studies, scales) = (Study::built_in(), Scale::built_in());
    let study = studies.iter().find(|study| study.name == "methods").unwrap();
    let planned = |seeds| {
        let request = Request {
            seeds: Some(seeds),
            ..Request::default()
        };
        plan(study, &scales[0], &catalog(), &request).unwrap().runs
    };
    let seeds = 2_000u64.div_ceil(planned(1).len() as u64);
    let runs = planned(seeds);
    let site = Site::new(|dir| runs.into_iter().zip(0..).for_each(|(run, number)| write_quickly(dir, run, number))).await;
    site.store.draw_curves(500).await;
    let study = format!("/studies/methods?scale=smoke&seeds={seeds}");
    for view in ["", "&sort=probe&show=seeds", "&against=quick"] {
        site.page(&format!("{study}{view}")).await;
    }
    site.page(&format!("/studies/methods/number?scale=smoke&seeds={seeds}&row=mae&column=probe"))
        .await;
    let run = site.store.runs(&Default::default()).await.unwrap().remove(0);
    site.page(&format!("/runs/{}", run.id)).await;
}

/// The page looks for the tables of that seed alone: with all before it they would be hundreds of thousands of runs.
#[tokio::test]
async fn the_page_of_a_run_with_a_large_seed_links_to_its_tables() {
    let (study, scale) = (&Study::built_in()[0], &Scale::built_in()[0]);
    let plan = plan_seeds(study, scale, &catalog(), &Request::default(), 999..1000).unwrap();
    let run = find(&plan, "mae", Stage::Finetune).clone();
    let path = format!("/runs/{}", run.id);
    let site = Site::new(|dir| write_quickly(dir, run, 0)).await;
    let back = format!("/studies/{}?scale=smoke&#38;seeds=1000#row-mae", study.name);
    site.page(&path).await.has(&[&back]);
}
