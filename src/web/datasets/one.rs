//! `/datasets/{fingerprint}`: one data set.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::app::datasets::{ClassCount, DatasetDetails, contact_sheet, details};
use crate::web::App;
use crate::web::datasets::list::{first_study, launch_query};
use crate::web::error::{Error, Failure, Result};
use crate::web::fields::{InPath, InQuery, query_of};
use crate::web::file::{Cache, File, Kind};
use crate::web::filters;
use crate::web::page::{Layout, Page};

/// Classes that the page lists unless it is asked for all.
const LISTED: usize = 50;

/// The heads of the table of what is kept decoded: text and class.
pub const HEADS: [(&str, &str); 7] = [
    ("Made ready for", ""),
    ("Images", "num"),
    ("Sizes in the source", ""),
    ("Kept at", ""),
    ("Mean", ""),
    ("Deviation", ""),
    ("On disk", "num"),
];

#[derive(askama::Template)]
#[template(path = "datasets/one.html")]
struct DatasetPage {
    layout: Layout,
    of: DatasetDetails,
    all: bool,
    /// A study that can be launched on it.
    study: String,
}

impl DatasetPage {
    fn classes(&self) -> &[ClassCount] {
        let classes = &self.of.known.report.classes;
        &classes[..if self.all { classes.len() } else { classes.len().min(LISTED) }]
    }

    fn runs_href(&self) -> String {
        let report = &self.of.known.report;
        if report.fingerprint.is_empty() {
            "/runs?data=builtin".to_owned()
        } else {
            format!("/runs?{}", query_of([("images", report.fingerprint.clone())]))
        }
    }

    fn launch(&self) -> String {
        launch_query(&self.of.known.report.source, &self.of.known.report.label_column)
    }

    /// Mean or deviation of the colors.
    fn colors(&self, of: &[f32; 3]) -> String {
        of.map(|value| format!("{value:.3}")).join(" ")
    }
}

/// The page.
pub async fn dataset(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<impl IntoResponse> {
    let of = details(&app, path.text("fingerprint")?).await?;
    Ok(Page(DatasetPage {
        layout: Layout::new("datasets", &app),
        of,
        all: query.get("classes") == Some("all"),
        study: first_study(&app),
    }))
}

/// The same as JSON.
pub async fn json(State(app): App, path: InPath) -> Result<Json<Value>, Failure> {
    let of = details(&app, path.text("fingerprint")?).await.map_err(Error::from)?;
    Ok(Json(json!(of)))
}

/// Ten images of each of the first classes, drawn when it is first asked for.
pub async fn sheet(State(app): App, path: InPath) -> Result<File> {
    let of = details(&app, path.text("fingerprint")?).await?;
    if let Some(why) = of.no_sheet.clone() {
        return Err(Error::NotFound(why));
    }
    let datasets = app.datasets.clone();
    let drawn = tokio::task::spawn_blocking(move || contact_sheet(&datasets, &of.known.report));
    let png = drawn.await.map_err(|fault| Error::Internal(fault.into()))?;
    let png = png.map_err(|fault| Error::NotFound(format!("{fault:#}")))?;
    Ok(File::new(Kind::Png, png).cached(Cache::Hour))
}
