//! Asking a worker to stop, because a person wants its run cancelled.

use std::sync::Arc;

use crate::experiment::RunId;
use crate::jobs::Error;
use crate::jobs::executor::stop;
use crate::jobs::inner::Inner;
use crate::run_dir::{Holder, Lock};

use super::cancel_request;

/// Writes the request to cancel and carries it out, unless that was done already.
pub fn stop_worker(inner: &Arc<Inner>, run: &RunId) -> Result<(), Error> {
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
    let reason = "cancelled by a person";
    let dir = inner.dir(run);
    // On a full disk, a worker that stops is worth more than one that is remembered.
    cancel_request::write(&dir, reason).unwrap_or_else(|error| {
        tracing::warn!(
            "{} cannot be written, so only this server knows that run {run} is cancelled: {error}",
            dir.cancel_file().display()
        );
    });
    worker.stopped = Some(reason.to_owned());
    inner.set_worker(run, worker);
    end(inner, run, pid);
    Ok(())
}

/// Asks the worker of a run that was cancelled, by an earlier server's word, once more to stop.
pub fn stop_again(inner: &Arc<Inner>, run: &RunId) {
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
