//! An archive: its files read in place.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use tar::EntryType;

use super::name::{is_system_name, text};
use super::packed::{Packing, unpacked};
use super::{Entry, Files, Place, Tree};
use crate::data::passed::{PassedOver, Reason};
use crate::data::source::stamp_of;

/// Bytes of a tar record; everything in a tar starts at a multiple.
const RECORD: u64 = 512;

/// The files in the archive at `path`.
pub(super) fn list(path: &Path, scratch: &Path) -> anyhow::Result<Tree> {
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut first = [0; 512];
    let read = file.read_at(&mut first, 0)?;
    let file = unpacked(path, Packing::of(&first[..read]), scratch)?;
    let mut contents = Contents::default();
    contents.scan(&file, path)?;
    Ok(Tree {
        root: path.to_owned(),
        entries: contents.entries,
        folders: contents.folders,
        passed: contents.passed,
        files: Arc::new(Files {
            larger: vec![file],
            ..Files::default()
        }),
        stamp: stamp_of(path)?,
    })
}

/// The inside of an archive.
#[derive(Default)]
struct Contents {
    entries: Vec<Entry>,
    folders: BTreeSet<String>,
    passed: PassedOver,
}

impl Contents {
    /// Takes in a tar by seeking from header to header.
    fn scan(&mut self, file: &File, path: &Path) -> anyhow::Result<()> {
        let damaged = || format!("the archive `{}` is truncated or damaged", path.display());
        let length = file.metadata()?.len();
        let mut end = 0;
        let mut archive = tar::Archive::new(file);
        for entry in archive.entries_with_seek().with_context(damaged)? {
            let entry = entry.with_context(damaged)?;
            end = (entry.raw_file_position() + entry.size()).next_multiple_of(RECORD);
            self.take(&entry);
        }
        // An archive ends with empty records; without one, something is missing even if no entry is torn.
        if end + RECORD > length {
            bail!("{}: it ends before its end mark", damaged());
        }
        Ok(())
    }

    /// Takes one entry in.
    fn take<R: Read>(&mut self, entry: &tar::Entry<'_, R>) {
        let name = text(&entry.path_bytes());
        let name = name.trim_start_matches("./").trim_end_matches('/').to_owned();
        if name.split('/').any(is_system_name) {
            self.passed.note(Reason::SystemFile, &name);
            return;
        }
        let kind = entry.header().entry_type();
        let parents = if kind == EntryType::Directory {
            name.len()
        } else {
            name.rfind('/').unwrap_or(0)
        };
        for (at, _) in name[..parents].match_indices('/').chain([(parents, "")]) {
            if at > 0 && !self.folders.contains(&name[..at]) {
                self.folders.insert(name[..at].to_owned());
            }
        }
        if matches!(kind, EntryType::Regular | EntryType::Continuous) {
            let place = Place::Part {
                file: 0,
                offset: entry.raw_file_position(),
                size: entry.size(),
            };
            self.entries.push(Entry { name, place });
        }
    }
}
