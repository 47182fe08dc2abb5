//! What a person can do and ask, once: the pages, the API and the command line are its faces.
//!
//! It asks the store, gives orders to the jobs and puts the answers together. It knows no HTTP, no SQL and no tensors.

pub mod datasets;
mod error;
mod fit;
pub mod launch;
mod reading;
pub mod report;
pub mod runs;
pub mod studies;
mod workspace;

pub use error::{Error, Result};
pub use workspace::Workspace;
