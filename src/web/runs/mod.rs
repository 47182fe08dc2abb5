//! The runs: the list, one run, its files and orders, several side by side, and the queue.

pub(super) mod actions;
pub(super) mod compare;
pub(super) mod embedding;
pub(super) mod files;
pub(super) mod groups;
pub(super) mod list;
pub(super) mod matrices;
pub(super) mod query;
pub(super) mod queue;
pub(super) mod run;
pub(super) mod selection;
pub(super) mod view;
