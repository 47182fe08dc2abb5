//! Orders to one run: a form's POST, then back to the page it came from.

use axum::extract::State;
use axum::response::Redirect;

use crate::experiment::RunId;
use crate::web::App;
use crate::web::error::{Error, Result};
use crate::web::fields::{Fields, InForm, InPath};

/// Stops the run.
pub async fn cancel(State(app): App, path: InPath, InForm(form): InForm) -> Result<Redirect> {
    app.jobs.cancel(&path.run()?).await?;
    Ok(back(&path.run()?, &form))
}

/// Lets the run go on from its checkpoint.
pub async fn retry(State(app): App, path: InPath, InForm(form): InForm) -> Result<Redirect> {
    app.launcher().retry(&path.run()?).await?;
    Ok(back(&path.run()?, &form))
}

/// Lets the run restart from nothing.
pub async fn restart(State(app): App, path: InPath, InForm(form): InForm) -> Result<Redirect> {
    app.launcher().restart(&path.run()?).await?;
    Ok(back(&path.run()?, &form))
}

/// Moves the run in the queue.
pub async fn priority(State(app): App, path: InPath, InForm(form): InForm) -> Result<Redirect> {
    let priority = form
        .parse::<i64>("priority")?
        .ok_or_else(|| Error::BadRequest("priority: a whole number is needed".to_owned()))?;
    app.jobs.set_priority(&path.run()?, priority).await?;
    Ok(back(&path.run()?, &form))
}

/// To the queue if the order came from there, else to the run.
fn back(id: &RunId, form: &Fields) -> Redirect {
    if form.get("from") == Some("queue") {
        Redirect::to("/queue")
    } else {
        Redirect::to(&format!("/runs/{id}"))
    }
}
