//! The database: an index of the run directories, and the only place with SQL.
//!
//! Nothing is known here alone. Every row is derived from `run.toml` and `events.jsonl`, so the file may
//! be deleted at any time and rebuilt by `umbra reindex`. The one exception is the table `claim`, this
//! server's note of which run it has just given to which device, which is emptied at every start.

mod error;
mod filter;
mod groups;
mod images;
mod ingest;
mod progress;
mod queue;
mod results;
mod runs;
mod seeds;
mod specs;
#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

pub use error::Error;
pub use filter::{RunFilter, Sort};
pub use groups::{GroupBy, GroupPart};
pub use images::ImagesRuns;
pub use ingest::{Mark, News};
pub use progress::Progress;
pub use results::{Attempt, ImageRow, Load, Point, Warning};
pub use runs::Run;
pub use seeds::SeedRuns;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The result of a question to the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The database; clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    path: PathBuf,
    specs: specs::Specs,
}

impl Store {
    /// Opens `umbra.db` in the data directory, makes both if they are missing, and brings the tables up to date.
    ///
    /// # Errors
    /// A directory that cannot be written, or a database of a newer Umbra; both are named.
    pub async fn open(data_dir: &Path) -> Result<Store> {
        std::fs::create_dir_all(data_dir).map_err(|e| Error::unusable(data_dir, e))?;
        Store::open_file(&data_dir.join("umbra.db")).await
    }

    /// Opens a database file, as [`Store::open`] does with `umbra.db`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_file(path: &Path) -> Result<Store> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            // Pages read while the ingester writes.
            .journal_mode(SqliteJournalMode::Wal)
            // In WAL mode NORMAL never corrupts the file; a power cut may take the last commits. They are
            // not lost: the run directories are synced first, and the next start ingests from the stored
            // position again, which stands in the same commit as the rows.
            .synchronous(SqliteSynchronous::Normal)
            // At most 64 MiB a connection, so that ten thousand runs are read from memory; SQLite's own limit is 2 MiB.
            .pragma("cache_size", "-65536");
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(|e| Error::unusable(path, e))?;
        let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
        MIGRATIONS.run(&pool).await.map_err(|e| Error::migrating(path, known, e))?;
        Ok(Store {
            pool,
            path: path.to_owned(),
            specs: specs::Specs::default(),
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes every connection, so that the file is complete without its write-ahead log.
    pub async fn close(self) {
        self.pool.close().await;
    }
}
