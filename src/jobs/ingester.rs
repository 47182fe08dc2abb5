//! From events to rows: follows the run directories and tells whoever listens.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::run_dir::{EventReader, Position, RunDir, State};
use crate::store::{Mark, News, Store};

use super::{Change, Inner, recover};

/// Time between two looks at the runs that are at work.
const FOLLOW: Duration = Duration::from_millis(300);
/// Time between two looks at all runs: also those that somebody else works on, such as `umbra work` by hand.
const SURVEY: Duration = Duration::from_secs(5);

/// Takes in what is new in one run directory; `None` if nothing is.
///
/// # Errors
/// A directory or database that cannot be read.
pub async fn catch_up(store: &Store, dir: &RunDir) -> anyhow::Result<Option<Change>> {
    let run = dir.id()?;
    let since = store.mark(&run).await?;
    let (reader, from) = (EventReader::new(&dir.events_file()), since.clone().unwrap_or_default());
    // After a repair, the whole history is read anew: its tail was judged without its end.
    let position = if from.broken.is_some() {
        Position::default()
    } else {
        from.position.clone()
    };
    let (read, broken) = tokio::task::spawn_blocking(move || reader.follow(&position))
        .await?
        .with_context(|| dir.path().display().to_string())?;
    let until = Mark {
        position: read.position,
        broken,
    };
    // A run exists once its first event is written; a directory without one is a submission cut short.
    if until == Mark::default() {
        store.forget(&run).await?;
        return Ok(None);
    }
    if since.as_ref() == Some(&until) {
        return Ok(None);
    }
    let afresh = since.is_none() || read.rewound || from.broken.is_some();
    let file = if afresh {
        Some(dir.read().map_err(anyhow::Error::msg)?)
    } else {
        None
    };
    let news = News {
        run: &run,
        since: since.as_ref(),
        afresh: file.as_ref(),
        events: &read.events,
        until: &until,
    };
    Ok(store.ingest(&news).await?.map(|state| Change { run, state }))
}

/// Takes in what is new in all run directories, and forgets the runs whose directory is gone. A directory
/// that cannot be read is logged and passed over.
///
/// # Errors
/// A data directory or database that cannot be read.
pub(super) async fn survey(inner: &Inner) -> anyhow::Result<()> {
    let data_dir = &inner.config.data_dir;
    let dirs = RunDir::all(data_dir).with_context(|| data_dir.display().to_string())?;
    let mut there = HashSet::new();
    for dir in &dirs {
        if let Ok(run) = dir.id() {
            inner
                .catch_up(dir)
                .await
                .unwrap_or_else(|error| tracing::warn!("run {run} cannot be read: {error:#}"));
            there.insert(run);
        }
    }
    for run in inner.store.known().await? {
        if !there.contains(&run) && !inner.dir(&run).spec_file().exists() {
            tracing::warn!("the directory of run {run} is gone, so it is forgotten");
            inner.store.forget(&run).await?;
        }
    }
    Ok(())
}

/// Follows runs for ever.
pub(super) async fn follow(inner: Arc<Inner>) {
    let mut surveyed = Instant::now();
    loop {
        tokio::time::sleep(FOLLOW).await;
        for run in inner.at_work() {
            let dir = inner.dir(&run);
            inner
                .catch_up(&dir)
                .await
                .unwrap_or_else(|error| tracing::warn!("run {run} cannot be followed: {error:#}"));
        }
        if surveyed.elapsed() > SURVEY {
            let result = async {
                survey(&inner).await?;
                recover::pick_up(&inner, &[State::Running]).await
            };
            result
                .await
                .unwrap_or_else(|error| tracing::error!("looking for runs failed: {error:#}"));
            surveyed = Instant::now();
        }
    }
}
