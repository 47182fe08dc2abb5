//! What scheduler, ingester and orders share.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;

use crate::experiment::RunId;
use crate::run_dir::{Lock, RunDir};
use crate::store::Store;

use super::{Change, Executor, JobsConfig, Slot, catch_up};

/// Changes that a slow listener may fall behind before it misses some.
const CHANGES: usize = 256;

/// The state behind [`super::Jobs`].
pub(super) struct Inner {
    pub config: JobsConfig,
    pub store: Store,
    pub executor: Box<dyn Executor>,
    /// Held by whoever writes to a run directory or starts a worker: orders, starts and ends come one by
    /// one. It also keeps a child that is just being started from inheriting a run's lock.
    pub turn: tokio::sync::Mutex<()>,
    /// Tells the scheduler that a run or a device may be ready.
    pub wake: Notify,
    workers: Mutex<BTreeMap<RunId, AtWork>>,
    changes: broadcast::Sender<Change>,
    tasks: Mutex<JoinSet<()>>,
    _hold: Lock,
}

/// A worker that lives.
#[derive(Clone, Debug)]
pub(super) struct AtWork {
    /// The device it uses.
    pub device: String,
    /// Its process id if it is this server's child; an adopted worker is known by the run's lock.
    pub child: Option<u32>,
    /// Why it was asked to stop.
    pub stopped: Option<String>,
    /// Length of `log.txt` when it was started.
    pub log_start: u64,
    /// [`super::executor::memory_kills`] when it was started.
    pub memory_kills: u64,
}

impl Inner {
    pub fn new(store: Store, hold: Lock, config: JobsConfig, executor: Box<dyn Executor>) -> Inner {
        Inner {
            config,
            store,
            executor,
            turn: tokio::sync::Mutex::new(()),
            wake: Notify::new(),
            workers: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES),
            tasks: Mutex::default(),
            _hold: hold,
        }
    }

    pub fn dir(&self, run: &RunId) -> RunDir {
        RunDir::of(&self.config.data_dir, run)
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Takes in what is new in a run directory and tells listeners and the scheduler.
    pub async fn catch_up(&self, dir: &RunDir) -> anyhow::Result<()> {
        if let Some(change) = catch_up(&self.store, dir).await? {
            // Nobody may be listening.
            let _ = self.changes.send(change);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// The runs whose workers live.
    pub fn at_work(&self) -> Vec<RunId> {
        self.workers().keys().cloned().collect()
    }

    /// The worker of a run, if one lives.
    pub fn worker(&self, run: &RunId) -> Option<AtWork> {
        self.workers().get(run).cloned()
    }

    pub fn set_worker(&self, run: &RunId, worker: AtWork) {
        self.workers().insert(run.clone(), worker);
    }

    /// Gives the device of a run back.
    pub async fn release(&self, run: &RunId) -> anyhow::Result<()> {
        self.workers().remove(run);
        self.store.release(run).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// The devices and who is on them.
    pub fn slots(&self) -> Vec<Slot> {
        let mut workers: Vec<(RunId, String)> = self.workers().iter().map(|(run, at)| (run.clone(), at.device.clone())).collect();
        // A device that is named twice takes two runs: each worker fills one of its places.
        let slot = |device: &String| {
            let at = workers.iter().position(|(_, taken)| taken == device);
            Slot {
                device: device.clone(),
                run: at.map(|at| workers.remove(at).0),
            }
        };
        self.config.devices.iter().map(slot).collect()
    }

    /// Runs a task until it ends or [`Inner::end_tasks`] is called.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Ends every task where it stands, which is no worse than a crash, and that is provided for.
    pub async fn end_tasks(&self) {
        let mut tasks = std::mem::take(&mut *locked(&self.tasks));
        tasks.shutdown().await;
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<RunId, AtWork>> {
        locked(&self.workers)
    }
}

/// Nothing that holds these locks can leave half a change behind, so a panic elsewhere does not matter.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
