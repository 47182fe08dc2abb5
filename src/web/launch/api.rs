//! `POST /api/v1/launch`: a study or a single run, queued by a program.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Json, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::launch::{LaunchRequest, LaunchTarget, RunTarget, Start};
use crate::experiment::{Stage, Values};
use crate::web::App;
use crate::web::error::{Error, Failure};
use crate::web::fields::BODY_LIMIT;

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
pub async fn launch(State(app): App, InJson(body): InJson<Launch>) -> Result<(StatusCode, Json<Value>), Failure> {
    let launched = app.launcher().launch(&body.request()?).await.map_err(Error::from)?;
    let ids: Vec<&str> = launched.runs.iter().map(|run| run.id.as_str()).collect();
    Ok((
        StatusCode::CREATED,
        Json(json!({
            "runs": ids,
            "queued": launched.submitted.queued,
            "shared": launched.submitted.shared,
            "left_out": launched.left_out.map(|out| json!({ "runs": out.runs, "reason": out.reason })),
        })),
    ))
}

impl Launch {
    fn request(self) -> Result<LaunchRequest, Error> {
        let target = match (self.study, self.method) {
            (Some(name), None) if self.stage.is_none() && self.seed.is_none() && self.parent.is_none() => LaunchTarget::Studies {
                names: vec![name],
                seeds: self.seeds,
            },
            (None, Some(method)) if self.seeds.is_none() => LaunchTarget::Run(RunTarget {
                method,
                stage: self.stage.unwrap_or(Stage::Pretrain),
                seed: self.seed.unwrap_or(0),
                start: self.parent.map_or(Start::Nothing, Start::Run),
            }),
            _ => {
                return Err(Error::BadRequest(
                    "name a study (with scale, data, seeds, set) or a method (with stage, seed, parent, scale, data, set)".to_owned(),
                ));
            }
        };
        Ok(LaunchRequest {
            target,
            scale: self.scale,
            data: self.data,
            set: self.set,
            priority: self.priority,
        })
    }
}
