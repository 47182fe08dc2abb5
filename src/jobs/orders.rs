//! What people ask for: queue, retry, restart, move in the queue.
//!
//! Each order is an event in the run's own log, written while holding the run's lock; the database follows.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::experiment::{RunId, RunSpec, tokenizer_of};
use crate::run_dir::{Event, EventKind, EventLog, History, Lock, LockError, RunDir, State, now, sync_dir, write_atomic};
use crate::store::Run;

use super::inner::Inner;
use super::{Error, Submitted, cancel};

/// Queues runs; see [`super::Jobs::submit`].
pub(super) async fn submit(inner: &Arc<Inner>, runs: &[RunSpec], priority: i64) -> Result<Submitted, Error> {
    let _turn = inner.turn.lock().await;
    let (data_dir, specs) = (inner.config.data_dir.clone(), with_tokenizers(runs));
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

/// Queues a run again; see [`super::Jobs::retry`].
pub(super) async fn retry(inner: &Arc<Inner>, run: &RunId) -> Result<(), Error> {
    amend(inner, run, |history| match history.state {
        State::Failed | State::Cancelled => Ok(EventKind::Queued {
            priority: history.priority,
        }),
        state => Err(refused(run, state, "only a failed or cancelled run can be retried")),
    })
    .await
}

/// Moves a run in the queue; see [`super::Jobs::set_priority`].
pub(super) async fn set_priority(inner: &Arc<Inner>, run: &RunId, priority: i64) -> Result<(), Error> {
    amend(inner, run, |history| match history.state {
        State::Queued => Ok(EventKind::Queued { priority }),
        state => Err(refused(run, state, "only a waiting run has a place in the queue")),
    })
    .await
}

/// Queues a run from nothing; see [`super::Jobs::restart`].
pub(super) async fn restart(inner: &Arc<Inner>, run: &RunId) -> Result<(), Error> {
    let _turn = inner.turn.lock().await;
    let mut dirs = vec![inner.dir(run)];
    let mut locks = vec![lock_of(inner, run, &dirs[0])?];
    for made in inner.store.made_from(run).await.context("the runs made from it")? {
        let dir = inner.dir(&made.id);
        // Also the lock of one that never began is asked for: its worker may be just reading what goes away.
        let lock = match lock_of(inner, &made.id, &dir) {
            // Its directory is gone, and nothing of it is left.
            Err(Error::Unknown(_)) => continue,
            lock => lock.map_err(|error| of_made(&made, error))?,
        };
        if made.was_begun() {
            dirs.push(dir);
            locks.push(lock);
        }
    }
    // What was made last goes first: whenever this is cut short, no result stands without what it was made from.
    for dir in dirs.iter().rev() {
        // A history that cannot be read any more is one reason to start from nothing.
        let priority = dir.history().ok().flatten().map_or(0, |history| history.priority);
        start_over(dir, priority).with_context(|| dir.path().display().to_string())?;
    }
    drop(locks);
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
pub(super) async fn amend(inner: &Arc<Inner>, run: &RunId, choose: impl FnOnce(&History) -> Result<EventKind, Error>) -> Result<(), Error> {
    let _turn = inner.turn.lock().await;
    let dir = inner.dir(run);
    let lock = lock_of(inner, run, &dir)?;
    let history = dir
        .history()
        .context("the run's history")?
        .ok_or_else(|| Error::Unknown(run.clone()))?;
    let event = choose(&history)?;
    cancel::forget_wish(&dir)?;
    append(&dir, event)?;
    drop(lock);
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
        if parent.state == State::Queued && parent.priority < child.priority && queue_one(&dir, child.priority)? == Placed::Raised {
            inner.catch_up(&dir).await?;
        }
        above = parent.parent;
    }
    Ok(())
}

/// Appends one event to a run's log. The caller holds the run's lock.
pub(super) fn append(dir: &RunDir, kind: EventKind) -> anyhow::Result<()> {
    let path = dir.events_file();
    let appended = EventLog::open(&path).and_then(|mut log| log.append(kind));
    appended
        .map(|_| ())
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Locks a run on which nobody works.
fn lock_of(inner: &Inner, run: &RunId, dir: &RunDir) -> Result<Lock, Error> {
    if !dir.spec_file().is_file() {
        return Err(Error::Unknown(run.clone()));
    }
    if inner.worker(run).is_some() {
        return Err(refused(run, State::Running, "cancel it first"));
    }
    Lock::take(dir.path()).map_err(|error| match error {
        LockError::Held(holder) => Error::Refused(format!("run {run} is worked on by process {} on {}", holder.pid, holder.host)),
        LockError::Io(error) => Error::Fault(anyhow::Error::new(error).context(dir.path().display().to_string())),
    })
}

pub(super) fn refused(run: &RunId, state: State, rule: &str) -> Error {
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
    let (mut submitted, mut raised) = (Submitted::default(), Vec::new());
    for (run, dir) in runs.iter().zip(dirs) {
        let placed = queue_one(dir, priority)?;
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

/// What became of one run of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    /// It waits now.
    Queued,
    /// It waited already, and moved up.
    Raised,
    /// It stands as it stood.
    Shared,
}

/// Queues a run unless it waits, works or is finished already; one that waits with a lower priority moves up.
fn queue_one(dir: &RunDir, priority: i64) -> anyhow::Result<Placed> {
    let _lock = match Lock::take(dir.path()) {
        Ok(lock) => lock,
        Err(LockError::Held(_)) => return Ok(Placed::Shared),
        Err(LockError::Io(error)) => return Err(error).with_context(|| dir.path().display().to_string()),
    };
    let placed = match dir.history()? {
        Some(history) if history.state == State::Queued && history.priority < priority => Placed::Raised,
        Some(history) if matches!(history.state, State::Queued | State::Running | State::Finished) => return Ok(Placed::Shared),
        _ => Placed::Queued,
    };
    if placed == Placed::Queued {
        cancel::forget_wish(dir)?;
    }
    append(dir, EventKind::Queued { priority })?;
    sync_dir(dir.path())?;
    Ok(placed)
}

/// Empties a run directory but for `run.toml`. The order makes every moment safe: without `latest` no
/// checkpoint counts, and the old results go only when the log no longer calls them finished.
fn start_over(dir: &RunDir, priority: i64) -> anyhow::Result<()> {
    remove_file(&dir.checkpoints().join("latest"))?;
    remove_tree(&dir.checkpoints())?;
    let first = Event {
        seq: 1,
        time: now(),
        kind: EventKind::Queued { priority },
    };
    let mut line = serde_json::to_vec(&first)?;
    line.push(b'\n');
    cancel::forget_wish(dir)?;
    write_atomic(&dir.events_file(), &line)?;
    remove_file(&dir.model_file())?;
    remove_file(&dir.log_file())?;
    remove_tree(&dir.snapshots())?;
    Ok(remove_tree(&dir.images())?)
}

pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(missing_is_fine)
}

fn remove_tree(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path).or_else(missing_is_fine)
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}
