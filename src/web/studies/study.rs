//! `/studies/{name}`: one table at one scale, and its launch.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::datasets::{made_on_others, settings_of};
use crate::app::launch::LaunchError;
use crate::app::studies::{Choice, Done, Numbers, OF_IMAGES, Sheet, Tab, TableOptions, sheet, tabs, usual_choice};
use crate::experiment::{Column, Invalid, Plan, RunId, Scale, Study};
use crate::run_dir::State as RunState;
use crate::store::{ImagesRuns, Run};
use crate::web::datasets::source::SourceLine;
use crate::web::error::Result;
use crate::web::fields::{Fields, InForm, InPath, InQuery, query_of};
use crate::web::page::{Layout, Page};
use crate::web::runs::view::RunView;
use crate::web::studies::choice::{launched_in, table_href};
use crate::web::studies::claim_view::{ClaimView, claims_of};
use crate::web::studies::export::missing_signs_note;
use crate::web::studies::table::{Head, Line, Links, Place, Sorter};
use crate::web::{App, AppState, filters};

/// Runs that the page lists; more are a click away.
const LISTED: usize = 200;

#[derive(askama::Template)]
#[template(path = "studies/study.html")]
struct StudyPage<'a> {
    layout: Layout,
    study: &'a Study,
    /// Whether a person made it.
    own: bool,
    scales: &'a [Scale],
    choice: Choice,
    view: TableOptions,
    tabs: Vec<Tab>,
    /// What is known of the images.
    source: SourceLine,
    /// Runs at the same path on images that lie there no more.
    others: Vec<OtherImages>,
    /// How many runs the launch before this page queued and found there already.
    launched: Option<(u64, u64, u64)>,
    table: Option<TableView<'a>>,
}

/// Runs of the scale at the path, made on other images.
struct OtherImages {
    fingerprint: Option<String>,
    runs: u64,
    href: String,
}

struct TableView<'a> {
    scale: &'a Scale,
    by_title: Sorter,
    heads: Vec<Head>,
    lines: Vec<Line>,
    done: Done,
    numbers: Numbers,
    /// Whether another table stands beside it.
    is_pair: bool,
    /// The same table in the study's own order, whole.
    usual: String,
    /// The same view with all rows.
    all_rows: String,
    claims: Vec<ClaimView>,
    /// Label, and the run if it was ever queued.
    runs: Vec<(String, Option<Run>)>,
    /// How many runs are not listed, and where they are.
    more: u64,
    all_runs: String,
}

impl TableView<'_> {
    /// Columns of the page's table.
    fn width(&self) -> usize {
        1 + self.heads.iter().map(|head| head.parts.len()).sum::<usize>()
    }
}

impl StudyPage<'_> {
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

    /// Says which signs of the study a PNG cannot show.
    fn png_note(&self) -> Option<String> {
        let columns = self.study.columns.iter().map(Column::heading);
        let rows = self.study.rows.iter().map(|row| row.title.clone());
        let all: String = columns.chain(rows).chain([self.study.title.clone()]).collect();
        missing_signs_note(&all)
    }

    /// What the form of the table's tools keeps as it is.
    fn kept(&self) -> impl Iterator<Item = (&'static str, String)> {
        let order = self.view.pairs().into_iter().filter(|(name, _)| ["sort", "dir"].contains(name));
        self.choice.pairs().chain(order).filter(|(_, value)| !value.is_empty())
    }

    fn tab_href(&self, tab: &Tab) -> String {
        self.view.alone().href(&format!("/studies/{}", self.study.name), &tab.choice)
    }

    fn export(&self, ending: &str) -> String {
        self.view
            .href(&format!("/studies/{}/export.{ending}", self.study.name), &self.choice)
    }
}

/// The page.
pub async fn study(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<Response> {
    let study = app.study(path.text("name")?)?;
    let mut choice = Choice::read(&query);
    if choice.scale.is_empty() {
        let usual = usual_choice(&app, &study).await?;
        // Images that were asked for stay.
        choice.scale = usual.scale;
        if choice.data.is_empty() {
            choice.data = usual.data;
        }
    }
    // A form sends its fields even when they are empty.
    if OF_IMAGES.iter().all(|(place, ..)| query.get(place).is_none()) {
        choice.of_images = app.datasets.typed(&choice.scale, &choice.data);
    }
    let launched = launched_in(&query)?;
    let view = TableOptions::read(&query, &study);
    show(&app, &study, choice, view, None, launched).await
}

/// Begins to look at the images and shows the study again, which says what is found.
pub async fn check(State(app): App, path: InPath, InForm(form): InForm) -> Result<Redirect> {
    let study = app.study(path.text("name")?)?;
    let (choice, view) = (Choice::read(&form), TableOptions::read(&form, &study));
    let (source, column) = source_of(&app, &choice);
    app.datasets.begin(&settings_of(&source, &column));
    Ok(Redirect::to(&view.href(&format!("/studies/{}", study.name), &choice)))
}

/// Where the images of a choice are, and the column of their labels.
fn source_of(app: &AppState, choice: &Choice) -> (String, String) {
    let of_scale = || {
        let scale = choice.scale_in(app).ok()?;
        Some(scale.all.get("data")?.get("source")?.to_string())
    };
    let source = choice.source().map(str::to_owned).or_else(of_scale);
    (
        source.unwrap_or_else(|| "builtin".to_owned()),
        choice.typed("data.label_column").to_owned(),
    )
}

async fn others(app: &AppState, choice: &Choice) -> Result<Vec<OtherImages>> {
    let (source, column) = source_of(app, choice);
    let rows = made_on_others(app, &choice.scale, &settings_of(&source, &column)).await?;
    let other = |row: ImagesRuns| {
        let place = [
            ("scale", row.scale),
            ("data", row.data),
            ("images", row.fingerprint.clone().unwrap_or_default()),
        ];
        OtherImages {
            href: format!("/runs?{}", query_of(place)),
            fingerprint: row.fingerprint,
            runs: row.runs,
        }
    };
    Ok(rows.into_iter().map(other).collect())
}

/// Queues the study's runs and shows the study again.
pub async fn launch(State(app): App, path: InPath, InForm(form): InForm) -> Result<Response> {
    let study = app.study(path.text("name")?)?;
    let (choice, view) = (Choice::read(&form), TableOptions::read(&form, &study));
    let names = vec![study.name.clone()];
    let choice = if form.get("fit").is_some() {
        choice.fitted(&app.launcher(), names.clone()).await?
    } else {
        choice
    };
    let launched = match choice.launch(&app.launcher(), names, priority(&form)?).await {
        Ok(launched) => launched,
        Err(LaunchError::Invalid(fault)) => return show(&app, &study, choice, view, Some(fault), None).await,
        Err(fault) => return Err(fault.into()),
    };
    let (queued, shared) = (launched.submitted.queued.len(), launched.submitted.shared.len());
    let left_out = launched.left_out.map_or_else(String::new, |out| format!("&left_out={}", out.runs));
    let back = view.href(&format!("/studies/{}", study.name), &choice);
    Ok(Redirect::to(&format!("{back}&queued={queued}&shared={shared}{left_out}")).into_response())
}

fn priority(form: &Fields) -> Result<i64> {
    Ok(form.parse("priority")?.unwrap_or(0))
}

async fn show(
    app: &AppState,
    study: &Study,
    mut choice: Choice,
    view: TableOptions,
    error: Option<Invalid>,
    launched: Option<(u64, u64, u64)>,
) -> Result<Response> {
    let tabs = tabs(app, study, &choice).await?;
    if let Some(current) = tabs.iter().find(|tab| tab.current) {
        choice.seeds.clone_from(&current.choice.seeds);
    }
    let (fault, table) = match error {
        Some(error) => (Some(error), None),
        None => match sheet(app, study, &choice, &view).await? {
            Ok(sheet) => (None, Some(table(app, study, &choice, &view, sheet)?)),
            Err(fault) => (Some(fault), None),
        },
    };
    let status = if fault.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    choice.fault = fault;
    let (source, column) = source_of(app, &choice);
    let page = StudyPage {
        layout: Layout::new("home", app),
        study,
        own: app.library.is_custom(&study.name),
        scales: &app.scales,
        view,
        tabs,
        source: SourceLine::of(app, &source, &column),
        others: others(app, &choice).await?,
        launched,
        table,
        choice,
    };
    Ok((status, Page(page)).into_response())
}

fn table<'a>(app: &'a AppState, study: &Study, choice: &Choice, view: &TableOptions, sheet: Sheet) -> Result<TableView<'a>> {
    let links = Links { study, choice, view };
    let path = format!("/studies/{}", study.name);
    let (heads, lines, by_title) = (links.heads(&sheet), links.lines(&sheet), links.sorter("row.title", &sheet));
    let scale = choice.scale_in(app)?;
    let done = Done::of(&sheet.plan, &sheet.own.runs);
    let all_rows = TableOptions {
        rows: String::new(),
        ..view.clone()
    };
    let (runs, more) = listed(&sheet.plan, sheet.own.runs);
    let place = [("study", study.name.clone()), ("scale", scale.name.clone())];
    Ok(TableView {
        by_title,
        heads,
        lines,
        done,
        numbers: sheet.numbers,
        claims: claims_of(study, &sheet.whole),
        is_pair: sheet.other.is_some(),
        usual: table_href(&study.name, choice),
        all_rows: all_rows.href(&path, choice),
        runs,
        more,
        all_runs: format!(
            "/runs?{}",
            query_of(
                place
                    .into_iter()
                    .chain([("data", choice.data.clone()), ("seeds", choice.seeds.clone())])
            )
        ),
        scale,
    })
}

/// The runs in the plan's order; of very many, those that somebody may want to look after, and how many are left out.
fn listed(plan: &Plan, mut known: HashMap<RunId, Run>) -> (Vec<(String, Option<Run>)>, u64) {
    let many = plan.runs.len() > LISTED;
    let mut runs: Vec<(String, Option<Run>)> = Vec::new();
    for spec in &plan.runs {
        let run = known.remove(&spec.id);
        let busy = run.as_ref().is_some_and(|run| run.state != RunState::Finished);
        if !many || busy {
            runs.push((spec.label.clone(), run));
        }
    }
    runs.sort_by_key(|(_, run)| many && run.as_ref().is_some_and(|run| run.state == RunState::Queued));
    runs.truncate(if many { LISTED } else { runs.len() });
    let more = (plan.runs.len() - runs.len()) as u64;
    (runs, more)
}
