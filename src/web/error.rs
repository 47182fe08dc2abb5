//! What can go wrong in a request. Below the web, bad input is an [`Invalid`] or a sentence, and every
//! other fault an error of the store, of the file system or `anyhow`; here each becomes a status and a
//! page. Routes under `/api` and `/charts` answer with [`Failure`], the same as JSON.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app;
use crate::app::launch::LaunchError;
use crate::experiment::Invalid;
use crate::web::page::{Layout, Page};
use crate::{jobs, store};

/// The result of a handler.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: there is no such thing; the sentence says what was looked for.
    #[error("{0}")]
    NotFound(String),
    /// 400: the request cannot be read; the sentence says what is allowed.
    #[error("{0}")]
    BadRequest(String),
    /// 422: a setting is not allowed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// 409: the run's state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// 401: the token is missing or wrong.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// 403: the request comes from another site or under another name.
    #[error("{0}")]
    Forbidden(String),
    /// 405: the address is known, the method is not.
    #[error("this address does not accept that method")]
    MethodNotAllowed,
    /// 413: the body is over the limit, in bytes.
    #[error("the request is larger than {} MiB", .0 >> 20)]
    TooLarge(usize),
    /// 429: too many wrong tokens from that address in the last minute.
    #[error("too many wrong tokens: wait a minute, then try again")]
    TooMany,
    /// 500: a fault of the server, logged here and nowhere else.
    #[error("{0:#}")]
    Internal(anyhow::Error),
}

impl Error {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::BadRequest(_) => StatusCode::BAD_REQUEST,
            Error::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn log(&self) {
        if let Error::Internal(fault) = self {
            tracing::error!("request failed: {fault:#}");
        }
    }
}

impl From<app::Error> for Error {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Missing(sentence) => Error::NotFound(sentence),
            app::Error::Unreadable(sentence) => Error::BadRequest(sentence),
            app::Error::Invalid(invalid) => Error::Invalid(invalid),
            app::Error::Store(fault) => fault.into(),
            fault @ app::Error::File { .. } => Error::Internal(fault.into()),
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Error::Internal(error.into())
    }
}

impl From<jobs::Error> for Error {
    fn from(error: jobs::Error) -> Self {
        match error {
            jobs::Error::Unknown(_) => Error::NotFound(error.to_string()),
            jobs::Error::Refused(sentence) => Error::Conflict(sentence),
            jobs::Error::Fault(fault) => Error::Internal(fault),
        }
    }
}

impl From<LaunchError> for Error {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Invalid(invalid) => invalid.into(),
            LaunchError::Jobs(error) => error.into(),
            LaunchError::Store(error) => error.into(),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Internal(error.into())
    }
}

/// The page that shows an error.
#[derive(askama::Template)]
#[template(path = "error.html")]
struct ErrorPage {
    layout: Layout,
    status: StatusCode,
    message: String,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        let (status, message) = (self.status(), self.to_string());
        (
            status,
            Page(ErrorPage {
                layout: Layout::bare(),
                status,
                message,
            }),
        )
            .into_response()
    }
}

/// An [`Error`] as JSON.
#[derive(Debug)]
pub struct Failure(Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.log();
        let place = match &self.0 {
            Error::Invalid(invalid) => Some(invalid.place.clone()),
            _ => None,
        };
        let body = json!({"error": {"status": self.0.status().as_u16(), "message": self.0.to_string(), "place": place}});
        (self.0.status(), Json(body)).into_response()
    }
}
