//! The token and the sessions that stand for it in a browser.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::{Error, Result};

/// How long a login lasts.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The name of the cookie.
pub const COOKIE: &str = "umbra_session";

/// Wrong tokens in a minute before everybody must wait. A guess at a token of even 8 random letters needs
/// millennia at this rate, and who is logged in is not held up.
const FAILURES_PER_MINUTE: usize = 20;

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
    failures: VecDeque<Instant>,
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
    /// [`Error::Unauthorized`], or [`Error::TooMany`] after too many wrong tokens.
    pub fn admit(&self, headers: &HeaderMap) -> Result<()> {
        if self.token.is_none() || cookie(headers).is_some_and(|value| self.is_open(value)) {
            return Ok(());
        }
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.strip_prefix("Bearer "));
        match bearer {
            Some(token) => self.check(token.trim()),
            None => Err(Error::Unauthorized(
                "this server asks for its token: log in, or send it as `Authorization: Bearer …`",
            )),
        }
    }

    /// Opens a session for whoever knows the token, and returns the value of its cookie: random, so that
    /// the token itself is never kept in a browser.
    ///
    /// # Errors
    /// As [`Sessions::admit`]; [`Error::Internal`] if the system has no random numbers.
    pub fn open(&self, token: &str) -> Result<String> {
        self.check(token)?;
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
    fn check(&self, token: &str) -> Result<()> {
        let mut inner = self.lock();
        inner.failures.retain(|when| when.elapsed() < Duration::from_secs(60));
        if inner.failures.len() >= FAILURES_PER_MINUTE {
            return Err(Error::TooMany);
        }
        let right = self.token.is_none_or(|expected| bool::from(expected.ct_eq(&hash(token))));
        if right {
            return Ok(());
        }
        inner.failures.push_back(Instant::now());
        Err(Error::Unauthorized("that is not this server's token"))
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
