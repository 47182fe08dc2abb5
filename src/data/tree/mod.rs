//! All files of a source by name, whether they lie in a folder or in an archive.

mod archive;
mod contents;
mod files;
mod folder;
mod images;
mod join;
mod name;
mod packed;
mod tape;
mod window;
mod zipped;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::passed::PassedOver;

use packed::Packing;
use window::{Larger, Window};

pub(super) use files::Files;
pub(super) use images::Images;
pub(super) use name::{is_image_name, text};

/// Where the bytes of a file or of an image are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Place {
    /// In a file of its own, which its name tells.
    Own {
        /// Bytes.
        size: u64,
    },
    /// In a part of a larger file.
    Part {
        /// Which of the larger files.
        file: u32,
        /// First byte, or what else tells the part to its reader.
        offset: u64,
        /// Bytes.
        size: u64,
    },
    /// In a part of a larger file, deflated: read whole rather than in parts.
    Deflated {
        /// Which of the larger files.
        file: u32,
        /// First byte.
        offset: u64,
        /// Bytes as they stand there.
        packed: u64,
        /// Bytes.
        size: u64,
    },
}

impl Place {
    /// Bytes.
    pub(super) fn size(self) -> u64 {
        match self {
            Place::Own { size } | Place::Part { size, .. } | Place::Deflated { size, .. } => size,
        }
    }

    /// The same place where the larger files have other numbers.
    fn with_file(mut self, renumbered: impl Fn(u32) -> u32) -> Place {
        match &mut self {
            Place::Own { .. } => {}
            Place::Part { file, .. } | Place::Deflated { file, .. } => *file = renumbered(*file),
        }
        self
    }
}

/// One file of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Path inside the source, with `/` between folders; bytes that are no UTF-8 are written as `\xNN`.
    pub name: String,
    /// Where its bytes are.
    pub place: Place,
}

/// All files of a source.
#[derive(Debug)]
pub(super) struct Tree {
    /// The source as it was given.
    pub root: PathBuf,
    /// Its files, sorted by name, without those of operating systems.
    pub entries: Vec<Entry>,
    /// Its folders, empty ones too.
    pub folders: BTreeSet<String>,
    /// Names of files that have another one above, and that other name: links, and names of one file on the disk.
    pub again: BTreeMap<String, String>,
    /// Files that are passed over.
    pub passed: PassedOver,
    /// What else a person should know of how it was listed.
    pub warnings: Vec<String>,
    /// Where it is a single file and no archive, listed alone: the sentence that refuses it unless a layout takes it.
    pub alone: Option<String>,
    /// Gets their bytes.
    pub files: Arc<Files>,
    /// Text that changes whenever the files change: names, sizes and times, no contents.
    pub stamp: String,
}

impl Tree {
    /// A tree of nothing.
    pub(super) fn empty(root: PathBuf) -> Tree {
        Tree {
            root,
            entries: Vec::new(),
            folders: BTreeSet::new(),
            again: BTreeMap::new(),
            passed: PassedOver::default(),
            warnings: Vec::new(),
            alone: None,
            files: Arc::default(),
            stamp: String::new(),
        }
    }

    /// Lists a folder or an archive; a file that is none is listed alone. A compressed archive is unpacked into a file in `scratch` once.
    pub(super) fn open(path: &Path, scratch: &Path) -> anyhow::Result<Tree> {
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(e) => bail!(
                "data.source is `{}`, which cannot be opened ({e}): give `builtin` or the path of a folder or an archive",
                path.display()
            ),
        };
        let mut tree = if metadata.is_dir() {
            folder::walk(path)?
        } else {
            archive::list(Window::whole(path.to_owned(), Larger::open(path)?), scratch)?
        };
        tree.entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tree)
    }

    /// Lists the archive that `entry` is, read in place; a compressed one is unpacked into a file in `scratch` once.
    ///
    /// Its names begin anew: [`Tree::join`] puts it beside others.
    pub(super) fn open_member(&self, entry: &Entry, scratch: &Path) -> anyhow::Result<Tree> {
        let shown = PathBuf::from(self.show(&entry.name));
        let window = match entry.place {
            Place::Own { .. } => Window::whole(shown, Larger::open(&self.files.path(&entry.name))?),
            Place::Part { file, offset, size } => {
                let opened = self.files.larger(file);
                let opened = opened.with_context(|| format!("cannot read `{}`", self.show(&entry.name)))?;
                Window::new(shown, self.files.larger[file as usize].clone(), opened, offset, size)
            }
            Place::Deflated { file, offset, packed, .. } => {
                let opened = self.files.larger(file);
                let opened = opened.with_context(|| format!("cannot read `{}`", self.show(&entry.name)))?;
                let window = Window::new(shown, self.files.larger[file as usize].clone(), opened, offset, packed);
                packed::unpacked(window, Packing::Deflate, scratch)?
            }
        };
        let mut tree = archive::list(window, scratch)?;
        tree.entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tree)
    }

    /// Several trees as one of `root`, with the names of each below its prefix (`shard-0`, `train/n01440764`, or nothing).
    ///
    /// Where prefixes are equal, so may names be. What is read is opened when it is wanted, a bounded number at once.
    pub(super) fn join(root: PathBuf, parts: Vec<(String, Tree)>) -> Tree {
        join::join(root, parts)
    }

    /// The file of that name.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        let found = self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name));
        found.ok().map(|at| &self.entries[at])
    }

    /// The bytes of a file of this tree.
    pub(super) fn read(&self, entry: &Entry) -> anyhow::Result<Vec<u8>> {
        Ok(self.files.read(&entry.name, entry.place)?)
    }

    /// The first bytes of a file of this tree, as many of `count` as it has.
    pub(super) fn first(&self, entry: &Entry, count: usize) -> anyhow::Result<Vec<u8>> {
        let first = self.files.first(&entry.name, entry.place, count);
        first.with_context(|| format!("cannot read `{}`", self.show(&entry.name)))
    }

    /// A place inside the source, as a person would type it.
    pub(super) fn show(&self, inside: &str) -> String {
        let path = self.root.join(inside.trim_end_matches('/'));
        path.display().to_string().trim_end_matches('/').to_owned()
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of empty files with these names.
    pub(super) fn of_names(root: &str, names: &[&str]) -> Tree {
        let mut folders = BTreeSet::new();
        let mut entries = Vec::new();
        for name in names {
            folders.extend(name.match_indices('/').map(|(at, _)| name[..at].to_owned()));
            let place = Place::Own { size: 0 };
            entries.push(Entry {
                name: (*name).to_owned(),
                place,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Tree {
            entries,
            folders,
            ..Tree::empty(root.into())
        }
    }
}

#[cfg(test)]
mod tests;
