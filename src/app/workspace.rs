//! What everything is asked of: the data directory with its database, and the studies, scales and methods.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::datasets::Datasets;
use super::launch::Launcher;
use super::studies::StudyIndex;
use super::{Error, Result};
use crate::experiment::forecast::Speed;
use crate::experiment::{Catalog, Library, RunId, Scale, Study};
use crate::jobs::Jobs;
use crate::run_dir::RunDir;
use crate::store::{Run, Store};

/// A data directory and what can be run in it.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// What runs did.
    pub store: Store,
    /// The data directory.
    pub data_dir: PathBuf,
    /// The studies.
    pub library: Library,
    /// The scales, smallest first.
    pub scales: Vec<Scale>,
    /// The methods.
    pub catalog: Catalog,
    /// What studies consist of, as far as it was asked for.
    pub index: StudyIndex,
    /// The data sets that were looked at.
    pub datasets: Datasets,
}

impl Workspace {
    /// The workspace of a data directory whose database is open.
    pub fn new(store: Store, data_dir: &Path, catalog: Catalog) -> Workspace {
        Workspace {
            store,
            data_dir: data_dir.to_owned(),
            library: Library::new(data_dir),
            scales: Scale::built_in(),
            catalog,
            index: StudyIndex::default(),
            datasets: Datasets::new(data_dir),
        }
    }

    /// Opens the database of a data directory, too.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open(data_dir: &Path, catalog: Catalog) -> Result<Workspace> {
        Ok(Workspace::new(Store::open(data_dir).await?, data_dir, catalog))
    }

    /// The study of that name.
    ///
    /// # Errors
    /// [`Error::Missing`], with the names there are.
    pub fn study(&self, name: &str) -> Result<Arc<Study>> {
        let missing = || format!("there is no such study: it must be one of {}", self.library.names());
        self.library.find(name).ok_or_else(|| Error::Missing(missing()))
    }

    /// The scale of that name.
    pub fn scale(&self, name: &str) -> Option<&Scale> {
        self.scales.iter().find(|scale| scale.name == name)
    }

    /// The smallest scale's name.
    pub fn smallest_scale(&self) -> String {
        self.scales.first().map(|scale| scale.name.clone()).unwrap_or_default()
    }

    /// The run of that id.
    ///
    /// # Errors
    /// [`Error::Missing`], or a database that cannot be read.
    pub async fn run(&self, id: &RunId) -> Result<Run> {
        let missing = || Error::Missing(format!("there is no run {id}"));
        self.store.run(id).await?.ok_or_else(missing)
    }

    /// The directory of a run.
    pub fn run_dir(&self, id: &RunId) -> RunDir {
        RunDir::of(&self.data_dir, id)
    }

    /// What launches runs, given the queue.
    pub fn launcher<'a>(&'a self, jobs: &'a Jobs) -> Launcher<'a> {
        Launcher {
            library: &self.library,
            scales: &self.scales,
            catalog: &self.catalog,
            store: &self.store,
            jobs,
            datasets: &self.datasets,
        }
    }

    /// How fast training was measured to be here.
    pub fn speeds(&self) -> Vec<Speed> {
        Speed::kept(&self.data_dir)
    }
}
