//! The one guard that every route goes through: who is asked, who asks, and with what right.
//!
//! A page on another site must not be able to start or stop runs, nor read anything, even though the
//! user's browser can reach this server. So the Host must be ours (against DNS rebinding), a request that
//! changes something must come from our own pages (against forged forms), and where a token is set,
//! every route but the login and the style sheet demands it.
//!
//! Ours are loopback names under any port, for a tunnel may have another than the server (nobody else's page can have such a
//! name), the address that the server listens on, and those that the settings name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::web::address::{HostName, PublicUrl, Scheme, origin};
use crate::web::base_path::BasePath;
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
    /// The addresses under which people reach the server, besides the one it listens on.
    pub public: Vec<PublicUrl>,
    /// Whether a proxy's word is taken for the host and the scheme that it was asked under.
    pub trust_forwarded: bool,
    /// The path below which pages stand.
    pub base_path: BasePath,
}

impl GuardConfig {
    /// What a server without a proxy must know.
    pub fn new(listen: SocketAddr, token: Option<String>) -> GuardConfig {
        GuardConfig {
            listen,
            token,
            public: Vec::new(),
            trust_forwarded: false,
            base_path: BasePath::default(),
        }
    }
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
        let forwarded = self.forwarded_host(request.headers())?;
        self.check_origin(request, host, forwarded)?;
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

    /// The Host must be ours.
    fn check_host(&self, host: &str) -> Result<()> {
        if HostName::read(host).is_some_and(|host| self.is_ours(&host, None)) {
            return Ok(());
        }
        let host = printable(host);
        Err(Error::Forbidden(format!(
            "the host `{host}` is not this server: open http://{}/, or start the server with `--public-url {host}` if that is its name",
            self.address()
        )))
    }

    /// The host that a proxy was asked under, where its word is taken: one that is named, if any is.
    fn forwarded_host<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a str>> {
        let Some(host) = self.forwarded(headers, "x-forwarded-host") else {
            return Ok(None);
        };
        if self.config.public.is_empty() && HostName::read(host).is_some() {
            return Ok(Some(host));
        }
        self.check_host(host).map(|()| Some(host))
    }

    /// The first value of such a header, which the proxy next to the browser wrote.
    fn forwarded<'a>(&self, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        let value = headers.get(name).filter(|_| self.config.trust_forwarded)?;
        value.to_str().ok()?.split(',').next().map(str::trim)
    }

    /// Whether a host is a loopback name, the address we listen on, with our port, or one that is named. Only behind a token
    /// and listening on every address can any name be ours; a rebound name then has no session.
    fn is_ours(&self, host: &HostName<'_>, scheme: Option<Scheme>) -> bool {
        let listen = self.config.listen;
        let anywhere = self.config.token.is_some() && listen.ip().is_unspecified();
        let direct = host.name.parse::<IpAddr>() == Ok(listen.ip()) && host.port.unwrap_or(80) == listen.port();
        anywhere || direct || host.is_loopback() || self.is_named(host, scheme)
    }

    fn is_named(&self, host: &HostName<'_>, scheme: Option<Scheme>) -> bool {
        let port = self.config.listen.port();
        self.config.public.iter().any(|public| public.names(host, scheme, port))
    }

    /// A request that another site makes the browser send is refused, unless it only opens a page.
    /// Programs that are no browsers send neither header and pass; they had to reach this address themselves.
    fn check_origin(&self, request: &Request, host: &str, forwarded: Option<&str>) -> Result<()> {
        let header = |name: &str| request.headers().get(name).map(|v| v.to_str().unwrap_or("not text"));
        let site = header("sec-fetch-site");
        let foreign = || Err(Error::Forbidden("the request comes from another site".to_owned()));
        if request.headers().get_all(header::ORIGIN).iter().count() > 1 {
            return foreign();
        }
        if let Some(text) = header("origin") {
            let Some((scheme, from)) = origin(text) else { return foreign() };
            let asked = || [Some(host), forwarded].into_iter().flatten().filter_map(HostName::read);
            // A proxy may ask under a Host of its own. The browser then says itself that the page is of the site it asks, and no
            // page can make it say so; the name must be ours all the same.
            let own = site == Some("same-origin") && self.is_ours(&from, Some(scheme));
            if !own && !self.is_named(&from, Some(scheme)) && !asked().any(|host| host.is_same(&from)) {
                return Err(Error::Forbidden(another_site(text, host, site)));
            }
        }
        let safe = matches!(*request.method(), Method::GET | Method::HEAD);
        let opens_page = header("sec-fetch-mode") == Some("navigate") && header("sec-fetch-dest").is_none_or(|dest| dest == "document");
        match site {
            None | Some("same-origin" | "none") => Ok(()),
            Some(_) if safe && opens_page => Ok(()),
            Some(_) => foreign(),
        }
    }

    /// Whether the browser is known to ask through TLS: its page says so, or a proxy whose word is taken, or the settings.
    pub(super) fn asks_through_tls(&self, headers: &HeaderMap) -> bool {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let by_page = text(header::ORIGIN).and_then(origin).map(|(scheme, _)| scheme);
        let by_proxy = self
            .forwarded(headers, "x-forwarded-proto")
            .map(|scheme| scheme.eq_ignore_ascii_case("https"));
        let asked = self.forwarded(headers, "x-forwarded-host").or_else(|| text(header::HOST));
        let named = || {
            let host = asked.and_then(HostName::read);
            let port = self.config.listen.port();
            host.is_some_and(|host| {
                let mut all = self
                    .config
                    .public
                    .iter()
                    .filter(|public| public.names(&host, None, port))
                    .peekable();
                all.peek().is_some() && all.all(PublicUrl::is_https)
            })
        };
        by_page == Some(Scheme::Https) || by_proxy == Some(true) || (by_page.is_none() && by_proxy.is_none() && named())
    }

    /// The path below which pages stand.
    pub(super) fn base_path(&self) -> &BasePath {
        &self.config.base_path
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

/// Says of a page of another address what to do if it is ours.
fn another_site(origin: &str, host: &str, site: Option<&str>) -> String {
    let sentence = "the request comes from another site";
    if matches!(site, Some("cross-site" | "same-site")) {
        return sentence.to_owned();
    }
    let origin = printable(origin);
    format!(
        "{sentence}: its page is of `{origin}`, and the host is `{}`. If a proxy stands between, start the server with `--public-url {origin}`",
        printable(host)
    )
}

/// Client text in an error: short and without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
