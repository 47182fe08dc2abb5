//! Umbra: launch, watch and compare self-supervised pretraining of Vision Transformers.
//!
//! The modules in reading order: what is run, where it lives on disk, then the rest.

pub mod bench;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod experiment;
pub mod jobs;
pub mod methods;
pub mod rng;
pub mod run_dir;
pub mod train;
pub mod vit;
pub mod weights;
