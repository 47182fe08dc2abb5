//! What the devices do and what comes next.

use crate::app::{Result, Workspace};
use crate::jobs::Jobs;
use crate::run_dir::State;
use crate::store::{Run, RunFilter};

/// The queue and the devices that take from it.
#[derive(Clone, Debug)]
pub struct Queue {
    /// The devices' places, each with its run.
    pub devices: Vec<(String, Option<Run>)>,
    /// Running, but on no device of this server: on another machine, or about to end.
    pub elsewhere: Vec<Run>,
    /// The waiting runs, next first, with what keeps each from being started.
    pub waiting: Vec<Run>,
    /// How many more wait.
    pub more: u64,
}

/// What the devices do and the first `most` of the runs that wait.
///
/// # Errors
/// A database that cannot be read.
pub async fn queue(workspace: &Workspace, jobs: &Jobs, most: usize) -> Result<Queue> {
    let store = &workspace.store;
    let running = RunFilter {
        state: Some(State::Running),
        ..RunFilter::default()
    };
    let mut elsewhere = store.runs(&running).await?;
    let mut devices = Vec::new();
    for slot in jobs.devices() {
        let run = match &slot.run {
            Some(id) => store.run(id).await?,
            None => None,
        };
        elsewhere.retain(|other| slot.run.as_ref() != Some(&other.id));
        devices.push((slot.device, run));
    }
    let on_device = |run: &Run| devices.iter().any(|(_, busy)| busy.as_ref().is_some_and(|busy| busy.id == run.id));
    let mut waiting = store.queue().await?;
    waiting.retain(|run| !on_device(run));
    let more = waiting.len().saturating_sub(most) as u64;
    waiting.truncate(most);
    for run in &mut waiting {
        run.reason = run.reason.take().or_else(|| jobs.obstacle(&run.id));
    }
    Ok(Queue {
        devices,
        elsewhere,
        waiting,
        more,
    })
}
