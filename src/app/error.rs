//! Why a question or an order has no answer.

use crate::experiment::Invalid;
use crate::store;

/// The result of a question or an order.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing; the sentence says what was looked for, or what there is.
    #[error("{0}")]
    Missing(String),
    /// The question cannot be read; the sentence says what is allowed.
    #[error("{0}")]
    Unreadable(String),
    /// A setting is not allowed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database could not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A file cannot be read or written.
    #[error("{what}: {reason}")]
    File {
        /// Which, and what was to be done with it.
        what: String,
        /// What the system said.
        reason: std::io::Error,
    },
}
