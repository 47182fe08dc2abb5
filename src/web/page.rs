//! From a template to a response.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::AppState;

/// A template that answers a request.
pub struct Page<T>(pub T);

impl<T: askama::Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(html) => Html(html).into_response(),
            Err(fault) => {
                tracing::error!("a page could not be rendered: {fault}");
                (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be rendered").into_response()
            }
        }
    }
}

/// The menu: key, address, text.
pub const MENU: [(&str, &str, &str); 8] = [
    ("home", "/", "Studies"),
    ("claims", "/claims", "Claims"),
    ("runs", "/runs", "Runs"),
    ("cka", "/cka", "CKA"),
    ("psnr", "/psnr", "PSNR"),
    ("queue", "/queue", "Queue"),
    ("launch", "/launch", "Launch"),
    ("playground", "/playground", "Playground"),
];

/// What every page needs for the frame around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The entry of the menu that is the current page, or nothing.
    pub nav: &'static str,
    /// Whether there is a session to log out of.
    pub log_out: bool,
}

impl Layout {
    /// The frame of a page under that entry of the menu.
    pub fn new(nav: &'static str, state: &AppState) -> Layout {
        Layout {
            nav,
            log_out: state.guard.token.is_some(),
        }
    }

    /// The frame of a page outside the menu: errors and the login.
    pub fn bare() -> Layout {
        Layout { nav: "", log_out: false }
    }
}
