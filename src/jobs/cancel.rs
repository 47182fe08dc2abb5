//! Stopping a run because a person wants it.
//!
//! A worker that is asked to stop says `stopped`, whoever asked, and then its run waits again. That a person asked stands in a
//! file beside its events until the server has added `cancelled`, so that the next server knows it too if this one ends first.

use std::sync::Arc;

use anyhow::Context;

use crate::experiment::RunId;
use crate::run_dir::{EventKind, Holder, Lock, RunDir, State, write_atomic};

use super::executor::stop;
use super::inner::Inner;
use super::{Error, orders};

/// Cancels a run; see [`super::Jobs::cancel`].
pub(super) async fn cancel(inner: &Arc<Inner>, run: &RunId) -> Result<(), Error> {
    let turn = inner.turn.lock().await;
    if inner.worker(run).is_some() {
        return stop_worker(inner, run);
    }
    drop(turn);
    orders::amend(inner, run, |history| match history.state {
        State::Queued => Ok(EventKind::Cancelled {
            reason: "cancelled by a person before it started".to_owned(),
        }),
        state => Err(orders::refused(run, state, "only a waiting or running run can be cancelled")),
    })
    .await
}

/// Why the worker of a run is to stop, if a person asked for it and nobody has written yet that it did.
pub(super) fn wish(dir: &RunDir) -> Option<String> {
    std::fs::read_to_string(dir.wish_file()).ok()
}

/// Removes the wish that the worker of a run stop: it did, or the run is wanted again.
pub(super) fn forget_wish(dir: &RunDir) -> anyhow::Result<()> {
    let path = dir.wish_file();
    orders::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))
}

/// Writes the wish and carries it out, unless that was done already.
fn stop_worker(inner: &Arc<Inner>, run: &RunId) -> Result<(), Error> {
    let Some(mut worker) = inner.worker(run).filter(|worker| worker.stopped.is_none()) else {
        return Ok(());
    };
    let pid = match pid_of(inner, run) {
        Ok(pid) => pid,
        Err(Some(holder)) => {
            return Err(Error::Refused(format!(
                "run {run} is worked on by process {} on {}: stop it there",
                holder.pid, holder.host
            )));
        }
        Err(None) => return Err(Error::Refused(format!("the worker of run {run} is just ending: try again"))),
    };
    let (reason, file) = ("cancelled by a person", inner.dir(run).wish_file());
    // On a full disk, a worker that stops is worth more than one that is remembered.
    write_atomic(&file, reason.as_bytes()).unwrap_or_else(|error| {
        tracing::warn!(
            "{} cannot be written, so only this server knows that run {run} is cancelled: {error}",
            file.display()
        );
    });
    worker.stopped = Some(reason.to_owned());
    inner.set_worker(run, worker);
    end(inner, run, pid);
    Ok(())
}

/// Asks the worker of a run that was cancelled, by an earlier server's word, once more to stop.
pub(super) fn stop_again(inner: &Arc<Inner>, run: &RunId) {
    match pid_of(inner, run) {
        Ok(pid) => end(inner, run, pid),
        Err(Some(holder)) => tracing::warn!(
            "run {run} was cancelled but is worked on by process {} on {}: stop it there",
            holder.pid,
            holder.host
        ),
        Err(None) => {}
    }
}

/// Asks a process to write its checkpoint and stop, and kills it if it does not in time.
fn end(inner: &Arc<Inner>, run: &RunId, pid: u32) {
    stop(pid, false);
    let (inner, run) = (inner.clone(), run.clone());
    inner.clone().spawn(async move {
        tokio::time::sleep(inner.config.grace).await;
        let turn = inner.turn.lock().await;
        let worker = inner
            .worker(&run)
            .filter(|worker| worker.stopped.is_some() && pid_of(&inner, &run) == Ok(pid));
        if let Some(mut worker) = worker {
            let seconds = inner.config.grace.as_secs_f64();
            worker.stopped = Some(format!(
                "cancelled by a person; the worker did not stop within {seconds} s and was killed"
            ));
            inner.set_worker(&run, worker);
            stop(pid, true);
        }
        drop(turn);
    });
}

/// The process of a living worker that this server may signal: its own child, or the holder of the run's
/// lock on this machine. The error is a holder elsewhere, or `None` if nobody holds it.
fn pid_of(inner: &Inner, run: &RunId) -> Result<u32, Option<Holder>> {
    if let Some(pid) = inner.worker(run).and_then(|worker| worker.child) {
        return Ok(pid);
    }
    match Lock::holder(inner.dir(run).path()).ok().flatten() {
        Some(holder) if holder.host == Holder::me().host && holder.pid != std::process::id() => Ok(holder.pid),
        other => Err(other),
    }
}
