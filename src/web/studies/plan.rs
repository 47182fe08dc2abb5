//! `/plan`: what several studies need together, how much of it is done and how long the rest will take, and its launch.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::launch::LaunchError;
use crate::app::studies::{Choice, expected};
use crate::experiment::forecast::Basis;
use crate::experiment::{Invalid, Plan, Scale, Study, Together};
use crate::web::error::Result;
use crate::web::fields::{Fields, InForm, InQuery, query_of};
use crate::web::page::{Layout, Page};
use crate::web::studies::choice::launched_in;
use crate::web::{App, AppState, filters};

#[derive(askama::Template)]
#[template(path = "studies/plan.html")]
struct PlanPage<'a> {
    layout: Layout,
    scales: &'a [Scale],
    choice: Choice,
    /// Every study, and whether it is planned.
    studies: Vec<(Arc<Study>, bool)>,
    /// How many runs the launch before this page queued and found there already.
    launched: Option<(u64, u64, u64)>,
    together: Option<Together>,
}

impl PlanPage<'_> {
    fn title_of<'a>(&'a self, name: &'a str) -> &'a str {
        let found = self.studies.iter().find(|(study, _)| study.name == name);
        found.map_or(name, |(study, _)| study.title.as_str())
    }

    fn bases(&self) -> impl Iterator<Item = (&Basis, &u64)> {
        self.together.iter().flat_map(|together| &together.bases)
    }
}

/// The page.
pub async fn plan(State(app): App, InQuery(query): InQuery) -> Result<Response> {
    let launched = launched_in(&query)?;
    show(&app, &query, None, launched).await
}

/// Queues the runs and shows the page again.
pub async fn queue(State(app): App, InForm(form): InForm) -> Result<Response> {
    let choice = choice_of(&app, &form);
    let planned = chosen(&app, &form).into_iter().filter(|(_, wanted)| *wanted);
    let names = planned.map(|(study, _)| study.name.clone()).collect();
    let launched = match choice.launch(&app.launcher(), names, 0).await {
        Ok(launched) => launched,
        Err(LaunchError::Invalid(fault)) => return show(&app, &form, Some(fault), None).await,
        Err(fault) => return Err(fault.into()),
    };
    let (queued, shared) = (launched.submitted.queued.len(), launched.submitted.shared.len());
    let left_out = launched.left_out.map_or_else(String::new, |out| format!("&left_out={}", out.runs));
    let studies = query_of(
        form.0
            .iter()
            .filter(|(key, _)| key == "study")
            .map(|(key, value)| (key.as_str(), value.clone())),
    );
    let query = [choice.query(), studies]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>();
    Ok(Redirect::to(&format!("/plan?{}&queued={queued}&shared={shared}{left_out}", query.join("&"))).into_response())
}

/// What was chosen; at first the smallest scale.
fn choice_of(app: &AppState, fields: &Fields) -> Choice {
    Choice::read_or(fields, app.smallest_scale())
}

/// Every study, and whether the fields name it; where they name none, the paper's are meant.
fn chosen(app: &AppState, fields: &Fields) -> Vec<(Arc<Study>, bool)> {
    let named: Vec<&str> = fields
        .0
        .iter()
        .filter(|(key, _)| key == "study")
        .map(|(_, name)| name.as_str())
        .collect();
    let wanted = |study: &Study| {
        if named.is_empty() {
            study.is_of_paper() && !app.library.is_custom(&study.name)
        } else {
            named.contains(&study.name.as_str())
        }
    };
    app.library.all().into_iter().map(|study| (study.clone(), wanted(&study))).collect()
}

fn plans(app: &AppState, fields: &Fields, choice: &Choice) -> Result<Vec<(String, Plan)>, Invalid> {
    let wanted = chosen(app, fields).into_iter().filter(|(_, wanted)| *wanted);
    wanted
        .map(|(study, _)| Ok((study.name.clone(), choice.plan(app, &study)?)))
        .collect()
}

async fn show(app: &AppState, fields: &Fields, fault: Option<Invalid>, launched: Option<(u64, u64, u64)>) -> Result<Response> {
    let mut choice = choice_of(app, fields);
    let together = match fault.map_or_else(|| plans(app, fields, &choice), Err) {
        Ok(plans) => Some(expected(app, &plans, &choice.scale).await?),
        Err(fault) => {
            choice.fault = Some(fault);
            None
        }
    };
    let status = if together.is_some() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let page = PlanPage {
        layout: Layout::new("home", app),
        scales: &app.scales,
        choice,
        studies: chosen(app, fields),
        launched,
        together,
    };
    Ok((status, Page(page)).into_response())
}
