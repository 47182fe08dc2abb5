//! An archive, told by its first bytes: its files are read in place.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::contents::Contents;
use super::images::is_image;
use super::packed::{Packing, unpacked};
use super::tape::{RECORD, damaged, is_header};
use super::window::Window;
use super::{Entry, Files, Place, Tree, tape, zipped};

/// Endings that say that a file is an archive, whatever stands in it.
const ARCHIVES: [&str; 7] = [".tar", ".tgz", ".tzst", ".tar.gz", ".tar.zst", ".gz", ".zip"];

/// The files in the archive that `window` shows; a file that is no archive is listed alone.
pub(super) fn list(packed: Window, scratch: &Path) -> anyhow::Result<Tree> {
    let root = packed.shown.clone();
    let sentence = || format!("cannot read `{}`", root.display());
    let packing = Packing::of(&packed.first(RECORD).with_context(sentence)?);
    let window = unpacked(packed.clone(), packing, scratch)?;
    let first = window.first(RECORD).with_context(sentence)?;
    let mut contents = Contents::default();
    let mut warnings = Vec::new();
    if zipped::is_zip(&first) {
        zipped::scan(&window, &mut contents)?;
    } else if is_header(&first) || first == [0; RECORD] {
        warnings.extend(tape::scan(window.clone(), &mut contents)?);
    } else {
        return alone(packed, &window, &first, packing);
    }
    let found = contents.finish();
    Ok(Tree {
        entries: found.entries,
        folders: found.folders,
        again: found.again,
        passed: found.passed,
        warnings,
        files: Arc::new(Files::parts_of(&window, scratch)),
        stamp: packed.stamp(),
        ..Tree::empty(root)
    })
}

/// The file that `window` shows, which begins with `first` and is no archive, as the only one of its folder.
fn alone(packed: Window, window: &Window, first: &[u8], packing: Packing) -> anyhow::Result<Tree> {
    let path = &packed.shown;
    let shown = path.display().to_string();
    let lower = shown.to_ascii_lowercase();
    if first.is_empty() || ARCHIVES.iter().any(|ending| lower.ends_with(ending)) && what(first).is_none() && packing != Packing::Zstd {
        bail!("{}", damaged(&shown));
    }
    let what = what(first).unwrap_or("neither a folder nor an archive that is read");
    let sentence = format!("data.source is `{shown}`, which is {what}: a folder, a tar (plain, gzip or Zstandard) or a ZIP is wanted");
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let place = Place::Part {
        file: 0,
        offset: window.start,
        size: window.size,
    };
    Ok(Tree {
        entries: vec![Entry { name, place }],
        alone: Some(sentence),
        files: Arc::new(Files::parts_of(window, Path::new(""))),
        stamp: packed.stamp(),
        ..Tree::empty(path.parent().unwrap_or(path).to_owned())
    })
}

/// What a file is that begins so, if it is something that people have beside their images.
fn what(first: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 7] = [
        (b"PAR1", "a Parquet file"),
        (b"\xfd7zXZ", "packed by xz, which is not read"),
        (b"BZh", "packed by bzip2, which is not read"),
        (b"7z\xbc\xaf\x27\x1c", "packed by 7-Zip, which is not read"),
        (b"Rar!", "packed by RAR, which is not read"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\x93NUMPY", "an array of NumPy"),
    ];
    if is_image(first) {
        return Some("a single image");
    }
    known.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, what)| *what)
}
