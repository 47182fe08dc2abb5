//! `umbra data bench`: how many images a second the loader makes when nothing else wants the processors.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Error, bail};
use serde::Serialize;

use super::augment::Augment;
use super::loader::{LoaderPlan, TrainLoader, ahead};
use super::mix::Mix;
use super::{Dataset, Keep, open_as};
use crate::experiment::settings::{ClassifySettings, DataSettings, TrainSettings};
use crate::experiment::{RunSpec, Stage};

/// Time before counting begins: threads start, the system reads the files into memory ("ours").
const WARM_UP: Duration = Duration::from_secs(1);
/// Passes over the data; more than any measurement takes.
const EPOCHS: u64 = 1 << 32;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoaderReport {
    /// The source.
    pub source: String,
    /// The stage whose augmentation was done.
    pub stage: Stage,
    /// Training images of the source.
    pub images: usize,
    /// Width and height of the decoded images in the cache; none if each was decoded whenever it was wanted.
    pub kept: Option<[usize; 2]>,
    /// Side of the views.
    pub image_size: usize,
    /// Images in a batch.
    pub batch_size: usize,
    /// Threads that made batches.
    pub threads: usize,
    /// Seconds counted.
    pub seconds: f64,
    /// Images in a second.
    pub images_per_second: f64,
}

impl fmt::Display for LoaderReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = match self.kept {
            Some([width, height]) => format!("kept decoded at {width} x {height}"),
            None => "decoded for every batch".to_owned(),
        };
        writeln!(f, "{}: {} training images, {kept}", self.source, self.images)?;
        write!(
            f,
            "{} views of {2} x {2} in batches of {1}, {3} threads: {4:.0} images a second",
            self.stage, self.batch_size, self.image_size, self.threads, self.images_per_second
        )
    }
}

/// Makes batches as `run` would for `seconds` after a warm-up, and drops them.
///
/// # Errors
/// Those of [`super::open`], a run without augmentation, a batch larger than the data, or an image that cannot be read.
pub fn bench(run: &RunSpec, keep: Keep, cache_dir: &Path, threads: usize, seconds: f64) -> anyhow::Result<LoaderReport> {
    let settings: DataSettings = run.section("data").map_err(Error::msg)?;
    let train: TrainSettings = run.section("train").map_err(Error::msg)?;
    if !(seconds.is_finite() && seconds > 0.0) {
        bail!("--seconds {seconds}: it must be a number above 0");
    }
    let dataset = open_as(&settings, keep, cache_dir, &mut |_, _| {})?;
    if train.batch_size > dataset.train.len() {
        let most = dataset.train.len();
        bail!(
            "--batch {}: it must be at most {most}, the number of training images",
            train.batch_size
        );
    }
    let mut loader = loader(run, &dataset, &settings, train.batch_size, threads)?;
    count(&mut loader, WARM_UP)?;
    let (batches, elapsed) = count(&mut loader, Duration::from_secs_f64(seconds))?;
    let images = (batches * train.batch_size as u64) as f64;
    Ok(LoaderReport {
        source: settings.source,
        stage: run.stage,
        images: dataset.train.len(),
        kept: dataset.train.kept_size(),
        image_size: settings.image_size,
        batch_size: train.batch_size,
        threads,
        seconds: elapsed.as_secs_f64(),
        images_per_second: images / elapsed.as_secs_f64(),
    })
}

/// The loader of the run.
fn loader(run: &RunSpec, dataset: &Dataset, data: &DataSettings, batch_size: usize, threads: usize) -> anyhow::Result<TrainLoader> {
    let augment = Augment::new(
        &run.section("augment").map_err(Error::msg)?,
        data.image_size,
        dataset.mean,
        dataset.std,
    );
    let mix = if run.settings.contains_key("classify") {
        let settings: ClassifySettings = run.section("classify").map_err(Error::msg)?;
        Some(Mix::new(&settings, dataset.classes.len()))
    } else {
        None
    };
    let plan = LoaderPlan {
        seed: run.seed,
        batch_size,
        epochs: EPOCHS,
        repeated: None,
        first_batch: 0,
        threads,
        ahead: ahead(threads),
    };
    Ok(TrainLoader::new(dataset.train.clone(), augment, mix, plan))
}

/// Takes batches for `time`: how many came, and how long it took to the last of them.
fn count(loader: &mut TrainLoader, time: Duration) -> anyhow::Result<(u64, Duration)> {
    let (began, mut batches) = (Instant::now(), 0);
    for batch in loader {
        batch?;
        batches += 1;
        if began.elapsed() >= time {
            break;
        }
    }
    Ok((batches, began.elapsed()))
}
