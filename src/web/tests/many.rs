//! Ten thousand runs, through the real ingestion.

use std::time::Instant;

use super::*;
use crate::run_dir::RunFile;
use crate::store::{Mark, News};

const RUNS: u64 = 10_000;

/// Generous for a debug build on a busy machine; an optimised one needs a tenth.
const LIMIT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1500 } else { 150 });

#[tokio::test]
async fn pages_stay_quick_with_ten_thousand_runs() {
    let site = Site::new(|_| ()).await;
    let plan = smoke_plan();
    for seed in 0..RUNS {
        let like = &plan.runs[seed as usize % plan.runs.len()];
        let mut run = RunSpec::new(like.stage, &like.method, 1_000 + seed, None, like.settings.clone());
        run.label = format!("run {seed} of many");
        let file = RunFile {
            umbra: "test".to_owned(),
            created: 1_700_000_000 + seed,
            run,
        };
        let kinds = [queued(), started(), summary("finetune.top1", seed as f64), finished()];
        let events: Vec<_> = kinds
            .into_iter()
            .zip(1..)
            .map(|(kind, seq)| crate::run_dir::Event {
                seq,
                time: 1.7e9 + seed as f64,
                kind,
            })
            .collect();
        let news = News {
            run: &file.run.id,
            since: None,
            afresh: Some(&file),
            events: &events,
            until: &Mark::default(),
        };
        site.store.ingest(&news).await.unwrap();
    }
    let paths = [
        "/runs",
        "/runs?page=100&sort=label",
        "/runs?q=999&sort=duration",
        "/runs?study=mae-vs-scratch",
        "/",
        "/studies/mae-vs-scratch?scale=smoke",
        "/queue",
        "/launch?stage=finetune",
    ];
    for path in paths {
        site.page(path).await;
        let start = Instant::now();
        site.page(path).await;
        let took = start.elapsed();
        println!("{path}: {took:?}");
        assert!(took < LIMIT, "{path} took {took:?}");
    }
    site.page("/runs?page=100")
        .await
        .has(&["9\u{2009}901–10\u{2009}000 of 10\u{2009}000 runs"]);
}
