//! A shard, and the files of one sample in it.

use std::sync::Arc;

use crate::data::tree::{Entry, Files};

/// One tar.
pub(super) struct Shard {
    /// Path inside the source; nothing where it is the source.
    pub(super) name: String,
    /// Path, for sentences.
    pub(super) path: String,
    pub(super) entries: Vec<Entry>,
    pub(super) files: Arc<Files>,
}

impl Shard {
    /// A file in it, as a person is told.
    pub(super) fn show(&self, name: &str) -> String {
        if self.name.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.name)
        }
    }
}

/// The files of one sample.
pub(super) struct Sample {
    pub(super) image: Entry,
    /// Its `.cls`.
    pub(super) number: Option<Entry>,
    /// Its `.json`.
    pub(super) fields: Option<Entry>,
}

/// Key and ending: what stands before the first dot after the last slash, and what stands behind it.
pub(super) fn split(name: &str) -> (&str, &str) {
    let own = name.rfind('/').map_or(0, |at| at + 1);
    match name[own..].find('.') {
        Some(dot) => (&name[..own + dot], &name[own + dot + 1..]),
        None => (name, ""),
    }
}
