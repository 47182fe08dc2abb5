//! What a person can do and ask, once: the pages, the API and the command line are its faces.
//!
//! It asks the store, gives orders to the jobs and puts the answers together. It knows no HTTP, no SQL and no tensors.

mod count_text;
pub mod datasets;
mod error;
mod fit;
pub mod launch;
mod reading;
pub mod report;
pub mod runs;
pub mod studies;
mod workspace;

pub use count_text::count_text;
pub use error::{Error, Result};
pub use workspace::Workspace;
