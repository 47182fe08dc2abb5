//! All files of a source by name, whether they lie in a folder or in an archive.

mod archive;
mod folder;
mod name;
mod packed;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::passed::PassedOver;

pub(super) use name::is_image_name;

/// Where the bytes of a file or of an image are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Place {
    /// Bytes.
    pub(super) fn size(self) -> u64 {
        match self {
            Place::Own { size } | Place::Part { size, .. } => size,
        }
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
    /// Files that are passed over.
    pub passed: PassedOver,
    /// Gets their bytes.
    pub files: Arc<Files>,
    /// Text that changes whenever the files change: names, sizes and times, no contents.
    pub stamp: String,
}

impl Tree {
    /// Lists a folder or an archive. A compressed archive is unpacked into a file in `scratch` once.
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
            archive::list(path, scratch)?
        };
        tree.entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tree)
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
            root: root.into(),
            entries,
            folders,
            passed: PassedOver::default(),
            files: Arc::default(),
            stamp: String::new(),
        }
    }
}

/// Gets the bytes of files.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The folder that files of their own lie in.
    pub root: PathBuf,
    /// Paths of those whose names are no UTF-8.
    pub raw: BTreeMap<String, PathBuf>,
    /// The larger files that others are parts of.
    pub larger: Vec<File>,
}

impl Files {
    /// All bytes of a file.
    pub(super) fn read(&self, name: &str, place: Place) -> io::Result<Vec<u8>> {
        match place {
            Place::Own { .. } => std::fs::read(self.path(name)),
            Place::Part { size, .. } => self.part(name, place, 0, size),
        }
    }

    /// `size` bytes of a file from `from` on.
    pub(super) fn part(&self, name: &str, place: Place, from: u64, size: u64) -> io::Result<Vec<u8>> {
        if from.checked_add(size).is_none_or(|end| end > place.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        match place {
            Place::Own { .. } => File::open(self.path(name))?.read_exact_at(&mut bytes, from)?,
            Place::Part { file, offset, .. } => self.larger[file as usize].read_exact_at(&mut bytes, offset + from)?,
        }
        Ok(bytes)
    }

    /// Where a file of its own lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.raw.get(name).cloned().unwrap_or_else(|| self.root.join(name))
    }
}
