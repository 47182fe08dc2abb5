//! `/login`: the token, once, for a session.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use crate::web::error::{Error, Result};
use crate::web::fields::{InForm, InQuery};
use crate::web::guard::Guard;
use crate::web::page::{Layout, Page};
use crate::web::session::tokens::{COOKIE, Caller, LIFETIME};

#[derive(askama::Template)]
#[template(path = "session/login.html")]
struct LoginPage {
    layout: Layout,
    next: String,
    error: Option<String>,
}

/// The form.
pub async fn login(InQuery(query): InQuery) -> impl IntoResponse {
    Page(LoginPage {
        layout: Layout::bare(),
        next: next_of(query.get("next")),
        error: None,
    })
}

/// Checks the token; the session's cookie is out of reach of scripts and of other sites.
pub async fn log_in(State(guard): State<Guard>, caller: Caller, headers: HeaderMap, InForm(form): InForm) -> Result<Response> {
    let next = next_of(form.get("next"));
    match guard.sessions.open(form.get("token").unwrap_or_default(), caller) {
        Ok(value) => {
            let cookie = cookie(&guard, &headers, &value, LIFETIME.as_secs());
            Ok(([(SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
        }
        Err(Error::Unauthorized(message)) => {
            let page = LoginPage {
                layout: Layout::bare(),
                next,
                error: Some(message.to_owned()),
            };
            Ok((StatusCode::UNAUTHORIZED, Page(page)).into_response())
        }
        Err(other) => Err(other),
    }
}

/// Ends the session.
pub async fn log_out(State(guard): State<Guard>, headers: HeaderMap) -> impl IntoResponse {
    guard.sessions.close(&headers);
    let gone = cookie(&guard, &headers, "", 0);
    ([(SET_COOKIE, gone)], Redirect::to("/login"))
}

/// The session's cookie for so many seconds. Where the browser asks through TLS, it never sends it in the open.
fn cookie(guard: &Guard, headers: &HeaderMap, value: &str, seconds: u64) -> String {
    let path = guard.base_path().of_cookies();
    let secure = if guard.asks_through_tls(headers) { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path={path}; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// Where to go after the login: an address of ours. `//` and `/\` begin another site's.
fn next_of(next: Option<&str>) -> String {
    let ours = |next: &&str| next.starts_with('/') && !next[1..].starts_with(['/', '\\']) && !next.contains(char::is_control);
    next.filter(ours).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use crate::web::session::login::*;

    #[test]
    fn a_login_never_leads_to_another_site() {
        for bad in ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/\t/evil"] {
            assert_eq!(next_of(Some(bad)), "/", "{bad}");
        }
        assert_eq!(next_of(Some("/runs?state=failed")), "/runs?state=failed");
    }
}
