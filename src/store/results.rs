//! What runs measured: curves, results, pictures, warnings, attempts.

use crate::experiment::RunId;
use crate::run_dir::State;

use super::{Result, Store};

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Step.
    pub step: u64,
    /// Value; may be not a number.
    pub value: f64,
}

/// Something a person should know about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// Seconds since 1970.
    pub time: f64,
    /// One sentence.
    pub message: String,
}

/// A picture a run wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureRow {
    /// What it shows, such as `reconstruction`.
    pub name: String,
    /// Step.
    pub step: u64,
    /// File name inside the run's `pictures/`.
    pub file: String,
}

/// Load of the machine at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Seconds since 1970.
    pub time: f64,
    /// Share of all processors in use, 0 to 100.
    pub cpu_percent: f64,
    /// Memory of the worker in MiB.
    pub memory_mib: f64,
}

/// One execution of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// 1 for the first try.
    pub attempt: u32,
    /// Process id on `host`.
    pub pid: u32,
    /// Machine.
    pub host: String,
    /// Device.
    pub device: String,
    /// Threads used for computing.
    pub threads: u64,
    /// The step of the checkpoint it went on from.
    pub resumed_step: Option<u64>,
    /// Seconds since 1970.
    pub started: f64,
    /// Seconds since 1970.
    pub ended: Option<f64>,
    /// How it ended.
    pub outcome: Option<State>,
    /// Why it failed or was cancelled.
    pub reason: Option<String>,
}

impl Store {
    /// Names of a run's curves, in alphabetical order.
    pub async fn metric_names(&self, _id: &RunId) -> Result<Vec<String>> {
        unimplemented!()
    }

    /// One curve of a run, in order of steps.
    pub async fn metrics(&self, _id: &RunId, _name: &str) -> Result<Vec<Point>> {
        unimplemented!()
    }

    /// The results of runs: run, name, value.
    pub async fn summaries(&self, _ids: &[RunId]) -> Result<Vec<(RunId, String, f64)>> {
        unimplemented!()
    }

    /// A run's warnings, oldest first. A history that cannot be read to its end is one of them.
    pub async fn warnings(&self, _id: &RunId) -> Result<Vec<Warning>> {
        unimplemented!()
    }

    /// A run's pictures, by name and step.
    pub async fn pictures(&self, _id: &RunId) -> Result<Vec<PictureRow>> {
        unimplemented!()
    }

    /// A run's attempts, oldest first.
    pub async fn attempts(&self, _id: &RunId) -> Result<Vec<Attempt>> {
        unimplemented!()
    }

    /// The load of the machine during a run, oldest first.
    pub async fn load(&self, _id: &RunId) -> Result<Vec<Load>> {
        unimplemented!()
    }
}
