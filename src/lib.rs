//! Umbra: launch, watch and compare self-supervised pretraining of Vision Transformers.
//!
//! The modules in reading order: what is run, where it lives on disk, then the rest.

pub mod charts;
pub mod experiment;
pub mod jobs;
pub mod rng;
pub mod run_dir;
pub mod store;
pub mod web;
