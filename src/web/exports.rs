//! `/studies/{name}/export.csv`, `.json`, `.md`: the study's table to take along.

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::{Error, Result};
use super::fields::{InPath, InQuery};
use super::study_choice::Choice;

/// The table in the format that the file's name says.
pub async fn study_export(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<Response> {
    let study = app.study(path.text("name")?)?;
    let (file, choice) = (path.text("file")?, Choice::read(&query));
    let known = ["export.csv", "export.json", "export.md"];
    let Some(extension) = known
        .into_iter()
        .find(|name| *name == file)
        .and_then(|name| name.strip_prefix("export."))
    else {
        return Err(Error::NotFound(format!(
            "there is no such export: it must be one of {}",
            known.join(", ")
        )));
    };
    let filled = app.store.fill(&study, &choice.plan(&app, &study)?).await?;
    let (kind, text) = match extension {
        "csv" => ("text/csv; charset=utf-8", filled.table.to_csv()),
        "json" => (
            "application/json",
            serde_json::to_string_pretty(&filled.table).map_err(|e| Error::Internal(e.into()))?,
        ),
        _ => ("text/markdown; charset=utf-8", filled.table.to_markdown()),
    };
    let name = format!("attachment; filename=\"{}-{}.{extension}\"", study.name, choice.scale);
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, name)], text).into_response())
}
