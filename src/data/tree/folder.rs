//! A folder, walked: first what lies in it, then what its links lead to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::name::{is_system_name, text};
use super::{Entry, Files, Place, Tree};
use crate::data::passed::{PassedOver, Reason};
use crate::data::stamp::{hex, stamp};

/// Folders below the source that are looked into (ours: no data set is so deep).
const DEEPEST: usize = 64;

/// Device and number on the disk.
type Identity = (u64, u64);

/// Everything below `root`.
pub(super) fn walk(root: &Path) -> anyhow::Result<Tree> {
    let top = root.canonicalize().with_context(|| cannot_read(root))?;
    let mut walked = HashMap::new();
    let start = Spot {
        path: root.to_owned(),
        inside: String::new(),
        depth: 0,
        raw: false,
    };
    let mut found = look_into(&start, &walked)?;
    let mut links = VecDeque::from(std::mem::take(&mut found.links));
    found.remember(&mut walked);
    // Names of one file on the disk: that of the file itself comes before those of links to it.
    found.files.sort_by(|a, b| a.entry.name.cmp(&b.entry.name));
    let linked = !links.is_empty() || found.files.iter().any(|file| file.shared);
    while let Some(link) = links.pop_front() {
        let mut more = follow(link, &top, &walked)?;
        links.extend(std::mem::take(&mut more.links));
        more.remember(&mut walked);
        found.add(more);
    }
    let again = if linked { again(&found.files) } else { BTreeMap::new() };
    let mut stamps = Sha256::new();
    found.stamps.iter().for_each(|stamp| stamps.update(stamp));
    Ok(Tree {
        entries: found.files.into_iter().map(|file| file.entry).collect(),
        folders: found
            .folders
            .into_iter()
            .map(|(_, name)| name)
            .filter(|name| !name.is_empty())
            .collect(),
        again,
        passed: found.passed,
        warnings: found.warnings,
        files: Arc::new(Files::of_folder(root.to_owned(), found.raw)),
        stamp: hex(&stamps.finalize(), 32),
        ..Tree::empty(root.to_owned())
    })
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read the folder `{}`", path.display())
}

/// A place that is looked at.
#[derive(Clone)]
struct Spot {
    path: PathBuf,
    /// Its name inside the source.
    inside: String,
    depth: usize,
    /// Whether its name does not tell its path.
    raw: bool,
}

impl Spot {
    /// What is called `own` in this folder.
    fn below(&self, own: &std::ffi::OsStr) -> Spot {
        let name = text(own.as_bytes());
        Spot {
            path: self.path.join(own),
            raw: self.raw || name.as_bytes() != own.as_bytes(),
            inside: if self.inside.is_empty() {
                name
            } else {
                format!("{}/{name}", self.inside)
            },
            depth: self.depth + 1,
        }
    }
}

/// A file that was found.
struct FoundFile {
    entry: Entry,
    identity: Identity,
    /// Whether the disk knows another name of it.
    shared: bool,
}

/// What was found in a folder and in those below it.
#[derive(Default)]
struct Found {
    files: Vec<FoundFile>,
    folders: Vec<(Identity, String)>,
    links: Vec<Spot>,
    raw: BTreeMap<String, PathBuf>,
    passed: PassedOver,
    warnings: Vec<String>,
    /// Of each folder, a digest of the stamps of its files.
    stamps: Vec<[u8; 32]>,
}

impl Found {
    /// Takes a file in.
    fn take(&mut self, spot: Spot, metadata: &Metadata) {
        if !metadata.is_file() {
            self.passed.note(Reason::NoFile, &spot.inside);
            return;
        }
        let place = Place::Own { size: metadata.len() };
        if spot.raw {
            self.raw.insert(spot.inside.clone(), spot.path);
        }
        self.files.push(FoundFile {
            entry: Entry { name: spot.inside, place },
            identity: (metadata.dev(), metadata.ino()),
            shared: metadata.nlink() > 1,
        });
    }

    /// Adds what was found elsewhere.
    fn add(&mut self, mut other: Found) {
        self.files.append(&mut other.files);
        self.folders.append(&mut other.folders);
        self.links.append(&mut other.links);
        self.raw.append(&mut other.raw);
        self.passed.add(other.passed);
        self.warnings.append(&mut other.warnings);
        self.stamps.append(&mut other.stamps);
    }

    /// Notes its folders as walked.
    fn remember(&self, walked: &mut HashMap<Identity, String>) {
        for (identity, name) in &self.folders {
            walked.entry(*identity).or_insert_with(|| name.clone());
        }
    }
}

/// What lies in the folder `spot`; its links are not followed.
fn look_into(spot: &Spot, walked: &HashMap<Identity, String>) -> anyhow::Result<Found> {
    let sentence = || cannot_read(&spot.path);
    let metadata = spot.path.metadata().with_context(sentence)?;
    let identity = (metadata.dev(), metadata.ino());
    let mut found = Found::default();
    if walked.contains_key(&identity) {
        found.passed.note(Reason::Again, &spot.inside);
        return Ok(found);
    }
    if spot.depth > DEEPEST {
        let shown = spot.path.display();
        found
            .warnings
            .push(format!("`{shown}` lies more than {DEEPEST} folders deep and is not looked into"));
        return Ok(found);
    }
    found.folders.push((identity, spot.inside.clone()));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(&spot.path).with_context(sentence)? {
        entries.push(entry.with_context(sentence)?);
    }
    // The order of a directory differs between machines; ours must not.
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut folders = Vec::new();
    let mut stamps = Sha256::new();
    for entry in entries {
        let own = entry.file_name();
        let below = spot.below(&own);
        if is_system_name(&own.to_string_lossy()) {
            found.passed.note(Reason::SystemFile, &below.inside);
            continue;
        }
        let kind = entry.file_type().with_context(sentence)?;
        if kind.is_dir() {
            folders.push(below);
        } else if kind.is_symlink() {
            found.links.push(below);
        } else {
            let metadata = entry
                .metadata()
                .with_context(|| format!("cannot read `{}`", below.path.display()))?;
            stamps.update(stamp(&below.inside, &metadata));
            found.take(below, &metadata);
        }
    }
    found.stamps.push(stamps.finalize().into());
    let below: Vec<Found> = folders
        .par_iter()
        .map(|spot| look_into(spot, walked))
        .collect::<anyhow::Result<_>>()?;
    below.into_iter().for_each(|more| found.add(more));
    Ok(found)
}

/// What the link `spot` leads to.
fn follow(spot: Spot, top: &Path, walked: &HashMap<Identity, String>) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let (Ok(metadata), Ok(target)) = (spot.path.metadata(), spot.path.canonicalize()) else {
        found.passed.note(Reason::Link, &spot.inside);
        return Ok(found);
    };
    if !metadata.is_dir() {
        found.stamps.push(Sha256::digest(stamp(&spot.inside, &metadata)).into());
        found.take(spot, &metadata);
        return Ok(found);
    }
    let around = spot.path.parent().and_then(|folder| folder.canonicalize().ok());
    if top.starts_with(&target) || around.is_some_and(|around| around.starts_with(&target)) {
        found.passed.note(Reason::Link, &spot.inside);
        return Ok(found);
    }
    look_into(&spot, walked)
}

/// Which names are of files that have an earlier one, and that name.
fn again(files: &[FoundFile]) -> BTreeMap<String, String> {
    let mut first: HashMap<Identity, &str> = HashMap::new();
    let mut again = BTreeMap::new();
    for file in files {
        let known = *first.entry(file.identity).or_insert(&file.entry.name);
        if known != file.entry.name {
            again.insert(file.entry.name.clone(), known.to_owned());
        }
    }
    again
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
