//! Which run starts where, and when.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::experiment::RunId;
use crate::run_dir::{EventKind, Lock, RunDir, State};

use super::executor::{Job, memory_kills};
use super::exit::Exit;
use super::inner::{AtWork, Inner};
use super::{cancel, orders, recover, settle};

/// The longest sleep: a look at the queue costs one statement for each free device.
const PAUSE: Duration = Duration::from_secs(2);

/// Gives runs to devices for ever.
pub(super) async fn run(inner: Arc<Inner>) {
    loop {
        step(&inner)
            .await
            .unwrap_or_else(|error| tracing::error!("starting runs failed: {error:#}"));
        tokio::select! {
            () = inner.wake.notified() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Starts the next ready run on each free device. One that cannot be started is set aside, and its place is the next one's.
pub(super) async fn step(inner: &Arc<Inner>) -> anyhow::Result<()> {
    let _turn = inner.turn.lock().await;
    inner.end_asides().await?;
    for slot in inner.slots().into_iter().filter(|slot| slot.run.is_none()) {
        let places = inner.config.devices.iter().filter(|device| **device == slot.device).count();
        while let Some(run) = inner.store.claim(&slot.device, places).await? {
            let Err(error) = start(inner, &run, &slot.device).await else {
                break;
            };
            tracing::error!("run {run} cannot be started and is set aside for now: {error:#}");
            inner.set_aside(&run, format!("cannot be started: {error:#}")).await?;
        }
    }
    Ok(())
}

/// Starts a claimed run, unless its directory says that it no longer waits.
async fn start(inner: &Arc<Inner>, run: &RunId, device: &str) -> anyhow::Result<()> {
    let dir = inner.dir(run);
    inner.catch_up(&dir).await?;
    if inner.store.run(run).await?.is_none_or(|run| run.state != State::Queued) {
        return inner.release(run).await;
    }
    let holder = Lock::holder(dir.path()).with_context(|| format!("{}: the lock cannot be read", dir.path().display()))?;
    if holder.is_some() {
        return recover::adopt(inner, run, device).await;
    }
    if cancel::wish(&dir).is_some() {
        return settle::settle_in_turn(inner, run, Exit::Unseen).await;
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
            inner.spawn(settle::watch(inner.clone(), run.clone(), worker));
            Ok(())
        }
        Err(error) => {
            let reason = format!("{error:#}");
            write_failure(&dir, &reason).context(reason)?;
            inner.catch_up(&dir).await?;
            inner.release(run).await
        }
    }
}

/// Says in its events that a run failed before it began.
fn write_failure(dir: &RunDir, reason: &str) -> anyhow::Result<()> {
    let _lock = Lock::take(dir.path()).with_context(|| format!("{} cannot be locked", dir.path().display()))?;
    let (reason, causes) = (reason.to_owned(), Vec::new());
    orders::append(dir, EventKind::Failed { reason, causes })
}
