//! The one guard that every route goes through: who is asked, who asks, and with what right.
//!
//! A page on another site must not be able to start or stop runs, nor read anything, even though the
//! user's browser can reach this server. So the Host must be ours (against DNS rebinding), a request that
//! changes something must come from our own pages (against forged forms), and where a token is set,
//! every route but the login and the style sheet demands it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::web::error::{Error, Failure, Result};
use crate::web::fields::{BODY_LIMIT, encode};
use crate::web::playground::uploads::UPLOAD_LIMIT;
use crate::web::session::tokens::{Caller, Sessions};

/// Longest address of a request, in bytes; the longest of ours names some hundred runs.
const ADDRESS_LIMIT: usize = 16 * 1024;

/// Sent with every response, errors included.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
];

/// Nothing but our own script, style, images and requests.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the guard must know.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// The address the server listens on.
    pub listen: SocketAddr,
    /// The token that requests must show, if one is set.
    pub token: Option<String>,
}

/// The guard's own state: its settings and who is logged in.
#[derive(Clone, Debug)]
pub struct Guard {
    config: GuardConfig,
    pub(super) sessions: Arc<Sessions>,
}

impl Guard {
    /// A guard with nobody logged in.
    pub fn new(config: GuardConfig) -> Guard {
        let sessions = Arc::new(Sessions::new(config.token.clone()));
        Guard { config, sessions }
    }

    fn check(&self, request: &Request) -> Result<()> {
        if request.uri().to_string().len() > ADDRESS_LIMIT {
            return Err(Error::BadRequest(format!("the address is longer than {ADDRESS_LIMIT} bytes")));
        }
        let host = host_of(request)?;
        self.check_host(host)?;
        check_origin(request, host)?;
        let length = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        let limit = body_limit(request.uri().path());
        if length.is_some_and(|length| length > limit) {
            return Err(Error::TooLarge(limit));
        }
        if is_open(request.uri().path()) {
            Ok(())
        } else {
            self.sessions.admit(request.headers(), Caller::of(request.extensions()))
        }
    }

    /// The Host must be a loopback name or the address we listen on, with our port. Only behind a token
    /// and listening on every address can any name be ours; a rebound name then has no session.
    fn check_host(&self, host: &str) -> Result<()> {
        let refuse = || {
            Error::Forbidden(format!(
                "the host `{}` is not this server: open http://{}/",
                printable(host),
                self.address()
            ))
        };
        let (name, port) = split_host(host).ok_or_else(refuse)?;
        let listen = self.config.listen;
        let ours = match name.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip == listen.ip(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        };
        let anywhere = self.config.token.is_some() && listen.ip().is_unspecified();
        if anywhere || (ours && port.unwrap_or(80) == listen.port()) {
            Ok(())
        } else {
            Err(refuse())
        }
    }

    fn address(&self) -> SocketAddr {
        let listen = self.config.listen;
        if listen.ip().is_unspecified() {
            SocketAddr::from(([127, 0, 0, 1], listen.port()))
        } else {
            listen
        }
    }
}

/// Checks a request, hands it on, and puts the headers on whatever comes back.
pub async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let refused = guard.check(&request).err().map(|error| refusal(error, &request));
    let mut response = match refused {
        Some(response) => response,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Largest body of a request to that path, in bytes: only the playground takes full images.
fn body_limit(path: &str) -> usize {
    if path == "/playground/upload" { UPLOAD_LIMIT } else { BODY_LIMIT }
}

/// Whether somebody without the token may see it: the login and what it looks like.
fn is_open(path: &str) -> bool {
    path == "/login" || path.starts_with("/static/")
}

/// JSON under `/api`, the login page for a person who opens a page, else an error page.
fn refusal(error: Error, request: &Request) -> Response {
    let (path, method) = (request.uri().path(), request.method());
    if path.starts_with("/api/") {
        return Failure::from(error).into_response();
    }
    let asks_for_page = *method == Method::GET && accepts_html(request.headers());
    if matches!(error, Error::Unauthorized(_)) && asks_for_page {
        let next = request.uri().path_and_query().map_or("/", |p| p.as_str());
        return Redirect::to(&format!("/login?next={}", encode(next))).into_response();
    }
    error.into_response()
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// The one Host of a request; an address in the request line must not name another.
fn host_of(request: &Request) -> Result<&str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Error::Forbidden("a request must have exactly one Host header".to_owned()));
    };
    let host = host
        .to_str()
        .map_err(|_| Error::Forbidden("the Host header is not text".to_owned()))?;
    match request.uri().authority() {
        Some(authority) if authority.as_str() != host => Err(Error::Forbidden("the address and the Host header differ".to_owned())),
        _ => Ok(host),
    }
}

/// `name:port`, `name`, `[v6]:port` or `[v6]`.
fn split_host(host: &str) -> Option<(&str, Option<u16>)> {
    let (name, rest) = match host.strip_prefix('[') {
        Some(bracketed) => bracketed
            .split_once(']')
            .filter(|(name, _)| name.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    match rest.strip_prefix(':') {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some((name, Some(port.parse().ok()?))),
        None if rest.is_empty() => Some((name, None)),
        _ => None,
    }
}

/// A request that another site makes the browser send is refused, unless it only opens a page.
/// Programs that are no browsers send neither header and pass; they had to reach this address themselves.
fn check_origin(request: &Request, host: &str) -> Result<()> {
    let foreign = || Error::Forbidden("the request comes from another site".to_owned());
    let header = |name: &str| request.headers().get(name).map(|v| v.to_str().unwrap_or("not text"));
    if request.headers().get_all(header::ORIGIN).iter().count() > 1 {
        return Err(foreign());
    }
    if let Some(origin) = header("origin") {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if authority.is_none_or(|authority| !authority.eq_ignore_ascii_case(host)) {
            return Err(foreign());
        }
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let opens_page = header("sec-fetch-mode") == Some("navigate") && header("sec-fetch-dest").is_none_or(|dest| dest == "document");
    match header("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) if safe && opens_page => Ok(()),
        Some(_) => Err(foreign()),
    }
}

/// Client text in an error: short and without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
