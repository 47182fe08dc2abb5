//! `/runs`: every run, filtered, sorted, a hundred at a time, or by what they have in common.

use std::collections::BTreeSet;

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;

use crate::experiment::{MethodInfo, Stage, Study};
use crate::run_dir::State as RunState;
use crate::store::Run;
use crate::web::error::Result;
use crate::web::fields::InQuery;
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::runs::groups::{Group, groups};
use crate::web::runs::query::{PAGE_SIZE, RunsQuery};
use crate::web::runs::view::RunView;
use crate::web::{App, AppState};

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
    let filter = query.filter(&app).await?;
    let is_grouped = !query.group.is_empty();
    let mut used = app.store.grounds().await?;
    let scales = app
        .scales
        .iter()
        .map(|scale| scale.name.clone())
        .filter(|name| used.iter().any(|ground| ground.scale == *name));
    let scales = scales.collect();
    used.sort_by(|a, b| a.data.cmp(&b.data));
    used.dedup_by(|a, b| a.data == b.data);
    let page = RunsPage {
        layout: Layout::new("runs", &app),
        runs: if is_grouped { Vec::new() } else { app.store.runs(&filter).await? },
        total: app.store.count(&filter).await?,
        counts: app.store.counts().await?,
        scales,
        sources: used.into_iter().map(|ground| ground.data).collect(),
        settings: settings(&app),
        groups: if is_grouped { Some(groups(&app, &query).await?) } else { None },
        measures: if is_grouped { app.store.measures().await? } else { Vec::new() },
        query,
        methods: &app.catalog.methods,
        studies: app.library.all(),
    };
    Ok(Page(page).into_response())
}

/// Every setting of any run as `section.key`, in alphabetical order.
fn settings(app: &AppState) -> Vec<String> {
    let methods = app.catalog.methods.iter();
    let sections = methods.flat_map(|method| Stage::ALL.into_iter().flat_map(|stage| app.catalog.sections_of(stage, method.name)));
    let names = sections.flat_map(|section| section.settings.iter().map(move |setting| (section.name, setting.key)));
    let names: BTreeSet<(&str, &str)> = names.collect();
    names.into_iter().map(|(section, key)| format!("{section}.{key}")).collect()
}
