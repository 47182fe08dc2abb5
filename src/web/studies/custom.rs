//! `/studies/new`: a custom study, from a grid of choices or as a copy of another one, checked while it is typed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use crate::experiment::forecast::Speed;
use crate::experiment::grid::{Grid, MEASURES};
use crate::experiment::{MethodInfo, Scale, Study, Together};
use crate::run_dir::write_atomic;
use crate::web::error::{Error, Result};
use crate::web::fields::{Fields, InForm, InPath, InQuery};
use crate::web::page::{Layout, Page};
use crate::web::studies::choice::Choice;
use crate::web::{App, AppState, filters};

#[derive(askama::Template)]
#[template(path = "studies/new.html")]
struct NewStudyPage<'a> {
    layout: Layout,
    scales: &'a [Scale],
    methods: &'a [MethodInfo],
    draft: Draft,
    choice: Choice,
    verdict: Verdict,
}

/// What the check endpoint answers: the part of the page that says whether the study can be.
#[derive(askama::Template)]
#[template(path = "studies/check.html")]
struct VerdictFragment {
    verdict: Verdict,
    choice: Choice,
}

/// The study as far as it is typed.
#[derive(Default)]
struct Draft {
    /// The choices, while there is no text yet.
    grid: Grid,
    /// The file's text.
    toml: Option<String>,
    /// The person's own study that it takes the place of.
    replace: String,
}

/// Whether the study can be, and what it would take.
enum Verdict {
    /// Nothing is typed yet.
    Nothing,
    /// Why it cannot be.
    Fault(String),
    /// It can: its rows and columns, and its runs at the chosen scale.
    Sound(Box<(Study, Together)>),
}

impl NewStudyPage<'_> {
    fn has_method(&self, name: &str) -> bool {
        self.draft.grid.methods.iter().any(|chosen| chosen == name)
    }

    fn has_measure(&self, id: &str) -> bool {
        self.draft.grid.measures.iter().any(|chosen| chosen == id)
    }
}

impl Draft {
    fn read(fields: &Fields) -> Draft {
        let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let all = |name: &str| {
            fields
                .0
                .iter()
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
                .collect()
        };
        Draft {
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

    fn text(&self, app: &AppState) -> Result<String, String> {
        match &self.toml {
            Some(text) => Ok(text.clone()),
            None => self.grid.to_toml(&app.catalog).map_err(|invalid| invalid.to_string()),
        }
    }

    /// The study, if its text is one and its name is free.
    fn study(&self, app: &AppState) -> Result<(Study, String), String> {
        let text = self.text(app)?;
        let study = app.library.read(&text)?;
        if app.library.is_own(&study.name) && study.name != self.replace {
            return Err(format!(
                "there is a custom study `{}` already: choose another name, or edit that one",
                study.name
            ));
        }
        Ok((study, text))
    }

    async fn verdict(&self, app: &AppState, choice: &Choice) -> Result<Verdict> {
        let planned = self.study(app).and_then(|(study, _)| {
            let plan = choice.plan(app, &study).map_err(|invalid| invalid.to_string())?;
            Ok((study, plan))
        });
        let (study, plan) = match planned {
            Ok(planned) => planned,
            Err(fault) => return Ok(Verdict::Fault(fault)),
        };
        let speeds = Speed::kept(app.jobs.data_dir());
        let together = app.store.together(&[(study.name.clone(), plan)], &choice.scale, speeds).await?;
        Ok(Verdict::Sound(Box::new((study, together))))
    }
}

fn choice_of(app: &AppState, fields: &Fields) -> Choice {
    let mut choice = Choice::read(fields);
    if choice.scale.is_empty() {
        choice.scale = app.scales.first().map(|scale| scale.name.clone()).unwrap_or_default();
    }
    choice
}

/// The page: empty, with a copy of the study `from`, or with the own study `edit`.
pub async fn page(State(app): App, InQuery(query): InQuery) -> Result<Response> {
    let mut draft = Draft::default();
    let missing = |name: &str| Error::NotFound(format!("there is no study `{name}` to start from"));
    if let Some(name) = query.get("from") {
        draft.toml = Some(app.library.copy_of(name).ok_or_else(|| missing(name))?);
    } else if let Some(name) = query.get("edit") {
        let text = app.library.text(name).filter(|_| app.library.is_own(name));
        draft.toml = Some(text.ok_or_else(|| missing(name))?);
        name.clone_into(&mut draft.replace);
    }
    let choice = choice_of(&app, &query);
    let verdict = match &draft.toml {
        Some(_) => draft.verdict(&app, &choice).await?,
        None => Verdict::Nothing,
    };
    Ok(shown(&app, draft, choice, verdict, StatusCode::OK))
}

/// The grid written out, to be changed by hand.
pub async fn write_out(State(app): App, InForm(form): InForm) -> Result<Response> {
    let (mut draft, choice) = (Draft::read(&form), choice_of(&app, &form));
    draft.toml = draft.text(&app).ok();
    let verdict = draft.verdict(&app, &choice).await?;
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
    let verdict = Draft::read(&form).verdict(&app, &choice).await?;
    Ok(Page(VerdictFragment { verdict, choice }).into_response())
}

/// Saves the study and shows it, or says why it cannot be.
pub async fn save(State(app): App, InForm(form): InForm) -> Result<Response> {
    let (draft, choice) = (Draft::read(&form), choice_of(&app, &form));
    let verdict = draft.verdict(&app, &choice).await?;
    let (Verdict::Sound(_), Ok((study, text))) = (&verdict, draft.study(&app)) else {
        return Ok(shown(&app, draft, choice, verdict, StatusCode::UNPROCESSABLE_ENTITY));
    };
    let file = app.library.file(&study.name).map_err(Error::BadRequest)?;
    let saved = std::fs::create_dir_all(file.parent().unwrap_or(&file)).and_then(|()| write_atomic(&file, text.as_bytes()));
    saved.map_err(|e| Error::Internal(anyhow::Error::new(e).context(format!("cannot write {}", file.display()))))?;
    Ok(Redirect::to(&format!("/studies/{}?{}", study.name, choice.query())).into_response())
}

/// Removes a person's own study. Its runs stay.
pub async fn delete(State(app): App, path: InPath) -> Result<Response> {
    let name = path.text("name")?;
    if !app.library.is_own(name) {
        return Err(Error::NotFound(format!("there is no custom study `{name}`")));
    }
    let file = app.library.file(name).map_err(Error::BadRequest)?;
    std::fs::remove_file(&file).map_err(|e| Error::Internal(anyhow::Error::new(e).context(format!("cannot remove {}", file.display()))))?;
    Ok(Redirect::to("/").into_response())
}

fn shown(app: &AppState, draft: Draft, choice: Choice, verdict: Verdict, status: StatusCode) -> Response {
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
