//! `/playground`: what one model, or two side by side, make of an image with some patches masked.
//!
//! The page itself asks nothing, so that it is there at once; its script asks `/playground/answer` whenever something
//! changes. A browser without script sends the form with `show`, and gets the page with the answers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::charts::{LineChart, Series, Theme};
use crate::experiment::measure::{PSNR_VISIBLE_MEAN, PSNR_ZERO};
use crate::experiment::{RunId, Stage};
use crate::jobs::Unanswered;
use crate::playground::{Answer, Decibels, Patches, Reply, Request};
use crate::run_dir::{RunDir, State as RunState};
use crate::store::{Run, RunFilter};
use crate::web::charts::curves::without_style;
use crate::web::error::{Error, Failure, Result};
use crate::web::fields::InQuery;
use crate::web::page::{Layout, Page};
use crate::web::playground::setup::{DENORMS, Setup, grid_of};
use crate::web::playground::uploads::Uploads;
use crate::web::runs::view::RunView;
use crate::web::{App, AppState};

/// How long a script waits for an answer before it is told what is being done.
const BRIEF: Duration = Duration::from_secs(1);
/// How long a page without script waits.
const LONG: Duration = Duration::from_secs(300);
/// Runs of each stage that can be chosen from; any other can be named in the address.
const LISTED: u64 = 200;

#[derive(askama::Template)]
#[template(path = "playground/page.html")]
struct PlaygroundPage {
    layout: Layout,
    setup: Setup,
    runs: Vec<Run>,
    /// Patches along one side.
    grid: usize,
    /// The answers, if the page was to wait for them.
    seen: Option<AnswerFragment>,
}

/// What the script puts into the page.
#[derive(askama::Template)]
#[template(path = "playground/answer.html")]
pub struct AnswerFragment {
    sides: Vec<Side>,
    /// The chart of the alignments, if there is anything to draw.
    chart: Option<String>,
    href: String,
    uploaded: bool,
}

/// One model.
struct Side {
    /// `A` or `B`.
    name: &'static str,
    run: Run,
    answer: Option<Arc<Reply>>,
    /// Why there is none.
    trouble: String,
    /// Whether its patch grid is another one than the mask's.
    other_grid: bool,
}

/// A line of the table of ratios, in decibels.
struct Ratio {
    name: &'static str,
    meaning: &'static str,
    masked: String,
    composite: String,
}

impl Side {
    fn answer(&self) -> Option<&Answer> {
        match self.answer.as_deref() {
            Some(Reply::Answer(answer)) => Some(answer),
            _ => None,
        }
    }

    /// Attention heads of a block.
    fn heads(&self) -> usize {
        let blocks = self.answer().map(|answer| &answer.attention);
        blocks.and_then(|blocks| blocks.first()).map_or(0, Vec::len)
    }

    fn ratios(&self) -> Vec<Ratio> {
        let reconstruction = self.answer().and_then(|answer| answer.reconstruction.as_ref());
        let Some(scores) = reconstruction.and_then(|reconstruction| reconstruction.scores) else {
            return Vec::new();
        };
        let (model, zero) = (scores.model, scores.zero);
        let line = |name, meaning, decibels: Decibels| Ratio {
            name,
            meaning,
            masked: format!("{:.2}", decibels.masked),
            composite: format!("{:.2}", decibels.composite),
        };
        vec![
            line("model", "Peak signal-to-noise ratio of the prediction", model),
            line(PSNR_ZERO.title, "A model that predicts zero everywhere", zero),
            line(
                PSNR_VISIBLE_MEAN.title,
                "The mean color of the visible patches",
                scores.visible_mean,
            ),
            Ratio {
                name: "gain over zero",
                meaning: "The model's PSNR minus that of the first baseline",
                masked: format!("{:+.2}", model.masked - zero.masked),
                composite: format!("{:+.2}", model.composite - zero.composite),
            },
        ]
    }
}

impl AnswerFragment {
    fn new(setup: &Setup, sides: Vec<Side>) -> AnswerFragment {
        AnswerFragment {
            chart: chart(&sides),
            sides,
            href: setup.href(),
            uploaded: setup.upload.is_some(),
        }
    }

    /// What A's model sees, and the mask.
    fn first(&self) -> Option<&Answer> {
        self.sides.first().and_then(Side::answer)
    }

    /// For every block, counted from 1, the alignment of each side that has an answer.
    fn alignments(&self) -> Vec<(usize, Vec<String>)> {
        let sides: Vec<&[Option<f64>]> = self.sides.iter().filter_map(|side| Some(side.answer()?.cka.as_slice())).collect();
        let blocks = sides.iter().map(|cka| cka.len()).max().unwrap_or(0);
        let value = |cka: &[Option<f64>], block: usize| match cka.get(block) {
            Some(Some(value)) => format!("{value:.4}"),
            Some(None) => "undefined".to_owned(),
            None => String::new(),
        };
        let line = |block: usize| (block + 1, sides.iter().map(|cka| value(cka, block)).collect());
        (0..blocks).map(line).collect()
    }

    /// Image numbers go from 0 to this.
    fn last_image(&self) -> Option<usize> {
        self.first().and_then(|answer| answer.images).map(|images| images - 1)
    }
}

impl PlaygroundPage {
    fn is_a(&self, run: &Run) -> bool {
        self.setup.a.as_ref() == Some(&run.id)
    }

    fn is_b(&self, run: &Run) -> bool {
        self.setup.b.as_ref() == Some(&run.id)
    }

    fn first(&self) -> Option<&Answer> {
        self.seen.as_ref().and_then(AnswerFragment::first)
    }

    /// The patches row by row: number, and whether it is masked.
    fn rows(&self) -> Vec<Vec<(usize, bool)>> {
        let chosen = self
            .setup
            .hide
            .as_ref()
            .and_then(|digits| Patches::parse(digits, self.grid * self.grid).ok());
        let hidden = self.first().map(|answer| answer.hidden.clone()).or(chosen).unwrap_or_default();
        let is_hidden = |patch: usize| hidden.0.get(patch) == Some(&true);
        let row = |row: usize| {
            (row * self.grid..(row + 1) * self.grid)
                .map(|patch| (patch, is_hidden(patch)))
                .collect()
        };
        (0..self.grid).map(row).collect()
    }
}

/// The page.
pub async fn playground(State(app): App, State(uploads): State<Arc<Uploads>>, InQuery(query): InQuery) -> Result<Response> {
    let (mut setup, mut runs) = (Setup::read(&query)?, listed(&app).await?);
    for id in setup.a.iter().chain(&setup.b) {
        if !runs.iter().any(|run| run.id == *id) {
            runs.push(run_of(&app, id).await?);
        }
    }
    let a = setup.a.clone().or_else(|| usual(&app, &runs));
    let grid = a.as_ref().and_then(|a| grid_of(runs.iter().find(|run| run.id == *a)?)).unwrap_or(1);
    setup.a = a;
    let setup = setup.fit(grid)?;
    let seen = match &setup.a {
        Some(_) if setup.show => Some(answers(&app, &uploads, &setup, LONG).await?),
        _ => None,
    };
    let seen = match seen {
        Some(Seen::Answers(fragment)) => Some(fragment),
        Some(Seen::Working(_)) | None => None,
    };
    Ok(Page(PlaygroundPage {
        layout: Layout::new("playground", &app),
        setup,
        runs,
        grid,
        seen,
    })
    .into_response())
}

/// The answers alone; 202 and what is being done while they are worked out, to be asked again.
pub async fn answer(State(app): App, State(uploads): State<Arc<Uploads>>, InQuery(query): InQuery) -> Result<Response, Failure> {
    let setup = Setup::read(&query)?;
    let a = setup
        .a
        .as_ref()
        .ok_or_else(|| Error::BadRequest("a: name the run whose model to use".to_owned()))?;
    let grid = grid_of(&run_of(&app, a).await?).unwrap_or(1);
    Ok(match answers(&app, &uploads, &setup.fit(grid)?, BRIEF).await? {
        Seen::Answers(fragment) => Page(fragment).into_response(),
        Seen::Working(news) => (StatusCode::ACCEPTED, news).into_response(),
    })
}

enum Seen {
    Answers(AnswerFragment),
    /// What is being done.
    Working(String),
}

/// Asks the models, which takes them at most `patience` each.
async fn answers(app: &AppState, uploads: &Uploads, setup: &Setup, patience: Duration) -> Result<Seen> {
    let a = match &setup.a {
        Some(a) => run_of(app, a).await?,
        None => return Err(Error::BadRequest("a: name the run whose model to use".to_owned())),
    };
    let file = match &setup.upload {
        None => Arc::default(),
        Some(name) => uploads
            .get(name)
            .ok_or_else(|| Error::NotFound("the uploaded image is no longer kept: upload it again".to_owned()))?,
    };
    let grid = grid_of(&a).unwrap_or(1);
    let mut sides = vec![("A", a.clone())];
    if let Some(b) = &setup.b {
        sides.push(("B", run_of(app, b).await?));
    }
    let mut seen = Vec::new();
    for (name, run) in sides {
        let question = setup.question(&run, written(app, &run), &a, grid);
        let (answer, trouble) = match app.jobs.look(Request::Look(question), file.clone(), patience).await {
            Ok(reply) => (Some(reply), String::new()),
            Err(Unanswered::Working(news)) => return Ok(Seen::Working(news)),
            Err(unanswered) => (None, unanswered.to_string()),
        };
        let mut side = Side {
            name,
            run,
            answer,
            trouble,
            other_grid: false,
        };
        side.other_grid = side.answer().is_some_and(|answer| answer.grid != grid);
        seen.push(side);
    }
    Ok(Seen::Answers(AnswerFragment::new(setup, seen)))
}

/// Finished runs that have an encoder, the newest first.
async fn listed(app: &AppState) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for stage in [Stage::Pretrain, Stage::Finetune] {
        let filter = RunFilter {
            state: Some(RunState::Finished),
            stage: Some(stage),
            limit: LISTED,
            ..RunFilter::default()
        };
        runs.extend(app.store.runs(&filter).await?);
    }
    Ok(runs)
}

/// The run of that id.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn run_of(app: &AppState, id: &RunId) -> Result<Run> {
    let run = app.store.run(id).await?;
    run.ok_or_else(|| Error::NotFound(format!("there is no run {id}")))
}

/// The newest run that reconstructs, or the newest.
fn usual(app: &AppState, runs: &[Run]) -> Option<RunId> {
    let reconstructs = |run: &&Run| run.stage == Stage::Pretrain && app.catalog.get(&run.method).is_some_and(|method| method.reconstructs);
    runs.iter().find(reconstructs).or(runs.first()).map(|run| run.id.clone())
}

/// When the run's model was written, in nanoseconds since 1970; 0 if there is none.
pub fn written(app: &AppState, run: &Run) -> u64 {
    let modified = |path: &Path| path.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok();
    let file = RunDir::of(app.jobs.data_dir(), &run.id).model_file();
    modified(&file).map_or(0, |time| time.as_nanos() as u64)
}

/// Alignment over blocks, a line for each model.
fn chart(sides: &[Side]) -> Option<String> {
    let series: Vec<Series> = sides
        .iter()
        .enumerate()
        .filter_map(|(nth, side)| {
            let cka = &side.answer()?.cka;
            let points = cka
                .iter()
                .enumerate()
                .filter_map(|(block, value)| Some((block as f64 + 1.0, (*value)?)));
            Some(Series {
                name: format!("{} · {}", side.name, side.run.label),
                points: points.collect(),
                color: nth,
                band: Vec::new(),
                dashed: false,
            })
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    let chart = LineChart {
        title: "Alignment (CKA) with the full image".to_owned(),
        x_label: "block".to_owned(),
        y_label: String::new(),
        series,
        smooth: 0.0,
        log_y: false,
        log_x: false,
        y_covers: None,
        width: 560,
        height: 240,
        theme: Theme::Auto,
    };
    (!chart.series.is_empty()).then(|| without_style(chart.svg()))
}
