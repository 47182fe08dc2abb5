//! What the scheduler, the follower and the life of the runs share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;

use crate::experiment::RunId;
use crate::run_dir::{Lock, RunDir};
use crate::store::Store;

use super::executor::Executor;
use super::ingester::{self, Intake};
use super::{Change, DeviceSlot, JobsConfig};

/// Changes that a slow listener may fall behind before it misses some.
const CHANGES: usize = 256;
/// Time after which a run that could not be worked on is tried again.
const SET_ASIDE: Duration = Duration::from_secs(60);

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
    set_aside: Mutex<BTreeMap<RunId, SetAside>>,
    /// Directories that cannot be read, and why, so that each is logged once.
    passed_over: Mutex<BTreeMap<PathBuf, String>>,
    changes: broadcast::Sender<Change>,
    tasks: Mutex<JoinSet<()>>,
    _data_dir_lock: Lock,
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

/// A run that no device is given for a while, because its directory cannot be written for instance.
struct SetAside {
    /// When it is tried again.
    until: Instant,
    /// Why, as pages say it.
    reason: String,
}

impl Inner {
    pub fn new(store: Store, data_dir_lock: Lock, config: JobsConfig, executor: Box<dyn Executor>) -> Inner {
        Inner {
            config,
            store,
            executor,
            turn: tokio::sync::Mutex::new(()),
            wake: Notify::new(),
            workers: Mutex::default(),
            set_aside: Mutex::default(),
            passed_over: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES),
            tasks: Mutex::default(),
            _data_dir_lock: data_dir_lock,
        }
    }

    pub fn dir(&self, run: &RunId) -> RunDir {
        RunDir::of(&self.config.data_dir, run)
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Takes in what is new in a run directory and tells listeners and the scheduler.
    ///
    /// # Errors
    /// A directory or database that cannot be read.
    pub async fn catch_up(&self, dir: &RunDir) -> anyhow::Result<()> {
        match ingester::catch_up(&self.store, dir).await? {
            Intake::Change(change) => {
                // Nobody may be listening.
                let _ = self.changes.send(change.clone());
                // Somebody could write to its directory.
                self.end_set_aside(&change.run).await?;
                self.wake.notify_one();
            }
            Intake::Same | Intake::Unqueued => {}
            Intake::PassedOver(sentence) => bail!(sentence),
        }
        Ok(())
    }

    /// As [`Inner::catch_up`]. A directory that cannot be read is passed over, which is logged when it happens first.
    pub async fn catch_up_or_pass_over(&self, dir: &RunDir) {
        let fault = self.catch_up(dir).await.err().map(|error| format!("{error:#}"));
        let mut passed_over = locked(&self.passed_over);
        let before = match &fault {
            Some(sentence) => passed_over.insert(dir.path().to_owned(), sentence.clone()),
            None => passed_over.remove(dir.path()),
        };
        if let Some(sentence) = fault.filter(|sentence| before.as_ref() != Some(sentence)) {
            tracing::warn!("a run directory is passed over: {sentence}");
        }
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

    /// Gives the device of a run back and starts others instead, until some time has passed or its events say
    /// something new: a run that cannot be worked on, and whose events cannot say so, would else be next again at once.
    pub async fn set_aside(&self, run: &RunId, reason: String) -> anyhow::Result<()> {
        let until = Instant::now() + SET_ASIDE;
        locked(&self.set_aside).insert(run.clone(), SetAside { until, reason });
        self.workers().remove(run);
        self.store.set_aside(run).await?;
        if let Some(state) = self.store.run(run).await?.map(|run| run.state) {
            let _ = self.changes.send(Change { run: run.clone(), state });
        }
        self.wake.notify_one();
        Ok(())
    }

    /// Why a run is set aside, if it is.
    pub fn obstacle(&self, run: &RunId) -> Option<String> {
        locked(&self.set_aside).get(run).map(|aside| aside.reason.clone())
    }

    /// Lets the runs wait for a device again that were set aside long enough ago.
    pub async fn end_due_set_asides(&self) -> anyhow::Result<()> {
        let now = Instant::now();
        let due = |(run, aside): (&RunId, &SetAside)| (aside.until <= now).then(|| run.clone());
        let runs: Vec<RunId> = locked(&self.set_aside).iter().filter_map(due).collect();
        for run in runs {
            self.end_set_aside(&run).await?;
        }
        Ok(())
    }

    async fn end_set_aside(&self, run: &RunId) -> anyhow::Result<()> {
        let Some(aside) = locked(&self.set_aside).remove(run) else {
            return Ok(());
        };
        // The claim of one that is worked on again is its device's.
        if self.worker(run).is_some() {
            return Ok(());
        }
        let released = self.store.release(run).await;
        if released.is_err() {
            locked(&self.set_aside).insert(run.clone(), aside);
        }
        Ok(released?)
    }

    /// The devices and who is on them.
    pub fn slots(&self) -> Vec<DeviceSlot> {
        let mut workers: Vec<(RunId, String)> = self.workers().iter().map(|(run, at)| (run.clone(), at.device.clone())).collect();
        // A device that is named twice takes two runs: each worker fills one of its places.
        let slot = |device: &String| {
            let at = workers.iter().position(|(_, taken)| taken == device);
            DeviceSlot {
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
