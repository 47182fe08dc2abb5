//! `/`: the studies, each with its launch, and what goes on.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;

use crate::app::studies::{Choice, Tab, tabs_of};
use crate::experiment::{Scale, Study};
use crate::jobs::DeviceSlot;
use crate::run_dir::State as RunState;
use crate::store::{Run, RunFilter, Sort};
use crate::web::error::Result;
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::runs::view::RunView;
use crate::web::{App, AppState};

/// Runs of the newest that the page lists.
const RECENT: u64 = 12;

#[derive(askama::Template)]
#[template(path = "studies/home.html")]
struct HomePage<'a> {
    layout: Layout,
    studies: Vec<Card>,
    /// Files of own studies that cannot be read.
    faults: Vec<String>,
    scales: &'a [Scale],
    choice: Choice,
    counts: Vec<(RunState, u64)>,
    total: u64,
    running: Vec<Run>,
    recent: Vec<Run>,
    devices: Vec<DeviceSlot>,
}

/// A study and how far it is wherever it was begun.
struct Card {
    study: Arc<Study>,
    /// Whether a person made it.
    own: bool,
    begun: Vec<Tab>,
}

/// The page.
pub async fn home(State(app): App) -> Result<impl IntoResponse> {
    let counts = app.store.counts().await?;
    let running = RunFilter {
        state: Some(RunState::Running),
        ..RunFilter::default()
    };
    let recent = RunFilter {
        sort: Sort::Created,
        limit: RECENT,
        ..RunFilter::default()
    };
    let page = HomePage {
        layout: Layout::new("home", &app),
        studies: cards(&app).await?,
        faults: app.library.faults(),
        scales: &app.scales,
        choice: Choice::default(),
        total: counts.iter().map(|(_, n)| n).sum(),
        counts,
        running: app.store.runs(&running).await?,
        recent: app.store.runs(&recent).await?,
        devices: app.jobs.devices(),
    };
    Ok(Page(page).into_response())
}

async fn cards(app: &AppState) -> Result<Vec<Card>> {
    let studies = app.library.all();
    let all: Vec<&Study> = studies.iter().map(Arc::as_ref).collect();
    let begun = tabs_of(app, &all, &Choice::default()).await?;
    let card = |(study, begun): (Arc<Study>, Vec<Tab>)| Card {
        own: app.library.is_custom(&study.name),
        study,
        begun,
    };
    Ok(studies.into_iter().zip(begun).map(card).collect())
}
