//! Pages that stand below a path of a site, such as `/umbra`, because a proxy has others beside them.
//!
//! Pages and handlers know nothing of it: their addresses begin with `/`. What comes in loses the path, and what goes out gets it.

use std::borrow::Cow;
use std::str::FromStr;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Attributes of our pages that are addresses.
const ATTRIBUTES: [&str; 5] = ["href", "src", "action", "formaction", "data-check"];

/// The path below which pages stand, without the slash at its end; empty is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Whether there is one.
    pub fn is_some(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether the address of a page begins like the path, so that nobody can tell whether a proxy took the path away.
    pub fn begins_like(&self, page: &str) -> bool {
        let first = |path: &str| path.split('/').nth(1).map(str::to_owned);
        self.is_some() && first(&self.0) == first(page)
    }

    /// The path of the first page.
    pub fn root(&self) -> String {
        format!("{}/", self.0)
    }

    /// The path that a cookie is for.
    pub fn of_cookies(&self) -> &str {
        if self.is_some() { &self.0 } else { "/" }
    }

    /// The address without the path. A proxy may have taken the path away already.
    fn without(&self, uri: &Uri) -> Option<Uri> {
        let rest = uri.path().strip_prefix(&self.0)?;
        if !(rest.is_empty() || rest.starts_with('/')) {
            return None;
        }
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = if rest.is_empty() { "/" } else { rest };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(format!("{path}{query}")).ok()?);
        Uri::from_parts(parts).ok()
    }

    /// Puts the path before every address of a page. User text cannot look like an attribute, for its quotes are escaped.
    fn before_addresses(&self, page: &str) -> String {
        const VALUE: &str = "=\"/";
        let mut out = String::with_capacity(page.len() + page.len() / 16);
        let mut rest = page;
        while let Some((before, after)) = rest.split_once(VALUE) {
            out.push_str(before);
            let start = before.rfind(|c: char| c.is_ascii_whitespace()).map_or(0, |at| at + 1);
            let is_ours = ATTRIBUTES.contains(&&before[start..]) && !after.starts_with('/');
            out.push_str("=\"");
            out.push_str(if is_ours { &self.0 } else { "" });
            out.push('/');
            rest = after;
        }
        out + rest
    }

    /// The address of a redirect with the path, if it is one of ours.
    fn before_location(&self, location: &HeaderValue) -> Option<HeaderValue> {
        let location = location.to_str().ok().filter(|to| to.starts_with('/') && !to.starts_with("//"))?;
        HeaderValue::try_from(format!("{}{location}", self.0)).ok()
    }
}

impl FromStr for BasePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        let mut parts = path.split('/').skip(1);
        let sound = parts.all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(plain));
        if !(path.is_empty() || path.starts_with('/') && sound) {
            return Err(format!("`{text}` is not a path: it must look like /umbra"));
        }
        Ok(BasePath(path.to_owned()))
    }
}

/// Takes the path away from a request, and puts it before the addresses in the answer.
pub async fn below(State(base): State<BasePath>, mut request: Request, next: Next) -> Response {
    if let Some(uri) = base.without(request.uri()) {
        *request.uri_mut() = uri;
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Some(location) = headers.get(LOCATION).and_then(|to| base.before_location(to)) {
        headers.insert(LOCATION, location);
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // A page that is saved stands alone.
    if !kind.starts_with("text/html") || headers.contains_key(CONTENT_DISPOSITION) {
        return response;
    }
    headers.remove(CONTENT_LENGTH);
    let (parts, body) = response.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(bytes) => {
            let page: Cow<'_, str> = String::from_utf8_lossy(&bytes);
            Response::from_parts(parts, Body::from(base.before_addresses(&page)))
        }
        Err(fault) => {
            tracing::error!("a page could not be read: {fault}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(path: &str) -> BasePath {
        path.parse().unwrap()
    }

    #[test]
    fn the_path_is_taken_away_once_and_only_as_a_whole() {
        let without = |uri: &str| base("/umbra").without(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(without("/umbra/runs?q=%2Fumbra").as_deref(), Some("/runs?q=%2Fumbra"));
        assert_eq!(without("/umbra?x=1").as_deref(), Some("/?x=1"));
        assert_eq!(without("/umbra/").as_deref(), Some("/"));
        assert_eq!([without("/umbrage/runs"), without("/runs")], [None, None]);
    }

    #[test]
    fn addresses_get_the_path_and_nothing_else_does() {
        let page = "<a href=\"/\"><a\n href=\"/runs\"><form action=\"/x\"><input value=\"/data/images\" src=\"//other\">\
                    <p>href=&#34;/runs&#34; x-href=\"/\" <img src=\"data:\"> formaction=\"/y\"";
        let expected = "<a href=\"/u/\"><a\n href=\"/u/runs\"><form action=\"/u/x\"><input value=\"/data/images\" src=\"//other\">\
                        <p>href=&#34;/runs&#34; x-href=\"/\" <img src=\"data:\"> formaction=\"/u/y\"";
        assert_eq!(base("/u/").before_addresses(page), expected);
        let location = |to: &'static str| base("/u").before_location(&HeaderValue::from_static(to));
        assert_eq!(location("/login?next=%2F"), Some(HeaderValue::from_static("/u/login?next=%2F")));
        assert_eq!([location("//other"), location("https:x")], [None, None]);
    }

    #[test]
    fn a_path_is_plain() {
        for bad in ["umbra", "/a//b", "/..", "/a b", "/a\"", "https://x/umbra"] {
            assert!(bad.parse::<BasePath>().is_err(), "{bad}");
        }
        assert_eq!(
            [base("/").is_some(), base("").is_some(), base("/lab/umbra/").is_some()],
            [false, false, true]
        );
        assert_eq!((base("/lab/umbra/").root(), base("").of_cookies()), ("/lab/umbra/".to_owned(), "/"));
    }
}
