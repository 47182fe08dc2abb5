//! Carrying out runs.

pub mod worker;
