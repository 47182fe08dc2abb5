//! Which run starts where, and when.

use std::sync::Arc;
use std::time::Duration;

use crate::experiment::RunId;
use crate::run_dir::{EventKind, Lock, State};

use super::executor::{Job, memory_kills};
use super::inner::{AtWork, Inner};
use super::{orders, recover, settle};

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

/// Starts the next ready run on each free device.
pub(super) async fn step(inner: &Arc<Inner>) -> anyhow::Result<()> {
    let _turn = inner.turn.lock().await;
    for slot in inner.slots().into_iter().filter(|slot| slot.run.is_none()) {
        let places = inner.config.devices.iter().filter(|device| **device == slot.device).count();
        let Some(run) = inner.store.claim(&slot.device, places).await? else {
            continue;
        };
        if let Err(error) = start(inner, &run, &slot.device).await {
            inner.release(&run).await?;
            return Err(error.context(format!("run {run}")));
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
    if Lock::holder(dir.path())?.is_some() {
        return recover::adopt(inner, run, device).await;
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
            let lock = Lock::take(dir.path())?;
            orders::append(
                &dir,
                EventKind::Failed {
                    reason: format!("{error:#}"),
                    causes: Vec::new(),
                },
            )?;
            drop(lock);
            inner.catch_up(&dir).await?;
            inner.release(run).await
        }
    }
}
