//! `/runs/{id}/matrices/{name}.csv`, `.json`: a table of numbers that a run found.

use axum::extract::State;

use crate::web::App;
use crate::web::error::{Error, Result};
use crate::web::fields::InPath;
use crate::web::file::{File, Kind};

/// The table in the format that the file's name says.
pub async fn matrix(State(app): App, path: InPath) -> Result<File> {
    let id = path.run()?;
    let file = path.text("file")?;
    let unknown = || Error::NotFound("there is no such table: its name must end in .csv or .json".to_owned());
    let (name, ending) = file.rsplit_once('.').ok_or_else(unknown)?;
    let found = app.store.matrices(std::slice::from_ref(&id), name).await?;
    let matrix = || {
        let first = found.first().map(|(_, matrix)| matrix);
        first.ok_or_else(|| Error::NotFound(format!("run {id} has no table {name}")))
    };
    let table = match ending {
        "csv" => File::new(Kind::Csv, matrix()?.to_csv()),
        "json" => File::json(matrix()?)?,
        _ => return Err(unknown()),
    };
    Ok(table.saved_as(format!("{id}-{name}.{ending}")))
}
