//! Runs that cannot be worked on, and those behind them in the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Workers that run a script, and how often one was asked for.
struct Counting(Script, Arc<AtomicUsize>);

impl Executor for Counting {
    fn start(&self, job: &Job) -> anyhow::Result<Worker> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.start(job)
    }
}

/// A run whose directory holds directories of these names, so that files of these names cannot be written.
fn obstructed(bench: &Bench, names: &[&str]) -> RunSpec {
    let run = spec(Stage::Pretrain, 0, None);
    bench.left_behind(&run, vec![QUEUED]);
    for name in names {
        std::fs::create_dir(bench.run_dir(&run).path().join(name)).unwrap();
    }
    run
}

#[tokio::test]
async fn a_run_that_cannot_be_started_holds_up_no_other_and_is_not_tried_again_at_once() {
    // Without its log no worker is started, and without its lock nobody can write that it failed. Without the lock alone, its
    // worker ends and nobody can write why.
    for (names, trouble) in [
        (["lock", "log.txt"].as_slice(), "cannot be started: "),
        (["lock"].as_slice(), "its end cannot be written: "),
    ] {
        let bench = Bench::new();
        let (stuck, sound) = (obstructed(&bench, names), spec(Stage::Pretrain, 1, None));
        let started = Arc::new(AtomicUsize::new(0));
        let executor = Counting(Script(["set -e\n", BEGIN, FINISH].concat()), started.clone());
        let jobs = bench.serve_with(Box::new(executor)).await;
        jobs.submit(std::slice::from_ref(&sound), 0).await.unwrap();
        jobs.until(&sound, State::Finished).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(started.load(Ordering::Relaxed), 2, "each was started once");
        assert_eq!(jobs.find(&stuck).await.state, State::Queued);
        let reason = jobs.obstacle(&stuck.id).unwrap();
        let place = bench.run_dir(&stuck).path().display().to_string();
        assert!(reason.starts_with(trouble) && reason.contains(&place), "{reason}");
        assert_eq!(jobs.obstacle(&sound.id), None);
        jobs.stop().await;
    }
}

#[tokio::test]
async fn a_run_that_was_set_aside_has_its_turn_as_soon_as_its_events_can_be_written() {
    let bench = Bench::new();
    let stuck = obstructed(&bench, &["lock", "log.txt"]);
    let jobs = bench.serve(&[BEGIN, FINISH].concat()).await;
    while jobs.obstacle(&stuck.id).is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for name in ["lock", "log.txt"] {
        std::fs::remove_dir(bench.run_dir(&stuck).path().join(name)).unwrap();
    }
    jobs.set_priority(&stuck.id, 1).await.unwrap();
    jobs.until(&stuck, State::Finished).await;
    assert_eq!(jobs.obstacle(&stuck.id), None);
}
