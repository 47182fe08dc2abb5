//! Files as responses. What a file is decides its headers, so that no handler writes any.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::charts;
use crate::web::error::{Error, Result};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A chart, or the icon.
    Svg,
    /// An image.
    Png,
    /// A table with commas.
    Csv,
    /// A table with tabulators.
    Tsv,
    /// A table or its numbers for programs.
    Json,
    /// A table in Markdown.
    Markdown,
    /// A table in LaTeX.
    Latex,
    /// A page that stands alone.
    Html,
    /// Plain text.
    Text,
    /// A style sheet.
    Css,
    /// A script.
    JavaScript,
    /// Weights of a model.
    Weights,
}

impl Kind {
    fn content_type(self) -> &'static str {
        match self {
            Kind::Svg => "image/svg+xml",
            Kind::Png => "image/png",
            Kind::Csv => "text/csv; charset=utf-8",
            Kind::Tsv => "text/tab-separated-values; charset=utf-8",
            Kind::Json => "application/json",
            Kind::Markdown => "text/markdown; charset=utf-8",
            Kind::Latex => "text/x-tex; charset=utf-8",
            Kind::Html => "text/html; charset=utf-8",
            Kind::Text => "text/plain; charset=utf-8",
            Kind::Css => "text/css; charset=utf-8",
            Kind::JavaScript => "text/javascript; charset=utf-8",
            Kind::Weights => "application/octet-stream",
        }
    }

    /// Charts and pages that stand alone bring their own style, and may do nothing else.
    fn policy(self) -> Option<&'static str> {
        matches!(self, Kind::Svg | Kind::Html).then_some("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
    }
}

/// How long a browser may keep a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Not at all.
    Never,
    /// As long as it asks each time whether the file is still the same.
    Ask,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Cache {
    fn control(self) -> &'static str {
        match self {
            Cache::Never => "no-store",
            Cache::Ask => "no-cache",
            Cache::Hour => "private, max-age=3600",
            Cache::Day => "private, max-age=86400",
        }
    }
}

/// A file to be sent.
#[derive(Debug)]
pub struct File {
    kind: Kind,
    body: Body,
    /// The length in bytes, where the body does not know it.
    length: Option<u64>,
    cache: Cache,
    name: Option<String>,
    /// Signs that an image lacks, for it was drawn without a font that has them.
    missing_signs: String,
}

/// Signs as `U+6D88`, which are known by that wherever no font has them.
pub fn code_points(signs: &BTreeSet<char>) -> Vec<String> {
    signs.iter().map(|sign| format!("U+{:04X}", u32::from(*sign))).collect()
}

impl File {
    /// A file that a browser shows where it can, and does not keep.
    pub fn new(kind: Kind, body: impl Into<Body>) -> File {
        File {
            kind,
            body: body.into(),
            length: None,
            cache: Cache::Never,
            name: None,
            missing_signs: String::new(),
        }
    }

    /// The same drawing as a PNG, which says in a header which signs it shows as boxes.
    ///
    /// # Errors
    /// A drawing that is too large.
    pub async fn png(svg: String) -> Result<File> {
        // Drawing takes about as long as a page may take in all, so it is not done where requests are answered.
        let drawn = tokio::task::spawn_blocking(move || (charts::png(&svg), charts::missing_signs(&svg))).await;
        let (bytes, missing) = drawn.map_err(|e| Error::Internal(e.into()))?;
        Ok(File {
            missing_signs: code_points(&missing).join(" "),
            ..File::new(Kind::Png, bytes.map_err(Error::BadRequest)?)
        })
    }

    /// Numbers as JSON, laid out for people.
    ///
    /// # Errors
    /// Numbers that JSON cannot hold.
    pub fn json(value: &impl serde::Serialize) -> Result<File> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::Internal(e.into()))?;
        Ok(File::new(Kind::Json, text))
    }

    /// A file whose body comes in pieces and has that many bytes in all.
    pub fn of_length(self, bytes: u64) -> File {
        File {
            length: Some(bytes),
            ..self
        }
    }

    /// A file that a browser may keep.
    pub fn cached(self, cache: Cache) -> File {
        File { cache, ..self }
    }

    /// A file to be saved under that name.
    pub fn saved_as(self, name: impl Into<String>) -> File {
        File {
            name: Some(name.into()),
            ..self
        }
    }
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
        set(CONTENT_TYPE, self.kind.content_type());
        set(CACHE_CONTROL, self.cache.control());
        if let Some(policy) = self.kind.policy() {
            set(CONTENT_SECURITY_POLICY, policy);
        }
        if let Some(bytes) = self.length {
            headers.insert(CONTENT_LENGTH, bytes.into());
        }
        if let Some(signs) = HeaderValue::try_from(self.missing_signs).ok().filter(|signs| !signs.is_empty()) {
            headers.insert(HeaderName::from_static("x-umbra-missing-signs"), signs);
        }
        if let Some(name) = self.name {
            // Names are made of ids and names of ours, which have no character that a header forbids.
            match HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
                Ok(value) => drop(headers.insert(CONTENT_DISPOSITION, value)),
                Err(fault) => return Error::Internal(fault.into()).into_response(),
            }
        }
        (headers, self.body).into_response()
    }
}
