//! Writing a run's history: the only place where the server appends to it.

use anyhow::Context;

use crate::jobs::exit::{Ending, ExitVerdict, verdict};
use crate::run_dir::{Event, EventKind, EventLog, History, Lock, LockError, RunDir, State, now, remove_if_present, sync_dir, write_atomic};

use super::cancel_request;

/// Attempts after which a worker that died unseen is not tried again by itself.
const ATTEMPTS: u32 = 2;

/// A run whose lock is held. Dropping it gives the lock back.
pub struct LockedRun {
    dir: RunDir,
    _lock: Lock,
}

/// What became of a run that was to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It waits now.
    Queued,
    /// It waited already, and moved up.
    Raised,
    /// It stands as it stood.
    Shared,
}

/// Queues a run unless it waits, works or is finished already; one that waits with a lower priority moves up.
pub fn queue(dir: &RunDir, priority: i64) -> anyhow::Result<Placed> {
    let run = match LockedRun::take(dir) {
        Ok(run) => run,
        Err(LockError::Held(_)) => return Ok(Placed::Shared),
        Err(LockError::Io(error)) => return Err(error).with_context(|| dir.path().display().to_string()),
    };
    let placed = match dir.history()? {
        Some(history) if history.state == State::Queued && history.priority < priority => Placed::Raised,
        Some(history) if matches!(history.state, State::Queued | State::Running | State::Finished) => return Ok(Placed::Shared),
        _ => Placed::Queued,
    };
    if placed == Placed::Queued {
        cancel_request::withdraw(dir)?;
    }
    run.append(EventKind::Queued { priority })?;
    sync_dir(dir.path())?;
    Ok(placed)
}

impl LockedRun {
    /// Takes the lock of a run.
    pub fn take(dir: &RunDir) -> Result<LockedRun, LockError> {
        let lock = Lock::take(dir.path())?;
        Ok(LockedRun {
            dir: dir.clone(),
            _lock: lock,
        })
    }

    /// Its directory.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// Carries out an order: a pending request to cancel is answered by it.
    pub fn order(&self, event: EventKind) -> anyhow::Result<()> {
        cancel_request::withdraw(&self.dir)?;
        self.append(event)
    }

    /// Says that the run failed before a worker began.
    pub fn fail(&self, reason: String) -> anyhow::Result<()> {
        self.append(failed(reason))
    }

    /// Appends what is missing at the end of its history when its worker has ended.
    pub fn settle(&self, history: &History, ending: &Ending) -> anyhow::Result<()> {
        for event in missing(verdict(ending), history) {
            self.append(event)?;
        }
        cancel_request::withdraw(&self.dir)
    }

    /// Queues the run from nothing: empties its directory but for `run.toml`. The order makes every moment safe: without
    /// `latest` no checkpoint counts, and the old results go only when the log no longer calls them finished.
    pub fn start_over(&self) -> anyhow::Result<()> {
        let dir = &self.dir;
        // A history that cannot be read any more is one reason to start from nothing.
        let priority = dir.history().ok().flatten().map_or(0, |history| history.priority);
        remove_if_present(&dir.checkpoints().join("latest"))?;
        remove_if_present(&dir.checkpoints())?;
        let first = Event {
            seq: 1,
            time: now(),
            kind: EventKind::Queued { priority },
        };
        let mut line = serde_json::to_vec(&first)?;
        line.push(b'\n');
        cancel_request::withdraw(dir)?;
        write_atomic(&dir.events_file(), &line)?;
        remove_if_present(&dir.model_file())?;
        remove_if_present(&dir.log_file())?;
        remove_if_present(&dir.snapshots())?;
        Ok(remove_if_present(&dir.images())?)
    }

    fn append(&self, kind: EventKind) -> anyhow::Result<()> {
        let path = self.dir.events_file();
        let appended = EventLog::open(&path).and_then(|mut log| log.append(kind));
        appended
            .map(|_| ())
            .with_context(|| format!("{} cannot be written", path.display()))
    }
}

fn failed(reason: String) -> EventKind {
    EventKind::Failed {
        reason,
        causes: Vec::new(),
    }
}

fn missing(verdict: ExitVerdict, history: &History) -> Vec<EventKind> {
    match verdict {
        ExitVerdict::Stands => Vec::new(),
        ExitVerdict::Failed(reason) => vec![failed(reason)],
        ExitVerdict::Cancelled(reason) => vec![EventKind::Cancelled { reason }],
        ExitVerdict::Lost => {
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
