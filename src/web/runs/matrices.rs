//! `/runs/{id}/matrices/{name}.csv`, `.json`: a table of numbers that a run found.

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::web::App;
use crate::web::error::{Error, Result};
use crate::web::fields::InPath;

/// The table in the format that the file's name says.
pub async fn matrix(State(app): App, path: InPath) -> Result<Response> {
    let (id, file) = (path.run()?, path.text("file")?);
    let none = |what: String| Error::NotFound(what);
    let (name, format) = file
        .rsplit_once('.')
        .filter(|(_, format)| matches!(*format, "csv" | "json"))
        .ok_or_else(|| none("there is no such table: its name must end in .csv or .json".to_owned()))?;
    let found = app.store.matrices(std::slice::from_ref(&id), name).await?;
    let (_, matrix) = found.first().ok_or_else(|| none(format!("run {id} has no table {name}")))?;
    let (kind, text) = match format {
        "csv" => ("text/csv; charset=utf-8", matrix.to_csv()),
        _ => (
            "application/json",
            serde_json::to_string_pretty(matrix).map_err(|e| Error::Internal(e.into()))?,
        ),
    };
    // The name is one that a run gave, and has no character that a header forbids.
    let disposition = format!("attachment; filename=\"{id}-{name}.{format}\"");
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, disposition)], text).into_response())
}
