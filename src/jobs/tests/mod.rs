//! Real worker processes (shell scripts), real signals, real run directories.

mod again;
mod damaged;
mod life;
mod obstacle;

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
exec 9<>lock; flock -x 9; : > lock; echo "{\"pid\":$$,\"host\":\"$(uname -n)\"}" >&9
last=$(tail -n 1 events.jsonl | sed 's/[^0-9]*\([0-9]*\).*/\1/')
say $((last+1)) started ',"attempt":1,"pid":'$$',"host":"'$(uname -n)'","device":"cpu","threads":1'
"#;
const FINISH: &str = "say $((last+2)) finished ',\"seconds\":1'\n";
/// Waits for the file `go`, or until its test has removed the run's directory; the lock is not left to the sleep.
const WAIT: &str = "while [ ! -e go ]; do [ -e lock ] || exit 1; sleep 0.05 9>&-; done\n";

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
        self.serve_with(Box::new(Script(script.to_owned()))).await
    }

    async fn serve_with(&self, executor: Box<dyn Executor>) -> Jobs {
        let config = JobsConfig {
            data_dir: self.dir.path().to_owned(),
            worker: PathBuf::from("unused"),
            devices: self.devices.clone(),
            threads: 1,
            grace: self.grace,
            worker_memory: None,
        };
        let lock = lock_data_dir(self.dir.path()).unwrap();
        let store = Store::open(self.dir.path()).await.unwrap();
        start_with(store, lock, config, executor).await.unwrap()
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
