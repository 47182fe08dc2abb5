//! What is written when a worker has ended: its own last event stands, or the server says why there is none.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::experiment::RunId;
use crate::run_dir::{EventKind, History, Lock, LockError, RunDir};

use super::executor::{Worker, memory_kills};
use super::exit::{Ending, Exit, Verdict, verdict};
use super::inner::{AtWork, Inner};
use super::{cancel, orders, recover};

/// Bytes at the end of `log.txt` in which a reason is looked for.
const TAIL: u64 = 16 * 1024;
/// Attempts after which a worker that died unseen is not tried again by itself.
const ATTEMPTS: u32 = 2;

/// Waits for the end of a worker, then settles its run.
pub(super) async fn watch(inner: Arc<Inner>, run: RunId, worker: Worker) {
    let exit = worker.exit.await.unwrap_or_else(|error| {
        tracing::error!("run {run}: the end of its worker could not be seen: {error}");
        Exit::Unseen
    });
    settle(&inner, &run, exit)
        .await
        .unwrap_or_else(|error| tracing::error!("run {run} could not be settled: {error:#}"));
}

/// Brings the history of a run whose worker has ended to its end, and gives its device back. If somebody
/// else works on it, that worker is adopted.
pub(super) async fn settle(inner: &Arc<Inner>, run: &RunId, exit: Exit) -> anyhow::Result<()> {
    let _turn = inner.turn.lock().await;
    settle_in_turn(inner, run, exit).await
}

/// As [`settle`], for a caller whose turn it is.
pub(super) async fn settle_in_turn(inner: &Arc<Inner>, run: &RunId, exit: Exit) -> anyhow::Result<()> {
    let (dir, worker) = (inner.dir(run), inner.worker(run));
    let written = match Lock::take(dir.path()) {
        Ok(_lock) => write_end(inner, &dir, worker.as_ref(), exit),
        Err(LockError::Held(_)) => {
            let device = worker.map(|worker| worker.device).unwrap_or_default();
            return recover::adopt(inner, run, &device).await;
        }
        Err(LockError::Io(error)) => Err(error).with_context(|| format!("{} cannot be locked", dir.path().display())),
    };
    let caught_up = inner.catch_up(&dir).await;
    match written.and(caught_up) {
        Ok(()) => inner.release(run).await,
        // A run that still waits, as far as anybody can read, would be started again at once.
        Err(error) => {
            inner.set_aside(run, format!("its end cannot be written: {error:#}")).await?;
            Err(error)
        }
    }
}

/// Appends what is missing at the end of a history. The caller holds the run's lock.
fn write_end(inner: &Inner, dir: &RunDir, worker: Option<&AtWork>, exit: Exit) -> anyhow::Result<()> {
    let Some(history) = dir.history()? else { return Ok(()) };
    let stopped = worker.and_then(|worker| worker.stopped.clone()).or_else(|| cancel::wish(dir));
    let log = tail(&dir.log_file(), worker.map_or(0, |worker| worker.log_start));
    let ending = Ending {
        exit,
        state: history.state,
        stopped: stopped.as_deref(),
        memory_ran_out: worker.is_some_and(|worker| memory_kills() > worker.memory_kills),
        memory_limit: inner.config.worker_memory,
        log: &log,
    };
    for event in missing(verdict(&ending), &history) {
        orders::append(dir, event)?;
    }
    cancel::forget_wish(dir)
}

fn missing(verdict: Verdict, history: &History) -> Vec<EventKind> {
    let failed = |reason| EventKind::Failed {
        reason,
        causes: Vec::new(),
    };
    match verdict {
        Verdict::Stands => Vec::new(),
        Verdict::Failed(reason) => vec![failed(reason)],
        Verdict::Cancelled(reason) => vec![EventKind::Cancelled { reason }],
        Verdict::Lost => {
            let lost = failed("the worker died while no server was watching".to_owned());
            let again = EventKind::Queued {
                priority: history.priority,
            };
            if history.attempt < ATTEMPTS {
                vec![lost, again]
            } else {
                vec![lost]
            }
        }
    }
}

/// The end of a log, from `start` at the earliest; what cannot be read is empty.
fn tail(path: &Path, start: u64) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(end.saturating_sub(TAIL)).min(end)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}
