//! The style sheet and the scripts, compiled into the binary.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use sha2::{Digest, Sha256};

use super::error::{Error, Result};
use super::fields::InPath;

/// Every file under `/static/`: name, type, text.
const FILES: &[(&str, &str, &str)] = &[
    ("umbra.css", "text/css; charset=utf-8", include_str!("../../static/umbra.css")),
    ("umbra.js", "text/javascript; charset=utf-8", include_str!("../../static/umbra.js")),
    ("theme.js", "text/javascript; charset=utf-8", include_str!("../../static/theme.js")),
    (
        "playground.js",
        "text/javascript; charset=utf-8",
        include_str!("../../static/playground.js"),
    ),
    ("check.js", "text/javascript; charset=utf-8", include_str!("../../static/check.js")),
    (
        "embedding.js",
        "text/javascript; charset=utf-8",
        include_str!("../../static/embedding.js"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("../../static/icon.svg")),
];

/// Changes whenever a file does, so that a browser keeps no old one.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    FILES.iter().for_each(|(.., text)| hash.update(text));
    hash.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
});

/// The address of a file, for a page.
pub fn href(name: &str) -> String {
    format!("/static/{name}?v={}", *VERSION)
}

/// `/static/{file}`.
pub async fn asset(path: InPath) -> Result<impl IntoResponse> {
    let name = path.text("file")?;
    let found = FILES.iter().find(|(file, ..)| *file == name);
    let (_, kind, text) = found.ok_or_else(|| Error::NotFound("there is no such file".to_owned()))?;
    Ok(([(CONTENT_TYPE, *kind), (CACHE_CONTROL, "private, max-age=86400")], *text))
}
