//! `/datasets`: every data set that was looked at, and the form that looks at one.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde_json::json;

use crate::app::datasets::{KnownDataset, Unseen, known_datasets, settings_of};
use crate::experiment::absolute;
use crate::web::datasets::source::SourceLine;
use crate::web::error::{Failure, Result};
use crate::web::fields::{InForm, InQuery, query_of};
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::{App, AppState};

/// The heads of the table: text and class.
pub const HEADS: [(&str, &str); 8] = [
    ("Dataset", ""),
    ("Layout", ""),
    ("Classes", "num"),
    ("Images", "num"),
    ("Passed over", "num"),
    ("Cache", "num"),
    ("Runs", "num"),
    ("Fingerprint", ""),
];

#[derive(askama::Template)]
#[template(path = "datasets/list.html")]
struct DatasetsPage {
    layout: Layout,
    known: Vec<KnownDataset>,
    unseen: Vec<Unseen>,
    /// What was typed.
    source: String,
    column: String,
    /// What is known of that.
    line: Option<SourceLine>,
    /// A study that can be launched on it.
    study: String,
}

impl DatasetsPage {
    /// What a launch on the source that was looked at is called in addresses.
    fn launch(&self) -> String {
        launch_query(&self.source, &self.column)
    }
}

/// The name of the first study there is.
pub fn first_study(app: &AppState) -> String {
    app.library.all().first().map(|study| study.name.clone()).unwrap_or_default()
}

/// The part of an address that names a source on a study's form.
pub fn launch_query(source: &str, column: &str) -> String {
    query_of([("data", source.to_owned()), ("data.label_column", column.to_owned())])
}

/// The page.
pub async fn datasets(State(app): App, InQuery(query): InQuery) -> Result<impl IntoResponse> {
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let (source, column) = (text("source"), text("label_column"));
    let line = (!source.is_empty()).then(|| SourceLine::of(&app, &source, &column));
    let (known, unseen) = known_datasets(&app).await?;
    Ok(Page(DatasetsPage {
        layout: Layout::new("datasets", &app),
        known,
        unseen,
        source,
        column,
        line,
        study: first_study(&app),
    }))
}

/// Begins to look at a source; the page then says how far that is, and what was found.
pub async fn look(State(app): App, InForm(form): InForm) -> Result<impl IntoResponse> {
    let source = absolute(form.get("source").unwrap_or_default());
    let column = form.get("label_column").unwrap_or_default();
    if !source.is_empty() {
        app.datasets.begin(&settings_of(&source, column));
    }
    let query = query_of([("source", source), ("label_column", column.to_owned())]);
    Ok(Redirect::to(&format!("/datasets?{query}")))
}

/// The same as JSON.
pub async fn json(State(app): App) -> Result<Json<serde_json::Value>, Failure> {
    let (known, unseen) = known_datasets(&app).await.map_err(crate::web::error::Error::from)?;
    Ok(Json(json!({ "datasets": known, "unseen": unseen })))
}
