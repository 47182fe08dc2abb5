//! The token and the sessions that stand for it in a browser.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::web::error::{Error, Result};

/// How long a login lasts.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The name of the cookie.
pub const COOKIE: &str = "umbra_session";

/// Wrong tokens in a minute before the address they came from must wait; others and who is logged in are not held up. A guess at
/// a token of even 8 random letters needs millennia at this rate, and years from as many addresses as are remembered.
const FAILURES_PER_MINUTE: usize = 20;

/// Addresses whose wrong tokens are counted by themselves. Those beyond share one count, so that many cannot fill the memory.
const MOST_ADDRESSES: usize = 1000;

/// A session at most every so many; the oldest is dropped beyond.
const MOST_SESSIONS: usize = 1000;

/// Who may come in.
#[derive(Debug)]
pub struct Sessions {
    token: Option<[u8; 32]>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Hash of the cookie's value, and when it was given.
    open: HashMap<[u8; 32], Instant>,
    /// When wrong tokens came in the last minute, and where from.
    failures: HashMap<Caller, Vec<Instant>>,
}

/// Where a request comes from, as far as wrong tokens are counted; `None` is unknown, or one address too many. Whoever comes
/// through one proxy is one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller(Option<IpAddr>);

impl Caller {
    /// The other end of the connection. Of IPv6 only the network counts, for one machine has all addresses of its own.
    pub fn of(extensions: &Extensions) -> Caller {
        let remote = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(remote)| remote.ip());
        Caller(remote.map(|ip| match ip.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
            v4 => v4,
        }))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Caller::of(&parts.extensions))
    }
}

impl Inner {
    /// Whose count a caller's wrong tokens go into. What is older than a minute is forgotten.
    fn counted(&mut self, caller: Caller) -> Caller {
        self.failures.retain(|_, times| {
            times.retain(|when| when.elapsed() < Duration::from_secs(60));
            !times.is_empty()
        });
        if self.failures.contains_key(&caller) || self.failures.len() < MOST_ADDRESSES {
            caller
        } else {
            Caller(None)
        }
    }
}

impl Sessions {
    /// Nobody is logged in. Without a token everybody is admitted.
    pub fn new(token: Option<String>) -> Sessions {
        Sessions {
            token: token.map(|token| hash(&token)),
            inner: Mutex::default(),
        }
    }

    /// Lets a request pass that shows the token as bearer, or a session's cookie.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], or [`Error::TooMany`] after too many wrong tokens from there.
    pub fn admit(&self, headers: &HeaderMap, caller: Caller) -> Result<()> {
        if self.token.is_none() || cookie(headers).is_some_and(|value| self.is_open(value)) {
            return Ok(());
        }
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.strip_prefix("Bearer "));
        match bearer {
            Some(token) => self.check(token.trim(), caller),
            None => Err(Error::Unauthorized(
                "this server requires a token: log in, or send it as `Authorization: Bearer …`",
            )),
        }
    }

    /// Opens a session for whoever knows the token, and returns the value of its cookie: random, so that
    /// the token itself is never kept in a browser.
    ///
    /// # Errors
    /// As [`Sessions::admit`]; [`Error::Internal`] if the system has no random numbers.
    pub fn open(&self, token: &str, caller: Caller) -> Result<String> {
        self.check(token, caller)?;
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| Error::Internal(anyhow::anyhow!("no random numbers from the system: {e}")))?;
        let value: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut inner = self.lock();
        inner.open.retain(|_, since| since.elapsed() < LIFETIME);
        if inner.open.len() >= MOST_SESSIONS
            && let Some(oldest) = inner.open.iter().min_by_key(|(_, since)| **since).map(|(key, _)| *key)
        {
            inner.open.remove(&oldest);
        }
        inner.open.insert(hash(&value), Instant::now());
        Ok(value)
    }

    /// Ends the session of a request, if it has one.
    pub fn close(&self, headers: &HeaderMap) {
        if let Some(value) = cookie(headers) {
            self.lock().open.remove(&hash(value));
        }
    }

    /// Compares hashes of equal length in constant time, so that time tells nothing of the token.
    fn check(&self, token: &str, caller: Caller) -> Result<()> {
        let mut inner = self.lock();
        let caller = inner.counted(caller);
        if inner.failures.get(&caller).is_some_and(|times| times.len() >= FAILURES_PER_MINUTE) {
            return Err(Error::TooMany);
        }
        let right = self.token.is_none_or(|expected| bool::from(expected.ct_eq(&hash(token))));
        if right {
            return Ok(());
        }
        inner.failures.entry(caller).or_default().push(Instant::now());
        Err(Error::Unauthorized("wrong token"))
    }

    fn is_open(&self, value: &str) -> bool {
        self.lock().open.get(&hash(value)).is_some_and(|since| since.elapsed() < LIFETIME)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while the lock is held; if it did, the maps would still be whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The session's cookie of a request.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    cookies
        .flat_map(|v| v.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use crate::web::session::tokens::*;

    fn caller(ip: &str) -> Caller {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(ip.parse().unwrap(), 40_000)));
        Caller::of(&extensions)
    }

    #[test]
    fn a_caller_is_an_address_or_a_network_of_addresses() {
        assert_eq!(caller("10.0.0.7"), caller("::ffff:10.0.0.7"));
        assert_ne!(caller("10.0.0.7"), caller("10.0.0.8"));
        assert_eq!(caller("2001:db8:0:1::7"), caller("2001:db8:0:1:ffff::8"));
        assert_ne!(caller("2001:db8:0:1::7"), caller("2001:db8:0:2::7"));
    }

    #[test]
    fn addresses_beyond_those_remembered_share_one_count() {
        let sessions = Sessions::new(Some("open sesame".to_owned()));
        let guess = |number: u32| sessions.check("guess", caller(&std::net::Ipv4Addr::from(number).to_string()));
        let refused = (0..2000).filter(|number| matches!(guess(*number), Err(Error::TooMany))).count();
        assert_eq!(refused, 2000 - MOST_ADDRESSES - FAILURES_PER_MINUTE);
        assert_eq!(sessions.lock().failures.len(), MOST_ADDRESSES + 1);
        assert!(
            sessions.check("open sesame", caller("0.0.0.7")).is_ok(),
            "one that is remembered has a count of its own"
        );
    }
}
