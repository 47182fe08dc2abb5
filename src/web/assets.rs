//! The style sheet and the scripts, compiled into the binary.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::web::error::{Error, Result};
use crate::web::fields::InPath;
use crate::web::file::{Cache, File, Kind};

/// Every file under `/static/`: name, kind, text.
const FILES: &[(&str, Kind, &str)] = &[
    ("umbra.css", Kind::Css, include_str!("../../static/umbra.css")),
    ("umbra.js", Kind::JavaScript, include_str!("../../static/umbra.js")),
    ("theme.js", Kind::JavaScript, include_str!("../../static/theme.js")),
    ("playground.js", Kind::JavaScript, include_str!("../../static/playground.js")),
    ("check.js", Kind::JavaScript, include_str!("../../static/check.js")),
    ("embedding.js", Kind::JavaScript, include_str!("../../static/embedding.js")),
    ("icon.svg", Kind::Svg, include_str!("../../static/icon.svg")),
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
pub async fn asset(path: InPath) -> Result<File> {
    let name = path.text("file")?;
    let found = FILES.iter().find(|(file, ..)| *file == name);
    let (_, kind, text) = found.ok_or_else(|| Error::NotFound("there is no such file".to_owned()))?;
    Ok(File::new(*kind, *text).cached(Cache::Day))
}
