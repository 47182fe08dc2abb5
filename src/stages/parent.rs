//! The run that another one starts from.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Error, Result, bail};
use burn::tensor::Device;

use crate::experiment::RunSpec;
use crate::methods::vit_config;
use crate::run_dir::RunDir;
use crate::stages::Work;
use crate::vit::Vit;
use crate::weights::{self, Weights};

/// A finished run that has a model.
pub struct Parent {
    /// Its settings.
    pub run: RunSpec,
    /// Its model under timm's names.
    pub weights: Weights,
    /// Notes in the model's file.
    pub notes: BTreeMap<String, String>,
    /// The model's file, for sentences.
    pub file: String,
}

impl Parent {
    /// Reads the parent of the run at work.
    ///
    /// # Errors
    /// A run without a parent, or a parent whose directory has no settings or no model.
    pub fn of(work: &Work) -> Result<Parent> {
        let id = work.run.parent.as_ref().with_context(|| {
            format!(
                "run {} has no parent: stage {} of {} starts from another run",
                work.run.id, work.run.stage, work.run.method
            )
        })?;
        Parent::read(&RunDir::of(work.data_dir, id))
    }

    /// Reads a run that has a model.
    ///
    /// # Errors
    /// As [`Parent::of`].
    pub fn read(dir: &RunDir) -> Result<Parent> {
        let file = dir.read().map_err(Error::msg)?;
        let path = dir.model_file();
        let (weights, notes) = weights::read(&path).with_context(|| format!("run {} has no usable model", file.run.id))?;
        Ok(Parent {
            run: file.run,
            weights,
            notes,
            file: path.display().to_string(),
        })
    }

    /// The same run with its encoder after so many epochs; 0 is its last.
    ///
    /// # Errors
    /// Names the snapshots that there are, if it kept none then.
    pub fn at_epoch(mut self, dir: &RunDir, epoch: u64) -> Result<Parent> {
        if epoch == 0 {
            return Ok(self);
        }
        let path = dir.snapshot_file(epoch);
        if !path.is_file() {
            let names = fs::read_dir(dir.snapshots()).into_iter().flatten().flatten();
            let mut kept: Vec<u64> = names
                .filter_map(|entry| {
                    entry
                        .file_name()
                        .to_str()?
                        .strip_prefix("epoch-")?
                        .strip_suffix(".safetensors")?
                        .parse()
                        .ok()
                })
                .collect();
            kept.sort_unstable();
            let kept = kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let has = if kept.is_empty() {
                "it kept none: snapshots.every was 0".to_owned()
            } else {
                format!("it must be one of {kept}")
            };
            bail!("run {} has no snapshot of its encoder after epoch {epoch}: {has}", self.run.id);
        }
        (self.weights, _) = weights::read(&path)?;
        self.file = path.display().to_string();
        Ok(self)
    }

    /// Its encoder, in the shape that `run` says.
    ///
    /// # Errors
    /// Names the file and the tensor that does not fit.
    pub fn encoder(&self, run: &RunSpec, device: &Device) -> Result<Vit> {
        let config = vit_config(run).map_err(Error::msg)?;
        weights::from_timm(Vit::new(&config, run.seed, device), &self.weights).map_err(|e| Error::msg(format!("{}: {e}", self.file)))
    }
}
