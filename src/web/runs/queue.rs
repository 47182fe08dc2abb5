//! `/queue`: what the devices do and what comes next.

use axum::extract::State;
use axum::response::IntoResponse;

use crate::app::runs::{self, Queue};
use crate::store::Run;
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
    let Queue {
        devices,
        elsewhere,
        waiting,
        more,
    } = runs::queue(&app, &app.jobs, SHOWN).await?;
    Ok(Page(QueuePage {
        layout: Layout::new("queue", &app),
        devices,
        elsewhere,
        waiting,
        more,
    })
    .into_response())
}
