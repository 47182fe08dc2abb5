//! Keeping up with the run directories, whoever writes to them: at the start with what an earlier server, or nobody's server,
//! left, then every moment with the runs at work and now and then with all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::run_dir::{RunDir, State};
use crate::store::RunFilter;

use super::inner::Inner;
use super::lifecycle;

/// Time between two looks at the runs that are at work.
const FOLLOW: Duration = Duration::from_millis(300);
/// Time between two looks at all runs: also those that somebody else works on, such as `umbra work` by hand.
const SURVEY: Duration = Duration::from_secs(5);

/// Brings the database up to the run directories, and the run directories up to who is alive.
pub(super) async fn recover(inner: &Arc<Inner>) -> anyhow::Result<()> {
    inner.store.release_all().await?;
    survey(inner).await?;
    // A worker may hold the lock of a run that still waits: it was started just before the server died.
    pick_up(inner, &[State::Running, State::Queued]).await
}

/// Follows runs for ever.
pub(super) async fn follow(inner: Arc<Inner>) {
    let mut surveyed = Instant::now();
    loop {
        tokio::time::sleep(FOLLOW).await;
        for run in inner.at_work() {
            inner.catch_up_or_pass_over(&inner.dir(&run)).await;
        }
        if surveyed.elapsed() > SURVEY {
            let result = async {
                survey(&inner).await?;
                pick_up(&inner, &[State::Running]).await
            };
            result
                .await
                .unwrap_or_else(|error| tracing::error!("looking for runs failed: {error:#}"));
            surveyed = Instant::now();
        }
    }
}

/// Picks up each run in one of these states. One that cannot be picked up is logged.
async fn pick_up(inner: &Arc<Inner>, states: &[State]) -> anyhow::Result<()> {
    for state in states {
        let filter = RunFilter {
            state: Some(*state),
            limit: u64::MAX,
            ..RunFilter::default()
        };
        for run in inner.store.runs(&filter).await? {
            let picked_up = lifecycle::pick_up(inner, &run).await;
            picked_up.unwrap_or_else(|error| tracing::error!("run {} could not be picked up: {error:#}", run.id));
        }
    }
    Ok(())
}

/// Takes in what is new in all run directories, and forgets the runs whose directory is gone. A directory
/// that cannot be read is logged and skipped.
///
/// # Errors
/// A data directory or database that cannot be read.
async fn survey(inner: &Inner) -> anyhow::Result<()> {
    let data_dir = &inner.config.data_dir;
    let dirs = RunDir::all(data_dir).with_context(|| data_dir.display().to_string())?;
    let mut there = HashSet::new();
    for dir in &dirs {
        inner.catch_up_or_pass_over(dir).await;
        there.extend(dir.id().ok().filter(|_| dir.spec_file().exists()));
    }
    for run in inner.store.known().await? {
        if !there.contains(&run) && !inner.dir(&run).spec_file().exists() {
            tracing::warn!("the directory of run {run} is gone or has no run.toml, so the run is forgotten");
            inner.store.forget(&run).await?;
        }
    }
    Ok(())
}
