//! From events to rows: takes what is new in a run directory into the database.

use crate::experiment::RunId;
use crate::run_dir::{EventReader, LogPosition, RunDir, RunFile};
use crate::store::{Mark, News, Store};

use super::Change;

/// What a look at one run directory gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Intake {
    /// Something was new and is in the database now.
    Change(Change),
    /// Nothing was new.
    Same,
    /// It was never queued: a submission cut short.
    Unqueued,
    /// It is no run that can be read; one sentence with the path.
    PassedOver(String),
}

/// Takes in what is new in one run directory.
///
/// # Errors
/// A database that cannot be read or written.
pub(super) async fn catch_up(store: &Store, dir: &RunDir) -> anyhow::Result<Intake> {
    let run = match dir.id() {
        Ok(run) => run,
        Err(fault) => {
            return Ok(Intake::PassedOver(format!(
                "{fault}; a copy that was set aside belongs outside of runs/"
            )));
        }
    };
    let since = store.mark(&run).await?;
    let reader = EventReader::new(&dir.events_file());
    let from = since.clone().unwrap_or_default();
    // After a repair, the whole history is read anew: its tail was judged without its end.
    let position = if from.broken.is_some() {
        LogPosition::default()
    } else {
        from.position.clone()
    };
    let (read, broken) = match tokio::task::spawn_blocking(move || reader.follow(&position)).await? {
        Ok(read) => read,
        Err(fault) => return Ok(Intake::PassedOver(format!("{}: {fault}", dir.events_file().display()))),
    };
    let until = Mark {
        broken: broken.or_else(|| (read.position == LogPosition::default()).then(|| dir.lost_record()).flatten()),
        position: read.position,
    };
    // A run exists once its first event is written.
    if until == Mark::default() {
        store.forget(&run).await?;
        return Ok(Intake::Unqueued);
    }
    if since.as_ref() == Some(&until) {
        return Ok(Intake::Same);
    }
    let afresh = since.is_none() || read.rewound || from.broken.is_some();
    let file = match afresh.then(|| read_spec(dir, &run)).transpose() {
        Ok(file) => file,
        Err(sentence) => return Ok(Intake::PassedOver(sentence)),
    };
    let news = News {
        run: &run,
        since: since.as_ref(),
        afresh: file.as_ref(),
        events: &read.events,
        until: &until,
    };
    let state = store.ingest(&news).await?;
    Ok(state.map_or(Intake::Same, |state| Intake::Change(Change { run, state })))
}

/// What the directory of that run says it is; a copy under the name of another run is none.
fn read_spec(dir: &RunDir, run: &RunId) -> Result<RunFile, String> {
    let file = dir.read()?;
    if file.run.id == *run {
        Ok(file)
    } else {
        Err(format!("{}: it is of run {}, not {run}", dir.spec_file().display(), file.run.id))
    }
}
