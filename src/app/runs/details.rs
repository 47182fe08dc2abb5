//! Everything about one run, in one call.

use std::collections::HashMap;
use std::path::Path;

use super::{Member, SectionView, log, section_views, tables_of};
use crate::app::{Result, Workspace};
use crate::experiment::measure::{EXAMPLES, Measure, SECONDS, SPEED_LOADER, SPEED_TRAINER, SPEED_WAIT_SHARE};
use crate::experiment::{RunId, Stage};
use crate::jobs::Jobs;
use crate::run_dir::RunDir;
use crate::store::{Attempt, ImageRow, Load, Run, Warning};

/// Bytes of the log that are read.
const LOG_TAIL: u64 = 64 * 1024;

/// What a run did, as the database has it.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The run.
    pub run: Run,
    /// The runs that start from it.
    pub children: Vec<Run>,
    /// Its results: name and value.
    pub results: Vec<(String, f64)>,
    /// The names of its curves, in alphabetical order.
    pub curves: Vec<String>,
    /// The images it wrote.
    pub images: Vec<ImageRow>,
    /// What it warned of.
    pub warnings: Vec<Warning>,
    /// Its attempts.
    pub attempts: Vec<Attempt>,
}

/// What a run's page shows besides its record, drawings left out.
#[derive(Clone, Debug)]
pub struct RunDetails {
    /// The record.
    pub record: RunRecord,
    /// The run it starts from, if that is here.
    pub parent: Option<Run>,
    /// How many runs made from it restart with it.
    pub begun_descendants: u64,
    /// The curves that share a chart, the chart that is asked for first in front.
    pub charts: Vec<Vec<String>>,
    /// Its images by name.
    pub galleries: Vec<Gallery>,
    /// The load of the machine, last time it was measured.
    pub load: Option<Load>,
    /// How fast images are made and taken.
    pub speed: Option<LoaderSpeed>,
    /// Its settings.
    pub settings: Vec<SectionView>,
    /// The tables it is part of.
    pub tables: Vec<Member>,
    /// The end of its log.
    pub log: String,
    /// Whether it has a model.
    pub has_model: bool,
    /// Whether it keeps a list of the images it is trained on.
    pub has_list: bool,
    /// Stages that can start from it.
    pub next_stages: Vec<Stage>,
    /// Commands that do the same work again, in a directory of its own.
    pub commands: Vec<String>,
}

/// How fast images are made and taken, over the latest stretch of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoaderSpeed {
    /// Images a second that the loader could make.
    pub loader: f64,
    /// Images a second that training could take.
    pub trainer: f64,
    /// Percent of its time that training waited for images.
    pub waited: f64,
}

/// The images of one name, by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gallery {
    /// The name.
    pub name: String,
    /// The images.
    pub images: Vec<ImageRow>,
}

/// What a run did.
///
/// # Errors
/// A run that is not there, or a database that cannot be read.
pub async fn record(workspace: &Workspace, id: &RunId) -> Result<RunRecord> {
    let store = &workspace.store;
    let results = store.summaries(std::slice::from_ref(id)).await?;
    Ok(RunRecord {
        run: workspace.run(id).await?,
        children: store.children(id).await?,
        results: results.into_iter().map(|(_, name, value)| (name, value)).collect(),
        curves: store.metric_names(id).await?,
        images: store.images(id).await?,
        warnings: store.warnings(id).await?,
        attempts: store.attempts(id).await?,
    })
}

/// Everything about a run. A waiting run also says what keeps it from being started here.
///
/// # Errors
/// A run that is not there, or a database or log that cannot be read.
pub async fn details(workspace: &Workspace, jobs: &Jobs, id: &RunId) -> Result<RunDetails> {
    let store = &workspace.store;
    let mut record = record(workspace, id).await?;
    record.run.reason = record.run.reason.or_else(|| jobs.obstacle(id));
    let run = &record.run;
    let parent = match &run.parent {
        Some(parent) => store.run(parent).await?,
        None => None,
    };
    let dir = workspace.run_dir(id);
    Ok(RunDetails {
        parent,
        begun_descendants: store.begun_descendants(id).await?,
        charts: charts(&record.curves),
        galleries: galleries(&record.images),
        load: store.latest_load(id).await?,
        speed: speed(
            &store
                .latest(id, &[SPEED_LOADER.name, SPEED_TRAINER.name, SPEED_WAIT_SHARE.name])
                .await?,
        ),
        settings: section_views(&workspace.catalog, &run.spec),
        tables: tables_of(workspace, run),
        log: log::tail(&dir.log_file(), LOG_TAIL).await?,
        has_model: dir.model_file().is_file(),
        has_list: dir.subset_file().is_file(),
        next_stages: next_stages(workspace, run),
        commands: commands(&workspace.data_dir, run, record.attempts.last()),
        record,
    })
}

fn speed(latest: &HashMap<String, f64>) -> Option<LoaderSpeed> {
    let value = |measure: Measure| latest.get(measure.name).copied();
    Some(LoaderSpeed {
        loader: value(SPEED_LOADER)?,
        trainer: value(SPEED_TRAINER)?,
        waited: 100.0 * value(SPEED_WAIT_SHARE)?,
    })
}

fn galleries(images: &[ImageRow]) -> Vec<Gallery> {
    let mut galleries: Vec<Gallery> = Vec::new();
    // Examples are drawn to be cut up and shown beside those of other runs.
    for image in images.iter().filter(|image| image.name != EXAMPLES.name) {
        match galleries.iter_mut().find(|gallery| gallery.name == image.name) {
            Some(gallery) => gallery.images.push(image.clone()),
            None => galleries.push(Gallery {
                name: image.name.clone(),
                images: vec![image.clone()],
            }),
        }
    }
    galleries
}

/// One chart for each last part of the curves' names, so that `train/loss` and `val/loss` share one. The two speeds share
/// one, too.
fn charts(curves: &[String]) -> Vec<Vec<String>> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for name in curves {
        let last = match name.as_str() {
            known if known == SECONDS.name => continue,
            known if [SPEED_LOADER.name, SPEED_TRAINER.name].contains(&known) => "speed".to_owned(),
            name => name.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        match groups.iter_mut().find(|(key, _)| *key == last) {
            Some((_, names)) => names.push(name.clone()),
            None => groups.push((last, vec![name.clone()])),
        }
    }
    // What is asked first stands first: the loss, then the accuracy, then the rest by name.
    groups.sort_by_key(|(key, _)| (key != "loss", !key.starts_with("top"), key.clone()));
    groups.into_iter().map(|(_, names)| names).collect()
}

fn next_stages(workspace: &Workspace, run: &Run) -> Vec<Stage> {
    let reconstructs = workspace.catalog.get(&run.method).is_some_and(|method| method.reconstructs);
    let stages = Stage::ASKED
        .into_iter()
        .filter(|stage| stage.starts_from().contains(&run.stage) && (*stage != Stage::Psnr || reconstructs));
    stages.collect()
}

/// Commands that do the same work again in a directory of its own, on the same device and with as many
/// threads as the latest attempt.
fn commands(data_dir: &Path, run: &Run, latest: Option<&Attempt>) -> Vec<String> {
    let path = |id: &RunId| quoted(&RunDir::of(data_dir, id).path().display().to_string());
    let mut lines = vec![format!("mkdir -p again/runs/{}", run.id)];
    let other = run.spec.value("compare", "other").and_then(|other| other.to_string().parse().ok());
    for needed in run.parent.iter().chain(&other) {
        lines.push(format!("cp -r {} again/runs/", path(needed)));
    }
    lines.push(format!("cp {}/run.toml again/runs/{}/", path(&run.id), run.id));
    let with = latest
        .map(|attempt| format!(" --device {} --threads {}", attempt.device, attempt.threads))
        .unwrap_or_default();
    lines.push(format!("umbra work again/runs/{}{with}", run.id));
    lines
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_safe_words_in_a_shell() {
        assert_eq!(quoted("/data/runs"), "/data/runs");
        assert_eq!(quoted("/my data/it's"), "'/my data/it'\\''s'");
    }

    #[test]
    fn curves_of_one_kind_share_a_chart_and_the_loss_comes_first() {
        let curves = [
            "speed/loader",
            "speed/seconds",
            "speed/trainer",
            "train/loss",
            "val/loss",
            "val/top1",
        ];
        let charts = charts(&curves.map(str::to_owned));
        assert_eq!(
            charts,
            [
                vec!["train/loss", "val/loss"],
                vec!["val/top1"],
                vec!["speed/loader", "speed/trainer"]
            ]
        );
    }
}
