//! Carrying out runs: the queue's orders, the scheduler, the executor, the ingester.
//!
//! The order of reading: this file (the handle that pages and commands use), `orders` (what people ask
//! for), `scheduler` (which run starts where), `executor` (how a worker process is started), `exit` (why one
//! ended), `settle` and `recover` (what is written when nobody else did), `ingester` and `reindex` (from
//! run directories to the database).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::experiment::{RunId, RunSpec};
use crate::run_dir::{Lock, RunDir, State};
use crate::store::Store;

/// How runs are carried out.
#[derive(Clone, Debug)]
pub struct JobsConfig {
    /// Where `runs/` and the database are.
    pub data_dir: PathBuf,
    /// The program started as `<worker> work <run dir> --device D --threads T`: the umbra binary.
    pub worker: PathBuf,
    /// One worker at a time for each, such as `cpu` or `gpu:0`.
    pub devices: Vec<String>,
    /// Threads of each worker.
    pub threads: usize,
    /// How long a worker may take to write its checkpoint before it is killed.
    pub grace: Duration,
    /// Bytes of address space a worker may use.
    pub worker_memory: Option<u64>,
}

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submitted {
    /// Runs that wait now because of this.
    pub queued: Vec<RunId>,
    /// Runs that were waiting, running or finished already.
    pub shared: Vec<RunId>,
}

/// Something about a run is new: its state or anything that its events say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The run.
    pub run: RunId,
    /// Where it stands now.
    pub state: State,
}

/// A device and who is on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Such as `cpu` or `gpu:0`.
    pub device: String,
    /// The run that uses it.
    pub run: Option<RunId>,
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No run of that id.
    #[error("there is no run {0}")]
    Unknown(RunId),
    /// The run stands where the order makes no sense; one sentence.
    #[error("{0}")]
    Refused(String),
    /// A directory or the database failed.
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

/// The handle through which pages and commands give orders; clones are the same.
#[derive(Clone, Debug)]
pub struct Jobs {
    inner: Arc<JobsConfig>,
}

/// Takes the data directory for this process, and makes it if it is missing. Take it before the store is
/// opened, so that two versions of Umbra never work on one database.
///
/// # Errors
/// One sentence: who holds it, or why the directory cannot be written.
pub fn hold(_data_dir: &Path) -> anyhow::Result<Lock> {
    unimplemented!()
}

/// Picks up what an earlier server left, then starts scheduler and ingester. Call within a tokio runtime.
///
/// # Errors
/// A run directory or the database that cannot be read.
pub async fn start(_store: Store, _hold: Lock, _config: JobsConfig) -> anyhow::Result<Jobs> {
    unimplemented!()
}

/// Takes in what is new in one run directory; `None` if nothing is.
///
/// # Errors
/// A directory or database that cannot be read.
pub async fn catch_up(_store: &Store, _dir: &RunDir) -> anyhow::Result<Option<Change>> {
    unimplemented!()
}

/// Rebuilds the database from the run directories, and puts it in place of the old one in one step.
/// Returns how many runs it found.
///
/// # Errors
/// A data directory that a server holds, or that cannot be read or written.
pub async fn reindex(_data_dir: &Path) -> anyhow::Result<usize> {
    unimplemented!()
}

impl Jobs {
    /// Queues runs, parents first. Runs that are waiting, running or finished are shared; failed and
    /// cancelled ones are queued again and go on from their checkpoints.
    ///
    /// # Errors
    /// A run directory that cannot be written, named.
    pub async fn submit(&self, _runs: &[RunSpec], _priority: i64) -> Result<Submitted, Error> {
        unimplemented!()
    }

    /// Stops a run: a waiting one at once, a running one after it has written its checkpoint.
    ///
    /// # Errors
    /// A run that has ended, or works on another machine.
    pub async fn cancel(&self, _id: &RunId) -> Result<(), Error> {
        unimplemented!()
    }

    /// Queues a failed or cancelled run again; it goes on from its latest checkpoint.
    ///
    /// # Errors
    /// A run that is waiting, running or finished.
    pub async fn retry(&self, _id: &RunId) -> Result<(), Error> {
        unimplemented!()
    }

    /// Queues a run again from nothing: its checkpoints, results and history are removed.
    ///
    /// # Errors
    /// A run that is running.
    pub async fn restart(&self, _id: &RunId) -> Result<(), Error> {
        unimplemented!()
    }

    /// Moves a waiting run in the queue; higher goes first.
    ///
    /// # Errors
    /// A run that does not wait.
    pub async fn set_priority(&self, _id: &RunId, _priority: i64) -> Result<(), Error> {
        unimplemented!()
    }

    /// Changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        unimplemented!()
    }

    /// The devices and who is on them, in the order of the settings.
    pub fn devices(&self) -> Vec<Slot> {
        unimplemented!()
    }

    /// Where `runs/` and the database are.
    pub fn data_dir(&self) -> &Path {
        &self.inner.data_dir
    }

    /// Starts no more workers, ends the tasks and gives the data directory back. Living workers go on.
    pub async fn stop(self) {
        unimplemented!()
    }
}
