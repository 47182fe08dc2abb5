//! What is told of a data set, on its page, by the API and by `umbra data`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::Datasets;
use super::looking::settings_of;
use crate::app::count_text;
use crate::app::{Error, Result, Workspace};
use crate::data::{Decoded, Survey, cache_size, decoded, kept_sheet, page_sheet};
use crate::experiment::Value;
use crate::experiment::settings::DataSettings;
use crate::store::ImagesRuns;

/// A data set by what its files say.
#[derive(Clone, Debug, Serialize)]
pub struct DatasetReport {
    /// Where it is.
    pub source: String,
    /// The column of the labels, where one was named.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label_column: String,
    /// What it is, wherever it is; empty for the built-in images.
    pub fingerprint: String,
    /// How it is laid out.
    pub layout: &'static str,
    /// Whether the images have labels.
    pub labeled: bool,
    /// Images of each class.
    pub classes: Vec<ClassCount>,
    /// Images.
    pub images: usize,
    /// Training images, where the source says which they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<usize>,
    /// Validation images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val: Option<usize>,
    /// Bytes of all images as they stand in the source.
    pub bytes: u64,
    /// Validation images that are training images, too; of an undivided source, images that are there twice.
    pub duplicates: usize,
    /// What was passed over and why.
    pub passed_over: Vec<String>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

/// A class and its images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub name: String,
    /// Its images.
    pub images: usize,
    /// Those for training, where that is known.
    pub train: Option<usize>,
    /// Those for validation.
    pub val: Option<usize>,
}

impl ClassCount {
    /// Those for training and for validation, where the source says which are which.
    pub fn splits(&self) -> Option<(usize, usize)> {
        self.train.zip(self.val)
    }
}

impl DatasetReport {
    /// Training and validation images, where the source says which are which.
    pub fn splits(&self) -> Option<(usize, usize)> {
        self.train.zip(self.val)
    }

    /// What a look at a source found.
    pub fn of(survey: &Survey) -> DatasetReport {
        let class = |(name, images, splits): (&str, usize, Option<[usize; 2]>)| ClassCount {
            name: name.to_owned(),
            images,
            train: splits.map(|[train, _]| train),
            val: splits.map(|[_, val]| val),
        };
        let classes: Vec<ClassCount> = survey.per_class().map(class).collect();
        DatasetReport {
            source: survey.source.clone(),
            label_column: survey.label_column.clone(),
            fingerprint: survey.fingerprint.clone(),
            layout: survey.layout.title(),
            labeled: survey.labeled,
            images: classes.iter().map(|class| class.images).sum(),
            train: classes.iter().map(|class| class.train).sum(),
            val: classes.iter().map(|class| class.val).sum(),
            classes,
            bytes: survey.bytes,
            duplicates: survey.duplicates,
            passed_over: survey.passed.sentences(),
            warnings: survey.warnings.clone(),
        }
    }

    /// `10 classes`, or that there are no labels.
    pub fn labels(&self) -> String {
        match self.classes.len() {
            _ if !self.labeled => "no labels".to_owned(),
            1 => "1 class".to_owned(),
            classes => format!("{} classes", count_text(classes as u64)),
        }
    }

    /// `50 000 + 10 000 images`, or how many there are in one pool.
    pub fn counts(&self) -> String {
        match self.splits() {
            Some((train, val)) => format!("{} + {} images", count_text(train as u64), count_text(val as u64)),
            None => format!("{} images, not divided", count_text(self.images as u64)),
        }
    }

    /// All of it in a line for a form.
    pub fn summary(&self) -> String {
        let mut parts = vec![self.layout.to_owned()];
        parts.extend((self.labeled || !self.layout.contains("without labels")).then(|| self.labels()));
        parts.push(self.counts());
        parts.join(", ")
    }

    /// The address of its page, and the name of its API twin.
    pub fn id(&self) -> &str {
        if self.fingerprint.is_empty() {
            "builtin"
        } else {
            &self.fingerprint
        }
    }
}

/// Images that were looked at, wherever they lay.
#[derive(Clone, Debug, Serialize)]
pub struct KnownDataset {
    /// What they are.
    pub report: DatasetReport,
    /// Where they were found.
    pub places: Vec<Place>,
    /// Files that were passed over.
    pub passed: usize,
    /// How many runs were made on them.
    pub runs: u64,
    /// Bytes of what is kept of them in the cache.
    pub cache_bytes: u64,
}

impl KnownDataset {
    /// Whether other images lie at all of their places now.
    pub fn is_replaced(&self) -> bool {
        self.places.iter().all(|place| place.now.is_some())
    }
}

/// A path at which images were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The path.
    pub source: String,
    /// The fingerprint of what was found there later, where that was something else.
    pub now: Option<String>,
}

/// A path that runs name and nobody looked at since there are fingerprints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// The path.
    pub source: String,
    /// How many runs name it.
    pub runs: u64,
}

/// One data set with everything that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct DatasetDetails {
    /// What it is, and where.
    #[serde(flatten)]
    pub known: KnownDataset,
    /// How runs have read it, as far as that is still kept.
    pub decoded: Vec<Decoded>,
    /// Why there is no contact sheet.
    pub no_sheet: Option<String>,
}

/// Every data set that was looked at, the built-in one first, and the paths that were not.
///
/// # Errors
/// A database that cannot be read.
pub async fn known_datasets(workspace: &Workspace) -> Result<(Vec<KnownDataset>, Vec<Unseen>)> {
    let used = workspace.store.images_of_runs().await?;
    let mut known = vec![grouped(&[Arc::new(Survey::built_in())], &workspace.datasets, &used)];
    let mut by_fingerprint: BTreeMap<String, Vec<Arc<Survey>>> = BTreeMap::new();
    let (now, before) = (workspace.datasets.all(), workspace.datasets.replaced());
    for survey in now.iter().chain(&before) {
        by_fingerprint.entry(survey.fingerprint.clone()).or_default().push(survey.clone());
    }
    let mut found: Vec<KnownDataset> = by_fingerprint
        .values()
        .map(|surveys| grouped(surveys, &workspace.datasets, &used))
        .collect();
    found.sort_by(|a, b| {
        let order = |known: &KnownDataset| (known.report.source.clone(), known.is_replaced());
        order(a).cmp(&order(b))
    });
    known.extend(found);
    for dataset in &mut known {
        let settings = settings_of_runs(workspace, dataset.report.fingerprint.as_str(), &dataset.report.source).await?;
        let cache = workspace.datasets.cache();
        dataset.cache_bytes = settings
            .iter()
            .map(|settings| cache_size(settings, &dataset.report.fingerprint, cache))
            .sum();
    }
    let mut unseen: BTreeMap<&str, u64> = BTreeMap::new();
    for row in used.iter().filter(|row| row.fingerprint.is_none() && row.data != "builtin") {
        if !now.iter().any(|survey| survey.source == row.data) {
            *unseen.entry(&row.data).or_default() += row.runs;
        }
    }
    let unseen = unseen.into_iter().map(|(source, runs)| Unseen {
        source: source.to_owned(),
        runs,
    });
    Ok((known, unseen.collect()))
}

/// The images of that fingerprint; those that Umbra makes itself are called `builtin`.
///
/// # Errors
/// [`Error::Missing`], or a database that cannot be read.
pub async fn details(workspace: &Workspace, id: &str) -> Result<DatasetDetails> {
    let (known, _) = known_datasets(workspace).await?;
    let missing = || Error::Missing("no images of that fingerprint were looked at here".to_owned());
    let known = known.into_iter().find(|known| known.report.id() == id).ok_or_else(missing)?;
    let report = &known.report;
    let cache = workspace.datasets.cache();
    let settings = settings_of_runs(workspace, &report.fingerprint, &report.source).await?;
    let decoded = settings
        .iter()
        .filter_map(|settings| decoded(settings, &report.fingerprint, cache))
        .collect();
    let gone = |place: &Place| report.source != "builtin" && !std::path::Path::new(&place.source).exists();
    let kept = kept_sheet(&report.fingerprint, cache).exists();
    let no_sheet = if kept {
        None
    } else if known.is_replaced() {
        Some(format!("other images lie at `{}` now", report.source))
    } else if known.places.iter().all(gone) {
        Some(format!("`{}` is not there", report.source))
    } else {
        None
    };
    Ok(DatasetDetails { decoded, no_sheet, known })
}

/// Images of each of the first classes, as a PNG; drawing it reads the source unless it is kept.
///
/// # Errors
/// A source that is gone, or whose images are others by now.
pub fn contact_sheet(datasets: &Datasets, report: &DatasetReport) -> anyhow::Result<Vec<u8>> {
    let settings = settings_of(&report.source, &report.label_column);
    page_sheet(&settings, &report.fingerprint, datasets.cache())
}

/// Runs of a scale at a path that were made on other images than lie there now, by fingerprint.
///
/// # Errors
/// A database that cannot be read.
pub async fn made_on_others(workspace: &Workspace, scale: &str, settings: &DataSettings) -> Result<Vec<ImagesRuns>> {
    let Some(now) = workspace.datasets.last(settings) else {
        return Ok(Vec::new());
    };
    let mut rows = workspace.store.images_of_runs().await?;
    rows.retain(|row| row.scale == scale && row.data == now.source && row.fingerprint.as_ref() != Some(&now.fingerprint));
    Ok(rows)
}

/// The surveys are of the same images.
fn grouped(surveys: &[Arc<Survey>], datasets: &Datasets, used: &[ImagesRuns]) -> KnownDataset {
    let now = |survey: &Survey| {
        let last = datasets.last(&settings_of(&survey.source, &survey.label_column))?;
        (last.fingerprint != survey.fingerprint).then(|| last.fingerprint.clone())
    };
    let mut places: Vec<Place> = Vec::new();
    let mut told = &surveys[0];
    for survey in surveys {
        let place = Place {
            source: survey.source.clone(),
            now: now(survey),
        };
        if place.now.is_none() && places.iter().all(|place| place.now.is_some()) {
            told = survey;
        }
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let is_it = |row: &&ImagesRuns| match told.fingerprint.as_str() {
        "" => row.data == "builtin",
        fingerprint => row.fingerprint.as_deref() == Some(fingerprint),
    };
    KnownDataset {
        report: DatasetReport::of(told),
        places,
        passed: told.passed.0.values().map(|passed| passed.count).sum(),
        runs: used.iter().filter(is_it).map(|row| row.runs).sum(),
        cache_bytes: 0,
    }
}

/// How runs read these images, and how `umbra data inspect` did.
async fn settings_of_runs(workspace: &Workspace, fingerprint: &str, source: &str) -> Result<Vec<DataSettings>> {
    if fingerprint.is_empty() {
        return Ok(Vec::new());
    }
    let mut settings: Vec<DataSettings> = Vec::new();
    let texts = workspace.store.settings_of_images(fingerprint).await?;
    let of_runs = texts.iter().filter_map(|text| {
        let mut values: BTreeMap<String, Value> = serde_json::from_str(text).ok()?;
        DataSettings::SECTION.fill_in(&mut values);
        serde_json::from_value(serde_json::to_value(values).ok()?).ok()
    });
    for one in of_runs.chain(workspace.datasets.inspected(fingerprint)) {
        // Where they lie makes no difference to how they are decoded.
        let one = DataSettings {
            source: source.to_owned(),
            ..one
        };
        if !settings.contains(&one) {
            settings.push(one);
        }
    }
    Ok(settings)
}
