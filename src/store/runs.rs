//! Runs: what pages list, filter and open.

use crate::experiment::{RunId, RunSpec, Stage};
use crate::run_dir::State;

use super::{Result, Store};

/// A run as pages show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name of the run and of its directory.
    pub id: RunId,
    /// The name for people.
    pub label: String,
    /// The kind of work.
    pub stage: Stage,
    /// The method of the encoder.
    pub method: String,
    /// The seed of every random draw.
    pub seed: u64,
    /// The scale the settings came from.
    pub scale: String,
    /// Where the pictures come from: `data.source`.
    pub data: String,
    /// The run this one starts from.
    pub parent: Option<RunId>,
    /// Where it stands.
    pub state: State,
    /// Attempts so far.
    pub attempt: u32,
    /// Higher goes first.
    pub priority: i64,
    /// Why it failed or was cancelled, or what a waiting run waits for in vain.
    pub reason: Option<String>,
    /// Device of the latest attempt.
    pub device: Option<String>,
    /// Seconds since 1970 when it was queued first.
    pub created: i64,
    /// When it was started first.
    pub started: Option<f64>,
    /// When it ended.
    pub ended: Option<f64>,
    /// What the worker does now, such as `training`.
    pub phase: Option<String>,
    /// Steps done.
    pub step: u64,
    /// Steps in all; 0 while unknown.
    pub steps: u64,
    /// Pictures a second.
    pub images_per_second: Option<f64>,
    /// Seconds until the end; only of a running run.
    pub eta_seconds: Option<f64>,
    /// Step of the latest complete checkpoint, from which a retry goes on.
    pub checkpoint_step: Option<u64>,
    /// The run with all its settings.
    pub spec: RunSpec,
}

impl Run {
    /// Whether it waits for a parent that failed, was cancelled or is gone, as `reason` says.
    pub fn is_blocked(&self) -> bool {
        self.state == State::Queued && self.reason.is_some()
    }
}

/// What a list of runs is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When the run was queued first.
    #[default]
    Created,
    /// The name for people.
    Label,
    /// Where it stands.
    State,
    /// The kind of work.
    Stage,
    /// The method.
    Method,
    /// Seconds from the first start to the end, or to now.
    Duration,
}

/// Which runs a page lists. The default is the newest 100.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFilter {
    /// Only runs that stand there.
    pub state: Option<State>,
    /// Only runs of that method.
    pub method: Option<String>,
    /// Only that kind of work.
    pub stage: Option<Stage>,
    /// Only these runs, such as those of a study.
    pub ids: Option<Vec<RunId>>,
    /// Only runs with this text in their label or at the start of their id; letter case is ignored.
    pub text: Option<String>,
    /// The order.
    pub sort: Sort,
    /// Whether the order is turned round.
    pub descending: bool,
    /// At most that many.
    pub limit: u64,
    /// Passing over that many first.
    pub offset: u64,
}

impl Default for RunFilter {
    fn default() -> Self {
        RunFilter {
            state: None,
            method: None,
            stage: None,
            ids: None,
            text: None,
            sort: Sort::Created,
            descending: true,
            limit: 100,
            offset: 0,
        }
    }
}

impl Store {
    /// One run.
    pub async fn run(&self, _id: &RunId) -> Result<Option<Run>> {
        unimplemented!()
    }

    /// The runs a filter lets through.
    pub async fn runs(&self, _filter: &RunFilter) -> Result<Vec<Run>> {
        unimplemented!()
    }

    /// How many runs a filter lets through, whatever its limit and offset.
    pub async fn count(&self, _filter: &RunFilter) -> Result<u64> {
        unimplemented!()
    }

    /// How many runs stand where; every state is there, in the order of [`State::ALL`].
    pub async fn counts(&self) -> Result<Vec<(State, u64)>> {
        unimplemented!()
    }

    /// The runs that start from this one.
    pub async fn children(&self, _id: &RunId) -> Result<Vec<Run>> {
        unimplemented!()
    }

    /// The waiting runs in the order they will be started; those that wait for a parent in vain come last.
    pub async fn queue(&self) -> Result<Vec<Run>> {
        unimplemented!()
    }
}
