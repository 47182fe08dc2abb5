//! The queue with real workers: deaths, cancellation, restarts of the server, the rebuilt database.

use std::path::Path;
use std::time::Duration;

use umbra::experiment::{RunId, RunSpec, Stage, Value};
use umbra::jobs::{self, Jobs, JobsConfig};
use umbra::run_dir::{Lock, RunDir, State};
use umbra::store::{Run, Store};

use crate::support::{UMBRA, numbers, tiny_run};

async fn open(data_dir: &Path, worker_memory: Option<u64>) -> (Store, Jobs) {
    let config = JobsConfig {
        data_dir: data_dir.to_owned(),
        worker: UMBRA.into(),
        devices: vec!["cpu".to_owned()],
        threads: 2,
        grace: Duration::from_secs(20),
        worker_memory,
    };
    let lock = jobs::lock_data_dir(data_dir).unwrap();
    let store = Store::open(data_dir).await.unwrap();
    (store.clone(), jobs::start(store, lock, config).await.unwrap())
}

async fn until(store: &Store, id: &RunId, what: &str, done: impl Fn(&Run) -> bool) -> Run {
    for _ in 0..2400 {
        if let Some(run) = store.run(id).await.unwrap().filter(&done) {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited for {what}: {:?}", store.run(id).await.unwrap());
}

async fn ended(store: &Store, id: &RunId) -> Run {
    until(store, id, "the end", |run| {
        matches!(run.state, State::Finished | State::Failed | State::Cancelled)
    })
    .await
}

/// A run that outlives any test of it: the test ends it.
fn endless() -> RunSpec {
    tiny_run(Stage::Pretrain, "mae", None, &[("train", "epochs", Value::Int(4000))])
}

fn pid(data_dir: &Path, id: &RunId) -> rustix::process::Pid {
    let holder = Lock::holder(RunDir::of(data_dir, id).path())
        .unwrap()
        .expect("a worker holds the run");
    rustix::process::Pid::from_raw(holder.pid as i32).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn children_start_when_their_parent_is_finished_and_equal_runs_are_shared() {
    let dir = tempfile::tempdir().unwrap();
    let (store, jobs) = open(dir.path(), None).await;
    let parent = tiny_run(Stage::Pretrain, "mae", None, &[]);
    let child = tiny_run(Stage::Psnr, "mae", Some(&parent), &[]);
    let first = jobs.submit(&[parent.clone(), child.clone()], 0).await.unwrap();
    assert_eq!((first.queued.len(), first.shared.len()), (2, 0));
    let second = jobs.submit(&[parent.clone(), child.clone()], 0).await.unwrap();
    assert_eq!((second.queued.len(), second.shared.len()), (0, 2));
    let child = ended(&store, &child.id).await;
    assert_eq!(child.state, State::Finished, "{:?}", child.reason);
    let parent = store.run(&parent.id).await.unwrap().unwrap();
    assert!(parent.ended.unwrap() <= child.started.unwrap());
    assert!(
        store
            .summaries(std::slice::from_ref(&child.id))
            .await
            .unwrap()
            .iter()
            .any(|(_, name, _)| name == "psnr.composite")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_by_a_signal_says_so_and_goes_on_when_retried() {
    let dir = tempfile::tempdir().unwrap();
    let (store, jobs) = open(dir.path(), None).await;
    let run = tiny_run(Stage::Pretrain, "mae", None, &[("train", "epochs", Value::Int(300))]);
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    until(&store, &run.id, "a first step", |run| run.progress.step > 0).await;
    rustix::process::kill_process(pid(dir.path(), &run.id), rustix::process::Signal::KILL).unwrap();
    let dead = ended(&store, &run.id).await;
    assert_eq!(dead.state, State::Failed);
    assert!(dead.reason.as_deref().unwrap().contains("SIGKILL"), "{:?}", dead.reason);
    jobs.retry(&run.id).await.unwrap();
    let again = ended(&store, &run.id).await;
    assert_eq!((again.state, again.attempt), (State::Finished, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_the_system_ends_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (store, jobs) = open(dir.path(), None).await;
    let run = tiny_run(Stage::Pretrain, "mae", None, &[("train", "epochs", Value::Int(300))]);
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    until(&store, &run.id, "a first step", |run| run.progress.step > 0).await;
    rustix::process::kill_process(pid(dir.path(), &run.id), rustix::process::Signal::TERM).unwrap();
    let done = ended(&store, &run.id).await;
    assert_eq!((done.state, done.attempt), (State::Finished, 2), "{:?}", done.reason);
    let resumed: Vec<_> = store.attempts(&run.id).await.unwrap().into_iter().map(|a| a.resumed_step).collect();
    assert!(resumed[0].is_none() && resumed[1].is_some_and(|step| step > 0), "{resumed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_out_of_memory_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (store, jobs) = open(dir.path(), Some(300 << 20)).await;
    let large = [("model", "dim", Value::Int(2048)), ("model", "depth", Value::Int(8))];
    let run = tiny_run(Stage::Pretrain, "mae", None, &large);
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    let dead = ended(&store, &run.id).await;
    assert_eq!(dead.state, State::Failed);
    assert!(dead.reason.as_deref().unwrap().contains("memory"), "{:?}", dead.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_worker_leaves_a_checkpoint_and_a_waiting_run_leaves_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, jobs) = open(dir.path(), None).await;
    let (run, waiting) = (
        endless(),
        tiny_run(Stage::Pretrain, "mae", None, &[("train", "epochs", Value::Int(401))]),
    );
    jobs.submit(&[run.clone(), waiting.clone()], 0).await.unwrap();
    jobs.cancel(&waiting.id).await.unwrap();
    assert_eq!(ended(&store, &waiting.id).await.state, State::Cancelled);
    until(&store, &run.id, "a first step", |run| run.progress.step > 0).await;
    jobs.cancel(&run.id).await.unwrap();
    assert_eq!(ended(&store, &run.id).await.state, State::Cancelled);
    assert!(RunDir::of(dir.path(), &run.id).checkpoints().join("latest").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_server_adopts_living_workers_and_takes_in_what_they_wrote_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = endless();
    let (store, jobs) = open(dir.path(), None).await;
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    let seen = until(&store, &run.id, "a first step", |run| run.progress.step > 0).await;
    let worker = pid(dir.path(), &run.id);
    jobs.stop().await;
    store.close().await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let (store, jobs) = open(dir.path(), None).await;
    assert_eq!(pid(dir.path(), &run.id), worker, "the worker was started anew");
    assert_eq!(jobs.devices()[0].run.as_ref(), Some(&run.id));
    let far = seen.progress.step + 400;
    until(&store, &run.id, "400 more steps", |run| run.progress.step > far).await;
    jobs.cancel(&run.id).await.unwrap();
    let done = ended(&store, &run.id).await;
    assert_eq!((done.state, done.attempt), (State::Cancelled, 1), "{:?}", done.reason);
    let mut stored = 0;
    for name in store.metric_names(&run.id).await.unwrap() {
        stored += store.metrics(&run.id, &name).await.unwrap().len();
    }
    let written = numbers(&RunDir::of(dir.path(), &run.id))
        .iter()
        .filter(|(_, step, _)| step.is_some())
        .count();
    assert!(stored >= written && written > 20, "{stored} stored, {written} written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_died_unwatched_is_not_running_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let (store, jobs) = open(dir.path(), None).await;
    let run = tiny_run(Stage::Pretrain, "mae", None, &[("train", "epochs", Value::Int(300))]);
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    until(&store, &run.id, "a first step", |run| run.progress.step > 0).await;
    let worker = pid(dir.path(), &run.id);
    // Held, so that it cannot finish before the server is gone.
    rustix::process::kill_process(worker, rustix::process::Signal::STOP).unwrap();
    jobs.stop().await;
    store.close().await;
    rustix::process::kill_process(worker, rustix::process::Signal::KILL).unwrap();

    let (store, _jobs) = open(dir.path(), None).await;
    let done = ended(&store, &run.id).await;
    assert_eq!((done.state, done.attempt), (State::Finished, 2), "{:?}", done.reason);
}
