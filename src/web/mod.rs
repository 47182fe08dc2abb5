//! HTTP and templates: the pages, their JSON twins and the one guard before them.
//!
//! `routes.rs` is the whole list of what can be asked; a folder is a family of pages, whose templates stand in the folder of the
//! same name. Handlers read the store and give orders to the jobs; they hold no state of their own, so a page's state lives in
//! its address.

mod address;
mod api;
mod assets;
mod base_path;
mod charts;
mod datasets;
mod error;
mod fields;
mod file;
mod filters;
mod guard;
mod launch;
mod live;
mod page;
mod playground;
mod routes;
mod runs;
mod session;
mod state;
mod studies;
#[cfg(test)]
mod tests;

use state::App;

pub use address::PublicUrl;
pub use guard::GuardConfig;
pub use routes::{base_path, router};
pub use state::AppState;
pub use studies::report::report;
