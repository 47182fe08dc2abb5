//! The worker of a run: started or adopted, followed, and settled when it has ended. Its own last event stands, or the
//! server says why there is none.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::experiment::RunId;
use crate::jobs::executor::{Job, Worker, memory_kills};
use crate::jobs::exit::{Ending, Exit};
use crate::jobs::inner::{AtWork, Inner};
use crate::run_dir::{Lock, LockError, State};
use crate::store::Run;

use super::locked::LockedRun;
use super::{cancel_request, stop};

/// Bytes at the end of `log.txt` in which a reason is looked for.
const TAIL: u64 = 16 * 1024;
/// Time between two looks at the lock of an adopted worker.
const LOOK: Duration = Duration::from_millis(300);

/// Starts a claimed run, unless its directory says that it no longer waits.
pub async fn start(inner: &Arc<Inner>, run: &RunId, device: &str) -> anyhow::Result<()> {
    let dir = inner.dir(run);
    inner.catch_up(&dir).await?;
    if inner.store.run(run).await?.is_none_or(|run| run.state != State::Queued) {
        return inner.release(run).await;
    }
    let holder = Lock::holder(dir.path()).with_context(|| format!("{}: the lock cannot be read", dir.path().display()))?;
    if holder.is_some() {
        return adopt(inner, run, device).await;
    }
    if cancel_request::pending(&dir).is_some() {
        return settle_in_turn(inner, run, Exit::Unseen).await;
    }
    let config = &inner.config;
    let job = Job {
        dir: dir.clone(),
        device: device.to_owned(),
        threads: config.threads,
        memory: config.worker_memory,
    };
    let log_start = std::fs::metadata(dir.log_file()).map_or(0, |file| file.len());
    let memory_kills = memory_kills();
    match inner.executor.start(&job) {
        Ok(worker) => {
            let device = device.to_owned();
            inner.set_worker(
                run,
                AtWork {
                    device,
                    child: Some(worker.pid),
                    stopped: None,
                    log_start,
                    memory_kills,
                },
            );
            inner.spawn(watch(inner.clone(), run.clone(), worker));
            Ok(())
        }
        Err(error) => {
            let reason = format!("{error:#}");
            let locked = LockedRun::take(&dir).with_context(|| format!("{} cannot be locked", dir.path().display()));
            locked.and_then(|run| run.fail(reason.clone())).context(reason)?;
            inner.catch_up(&dir).await?;
            inner.release(run).await
        }
    }
}

/// Brings a run without a known worker up to who is alive: whoever holds its lock is adopted, and one that should be running
/// but is not is settled.
pub async fn pick_up(inner: &Arc<Inner>, run: &Run) -> anyhow::Result<()> {
    let _turn = inner.turn.lock().await;
    if inner.worker(&run.id).is_some() {
        return Ok(());
    }
    let dir = inner.dir(&run.id);
    if Lock::holder(dir.path())?.is_some() {
        // One that has not said yet where it works is most likely on the first device.
        let device = run.device.as_ref().or(inner.config.devices.first());
        return adopt(inner, &run.id, device.map_or("", String::as_str)).await;
    }
    match run.state {
        State::Running => settle_in_turn(inner, &run.id, Exit::Unseen).await,
        // Its worker stopped while no server was there to say that a person asked for it.
        State::Queued if cancel_request::pending(&dir).is_some() => settle_in_turn(inner, &run.id, Exit::Unseen).await,
        State::Queued | State::Finished | State::Failed | State::Cancelled => Ok(()),
    }
}

/// Follows a worker that is not this server's child, until its lock is free. A request to cancel goes on.
async fn adopt(inner: &Arc<Inner>, run: &RunId, device: &str) -> anyhow::Result<()> {
    tracing::info!("run {run} is worked on by a process that this server did not start; it is followed");
    let known = inner.worker(run).and_then(|worker| worker.stopped);
    let stopped = known.or_else(|| cancel_request::pending(&inner.dir(run)));
    let cancelled = stopped.is_some();
    inner.set_worker(
        run,
        AtWork {
            device: device.to_owned(),
            child: None,
            stopped,
            log_start: 0,
            memory_kills: memory_kills(),
        },
    );
    inner.store.adopt(run, device).await?;
    if cancelled {
        stop::stop_again(inner, run);
    }
    inner.spawn(wait_for_lock(inner.clone(), run.clone()));
    Ok(())
}

/// Waits until nobody holds the lock of a run, then settles it. Boxed, because settling may adopt again.
fn wait_for_lock(inner: Arc<Inner>, run: RunId) -> futures::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        let path = inner.dir(&run).path().to_owned();
        while Lock::holder(&path).is_ok_and(|holder| holder.is_some()) {
            tokio::time::sleep(LOOK).await;
        }
        let settled = settle(&inner, &run, Exit::Unseen).await;
        settled.unwrap_or_else(|error| tracing::error!("run {run} could not be settled: {error:#}"));
    })
}

/// Waits for the end of a worker, then settles its run.
async fn watch(inner: Arc<Inner>, run: RunId, worker: Worker) {
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
async fn settle(inner: &Arc<Inner>, run: &RunId, exit: Exit) -> anyhow::Result<()> {
    let _turn = inner.turn.lock().await;
    settle_in_turn(inner, run, exit).await
}

/// As [`settle`], for a caller whose turn it is.
async fn settle_in_turn(inner: &Arc<Inner>, run: &RunId, exit: Exit) -> anyhow::Result<()> {
    let dir = inner.dir(run);
    let worker = inner.worker(run);
    let written = match LockedRun::take(&dir) {
        Ok(locked) => write_end(inner, &locked, worker.as_ref(), exit),
        Err(LockError::Held(_)) => {
            let device = worker.map(|worker| worker.device).unwrap_or_default();
            return adopt(inner, run, &device).await;
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

fn write_end(inner: &Inner, run: &LockedRun, worker: Option<&AtWork>, exit: Exit) -> anyhow::Result<()> {
    let dir = run.dir();
    let Some(history) = dir.history()? else { return Ok(()) };
    let stopped = worker
        .and_then(|worker| worker.stopped.clone())
        .or_else(|| cancel_request::pending(dir));
    let log = tail(&dir.log_file(), worker.map_or(0, |worker| worker.log_start));
    let ending = Ending {
        exit,
        state: history.state,
        stopped: stopped.as_deref(),
        memory_ran_out: worker.is_some_and(|worker| memory_kills() > worker.memory_kills),
        memory_limit: inner.config.worker_memory,
        log: &log,
    };
    run.settle(&history, &ending)
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
