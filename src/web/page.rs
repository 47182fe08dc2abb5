//! From a template to a response.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::web::state::AppState;

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

/// A page of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What [`Layout::nav`] says on this page.
    pub nav: &'static str,
    /// Its address.
    pub href: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The key that opens it, after `g`.
    pub key: char,
    /// What it is, for the list of shortcuts and as a hint.
    pub what: &'static str,
}

const fn entry(nav: &'static str, href: &'static str, text: &'static str, key: char, what: &'static str) -> Entry {
    Entry {
        nav,
        href,
        text,
        key,
        what,
    }
}

/// The menu, from left to right. The bar, the keyboard and the list of shortcuts all read it.
pub const MENU: [Entry; 9] = [
    entry("home", "/", "Studies", 'h', "Studies: tables of the paper and your own"),
    entry("claims", "/claims", "Claims", 'm', "Claims of the paper, tested on your runs"),
    entry("runs", "/runs", "Runs", 'r', "Runs: search, filter, group, compare"),
    entry("cka", "/cka", "CKA", 'c', "CKA of features of full and masked images"),
    entry("psnr", "/psnr", "PSNR", 's', "PSNR of reconstructions"),
    entry("datasets", "/datasets", "Datasets", 'd', "Datasets: what was looked at and used"),
    entry("queue", "/queue", "Queue", 'q', "Queue and devices"),
    entry("launch", "/launch", "Launch", 'l', "Launch a single run"),
    entry(
        "playground",
        "/playground",
        "Playground",
        'p',
        "Playground: mask patches of an image",
    ),
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
