//! `/runs/{id}`: everything about one run.

use std::path::Path;

use axum::extract::State;
use axum::response::IntoResponse;

use crate::experiment::measure::{EXAMPLES, SECONDS, SPEED_LOADER, SPEED_TRAINER, SPEED_WAIT_SHARE};
use crate::experiment::{RunId, Stage};
use crate::run_dir::RunDir;
use crate::store::{Attempt, ImageRow, Load, Run, Warning};
use crate::web::charts::cka_files::{Drawing, View, charts as cka_charts, found};
use crate::web::charts::curves::{ChartView, Look, chart};
use crate::web::error::{Error, Result};
use crate::web::fields::{InPath, InQuery};
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::runs::files::log_tail;
use crate::web::runs::settings::{SectionView, section_views};
use crate::web::runs::tables::{Member, tables_of};
use crate::web::runs::view::RunView;
use crate::web::{App, AppState};

/// Bytes of the log that the page shows.
const LOG_TAIL: u64 = 64 * 1024;

#[derive(askama::Template)]
#[template(path = "runs/run.html")]
struct RunPage {
    layout: Layout,
    run: Run,
    parent: Option<Run>,
    children: Vec<Run>,
    /// How many runs made from it restart with it.
    made: u64,
    results: Vec<(String, f64)>,
    look: Look,
    charts: Vec<ChartView>,
    /// How alike features are, in two views, if the run compared them.
    cka: Vec<ChartView>,
    galleries: Vec<Gallery>,
    warnings: Vec<Warning>,
    attempts: Vec<Attempt>,
    load: Option<Load>,
    speeds: Option<Speeds>,
    settings: Vec<SectionView>,
    /// The tables it is part of.
    tables: Vec<Member>,
    log: String,
    has_model: bool,
    /// Whether it keeps a list of the images it learns from.
    has_list: bool,
    /// Stages that can start from this run.
    next_stages: Vec<Stage>,
    commands: Vec<String>,
}

/// How fast images are made and taken, over the latest stretch of training.
struct Speeds {
    /// Images a second that the loader could make.
    loader: f64,
    /// Images a second that training could take.
    trainer: f64,
    /// Percent of its time that training waited for images.
    waited: f64,
}

/// The images of one name, by step.
struct Gallery {
    name: String,
    images: Vec<ImageRow>,
}

/// The page.
pub async fn run(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<impl IntoResponse> {
    let id = path.run()?;
    let look = Look::read(&query)?;
    let mut run = app
        .store
        .run(&id)
        .await?
        .ok_or_else(|| Error::NotFound(format!("there is no run {id}")))?;
    run.reason = run.reason.or_else(|| app.jobs.obstacle(&id));
    let parent = match &run.parent {
        Some(parent) => app.store.run(parent).await?,
        None => None,
    };
    let attempts = app.store.attempts(&id).await?;
    let results = app.store.summaries(std::slice::from_ref(&id)).await?;
    let page = RunPage {
        layout: Layout::new("runs", &app),
        parent,
        children: app.store.children(&id).await?,
        made: app.store.made_from(&id).await?.iter().filter(|run| run.was_begun()).count() as u64,
        results: results.into_iter().map(|(_, name, value)| (name, value)).collect(),
        charts: charts(&app, &run, &look).await?,
        look,
        cka: cka(&app, &run).await?,
        galleries: galleries(app.store.images(&id).await?),
        warnings: app.store.warnings(&id).await?,
        load: app.store.load(&id).await?.last().copied(),
        speeds: speeds(&app, &id).await?,
        settings: section_views(&app, &run.spec),
        tables: tables_of(&app, &run),
        log: log_tail(&app, &id, LOG_TAIL).await?,
        has_model: RunDir::of(app.jobs.data_dir(), &id).model_file().is_file(),
        has_list: RunDir::of(app.jobs.data_dir(), &id).subset_file().is_file(),
        next_stages: next_stages(&app, &run),
        commands: commands(app.jobs.data_dir(), &run, attempts.last()),
        attempts,
        run,
    };
    Ok(Page(page))
}

async fn cka(app: &AppState, run: &Run) -> Result<Vec<ChartView>> {
    let found = found(&app.store, vec![vec![run.clone()]]).await?;
    let views = [View::Heatmap, View::Lines];
    Ok(views
        .into_iter()
        .flat_map(|view| cka_charts(&found, &Drawing::new(view, &found, None)))
        .collect())
}

async fn speeds(app: &AppState, id: &RunId) -> Result<Option<Speeds>> {
    let mut latest = Vec::new();
    for measure in [SPEED_LOADER, SPEED_TRAINER, SPEED_WAIT_SHARE] {
        latest.extend(app.store.metrics(id, measure.name).await?.last().map(|point| point.value));
    }
    Ok(match latest[..] {
        [loader, trainer, wait_share] => Some(Speeds {
            loader,
            trainer,
            waited: 100.0 * wait_share,
        }),
        _ => None,
    })
}

fn galleries(images: Vec<ImageRow>) -> Vec<Gallery> {
    let mut galleries: Vec<Gallery> = Vec::new();
    // Examples are drawn to be cut up and shown beside those of other runs.
    for image in images.into_iter().filter(|image| image.name != EXAMPLES.name) {
        match galleries.iter_mut().find(|gallery| gallery.name == image.name) {
            Some(gallery) => gallery.images.push(image),
            None => galleries.push(Gallery {
                name: image.name.clone(),
                images: vec![image],
            }),
        }
    }
    galleries
}

/// One chart for each last part of the metrics' names, so that `train/loss` and `val/loss` share one. The two speeds share
/// one, too.
async fn charts(app: &AppState, run: &Run, look: &Look) -> Result<Vec<ChartView>> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for name in app.store.metric_names(&run.id).await? {
        if name == SECONDS.name {
            continue;
        }
        let last = if [SPEED_LOADER.name, SPEED_TRAINER.name].contains(&name.as_str()) {
            "speed".to_owned()
        } else {
            name.rsplit('/').next().unwrap_or_default().to_owned()
        };
        match groups.iter_mut().find(|(key, _)| *key == last) {
            Some((_, names)) => names.push(name),
            None => groups.push((last, vec![name])),
        }
    }
    // What is asked first stands first: the loss, then the accuracy, then the rest by name.
    groups.sort_by_key(|(key, _)| (key != "loss", !key.starts_with("top"), key.clone()));
    let mut charts = Vec::new();
    for (_, names) in groups {
        charts.push(chart(app, std::slice::from_ref(run), &names, look).await?);
    }
    Ok(charts)
}

fn next_stages(app: &AppState, run: &Run) -> Vec<Stage> {
    let reconstructs = app.catalog.get(&run.method).is_some_and(|method| method.reconstructs);
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
    use crate::web::runs::run::quoted;

    #[test]
    fn paths_are_safe_words_in_a_shell() {
        assert_eq!(quoted("/data/runs"), "/data/runs");
        assert_eq!(quoted("/my data/it's"), "'/my data/it'\\''s'");
    }
}
