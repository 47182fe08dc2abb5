//! `/studies/new`: a custom study, from a grid of choices or as a copy of another one, checked while it is typed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::studies::{self, Choice, DraftVerdict, StudyDraft};
use crate::experiment::grid::{Grid, MEASURES};
use crate::experiment::{MethodInfo, Scale};
use crate::web::error::Result;
use crate::web::fields::{Fields, InForm, InPath, InQuery};
use crate::web::page::{Layout, Page};
use crate::web::{App, AppState, filters};

#[derive(askama::Template)]
#[template(path = "studies/new.html")]
struct NewStudyPage<'a> {
    layout: Layout,
    scales: &'a [Scale],
    methods: &'a [MethodInfo],
    draft: StudyDraft,
    choice: Choice,
    verdict: DraftVerdict,
}

/// What the check endpoint answers: the part of the page that says whether the study can be.
#[derive(askama::Template)]
#[template(path = "studies/check.html")]
struct VerdictFragment {
    verdict: DraftVerdict,
    choice: Choice,
}

impl NewStudyPage<'_> {
    fn has_method(&self, name: &str) -> bool {
        self.draft.grid.methods.iter().any(|chosen| chosen == name)
    }

    fn has_measure(&self, id: &str) -> bool {
        self.draft.grid.measures.iter().any(|chosen| chosen == id)
    }
}

impl StudyDraft {
    fn read(fields: &Fields) -> StudyDraft {
        let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let all = |name: &str| {
            fields
                .0
                .iter()
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
                .collect()
        };
        StudyDraft {
            grid: Grid {
                name: text("name"),
                title: text("title"),
                summary: text("summary"),
                seeds: text("grid_seeds"),
                methods: all("method"),
                measures: all("measure"),
                settings: fields.raw("settings").unwrap_or_default().replace('\r', ""),
            },
            toml: fields.raw("toml").map(|text| text.replace('\r', "")),
            replace: text("replace"),
        }
    }
}

fn choice_of(app: &AppState, fields: &Fields) -> Choice {
    Choice::read_or(fields, app.smallest_scale())
}

/// The page: empty, with a copy of the study `from`, or with the own study `edit`.
pub async fn page(State(app): App, InQuery(query): InQuery) -> Result<Response> {
    let draft = match (query.get("from"), query.get("edit")) {
        (Some(name), _) => StudyDraft::copy_of(&app, name)?,
        (None, Some(name)) => StudyDraft::edit(&app, name)?,
        (None, None) => StudyDraft::default(),
    };
    let choice = choice_of(&app, &query);
    let verdict = match &draft.toml {
        Some(_) => draft.check(&app, &choice).await?,
        None => DraftVerdict::Nothing,
    };
    Ok(shown(&app, draft, choice, verdict, StatusCode::OK))
}

/// The grid written out, to be changed by hand.
pub async fn write_out(State(app): App, InForm(form): InForm) -> Result<Response> {
    let (mut draft, choice) = (StudyDraft::read(&form), choice_of(&app, &form));
    draft.toml = draft.text(&app).ok();
    let verdict = draft.check(&app, &choice).await?;
    let status = if draft.toml.is_some() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Ok(shown(&app, draft, choice, verdict, status))
}

/// What the page says of the study as it is typed.
pub async fn check(State(app): App, InForm(form): InForm) -> Result<Response> {
    let choice = choice_of(&app, &form);
    let verdict = StudyDraft::read(&form).check(&app, &choice).await?;
    Ok(Page(VerdictFragment { verdict, choice }).into_response())
}

/// Saves the study and shows it, or says why it cannot be.
pub async fn save(State(app): App, InForm(form): InForm) -> Result<Response> {
    let (draft, choice) = (StudyDraft::read(&form), choice_of(&app, &form));
    let verdict = draft.check(&app, &choice).await?;
    let DraftVerdict::Sound(sound) = &verdict else {
        return Ok(shown(&app, draft, choice, verdict, StatusCode::UNPROCESSABLE_ENTITY));
    };
    sound.save(&app)?;
    Ok(Redirect::to(&format!("/studies/{}?{}", sound.study.name, choice.query())).into_response())
}

/// Removes a person's own study. Its runs stay.
pub async fn delete(State(app): App, path: InPath) -> Result<Response> {
    studies::remove(&app, path.text("name")?)?;
    Ok(Redirect::to("/").into_response())
}

fn shown(app: &AppState, draft: StudyDraft, choice: Choice, verdict: DraftVerdict, status: StatusCode) -> Response {
    let page = NewStudyPage {
        layout: Layout::new("home", app),
        scales: &app.scales,
        methods: &app.catalog.methods,
        draft,
        choice,
        verdict,
    };
    (status, Page(page)).into_response()
}
