//! What studies need together, how much of it is done, and how long the rest will take.

use crate::app::{Result, Workspace};
use crate::experiment::{Past, Plan, RunId, Together};
use crate::run_dir::State;

/// What the plans of studies at a scale need together, how much of it is done, and how long the rest will take.
pub async fn expected(workspace: &Workspace, plans: &[(String, Plan)], scale: &str) -> Result<Together> {
    let past = past(workspace, scale).await?;
    let ids: Vec<RunId> = plans.iter().flat_map(|(_, plan)| plan.ids()).collect();
    let states = workspace.store.states(&ids).await?;
    Ok(Together::of(plans, |id| states.get(id) == Some(&State::Finished), &past))
}

/// What ran at a scale before, and how fast training was measured to be.
pub async fn past(workspace: &Workspace, scale: &str) -> Result<Past> {
    Ok(Past::new(workspace.store.durations(scale).await?, workspace.speeds()))
}
