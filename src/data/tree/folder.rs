//! A folder, walked.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::name::{is_system_name, text};
use super::{Entry, Files, Place, Tree};
use crate::data::passed::{PassedOver, Reason};
use crate::data::source::stamp;

/// Folders below the source that are looked into; deeper ones are not, so a link to a parent ends.
const DEEPEST: usize = 8;

/// Everything below `root`.
pub(super) fn walk(root: &Path) -> anyhow::Result<Tree> {
    let mut walk = Walk {
        entries: Vec::new(),
        folders: BTreeSet::new(),
        passed: PassedOver::default(),
        files: Files {
            root: root.to_owned(),
            ..Files::default()
        },
        stamp: String::new(),
    };
    walk.folder(root, "", 0)?;
    Ok(Tree {
        root: root.to_owned(),
        entries: walk.entries,
        folders: walk.folders,
        passed: walk.passed,
        files: Arc::new(walk.files),
        stamp: walk.stamp,
    })
}

/// What was found so far.
struct Walk {
    entries: Vec<Entry>,
    folders: BTreeSet<String>,
    passed: PassedOver,
    files: Files,
    stamp: String,
}

impl Walk {
    /// Takes in the folder at `path`, which is called `inside`.
    fn folder(&mut self, path: &Path, inside: &str, depth: usize) -> anyhow::Result<()> {
        let sentence = || format!("cannot read the folder `{}`", path.display());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).with_context(sentence)? {
            names.push(entry.with_context(sentence)?.file_name());
        }
        // The order of a directory differs between machines; ours must not.
        names.sort();
        for raw in names {
            let own = text(raw.as_bytes());
            let name = if inside.is_empty() {
                own.clone()
            } else {
                format!("{inside}/{own}")
            };
            if is_system_name(&own) {
                self.passed.note(Reason::SystemFile, &name);
                continue;
            }
            let path = path.join(&raw);
            let Ok(metadata) = path.metadata() else {
                self.passed.note(Reason::Link, &name);
                continue;
            };
            if metadata.is_dir() {
                self.folders.insert(name.clone());
                if depth < DEEPEST {
                    self.folder(&path, &name, depth + 1)?;
                }
                continue;
            }
            self.stamp += &stamp(&name, &metadata);
            if raw.to_str().is_none() || inside.contains("\\x") {
                self.files.raw.insert(name.clone(), path);
            }
            let place = Place::Own { size: metadata.len() };
            self.entries.push(Entry { name, place });
        }
        Ok(())
    }
}
