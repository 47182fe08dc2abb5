//! Rebuilding the database from the run directories.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::run_dir::{RunDir, remove_if_present, sync_dir};
use crate::store::Store;

use super::data_dir_lock::lock_data_dir;
use super::ingester::catch_up;

/// Rebuilds the database from the run directories beside the old one, then puts it in its place. Returns
/// how many runs it has.
///
/// # Errors
/// A data directory that a server holds, a run directory that cannot be read, or a full disk; the old
/// database then stands as it was.
pub async fn reindex(data_dir: &Path) -> anyhow::Result<usize> {
    let _lock = lock_data_dir(data_dir)?;
    let new = data_dir.join("umbra.db.new");
    let old = data_dir.join("umbra.db");
    remove_database(&new)?;
    let store = Store::open_file(&new).await?;
    let mut runs = 0;
    for dir in RunDir::all(data_dir).with_context(|| data_dir.display().to_string())? {
        runs += usize::from(catch_up(&store, &dir).await?.is_some());
    }
    store.close().await;
    // The old file goes before its write-ahead log does, and the new one comes last, so that no file ever
    // meets the log of another. A crash in between leaves none, and the next start then ingests everything.
    remove_database(&old)?;
    fs::rename(&new, &old).with_context(|| old.display().to_string())?;
    sync_dir(data_dir)?;
    Ok(runs)
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
