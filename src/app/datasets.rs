//! The data sets and lists of images that runs read: looked at before a launch, and remembered for the pages.
//!
//! A record a source lies in the data directory's folder `datasets/`. It says what the source had when it was last looked at, so a
//! page can name the runs on it without looking again.

mod inspect;
mod looking;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use inspect::Inspection;
pub use looking::{Known, settings_of};
pub use report::{
    ClassCount, DatasetDetails, DatasetReport, KnownDataset, Place, Unseen, contact_sheet, details, known_datasets, made_on_others,
};

use crate::data::{Survey, fingerprint, hex, survey};
use crate::experiment::settings::DataSettings;
use crate::experiment::{Fingerprints, Invalid, RunSpec, absolute, files};

/// What was looked at, in a data directory.
#[derive(Clone, Debug)]
pub struct Datasets {
    /// Where the records are.
    dir: PathBuf,
    /// Where what is expensive to find out is kept.
    cache: PathBuf,
    known: Arc<Mutex<Records>>,
    looks: Arc<looking::Looks>,
}

/// The records as they were last read.
#[derive(Debug, Default)]
struct Records {
    /// The folder's time of change then.
    then: Option<SystemTime>,
    surveys: BTreeMap<String, Arc<Survey>>,
    replaced: Vec<Arc<Survey>>,
    inspected: Vec<Inspected>,
    typed: Vec<Typed>,
    fingerprints: Fingerprints,
}

/// A record: a data set, or a list of images.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Dataset(Survey),
    List {
        path: String,
        fingerprint: String,
    },
    Typed(Typed),
    /// A data set that lay where others lie now.
    Replaced(Survey),
    Inspected(Inspected),
}

/// That images were decoded for a model of that size.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Inspected {
    fingerprint: String,
    label_column: String,
    image_size: usize,
}

/// What a person typed last of a study's fields of images, for a scale and a source.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Typed {
    scale: String,
    source: String,
    fields: BTreeMap<String, String>,
}

impl Record {
    /// What [`Fingerprints`] calls it, and its fingerprint, if it has one.
    fn named(&self) -> Option<(String, String)> {
        match self {
            Record::Dataset(survey) => Some((Fingerprints::name(&survey.source, &survey.label_column), survey.fingerprint.clone())),
            Record::List { path, fingerprint } => Some((path.clone(), fingerprint.clone())),
            Record::Typed(_) | Record::Replaced(_) | Record::Inspected(_) => None,
        }
    }

    /// What no other record has, whatever its contents are.
    fn identity(&self) -> String {
        match self {
            Record::Dataset(survey) => format!("dataset\n{}\n{}", survey.source, survey.label_column),
            Record::List { path, .. } => format!("list\n{path}"),
            Record::Typed(typed) => format!("typed\n{}\n{}", typed.scale, typed.source),
            Record::Replaced(survey) => format!("replaced\n{}\n{}\n{}", survey.source, survey.label_column, survey.fingerprint),
            Record::Inspected(of) => format!("inspected\n{}\n{}\n{}", of.fingerprint, of.label_column, of.image_size),
        }
    }
}

impl Datasets {
    /// Those of a data directory.
    pub fn new(data_dir: &Path) -> Datasets {
        Datasets {
            dir: data_dir.join("datasets"),
            cache: data_dir.join("cache"),
            known: Arc::default(),
            looks: Arc::default(),
        }
    }

    /// The fingerprints of everything that was looked at.
    pub fn fingerprints(&self) -> Fingerprints {
        self.read(|known| known.fingerprints.clone())
    }

    /// All data sets that were looked at, by path.
    pub fn all(&self) -> Vec<Arc<Survey>> {
        self.read(|known| known.surveys.values().cloned().collect())
    }

    /// Data sets that lay where others lie now.
    fn replaced(&self) -> Vec<Arc<Survey>> {
        self.read(|known| known.replaced.clone())
    }

    /// Where what is expensive to find out is kept.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// How images of that fingerprint were decoded by `umbra data inspect`.
    fn inspected(&self, fingerprint: &str) -> Vec<DataSettings> {
        let settings = |of: &Inspected| DataSettings {
            image_size: of.image_size,
            ..settings_of("builtin", &of.label_column)
        };
        let is = |of: &&Inspected| of.fingerprint == fingerprint;
        self.read(|known| known.inspected.iter().filter(is).map(settings).collect())
    }

    fn remember_inspected(&self, settings: &DataSettings, fingerprint: &str) -> anyhow::Result<()> {
        self.remember(&Record::Inspected(Inspected {
            fingerprint: fingerprint.to_owned(),
            label_column: settings.label_column.clone(),
            image_size: settings.image_size,
        }))
    }

    /// What the source of these settings had when it was last looked at.
    pub fn last(&self, settings: &DataSettings) -> Option<Arc<Survey>> {
        let name = Fingerprints::name(&absolute(&settings.source), &settings.label_column);
        self.read(|known| known.surveys.get(&name).cloned())
    }

    /// Looks at a source now, and remembers what it has. While files are read, `report(done, total)` is called now and then.
    ///
    /// # Errors
    /// As [`survey`]; or a data directory that cannot be written.
    pub fn look(&self, settings: &DataSettings, report: &mut dyn FnMut(usize, usize)) -> anyhow::Result<Arc<Survey>> {
        let settings = DataSettings {
            source: absolute(&settings.source),
            ..settings.clone()
        };
        let found = survey(&settings, &self.cache, report)?;
        if settings.source == "builtin" {
            return Ok(Arc::new(found));
        }
        if let Some(before) = self.last(&settings).filter(|before| before.fingerprint != found.fingerprint) {
            self.remember(&Record::Replaced((*before).clone()))?;
        }
        self.remember(&Record::Dataset(found.clone()))?;
        Ok(Arc::new(found))
    }

    /// Looks at everything that these runs read.
    ///
    /// # Errors
    /// The first setting whose file cannot be read as it is meant.
    pub fn look_at(&self, runs: &[RunSpec], report: &mut dyn FnMut(usize, usize)) -> Result<(), Invalid> {
        let mut seen = BTreeSet::new();
        for run in runs {
            for (section, key, path) in files(&run.settings) {
                let column = run.value("data", "label_column").map(ToString::to_string).unwrap_or_default();
                if !seen.insert((section, path.clone(), column)) {
                    continue;
                }
                let looked = if section == "data" {
                    let settings = run.section("data").map_err(|fault| Invalid::new("data.source", fault))?;
                    self.look(&settings, report).map(drop)
                } else {
                    self.look_at_list(&path)
                };
                looked.map_err(|fault| Invalid::new(format!("{section}.{key}"), format!("{fault:#}")))?;
            }
        }
        Ok(())
    }

    /// Remembers what was typed of a study's fields of images when it was launched.
    ///
    /// # Errors
    /// A data directory that cannot be written.
    pub fn remember_typed(&self, scale: &str, source: &str, fields: &BTreeMap<String, String>) -> Result<(), Invalid> {
        let record = Record::Typed(Typed {
            scale: scale.to_owned(),
            source: absolute(source),
            fields: fields.clone(),
        });
        self.remember(&record)
            .map_err(|fault| Invalid::new("data.source", format!("{fault:#}")))
    }

    /// What was typed there last.
    pub fn typed(&self, scale: &str, source: &str) -> BTreeMap<String, String> {
        let is = |typed: &&Typed| typed.scale == scale && typed.source == source;
        self.read(|known| known.typed.iter().find(is).map(|typed| typed.fields.clone()).unwrap_or_default())
    }

    fn look_at_list(&self, path: &str) -> anyhow::Result<()> {
        let path = absolute(path);
        let fingerprint = fingerprint::of_file(Path::new(&path))?;
        self.remember(&Record::List { path, fingerprint })
    }

    /// Writes a record, unless it is there as it is.
    fn remember(&self, record: &Record) -> anyhow::Result<()> {
        let path = self.dir.join(format!("{}.json", hex(&Sha256::digest(record.identity()), 12)));
        let text = serde_json::to_vec_pretty(record)?;
        if std::fs::read(&path).is_ok_and(|before| before == text) {
            return Ok(());
        }
        let cannot = || format!("the record `{}` cannot be written", path.display());
        std::fs::create_dir_all(&self.dir).with_context(cannot)?;
        // A new file under the old name, so that the folder's time tells that something is new.
        let mut part = tempfile::NamedTempFile::with_suffix_in(".part", &self.dir).with_context(cannot)?;
        std::io::Write::write_all(&mut part, &text).with_context(cannot)?;
        part.persist(&path).with_context(cannot)?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).then = None;
        Ok(())
    }

    /// Asks the records, which are read again if there are others.
    fn read<T>(&self, ask: impl FnOnce(&Records) -> T) -> T {
        let now = std::fs::metadata(&self.dir).and_then(|metadata| metadata.modified()).ok();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.then != now || now.is_none() {
            *known = Records::of(&self.dir);
            known.then = now;
        }
        ask(&known)
    }
}

impl Records {
    fn of(dir: &Path) -> Records {
        let (mut surveys, mut fingerprints, mut typed) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let (mut replaced, mut inspected) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            // A record that cannot be read is of another version; the next look writes it again.
            let Some(record) = std::fs::read(&path)
                .ok()
                .and_then(|text| serde_json::from_slice::<Record>(&text).ok())
            else {
                tracing::warn!("the record `{}` cannot be read and is passed over", path.display());
                continue;
            };
            let named = record.named();
            fingerprints.extend(named.clone());
            match (record, named) {
                (Record::Dataset(survey), Some((name, _))) => drop(surveys.insert(name, Arc::new(survey))),
                (Record::Typed(new), _) => typed.push(new),
                (Record::Replaced(survey), _) => replaced.push(Arc::new(survey)),
                (Record::Inspected(of), _) => inspected.push(of),
                (Record::Dataset(_) | Record::List { .. }, _) => {}
            }
        }
        Records {
            replaced,
            inspected,
            then: None,
            surveys,
            typed,
            fingerprints: fingerprints.into_iter().collect(),
        }
    }
}
