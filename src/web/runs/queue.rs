//! `/queue`: what the devices do and what comes next.

use axum::extract::State;
use axum::response::IntoResponse;

use crate::run_dir::State as RunState;
use crate::store::{Run, RunFilter};
use crate::web::App;
use crate::web::error::Result;
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::runs::view::RunView;

/// Waiting runs that the page lists.
const SHOWN: usize = 200;

#[derive(askama::Template)]
#[template(path = "runs/queue.html")]
struct QueuePage {
    layout: Layout,
    devices: Vec<(String, Option<Run>)>,
    /// Running, but on no device of this server: on another machine, or about to end.
    elsewhere: Vec<Run>,
    waiting: Vec<Run>,
    /// How many more wait than are listed.
    more: u64,
}

/// The page.
pub async fn queue(State(app): App) -> Result<impl IntoResponse> {
    let running = RunFilter {
        state: Some(RunState::Running),
        ..RunFilter::default()
    };
    let mut elsewhere = app.store.runs(&running).await?;
    let mut devices = Vec::new();
    for slot in app.jobs.devices() {
        let run = match &slot.run {
            Some(id) => app.store.run(id).await?,
            None => None,
        };
        elsewhere.retain(|other| slot.run.as_ref() != Some(&other.id));
        devices.push((slot.device, run));
    }
    let on_device = |run: &Run| devices.iter().any(|(_, busy)| busy.as_ref().is_some_and(|busy| busy.id == run.id));
    let mut waiting = app.store.queue().await?;
    waiting.retain(|run| !on_device(run));
    let more = waiting.len().saturating_sub(SHOWN) as u64;
    waiting.truncate(SHOWN);
    for run in &mut waiting {
        run.reason = run.reason.take().or_else(|| app.jobs.obstacle(&run.id));
    }
    Ok(Page(QueuePage {
        layout: Layout::new("queue", &app),
        devices,
        elsewhere,
        waiting,
        more,
    })
    .into_response())
}
