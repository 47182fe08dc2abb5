//! Tar archives.

use std::io::{self, Read, Seek, SeekFrom};

use anyhow::{Context, bail};

use super::Place;
use super::contents::Contents;
use super::window::Window;
use crate::data::passed::Reason;

/// Bytes of a record; everything in a tar starts at a multiple.
pub(super) const RECORD: usize = 512;
/// Bytes looked through at once for what follows an archive.
const CHUNK: u64 = 1 << 16;

/// Takes in the members of `window` by seeking from header to header; a sentence for what else a person should know.
///
/// Archives put one after the other are all read, as `tar -xi` does.
pub(super) fn scan(window: Window, contents: &mut Contents) -> anyhow::Result<Option<String>> {
    let shown = window.shown.display().to_string();
    let damaged = || damaged(&shown);
    let mut rest = one(window, contents)?;
    for count in 1.. {
        rest = without_zeros(rest).with_context(damaged)?;
        if rest.size == 0 {
            let several = format!("`{shown}` is {count} archives one after the other: all of them are read, as `tar -xi` would");
            return Ok((count > 1).then_some(several));
        }
        if !is_header(&rest.first(RECORD).with_context(damaged)?) {
            return Ok(Some(format!(
                "{} bytes after the end of the archive `{shown}` are not read",
                rest.size
            )));
        }
        rest = one(rest, contents)?;
    }
    Ok(None)
}

/// That an archive is not whole.
pub(super) fn damaged(shown: &str) -> String {
    format!("the archive `{shown}` is truncated or damaged")
}

/// Whether a tar may begin with these bytes: a header whose sum is right.
pub(super) fn is_header(first: &[u8]) -> bool {
    let Ok(header) = <&[u8; RECORD]>::try_from(first) else {
        return false;
    };
    let sum = header.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let own = header[148..156].iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let header = ::tar::Header::from_byte_slice(header);
    sum > 0 && header.cksum().is_ok_and(|stated| stated == sum - own + 8 * u32::from(b' '))
}

/// Takes in one archive; what follows it.
fn one(window: Window, contents: &mut Contents) -> anyhow::Result<Window> {
    let shown = window.shown.display().to_string();
    let damaged = || damaged(&shown);
    let start = window.start;
    let mut archive = ::tar::Archive::new(window);
    for entry in archive.entries_with_seek().with_context(damaged)? {
        take(&mut entry.with_context(damaged)?, start, &shown, contents)?;
    }
    let window = archive.into_inner();
    // An archive ends with empty records; without one, something is missing even if no member is torn.
    if window.exhausted {
        bail!("{}: it ends before its end mark", damaged());
    }
    Ok(window.rest())
}

/// Takes in one member.
fn take<R: Read>(entry: &mut ::tar::Entry<'_, R>, start: u64, shown: &str, contents: &mut Contents) -> anyhow::Result<()> {
    let mut name = entry.path_bytes().into_owned();
    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
    let kind = entry.header().entry_type();
    let place = Place::Part {
        file: 0,
        offset: start.saturating_add(entry.raw_file_position()),
        size: entry.size(),
    };
    let mut sparse = kind.is_gnu_sparse();
    for extension in entry.pax_extensions().with_context(|| damaged(shown))?.into_iter().flatten() {
        let extension = extension.with_context(|| damaged(shown))?;
        sparse |= extension.key_bytes().starts_with(b"GNU.sparse.");
        if extension.key_bytes() == b"GNU.sparse.name" {
            name = extension.value_bytes().to_vec();
        }
    }
    if sparse {
        contents.pass(&name, Reason::Sparse);
        return Ok(());
    }
    match kind.as_byte() {
        // Names of the archive itself, and what the reader has put into the members it is about.
        b'V' | b'g' | b'x' | b'L' | b'K' => {}
        b'M' => bail!("`{shown}` is one part of an archive of several volumes: join and unpack them, and give the folder"),
        b'5' | b'D' => contents.folder(&name),
        b'2' => contents.link(&name, &target),
        // POSIX lets it bring the bytes along.
        b'1' if place.size() == 0 => contents.same(&name, &target),
        b'3' | b'4' | b'6' => contents.pass(&name, Reason::NoFile),
        // Before POSIX a folder was a file whose name ends so.
        _ if name.ends_with(b"/") => contents.folder(&name),
        // A kind that is not known is to be taken as a file, POSIX says.
        _ => contents.file(&name, place),
    }
    Ok(())
}

/// What is left of `window` without the empty records at its beginning.
fn without_zeros(mut window: Window) -> io::Result<Window> {
    let mut at = 0;
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        window.seek(SeekFrom::Start(at))?;
        if (&mut window).take(CHUNK).read_to_end(&mut chunk)? == 0 {
            return Ok(window.rest_from(window.size));
        }
        if let Some(found) = chunk.iter().position(|byte| *byte != 0) {
            return Ok(window.rest_from(at + (found / RECORD * RECORD) as u64));
        }
        at += chunk.len() as u64;
    }
}
