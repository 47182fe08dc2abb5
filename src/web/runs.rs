//! `/runs`: every run, filtered, sorted, a hundred at a time.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;

use super::App;
use super::error::Result;
use super::fields::InQuery;
use super::filters;
use super::page::{Layout, Page};
use super::runs_query::{PAGE_SIZE, RunsQuery};
use super::view::RunView;
use crate::experiment::{MethodInfo, Stage, Study};
use crate::run_dir::State as RunState;
use crate::store::Run;

#[derive(askama::Template)]
#[template(path = "runs.html")]
struct RunsPage<'a> {
    layout: Layout,
    query: RunsQuery,
    methods: &'a [MethodInfo],
    studies: Vec<Arc<Study>>,
    runs: Vec<Run>,
    total: u64,
    counts: Vec<(RunState, u64)>,
}

/// A head of the table: where a click leads, and how the list is sorted now.
struct SortHead {
    href: String,
    /// For `aria-sort`.
    now: &'static str,
    arrow: &'static str,
}

impl RunsPage<'_> {
    fn is_state(&self, state: &RunState) -> bool {
        self.query.state == Some(*state)
    }

    fn is_stage(&self, stage: &Stage) -> bool {
        self.query.stage == Some(*stage)
    }

    fn pages(&self) -> u64 {
        self.total.div_ceil(PAGE_SIZE).max(1)
    }

    fn first(&self) -> u64 {
        (self.query.page - 1) * PAGE_SIZE + 1
    }

    fn last(&self) -> u64 {
        self.first() + self.runs.len() as u64 - 1
    }

    fn head(&self, column: &str) -> SortHead {
        let (name, _, descending) = self.query.order();
        let (now, arrow) = match (name == column, descending) {
            (false, _) => ("none", ""),
            (true, true) => ("descending", "▾"),
            (true, false) => ("ascending", "▴"),
        };
        SortHead {
            href: self.query.sorted_by(column),
            now,
            arrow,
        }
    }
}

/// The page.
pub async fn runs(State(app): App, InQuery(query): InQuery) -> Result<impl IntoResponse> {
    let query = RunsQuery::read(&query)?;
    let filter = query.filter(&app).await?;
    let page = RunsPage {
        layout: Layout::new("runs", &app),
        runs: app.store.runs(&filter).await?,
        total: app.store.count(&filter).await?,
        counts: app.store.counts().await?,
        query,
        methods: &app.catalog.methods,
        studies: app.library.all(),
    };
    Ok(Page(page).into_response())
}
