//! Picking up what an earlier server, or nobody's server, left: living workers are adopted, dead ones settled.

use std::sync::Arc;
use std::time::Duration;

use crate::experiment::RunId;
use crate::run_dir::{Lock, State};
use crate::store::{Run, RunFilter};

use super::exit::Exit;
use super::inner::{AtWork, Inner};
use super::{cancel, executor, ingester, settle};

/// Time between two looks at the lock of an adopted worker.
const LOOK: Duration = Duration::from_millis(300);

/// Brings the database up to the run directories, and the run directories up to who is alive.
pub(super) async fn recover(inner: &Arc<Inner>) -> anyhow::Result<()> {
    inner.store.release_all().await?;
    ingester::survey(inner).await?;
    // A worker may hold the lock of a run that still waits: it was started just before the server died.
    pick_up(inner, &[State::Running, State::Queued]).await
}

/// Looks at each run in one of these states that has no known worker: whoever holds its lock is adopted,
/// and one that should be running but is not is settled. A run that cannot be looked at is logged.
pub(super) async fn pick_up(inner: &Arc<Inner>, states: &[State]) -> anyhow::Result<()> {
    for state in states {
        let filter = RunFilter {
            state: Some(*state),
            limit: u64::MAX,
            ..RunFilter::default()
        };
        for run in inner.store.runs(&filter).await? {
            let looked = look_at(inner, &run).await;
            looked.unwrap_or_else(|error| tracing::error!("run {} could not be picked up: {error:#}", run.id));
        }
    }
    Ok(())
}

async fn look_at(inner: &Arc<Inner>, run: &Run) -> anyhow::Result<()> {
    let _turn = inner.turn.lock().await;
    if inner.worker(&run.id).is_some() {
        return Ok(());
    }
    if Lock::holder(inner.dir(&run.id).path())?.is_some() {
        // One that has not said yet where it works is most likely on the first device.
        let device = run.device.as_ref().or(inner.config.devices.first());
        return adopt(inner, &run.id, device.map_or("", String::as_str)).await;
    }
    match run.state {
        State::Running => settle::settle_in_turn(inner, &run.id, Exit::Unseen).await,
        // Its worker stopped while no server was there to say that a person wanted it.
        State::Queued if cancel::wish(&inner.dir(&run.id)).is_some() => settle::settle_in_turn(inner, &run.id, Exit::Unseen).await,
        _ => Ok(()),
    }
}

/// Follows a worker that is not this server's child, until its lock is free. A wish that it stop goes with it.
pub(super) async fn adopt(inner: &Arc<Inner>, run: &RunId, device: &str) -> anyhow::Result<()> {
    tracing::info!("run {run} is worked on by a process that this server did not start; it is followed");
    let known = inner.worker(run).and_then(|worker| worker.stopped);
    let stopped = known.or_else(|| cancel::wish(&inner.dir(run)));
    let cancelled = stopped.is_some();
    let (log_start, memory_kills) = (0, executor::memory_kills());
    inner.set_worker(
        run,
        AtWork {
            device: device.to_owned(),
            child: None,
            stopped,
            log_start,
            memory_kills,
        },
    );
    inner.store.adopt(run, device).await?;
    if cancelled {
        cancel::stop_again(inner, run);
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
        let settled = settle::settle(&inner, &run, Exit::Unseen).await;
        settled.unwrap_or_else(|error| tracing::error!("run {run} could not be settled: {error:#}"));
    })
}
