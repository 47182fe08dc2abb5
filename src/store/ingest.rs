//! Taking in events, each exactly once.

/// What is taken in.
#[derive(Debug)]
pub struct Ingest;

/// Fold of the events about the work, beside [`crate::run_dir::History`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress;
