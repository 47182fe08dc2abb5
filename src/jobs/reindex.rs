//! Rebuilding the database from the run directories.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::experiment::RunId;
use crate::run_dir::{RunDir, remove_if_present, sync_dir};
use crate::store::Store;

use super::data_dir_lock::lock_data_dir;
use super::ingester::{Intake, catch_up};

/// What became of the run directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// How many runs the database has.
    pub runs: usize,
    /// The directories that are not among them, a sentence each.
    pub passed_over: Vec<String>,
}

/// Rebuilds the database from the run directories beside the old one, then puts it in its place. Directories that cannot be
/// read are passed over.
///
/// # Errors
/// A data directory that a server holds, or a full disk; the old database then stands as it was.
pub async fn reindex(data_dir: &Path) -> anyhow::Result<Reindexed> {
    let _lock = lock_data_dir(data_dir)?;
    let new = data_dir.join("umbra.db.new");
    let old = data_dir.join("umbra.db");
    remove_database(&new)?;
    let reindexed = match fill(&new, data_dir).await {
        Ok(reindexed) => reindexed,
        Err(fault) => {
            // The first error is the one to report.
            let _ = remove_database(&new);
            return Err(fault);
        }
    };
    // The old file goes before its write-ahead log does, and the new one comes last, so that no file ever
    // meets the log of another. A crash in between leaves none, and the next start then ingests everything.
    remove_database(&old)?;
    fs::rename(&new, &old).with_context(|| old.display().to_string())?;
    sync_dir(data_dir)?;
    Ok(reindexed)
}

async fn fill(new: &Path, data_dir: &Path) -> anyhow::Result<Reindexed> {
    let store = Store::open_file(new).await?;
    let filled = ingest_all(&store, data_dir).await;
    store.close().await;
    filled
}

async fn ingest_all(store: &Store, data_dir: &Path) -> anyhow::Result<Reindexed> {
    let mut reindexed = Reindexed::default();
    for dir in RunDir::all(data_dir).with_context(|| data_dir.display().to_string())? {
        match catch_up(store, &dir).await? {
            Intake::Change(_) | Intake::Same => reindexed.runs += 1,
            Intake::Unqueued => reindexed
                .passed_over
                .push(format!("{}: it has no event, so its run was never queued", dir.path().display())),
            Intake::PassedOver(sentence) => reindexed.passed_over.push(sentence),
        }
    }
    Ok(reindexed)
}

/// How many runs that can be read the database lacks: after it was lost, for instance, and before [`reindex`].
///
/// # Errors
/// A data directory or database that cannot be read.
pub async fn unindexed(store: &Store, data_dir: &Path) -> anyhow::Result<usize> {
    let known: HashSet<RunId> = store.known().await?.into_iter().collect();
    let dirs = RunDir::all(data_dir).with_context(|| data_dir.display().to_string())?;
    let lacking = dirs.iter().filter(|dir| {
        let unknown = dir.id().ok().filter(|id| !known.contains(id));
        unknown.is_some_and(|id| dir.read().is_ok_and(|file| file.run.id == id) && matches!(dir.history(), Ok(Some(_))))
    });
    Ok(lacking.count())
}

fn remove_database(path: &Path) -> anyhow::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let file = Path::new(&file);
        remove_if_present(file).with_context(|| file.display().to_string())?;
    }
    Ok(())
}
