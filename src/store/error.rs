//! What can go wrong with the database.

use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory or the database file cannot be opened or written.
    #[error("the database {} cannot be used: {reason}", path.display())]
    Unusable {
        /// The directory or the database file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A later version of Umbra made the database.
    #[error(
        "the database {} is of format {found}, newer than the {known} this version of Umbra knows: use the newer Umbra, or move the file away and run `umbra reindex`",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its format: the number of its latest migration.
        found: i64,
        /// The latest migration of this binary.
        known: i64,
    },
    /// A row holds what this version cannot read.
    #[error("the database has a record that cannot be read, which `umbra reindex` repairs: {0}")]
    Broken(String),
    /// The database refused.
    #[error("the database: {0}")]
    Sql(#[from] sqlx::Error),
}

impl Error {
    pub(super) fn unusable(path: &Path, reason: impl ToString) -> Error {
        Error::Unusable {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// An error of the migrations of the database at `path`, of which this binary knows those up to `known`.
    pub(super) fn migrating(path: &Path, known: i64, error: MigrateError) -> Error {
        match error {
            MigrateError::VersionMissing(found) => Error::Newer {
                path: path.to_owned(),
                found,
                known,
            },
            other => Error::unusable(path, other),
        }
    }
}
