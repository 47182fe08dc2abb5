//! `/runs`: every run, filtered, sorted, a hundred at a time, or by what they have in common.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;

use crate::app::runs::{Group, ListChoices, PAGE_SIZE, RunList, RunsQuery, list, list_choices};
use crate::experiment::{MethodInfo, Stage, Study};
use crate::run_dir::State as RunState;
use crate::store::Run;
use crate::web::App;
use crate::web::error::Result;
use crate::web::fields::InQuery;
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::runs::view::RunView;

#[derive(askama::Template)]
#[template(path = "runs/list.html")]
struct RunsPage<'a> {
    layout: Layout,
    query: RunsQuery,
    methods: &'a [MethodInfo],
    studies: Vec<Arc<Study>>,
    runs: Vec<Run>,
    total: u64,
    counts: Vec<(RunState, u64)>,
    /// Scales and images that runs have.
    scales: Vec<String>,
    sources: Vec<String>,
    /// Settings that runs can be grouped by.
    settings: Vec<String>,
    /// The groups, if runs are grouped, and the results that may have a mean.
    groups: Option<Vec<Group>>,
    measures: Vec<String>,
}

/// The heads of the table: name in the address, unless it cannot be sorted by, text, class.
pub const HEADS: [(&str, &str, &str); 8] = [
    ("label", "Run", ""),
    ("state", "State", ""),
    ("stage", "Stage", ""),
    ("method", "Method", ""),
    ("", "Scale", ""),
    ("", "Dataset", ""),
    ("duration", "Duration", "num"),
    ("created", "Queued", "num"),
];

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

    /// The heads of the table of groups: name in the address, text, class.
    fn group_heads(&self) -> Vec<(&'static str, &str, &'static str)> {
        let mut heads = vec![("group", self.query.group.as_str(), ""), ("runs", "Runs", "num"), ("", "State", "")];
        if !self.query.measure.is_empty() {
            heads.extend([("mean", self.query.measure.as_str(), "num"), ("", "n", "num"), ("", "Range", "num")]);
        }
        heads
    }

    fn head(&self, column: &str) -> SortHead {
        let (name, descending) = self.query.present_order();
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
    let RunList { runs, total, groups } = list(&app, &query).await?;
    let ListChoices { scales, sources, settings } = list_choices(&app).await?;
    let page = RunsPage {
        layout: Layout::new("runs", &app),
        runs,
        total,
        counts: app.store.counts().await?,
        scales,
        sources,
        settings,
        measures: if groups.is_some() {
            app.store.measures().await?
        } else {
            Vec::new()
        },
        groups,
        query,
        methods: &app.catalog.methods,
        studies: app.library.all(),
    };
    Ok(Page(page).into_response())
}
