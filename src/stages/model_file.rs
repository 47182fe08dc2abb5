//! The result of a run: its weights, with what one must know to use them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::stages::Work;
use crate::weights::{self, Weights};

/// Under which key the notes stand in the file's metadata. One key, because the order of several is not fixed
/// and equal runs should give equal files.
const KEY: &str = "umbra";

/// What one must know to use a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelNotes {
    /// The run that made it.
    pub run: String,
    /// The method of its encoder.
    pub method: String,
    /// The stage that made it.
    pub stage: String,
    /// Mean of the data it was trained on, by channel, from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of that data.
    pub std: [f32; 3],
    /// The classes a head tells apart, in its order.
    pub classes: Vec<String>,
}

impl ModelNotes {
    /// Reads them from a file's metadata.
    ///
    /// # Errors
    /// If the file was not written by Umbra.
    pub fn read(metadata: &BTreeMap<String, String>) -> Result<ModelNotes> {
        let text = metadata.get(KEY).context("the model has no notes of Umbra in its metadata")?;
        serde_json::from_str(text).context("the notes in the model's metadata cannot be read")
    }
}

/// Writes the run's `model.safetensors`.
///
/// # Errors
/// Names the path if it cannot be written.
pub fn write(work: &Work, dataset: &Dataset, model: &Weights) -> Result<()> {
    let run = work.run;
    let (mean, std, classes) = (dataset.mean, dataset.std, dataset.classes.clone());
    let notes = ModelNotes {
        run: run.id.to_string(),
        method: run.method.clone(),
        stage: run.stage.to_string(),
        mean,
        std,
        classes,
    };
    weights::write(
        &work.dir.model_file(),
        model,
        &BTreeMap::from([(KEY.to_owned(), serde_json::to_string(&notes)?)]),
    )
}
