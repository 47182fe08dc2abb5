//! The life of a run on the server's side: from the order of a person to the rows of the database.
//!
//! In reading order: this file (the handle that pages and commands use), `lifecycle` (every transition of a run: orders,
//! the start of a worker, its end), `scheduler` (which run starts where), `executor` (how a worker process is started),
//! `exit` (why one ended), `ingester` (from a run directory to the database), `follower` (all run directories, at the start and
//! from then on), `inner` (what these share), `reindex` (the database anew), `data_dir_lock` (one server to a data
//! directory), `inspector` (the process behind the playground).
//!
//! ```text
//! scheduler, follower, the handle -> lifecycle -> inner -> ingester, executor -> exit
//! ```

mod data_dir_lock;
mod executor;
mod exit;
mod follower;
mod ingester;
mod inner;
mod inspector;
mod lifecycle;
mod reindex;
mod scheduler;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::experiment::{RunId, RunSpec};
use crate::playground::{Reply, Request};
use crate::run_dir::{Lock, State};
use crate::store::Store;

pub use data_dir_lock::lock_data_dir;
pub use executor::{Executor, Job, LocalProcesses, Worker};
pub use exit::Exit;
pub use inspector::Unanswered;
pub use reindex::{Reindexed, reindex, unindexed};

use inner::Inner;
use inspector::{InspectorHandle, Launch};

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
pub struct DeviceSlot {
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
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
    inspector: InspectorHandle,
}

/// Picks up what an earlier server left, then starts the scheduler and the follower.
///
/// Workers are processes of this machine. Call within a tokio runtime, once the data directory is [locked](lock_data_dir).
///
/// # Errors
/// A data directory or database that cannot be read.
pub async fn start(store: Store, data_dir_lock: Lock, config: JobsConfig) -> anyhow::Result<Jobs> {
    let executor = LocalProcesses {
        program: config.worker.clone(),
    };
    start_with(store, data_dir_lock, config, Box::new(executor)).await
}

/// As [`start`], with another way to start workers.
///
/// # Errors
/// As [`start`].
pub async fn start_with(store: Store, data_dir_lock: Lock, config: JobsConfig, executor: Box<dyn Executor>) -> anyhow::Result<Jobs> {
    let inner = Arc::new(Inner::new(store, data_dir_lock, config, executor));
    follower::recover(&inner).await?;
    inner.spawn(scheduler::run(inner.clone()));
    inner.spawn(follower::follow(inner.clone()));
    let (inspector, queue) = InspectorHandle::new(Launch::new(&inner.config));
    inner.spawn(inspector::run(inner.clone(), queue));
    Ok(Jobs { inner, inspector })
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("data_dir", &self.data_dir()).finish_non_exhaustive()
    }
}

impl Jobs {
    /// Queues runs, parents first. Runs that are waiting, running or finished are shared; failed and
    /// cancelled ones are queued again and go on from their checkpoints. Those that wait with a lower priority move up.
    ///
    /// # Errors
    /// A run directory that cannot be written, named.
    pub async fn submit(&self, runs: &[RunSpec], priority: i64) -> Result<Submitted, Error> {
        lifecycle::submit(&self.inner, runs, priority).await
    }

    /// Stops a run: a waiting one at once, a running one after it has written its checkpoint.
    ///
    /// # Errors
    /// A run that has ended, or works on another machine.
    pub async fn cancel(&self, run: &RunId) -> Result<(), Error> {
        lifecycle::cancel(&self.inner, run).await
    }

    /// Queues a failed or cancelled run again; it goes on from its latest checkpoint.
    ///
    /// # Errors
    /// A run that is waiting, running or finished.
    pub async fn retry(&self, run: &RunId) -> Result<(), Error> {
        lifecycle::retry(&self.inner, run).await
    }

    /// Queues a run again from nothing: its checkpoints, results and history are removed, and those of every run made from
    /// it that was begun, for they hold what came of the old one.
    ///
    /// # Errors
    /// A run that is running, or one made from it that is.
    pub async fn restart(&self, run: &RunId) -> Result<(), Error> {
        lifecycle::restart(&self.inner, run).await
    }

    /// Moves a waiting run in the queue; higher goes first. Runs that it waits for move up with it.
    ///
    /// # Errors
    /// A run that does not wait.
    pub async fn set_priority(&self, run: &RunId, priority: i64) -> Result<(), Error> {
        lifecycle::set_priority(&self.inner, run, priority).await
    }

    /// Asks `umbra inspect-server`, as soon as those who asked before have their answers. `file` is an image that was handed in, or
    /// empty.
    ///
    /// # Errors
    /// A request that cannot be answered, or that is not answered within `patience` but still worked on.
    pub async fn look(&self, request: Request, file: Arc<[u8]>, patience: Duration) -> Result<Arc<Reply>, Unanswered> {
        self.inspector.ask(request, file, patience).await
    }

    /// Changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.inner.subscribe()
    }

    /// Why a run is set aside for now, although it may be its turn: its directory cannot be written, for instance.
    pub fn obstacle(&self, run: &RunId) -> Option<String> {
        self.inner.obstacle(run)
    }

    /// The devices and who is on them, in the order of the settings.
    pub fn devices(&self) -> Vec<DeviceSlot> {
        self.inner.slots()
    }

    /// Where `runs/` and the database are.
    pub fn data_dir(&self) -> &Path {
        &self.inner.config.data_dir
    }

    /// Starts no more workers and ends the tasks. Living workers go on. The data directory is given back
    /// when the last clone of this handle is gone.
    pub async fn stop(self) {
        self.inner.end_tasks().await;
    }
}
