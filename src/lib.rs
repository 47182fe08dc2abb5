//! Umbra: launch, watch and compare self-supervised pretraining of Vision Transformers.
//!
//! ARCHITECTURE.md has the map; `experiment` and `run_dir` are the words everything else is said in.

pub mod app;
pub mod bench;
pub mod charts;
pub mod cli;
pub mod data;
pub mod device;
pub mod experiment;
pub mod inspect;
pub mod jobs;
pub mod kernels;
pub mod methods;
pub mod metrics;
pub mod playground;
pub mod rng;
pub mod run_dir;
pub mod settings;
pub mod stages;
pub mod store;
pub mod train;
pub mod vit;
pub mod web;
pub mod weights;
pub mod worker;
