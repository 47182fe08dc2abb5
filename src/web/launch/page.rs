//! `/launch`: one run, made by hand.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::datasets::settings_of;
use crate::web::error::{Error, Result};
use crate::web::fields::{InForm, InQuery};
use crate::web::launch::draft::{Draft, Faults};
use crate::web::launch::form::LaunchPage;
use crate::web::page::Page;
use crate::web::{App, AppState};

/// The form, for the choices in the address or as a copy of the run `from`.
pub async fn launch(State(app): App, InQuery(query): InQuery) -> Result<Response> {
    let draft = match query.get("from") {
        Some(id) => {
            let none = || Error::NotFound("there is no run to copy under that id".to_owned());
            let run = app.store.run(&id.parse().map_err(|_: String| none())?).await?.ok_or_else(none)?;
            Draft::of_run(&app, &run.spec).await?
        }
        None => Draft::of_address(&app, &query).await?,
    };
    show(&app, draft, Faults::new()).await
}

/// Shows the form for new choices (`action=update`), or queues the run and goes to its page.
pub async fn submit(State(app): App, InForm(form): InForm) -> Result<Response> {
    if let Some(missing) = ["method", "stage", "scale"].into_iter().find(|name| form.get(name).is_none()) {
        return Err(Error::BadRequest(format!("{missing}: the form must say it")));
    }
    let draft = Draft::read(&app, &form).await?;
    if form.get("action") == Some("update") {
        return show(&app, draft, Faults::new()).await;
    }
    if form.get("action") == Some("check") {
        let source = LaunchPage::source_of(&app, &draft).await?;
        app.datasets.begin(&settings_of(&source, draft.label_column()));
        return Ok(Redirect::to(&draft.href()).into_response());
    }
    match draft.launch(&app).await? {
        Ok(run) => Ok(Redirect::to(&format!("/runs/{}", run.id)).into_response()),
        Err(faults) => show(&app, draft, faults).await,
    }
}

async fn show(app: &AppState, draft: Draft, faults: Faults) -> Result<Response> {
    let page = LaunchPage::new(app, draft, faults).await?;
    let status = if page.is_faulty() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    Ok((status, Page(page)).into_response())
}
