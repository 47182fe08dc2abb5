//! Real worker processes (shell scripts), real signals, real run directories.

use std::path::PathBuf;

use tokio::process::Command;

use super::*;
use crate::experiment::Stage;
use crate::run_dir::{EventKind, EventLog, Holder, RunDir};
use crate::store::Run;
use crate::store::tests::spec;

/// Workers that run a script in their run directory.
struct Script(String);

impl Executor for Script {
    fn start(&self, job: &Job) -> anyhow::Result<Worker> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.0).current_dir(job.dir.path());
        executor::launch(command, job)
    }
}

/// What a worker does first: it takes the lock and says that it has started. `say SEQ KIND REST` writes an event.
const BEGIN: &str = r#"
say() { echo "{\"seq\":$1,\"time\":$(date +%s.%N),\"kind\":\"$2\"$3}" >> events.jsonl; }
exec 9<>lock; flock -x 9; echo "{\"pid\":$$,\"host\":\"$(uname -n)\"}" >&9
last=$(tail -n 1 events.jsonl | sed 's/[^0-9]*\([0-9]*\).*/\1/')
say $((last+1)) started ',"attempt":1,"pid":'$$',"host":"'$(uname -n)'","device":"cpu","threads":1'
"#;
const FINISH: &str = "say $((last+2)) finished ',\"seconds\":1'\n";
/// Waits for the file `go`; the lock is not left to the sleep.
const WAIT: &str = "while [ ! -e go ]; do sleep 0.05 9>&-; done\n";

struct Bench {
    dir: tempfile::TempDir,
    grace: Duration,
    devices: Vec<String>,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            dir: tempfile::tempdir().unwrap(),
            grace: Duration::from_secs(20),
            devices: vec!["cpu".to_owned()],
        }
    }

    fn without_devices() -> Bench {
        Bench {
            devices: Vec::new(),
            ..Bench::new()
        }
    }

    fn run_dir(&self, run: &RunSpec) -> RunDir {
        RunDir::of(self.dir.path(), &run.id)
    }

    /// Writes a run's history as an earlier server and worker would have.
    fn left_behind(&self, run: &RunSpec, kinds: Vec<EventKind>) {
        let dir = RunDir::create(self.dir.path(), run).unwrap();
        let mut log = EventLog::open(&dir.events_file()).unwrap();
        kinds.into_iter().for_each(|kind| assert!(log.append(kind).unwrap() > 0));
    }

    async fn serve(&self, script: &str) -> Jobs {
        let config = JobsConfig {
            data_dir: self.dir.path().to_owned(),
            worker: PathBuf::from("unused"),
            devices: self.devices.clone(),
            threads: 1,
            grace: self.grace,
            worker_memory: None,
        };
        let hold = hold(self.dir.path()).unwrap();
        let store = Store::open(self.dir.path()).await.unwrap();
        start_with(store, hold, config, Box::new(Script(script.to_owned()))).await.unwrap()
    }
}

impl Jobs {
    async fn find(&self, run: &RunSpec) -> Run {
        self.inner.store.run(&run.id).await.unwrap().unwrap()
    }

    /// Waits until the run stands there.
    async fn until(&self, run: &RunSpec, state: State) -> Run {
        for _ in 0..1200 {
            let found = self.find(run).await;
            if found.state == state {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the run is still {:?}, not {state:?}", self.find(run).await)
    }
}

fn started(attempt: u32) -> EventKind {
    let Holder { pid, host } = Holder::me();
    EventKind::Started {
        attempt,
        pid,
        host,
        device: "cpu".to_owned(),
        threads: 1,
        resumed_step: None,
    }
}

const QUEUED: EventKind = EventKind::Queued { priority: 0 };

fn metric(step: u64) -> EventKind {
    EventKind::Metric {
        name: "train/loss".to_owned(),
        step,
        value: 1.0 / (step as f64),
    }
}

fn failed() -> EventKind {
    EventKind::Failed {
        reason: "a fault".to_owned(),
        causes: Vec::new(),
    }
}

#[tokio::test]
async fn a_child_starts_when_its_parent_is_finished_and_equal_runs_are_shared() {
    let bench = Bench::new();
    let jobs = bench.serve(&[BEGIN, FINISH].concat()).await;
    let mut changes = jobs.subscribe();
    let parent = spec(Stage::Pretrain, 0, None);
    let child = spec(Stage::Probe, 0, Some(&parent));
    let both = [child.clone(), parent.clone()];
    assert_eq!(jobs.submit(&both, 0).await.unwrap().queued, [child.id.clone(), parent.id.clone()]);
    assert_eq!(
        changes.recv().await.unwrap(),
        Change {
            run: child.id.clone(),
            state: State::Queued
        }
    );
    let child_run = jobs.until(&child, State::Finished).await;
    assert!(child_run.started > jobs.find(&parent).await.ended);
    assert_eq!(
        jobs.submit(&both, 0).await.unwrap(),
        Submitted {
            queued: vec![],
            shared: vec![child.id, parent.id]
        }
    );
    jobs.stop().await;
}

#[tokio::test]
async fn each_way_to_die_has_its_reason() {
    let panic = "echo \"thread 'main' (1) panicked at src/a.rs:1:2:\"; echo boom; exit 101";
    let cases = [
        ("exit 0", "the worker ended without saying that the run is finished"),
        (
            "echo no disk; exit 4",
            "the worker ended with exit code 4; it last printed: no disk",
        ),
        (panic, "the worker panicked at src/a.rs:1:2: boom"),
        ("kill -KILL $$", "the worker was killed from outside (SIGKILL)"),
        (
            "kill -SEGV $$",
            "the worker crashed (SIGSEGV), which points to a driver or a fault in Umbra",
        ),
        ("kill -TERM $$", "the worker was ended by a signal (SIGTERM)"),
    ];
    for (end, reason) in cases {
        let bench = Bench::new();
        let jobs = bench.serve(&[BEGIN, end].concat()).await;
        let run = spec(Stage::Pretrain, 0, None);
        jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
        assert_eq!(jobs.until(&run, State::Failed).await.reason.as_deref(), Some(reason));
        assert_eq!(
            jobs.devices(),
            [Slot {
                device: "cpu".to_owned(),
                run: None
            }],
            "the device is free again"
        );
        jobs.stop().await;
    }
}

#[tokio::test]
async fn a_worker_that_cannot_be_started_fails_its_run() {
    let bench = Bench::new();
    let hold = hold(bench.dir.path()).unwrap();
    let store = Store::open(bench.dir.path()).await.unwrap();
    let worker = PathBuf::from("/nowhere/umbra");
    let (data_dir, devices) = (bench.dir.path().to_owned(), bench.devices.clone());
    let config = JobsConfig {
        data_dir,
        worker,
        devices,
        threads: 1,
        grace: bench.grace,
        worker_memory: None,
    };
    let jobs = start(store, hold, config).await.unwrap();
    let run = spec(Stage::Pretrain, 0, None);
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    let reason = jobs.until(&run, State::Failed).await.reason.unwrap();
    assert!(reason.starts_with("the worker /nowhere/umbra could not be started: "), "{reason}");
}

#[tokio::test]
async fn a_cancelled_worker_may_say_goodbye_and_is_killed_if_it_does_not() {
    let polite = "trap 'say $((last+2)) cancelled ,\\\"reason\\\":\\\"saved\\\"; exit 10' TERM\n";
    let deaf = "trap '' TERM\n";
    let killed = "cancelled by a person; the worker did not stop within 0.5 s and was killed";
    for (trap, reason) in [(polite, "saved"), (deaf, killed)] {
        let bench = Bench {
            grace: Duration::from_millis(500),
            ..Bench::new()
        };
        let jobs = bench.serve(&[BEGIN, trap, "touch ready\n", WAIT].concat()).await;
        let run = spec(Stage::Pretrain, 0, None);
        jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
        jobs.until(&run, State::Running).await;
        while !bench.run_dir(&run).path().join("ready").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(matches!(jobs.restart(&run.id).await, Err(Error::Refused(_))));
        jobs.cancel(&run.id).await.unwrap();
        jobs.cancel(&run.id).await.unwrap();
        assert_eq!(jobs.until(&run, State::Cancelled).await.reason.as_deref(), Some(reason));
        jobs.stop().await;
    }
}

#[tokio::test]
async fn waiting_runs_are_moved_cancelled_and_queued_again() {
    let bench = Bench::without_devices();
    let jobs = bench.serve("").await;
    let (a, b) = (spec(Stage::Pretrain, 0, None), spec(Stage::Pretrain, 1, None));
    jobs.submit(&[a.clone(), b.clone()], 0).await.unwrap();
    let order = async || {
        jobs.inner
            .store
            .queue()
            .await
            .unwrap()
            .into_iter()
            .map(|run| run.seed)
            .collect::<Vec<_>>()
    };
    assert_eq!(order().await, [0, 1]);
    jobs.set_priority(&b.id, 1).await.unwrap();
    assert_eq!(order().await, [1, 0]);
    jobs.cancel(&b.id).await.unwrap();
    assert_eq!(order().await, [0]);
    assert!(matches!(jobs.set_priority(&b.id, 2).await, Err(Error::Refused(_))));
    assert!(matches!(jobs.retry(&a.id).await, Err(Error::Refused(_))));
    jobs.retry(&b.id).await.unwrap();
    assert_eq!(order().await, [1, 0], "a retried run keeps its priority");
    let stranger = spec(Stage::Pretrain, 99, None);
    assert!(matches!(jobs.cancel(&stranger.id).await, Err(Error::Unknown(id)) if id == stranger.id));
}

#[tokio::test]
async fn a_child_of_a_failed_run_waits_and_goes_on_when_the_parent_is_retried() {
    let bench = Bench::new();
    let jobs = bench.serve(&[BEGIN, "[ -e go ] || exit 4\n", FINISH].concat()).await;
    let parent = spec(Stage::Pretrain, 0, None);
    let child = spec(Stage::Probe, 0, Some(&parent));
    jobs.submit(&[parent.clone(), child.clone()], 0).await.unwrap();
    jobs.until(&parent, State::Failed).await;
    assert_eq!(
        jobs.find(&child).await.reason.as_deref(),
        Some("waits for MAE · pretrain · seed 0, which failed")
    );
    for run in [&parent, &child] {
        std::fs::write(bench.run_dir(run).path().join("go"), "").unwrap();
    }
    jobs.retry(&parent.id).await.unwrap();
    jobs.until(&child, State::Finished).await;
}

#[tokio::test]
async fn a_living_worker_is_adopted_by_the_next_server() {
    let bench = Bench::new();
    let script = [BEGIN, WAIT, FINISH].concat();
    let run = spec(Stage::Pretrain, 0, None);
    let jobs = bench.serve(&script).await;
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    jobs.until(&run, State::Running).await;
    jobs.stop().await;
    let jobs = bench.serve(&script).await;
    assert_eq!(jobs.devices()[0].run.as_ref(), Some(&run.id));
    std::fs::write(bench.run_dir(&run).path().join("go"), "").unwrap();
    assert_eq!(jobs.until(&run, State::Finished).await.attempt, 1);
    assert_eq!(jobs.inner.store.attempts(&run.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_adopted_worker_can_be_cancelled() {
    let bench = Bench::new();
    let script = [BEGIN, WAIT].concat();
    let run = spec(Stage::Pretrain, 0, None);
    let jobs = bench.serve(&script).await;
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    jobs.until(&run, State::Running).await;
    jobs.stop().await;
    let jobs = bench.serve(&script).await;
    jobs.cancel(&run.id).await.unwrap();
    assert_eq!(
        jobs.until(&run, State::Cancelled).await.reason.as_deref(),
        Some("cancelled by a person")
    );
}

#[tokio::test]
async fn a_worker_that_died_with_its_server_is_tried_once_more() {
    let bench = Bench::without_devices();
    let (first, second) = (spec(Stage::Pretrain, 0, None), spec(Stage::Pretrain, 1, None));
    bench.left_behind(&first, vec![QUEUED, started(1)]);
    bench.left_behind(&second, vec![QUEUED, started(1), failed(), QUEUED, started(2)]);
    let jobs = bench.serve("").await;
    let reason = "the worker died while no server was watching";
    assert_eq!(jobs.find(&first).await.state, State::Queued);
    assert_eq!(
        jobs.inner.store.attempts(&first.id).await.unwrap()[0].reason.as_deref(),
        Some(reason)
    );
    let second = jobs.find(&second).await;
    assert_eq!((second.state, second.reason.as_deref()), (State::Failed, Some(reason)));
}

#[tokio::test]
async fn events_written_while_no_server_ran_are_taken_in_once() {
    let bench = Bench::without_devices();
    let run = spec(Stage::Pretrain, 0, None);
    bench.left_behind(&run, vec![QUEUED, started(1), metric(1), metric(2), failed()]);
    bench.serve("").await.stop().await;
    // A worker resumed from step 1 while the server was away: the log was cut behind what is stored.
    let mut log = EventLog::resume(&bench.run_dir(&run).events_file(), 3).unwrap();
    for kind in [started(2), metric(2), metric(3), EventKind::Finished { seconds: 1.0 }] {
        log.append(kind).unwrap();
    }
    let jobs = bench.serve("").await;
    assert_eq!(jobs.find(&run).await.state, State::Finished);
    let steps: Vec<u64> = jobs
        .inner
        .store
        .metrics(&run.id, "train/loss")
        .await
        .unwrap()
        .iter()
        .map(|p| p.step)
        .collect();
    assert_eq!(steps, [1, 2, 3]);
    assert_eq!(jobs.inner.store.attempts(&run.id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_line_that_is_no_event_stops_its_run_and_nothing_else() {
    let bench = Bench::new();
    let (broken, sound) = (spec(Stage::Pretrain, 0, None), spec(Stage::Pretrain, 1, None));
    bench.left_behind(&broken, vec![QUEUED, started(1), metric(1)]);
    let file = bench.run_dir(&broken).events_file();
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{whole}scribble\n")).unwrap();
    let jobs = bench.serve(&[BEGIN, FINISH].concat()).await;
    jobs.submit(std::slice::from_ref(&sound), 0).await.unwrap();
    jobs.until(&sound, State::Finished).await;
    let run = jobs.find(&broken).await;
    let place = format!("the line at byte {} is not an event", whole.len());
    assert!(run.state == State::Failed && run.reason.unwrap().contains(&place));
    assert!(jobs.inner.store.warnings(&broken.id).await.unwrap()[0].message.contains(&place));
    assert_eq!(
        jobs.inner.store.metrics(&broken.id, "train/loss").await.unwrap().len(),
        1,
        "what came before counts"
    );
    std::fs::write(&file, whole).unwrap();
    jobs.inner.catch_up(&bench.run_dir(&broken)).await.unwrap();
    assert_eq!(
        jobs.find(&broken).await.state,
        State::Running,
        "after a repair the run stands where it says"
    );
}

#[tokio::test]
async fn a_restarted_run_begins_from_nothing() {
    let bench = Bench::without_devices();
    let run = spec(Stage::Pretrain, 0, None);
    bench.left_behind(
        &run,
        vec![
            EventKind::Queued { priority: 4 },
            started(1),
            metric(1),
            EventKind::Finished { seconds: 1.0 },
        ],
    );
    let dir = bench.run_dir(&run);
    std::fs::create_dir_all(dir.checkpoints().join("step-1")).unwrap();
    std::fs::write(dir.checkpoints().join("latest"), "step-1").unwrap();
    std::fs::write(dir.model_file(), "weights").unwrap();
    let jobs = bench.serve("").await;
    jobs.restart(&run.id).await.unwrap();
    assert!(!dir.checkpoints().exists() && !dir.model_file().exists());
    let found = jobs.find(&run).await;
    assert_eq!(
        (found.state, found.attempt, found.priority, found.checkpoint_step),
        (State::Queued, 0, 4, None)
    );
    assert!(jobs.inner.store.metric_names(&run.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_run_whose_directory_is_gone_is_forgotten() {
    let bench = Bench::without_devices();
    let run = spec(Stage::Pretrain, 0, None);
    bench.left_behind(&run, vec![QUEUED]);
    bench.serve("").await.stop().await;
    std::fs::remove_dir_all(bench.run_dir(&run).path()).unwrap();
    let jobs = bench.serve("").await;
    assert!(jobs.inner.store.known().await.unwrap().is_empty());
}

#[tokio::test]
async fn reindexing_gives_the_database_that_was_there() {
    let bench = Bench::new();
    let (died, unsaid) = (spec(Stage::Pretrain, 7, None), spec(Stage::Pretrain, 8, None));
    bench.left_behind(
        &died,
        vec![
            QUEUED,
            started(2),
            metric(1),
            metric(2),
            EventKind::Warning { message: "hot".to_owned() },
        ],
    );
    RunDir::create(bench.dir.path(), &unsaid).unwrap();
    let jobs = bench.serve(&[BEGIN, "[ -e go ] && exit 4\n", FINISH].concat()).await;
    let parent = spec(Stage::Pretrain, 0, None);
    let (child, other) = (spec(Stage::Probe, 0, Some(&parent)), spec(Stage::Pretrain, 1, None));
    jobs.submit(&[parent.clone(), child.clone()], 2).await.unwrap();
    jobs.until(&child, State::Finished).await;
    std::fs::create_dir_all(bench.run_dir(&other).path()).unwrap();
    std::fs::write(bench.run_dir(&other).path().join("go"), "").unwrap();
    jobs.submit(std::slice::from_ref(&other), 0).await.unwrap();
    jobs.until(&other, State::Failed).await;
    jobs.restart(&parent.id).await.unwrap();
    jobs.until(&parent, State::Finished).await;
    let before = jobs.inner.store.dump().await;
    assert!(reindex(bench.dir.path()).await.is_err(), "a server holds the directory");
    jobs.stop().await;

    assert_eq!(reindex(bench.dir.path()).await.unwrap(), 4);
    let after = Store::open(bench.dir.path()).await.unwrap().dump().await;
    assert!(before.iter().any(|line| line.starts_with("metric ")) && before.iter().any(|line| line.starts_with("attempt ")));
    assert_eq!(before, after);
}
