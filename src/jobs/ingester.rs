//! From events to rows: takes what is new in a run directory into the database.

use anyhow::Context;

use crate::run_dir::{EventReader, LogPosition, RunDir};
use crate::store::{Mark, News, Store};

use super::Change;

/// Takes in what is new in one run directory; `None` if nothing is.
///
/// # Errors
/// A directory or database that cannot be read.
pub(super) async fn catch_up(store: &Store, dir: &RunDir) -> anyhow::Result<Option<Change>> {
    let run = dir.id()?;
    let since = store.mark(&run).await?;
    let reader = EventReader::new(&dir.events_file());
    let from = since.clone().unwrap_or_default();
    // After a repair, the whole history is read anew: its tail was judged without its end.
    let position = if from.broken.is_some() {
        LogPosition::default()
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
