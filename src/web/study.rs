//! `/studies/{name}`: one table at one scale, and its launch.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::claim_view::{ClaimView, claims_of};
use super::error::Result;
use super::fields::{Fields, InForm, InPath, InQuery};
use super::page::{Layout, Page};
use super::study_choice::{Choice, Done, check_source, done_at};
use super::study_table::{Head, Line, heads, lines};
use super::view::RunView;
use super::{App, AppState, filters};
use crate::experiment::{Invalid, Plan, RunSpec, Scale, Study};
use crate::store::{Filled, Run};

#[derive(askama::Template)]
#[template(path = "study.html")]
struct StudyPage<'a> {
    layout: Layout,
    study: &'a Study,
    /// Whether a person made it.
    own: bool,
    scales: &'a [Scale],
    choice: Choice,
    /// How many runs the launch before this page queued and found there already.
    launched: Option<(u64, u64)>,
    table: Option<TableView<'a>>,
}

struct TableView<'a> {
    scale: &'a Scale,
    heads: Vec<Head>,
    lines: Vec<Line>,
    done: Done,
    numbers: Numbers,
    claims: Vec<ClaimView>,
    runs: Vec<(RunSpec, Option<Run>)>,
}

/// The numbers of the table, a seed each.
struct Numbers {
    known: usize,
    all: usize,
    /// Those whose run has another number too.
    shared: usize,
}

impl Numbers {
    fn of(plan: &Plan, filled: &Filled) -> Numbers {
        let known = filled
            .table
            .rows
            .iter()
            .flat_map(|row| &row.entries)
            .map(|entry| entry.values.len())
            .sum();
        let sources: BTreeSet<_> = plan.cells.iter().map(|cell| &cell.run).collect();
        Numbers {
            known,
            all: plan.cells.len(),
            shared: plan.cells.len() - sources.len(),
        }
    }
}

impl StudyPage<'_> {
    /// The scale of the paper's numbers: what follows the colon of the study's reference.
    fn paper_scale(&self) -> &str {
        self.study
            .paper
            .split_once(": ")
            .map_or(self.study.paper.as_str(), |(_, scale)| scale)
    }

    /// Whether a number of the paper has a question mark.
    fn uncertain(&self) -> bool {
        self.study.rows.iter().any(|row| !row.uncertain.is_empty())
    }

    fn notes(&self) -> impl Iterator<Item = &Line> {
        self.table
            .iter()
            .flat_map(|table| &table.lines)
            .filter(|line| !line.note.is_empty())
    }
}

/// The page.
pub async fn study(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<Response> {
    let study = app.study(path.text("name")?)?;
    let mut choice = Choice::read(&query);
    if choice.scale.is_empty() {
        choice.scale = usual_scale(&app, &study).await?;
    }
    let launched = query.parse("queued")?.zip(query.parse("shared")?);
    show(&app, &study, choice, None, launched).await
}

/// Queues the study's runs and shows the study again.
pub async fn launch(State(app): App, path: InPath, InForm(form): InForm) -> Result<Response> {
    let study = app.study(path.text("name")?)?;
    let choice = Choice::read(&form);
    let plan = match check_source(&choice.data).and_then(|()| choice.plan(&app, &study)) {
        Ok(plan) => plan,
        Err(error) => return show(&app, &study, choice, Some(error), None).await,
    };
    let submitted = app.jobs.submit(&plan.runs, priority(&form)?).await?;
    let (queued, shared) = (submitted.queued.len(), submitted.shared.len());
    Ok(Redirect::to(&format!(
        "/studies/{}?{}&queued={queued}&shared={shared}",
        study.name,
        choice.query()
    ))
    .into_response())
}

fn priority(form: &Fields) -> Result<i64> {
    Ok(form.parse("priority")?.unwrap_or(0))
}

async fn show(app: &AppState, study: &Study, mut choice: Choice, error: Option<Invalid>, launched: Option<(u64, u64)>) -> Result<Response> {
    let (fault, table) = match (error, choice.plan(app, study)) {
        (Some(error), _) | (None, Err(error)) => (Some(error), None),
        (None, Ok(plan)) => (None, Some(view(app, study, &choice, plan).await?)),
    };
    let status = if fault.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let layout = Layout::new("home", app);
    choice.fault = fault;
    Ok((
        status,
        Page(StudyPage {
            layout,
            study,
            own: app.library.is_own(&study.name),
            scales: &app.scales,
            choice,
            launched,
            table,
        }),
    )
        .into_response())
}

async fn view<'a>(app: &'a AppState, study: &Study, choice: &Choice, plan: Plan) -> Result<TableView<'a>> {
    let filled = app.store.fill(study, &plan).await?;
    let (heads, lines) = (heads(&filled), lines(&filled));
    let done = Done::of(&plan, &filled.runs);
    let numbers = Numbers::of(&plan, &filled);
    let claims = claims_of(study, &filled.table);
    let mut known = filled.runs;
    let runs = plan.runs.into_iter().map(|spec| {
        let run = known.remove(&spec.id);
        (spec, run)
    });
    Ok(TableView {
        scale: choice.scale_of(app)?,
        heads,
        lines,
        done,
        numbers,
        claims,
        runs: runs.collect(),
    })
}

/// The largest scale the study was begun at, or the smallest there is.
async fn usual_scale(app: &AppState, study: &Study) -> Result<String> {
    for scale in app.scales.iter().rev() {
        if done_at(app, study, scale).await?.known > 0 {
            return Ok(scale.name.clone());
        }
    }
    Ok(app.scales.first().map(|scale| scale.name.clone()).unwrap_or_default())
}
