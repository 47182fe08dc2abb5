//! What people ask for: queue, retry, restart, cancel, move in the queue.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::experiment::{RunId, RunSpec, tokenizer_of};
use crate::jobs::inner::Inner;
use crate::jobs::{Error, Submitted};
use crate::run_dir::{EventKind, History, LockError, RunDir, State, sync_dir};
use crate::store::Run;

use super::locked::{LockedRun, Placed, queue};
use super::stop;

/// Queues runs; see [`crate::jobs::Jobs::submit`].
pub async fn submit(inner: &Arc<Inner>, runs: &[RunSpec], priority: i64) -> Result<Submitted, Error> {
    let _turn = inner.turn.lock().await;
    let data_dir = inner.config.data_dir.clone();
    let specs = with_tokenizers(runs);
    // A large study is many synced writes.
    let (submitted, raised) = tokio::task::spawn_blocking(move || write_all(&data_dir, &specs, priority))
        .await
        .context("queueing")??;
    for run in submitted.queued.iter().chain(&raised) {
        inner.catch_up(&inner.dir(run)).await?;
    }
    for run in submitted.queued.iter().chain(&raised) {
        lift_parents(inner, run).await?;
    }
    inner.wake.notify_one();
    Ok(submitted)
}

/// Queues a run again; see [`crate::jobs::Jobs::retry`].
pub async fn retry(inner: &Arc<Inner>, run: &RunId) -> Result<(), Error> {
    amend(inner, run, |history| match history.state {
        State::Failed | State::Cancelled => Ok(EventKind::Queued {
            priority: history.priority,
        }),
        state => Err(refused(run, state, "only a failed or cancelled run can be retried")),
    })
    .await
}

/// Moves a run in the queue; see [`crate::jobs::Jobs::set_priority`].
pub async fn set_priority(inner: &Arc<Inner>, run: &RunId, priority: i64) -> Result<(), Error> {
    amend(inner, run, |history| match history.state {
        State::Queued => Ok(EventKind::Queued { priority }),
        state => Err(refused(run, state, "only a queued run has a place in the queue")),
    })
    .await
}

/// Cancels a run; see [`crate::jobs::Jobs::cancel`].
pub async fn cancel(inner: &Arc<Inner>, run: &RunId) -> Result<(), Error> {
    let turn = inner.turn.lock().await;
    if inner.worker(run).is_some() {
        return stop::stop_worker(inner, run);
    }
    drop(turn);
    amend(inner, run, |history| match history.state {
        State::Queued => Ok(EventKind::Cancelled {
            reason: "cancelled by a person before it started".to_owned(),
        }),
        state => Err(refused(run, state, "only a queued or running run can be cancelled")),
    })
    .await
}

/// Queues a run from nothing; see [`crate::jobs::Jobs::restart`].
pub async fn restart(inner: &Arc<Inner>, run: &RunId) -> Result<(), Error> {
    let _turn = inner.turn.lock().await;
    let mut locked = vec![lock(inner, run)?];
    for made in inner.store.made_from(run).await.context("the runs made from it")? {
        // Also the lock of one that never began is asked for: its worker may be just reading what goes away.
        let child = match lock(inner, &made.id) {
            // Its directory is gone, and nothing of it is left.
            Err(Error::Unknown(_)) => continue,
            child => child.map_err(|error| of_made(&made, error))?,
        };
        if made.was_begun() {
            locked.push(child);
        }
    }
    // What was made last goes first: whenever this is cut short, no result stands without what it was made from.
    for run in locked.iter().rev() {
        run.start_over().with_context(|| run.dir().path().display().to_string())?;
    }
    let dirs: Vec<RunDir> = locked.iter().map(|run| run.dir().clone()).collect();
    drop(locked);
    for dir in &dirs {
        inner.catch_up(dir).await?;
    }
    for dir in &dirs {
        lift_parents(inner, &dir.id().context("a run that restarts")?).await?;
    }
    Ok(())
}

/// Says of a refusal that it is about a run made from the one that the order was for.
fn of_made(made: &Run, error: Error) -> Error {
    match error {
        Error::Refused(sentence) => Error::Refused(format!("{} was made from it, and {sentence}", made.label)),
        error => error,
    }
}

/// Appends the event that `choose` picks from what the run's log says.
async fn amend(inner: &Arc<Inner>, run: &RunId, choose: impl FnOnce(&History) -> Result<EventKind, Error>) -> Result<(), Error> {
    let _turn = inner.turn.lock().await;
    let locked = lock(inner, run)?;
    let dir = locked.dir().clone();
    let history = dir
        .history()
        .context("the run's history")?
        .ok_or_else(|| Error::Unknown(run.clone()))?;
    locked.order(choose(&history)?)?;
    drop(locked);
    inner.catch_up(&dir).await?;
    Ok(lift_parents(inner, run).await?)
}

/// Lets the waiting runs that a waiting run starts from go before the runs that it goes before itself.
async fn lift_parents(inner: &Inner, run: &RunId) -> anyhow::Result<()> {
    let found = inner.store.run(run).await?;
    let Some(child) = found.filter(|run| run.state == State::Queued) else {
        return Ok(());
    };
    let mut above = child.parent;
    while let Some(id) = above {
        // A parent that is not here has no place in the queue.
        let Some(parent) = inner.store.run(&id).await? else { break };
        let dir = inner.dir(&id);
        if parent.state == State::Queued && parent.priority < child.priority && queue(&dir, child.priority)? == Placed::Raised {
            inner.catch_up(&dir).await?;
        }
        above = parent.parent;
    }
    Ok(())
}

/// Locks a run on which nobody works.
fn lock(inner: &Inner, run: &RunId) -> Result<LockedRun, Error> {
    let dir = inner.dir(run);
    if !dir.spec_file().is_file() {
        return Err(Error::Unknown(run.clone()));
    }
    if inner.worker(run).is_some() {
        return Err(refused(run, State::Running, "cancel it first"));
    }
    LockedRun::take(&dir).map_err(|error| match error {
        LockError::Held(holder) => Error::Refused(format!("run {run} is worked on by process {} on {}", holder.pid, holder.host)),
        LockError::Io(error) => Error::Fault(anyhow::Error::new(error).context(dir.path().display().to_string())),
    })
}

fn refused(run: &RunId, state: State, rule: &str) -> Error {
    Error::Refused(format!("run {run} is {}: {rule}", state.name()))
}

/// The runs, and the tokenizers that they start from and that are not among them.
fn with_tokenizers(runs: &[RunSpec]) -> Vec<RunSpec> {
    let mut all: Vec<RunSpec> = Vec::new();
    for run in runs {
        let tokenizer = tokenizer_of(run).filter(|tokenizer| !runs.iter().chain(&all).any(|known| known.id == tokenizer.id));
        all.extend(tokenizer);
        all.push(run.clone());
    }
    all
}

/// Makes the directories of all runs, then queues them one by one. What was made but not queued, because
/// the disk is full for instance, is removed again.
///
/// The second list is of runs that waited already and moved up.
fn write_all(data_dir: &Path, runs: &[RunSpec], priority: i64) -> anyhow::Result<(Submitted, Vec<RunId>)> {
    let fresh: Vec<RunDir> = runs
        .iter()
        .map(|run| RunDir::of(data_dir, &run.id))
        .filter(|dir| !dir.path().exists())
        .collect();
    let written = make_dirs(data_dir, runs).and_then(|dirs| queue_all(runs, &dirs, priority));
    if written.is_err() {
        for dir in fresh.iter().filter(|dir| !dir.history().is_ok_and(|history| history.is_some())) {
            // The first error is the one to report.
            let _ = fs::remove_dir_all(dir.path());
        }
    }
    written
}

fn make_dirs(data_dir: &Path, runs: &[RunSpec]) -> anyhow::Result<Vec<RunDir>> {
    let make = |run: &RunSpec| {
        RunDir::create(data_dir, run).with_context(|| format!("{} cannot be made", RunDir::of(data_dir, &run.id).path().display()))
    };
    let dirs = runs.iter().map(make).collect::<anyhow::Result<Vec<RunDir>>>()?;
    if !dirs.is_empty() {
        sync_dir(&data_dir.join("runs"))?;
    }
    Ok(dirs)
}

fn queue_all(runs: &[RunSpec], dirs: &[RunDir], priority: i64) -> anyhow::Result<(Submitted, Vec<RunId>)> {
    let mut submitted = Submitted::default();
    let mut raised = Vec::new();
    for (run, dir) in runs.iter().zip(dirs) {
        let placed = queue(dir, priority)?;
        let list = if placed == Placed::Queued {
            &mut submitted.queued
        } else {
            &mut submitted.shared
        };
        list.push(run.id.clone());
        if placed == Placed::Raised {
            raised.push(run.id.clone());
        }
    }
    Ok((submitted, raised))
}
