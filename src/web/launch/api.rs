//! `POST /api/v1/launch`: a study or a single run, queued by a program.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Json, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::experiment::{Invalid, RunSpec, Stage, Values, plan, single_run};
use crate::web::error::{Error, Failure};
use crate::web::guard::BODY_LIMIT;
use crate::web::launch::draft::{OTHER, other_fault};
use crate::web::studies::choice::{check_source, invalid};
use crate::web::{App, AppState};

/// What to queue: either `study`, or `method` and `stage`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    study: Option<String>,
    seeds: Option<u64>,
    method: Option<String>,
    stage: Option<Stage>,
    seed: Option<u64>,
    parent: Option<String>,
    scale: String,
    data: Option<String>,
    #[serde(default)]
    set: Values,
    #[serde(default)]
    priority: i64,
}

/// A body of JSON; anything else is refused in JSON too.
pub struct InJson<T>(T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for InJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(InJson(body)),
            Err(JsonRejection::BytesRejection(e)) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Error::TooLarge(BODY_LIMIT).into()),
            Err(e) => Err(Error::BadRequest(e.body_text()).into()),
        }
    }
}

/// Queues the runs and names them; runs that are known already are shared.
pub async fn launch(State(app): App, InJson(wish): InJson<Launch>) -> Result<(StatusCode, Json<Value>), Failure> {
    let runs = runs(&app, &wish).await?;
    let submitted = app.jobs.submit(&runs, wish.priority).await.map_err(Error::from)?;
    let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    Ok((
        StatusCode::CREATED,
        Json(json!({ "runs": ids, "queued": submitted.queued, "shared": submitted.shared })),
    ))
}

async fn runs(app: &AppState, wish: &Launch) -> Result<Vec<RunSpec>, Error> {
    check_source(wish.data.as_deref().unwrap_or_default())?;
    let names = || app.scales.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
    let scale = app
        .scale(&wish.scale)
        .ok_or_else(|| invalid("scale", format!("it must be one of {}", names())))?;
    let request = crate::experiment::Request {
        data: wish.data.clone(),
        seeds: wish.seeds,
        set: wish.set.clone(),
    };
    match (&wish.study, &wish.method) {
        (Some(name), None) if wish.stage.is_none() && wish.seed.is_none() && wish.parent.is_none() => {
            Ok(plan(app.study(name)?.as_ref(), scale, &app.catalog, &request)?.runs)
        }
        (None, Some(method)) if wish.seeds.is_none() => {
            let parent = parent(app, wish).await?;
            let other = wish.set.get("compare").and_then(|keys| keys.get("other")).map(ToString::to_string);
            if let Some(fault) = other_fault(app, other.as_deref()).await? {
                return Err(invalid(OTHER, fault).into());
            }
            let (stage, seed) = (wish.stage.unwrap_or(Stage::Pretrain), seed(wish)?);
            Ok(vec![single_run(
                stage,
                method,
                scale,
                &app.catalog,
                &request,
                seed,
                parent.as_ref(),
            )?])
        }
        _ => Err(Error::BadRequest(
            "name a study (with scale, data, seeds, set) or a method (with stage, seed, parent, scale, data, set)".to_owned(),
        )),
    }
}

fn seed(wish: &Launch) -> Result<u64, Invalid> {
    let seed = wish.seed.unwrap_or(0);
    if seed > i64::MAX as u64 {
        Err(invalid("seed", format!("{seed} is larger than {}", i64::MAX)))
    } else {
        Ok(seed)
    }
}

async fn parent(app: &AppState, wish: &Launch) -> Result<Option<RunSpec>, Error> {
    let Some(text) = &wish.parent else { return Ok(None) };
    let id = text.parse().map_err(|e: String| invalid("parent", e))?;
    let run = app
        .store
        .run(&id)
        .await?
        .ok_or_else(|| invalid("parent", format!("there is no run {id}")))?;
    if Some(&run.method) == wish.method.as_ref() {
        return Ok(Some((*run.spec).clone()));
    }
    let message = format!("that run is a {} of {}: it must be of the same method", run.stage, run.method);
    Err(invalid("parent", message).into())
}
