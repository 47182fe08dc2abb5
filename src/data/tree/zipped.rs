//! ZIP archives: their directory of contents, which stands at the end.

use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::contents::Contents;
use super::name::{system_part, text};
use super::tape::damaged;
use super::window::Window;
use super::{Files, Place};
use crate::data::passed::Reason;

/// Bytes of the record that ends every archive, without its comment.
const END: usize = 22;
/// Bytes of the same for archives of more than 4 GiB, and of the record that tells where that is.
const END64: usize = 56;
const LOCATOR64: usize = 20;
/// Bytes of what the directory says of a member, without its name and extras, and of the header before the member.
const MEMBER: usize = 46;
const LOCAL: usize = 30;
/// The longest target of a link.
const TARGET: u64 = 4096;

/// Whether a ZIP archive begins with these bytes.
pub(super) fn is_zip(first: &[u8]) -> bool {
    first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06") || first.starts_with(b"PK\x07\x08")
}

/// Takes in the members of `window`.
pub(super) fn scan(window: &Window, contents: &mut Contents) -> anyhow::Result<()> {
    let shown = window.shown.display().to_string();
    let damaged = || damaged(&shown);
    let directory = Directory::find(window).with_context(damaged)?;
    let mut records = BufReader::new(window.rest_from(directory.start).take(directory.size));
    for _ in 0..directory.members {
        let member = Member::read(&mut records).with_context(damaged)?;
        take(&member, window, directory.base, &shown, contents)?;
    }
    Ok(())
}

/// Takes in one member.
fn take(member: &Member, window: &Window, base: u64, shown: &str, contents: &mut Contents) -> anyhow::Result<()> {
    if member.name.ends_with(b"/") {
        contents.folder(&member.name);
        return Ok(());
    }
    let name = text(&member.name);
    if system_part(&name).is_some() {
        contents.pass(&member.name, Reason::SystemFile);
        return Ok(());
    }
    if member.flags & 1 != 0 {
        bail!("`{shown}` is encrypted (`{name}` is): unpack it and give the folder");
    }
    let start = member.start(window, base).with_context(|| damaged(shown))?;
    let (offset, size, packed) = (window.start + start, member.size, member.packed);
    let place = match member.method {
        0 => Place::Part { file: 0, offset, size },
        8 => Place::Deflated {
            file: 0,
            offset,
            packed,
            size,
        },
        method => bail!(
            "`{name}` of `{shown}` is packed as {}, which is not read: unpack the archive and give the folder",
            method_name(method)
        ),
    };
    if !member.is_link() {
        contents.file(&member.name, place);
        return Ok(());
    }
    ensure!(size <= TARGET, "{}: `{name}` is a link that is too long", damaged(shown));
    let files = Files::parts_of(window, Path::new(""));
    let target = files.read(&name, place).with_context(|| damaged(shown))?;
    contents.link(&member.name, &target);
    Ok(())
}

/// What a way of packing is called.
fn method_name(method: u16) -> String {
    match method {
        9 => "Deflate64".to_owned(),
        12 => "bzip2".to_owned(),
        14 => "LZMA".to_owned(),
        93 => "Zstandard".to_owned(),
        95 => "XZ".to_owned(),
        98 => "PPMd".to_owned(),
        99 => "AES (encrypted)".to_owned(),
        other => format!("method {other}"),
    }
}

/// Where the directory is.
struct Directory {
    start: u64,
    size: u64,
    members: u64,
    /// What the places in it are counted from: there may be a program before the archive.
    base: u64,
}

impl Directory {
    fn find(window: &Window) -> anyhow::Result<Directory> {
        // The last record may be followed by a comment of up to 64 KiB.
        let tail_start = window.size.saturating_sub((END + LOCATOR64 + END64) as u64 + u64::from(u16::MAX));
        let mut tail = Vec::new();
        window.rest_from(tail_start).read_to_end(&mut tail)?;
        let ends = |at: &usize| tail[*at..].starts_with(b"PK\x05\x06");
        let at = (0..(tail.len() + 1).saturating_sub(END)).rev().find(ends);
        let at = at.context("its directory of contents is missing")?;
        let end = &tail[at..];
        let (mut members, mut size, mut offset) = (u64::from(u16_at(end, 10)), u32_at(end, 12), u32_at(end, 16));
        let mut directory_end = tail_start + at as u64;
        if at >= LOCATOR64 && tail[at - LOCATOR64..].starts_with(b"PK\x06\x07") {
            let locator = at - LOCATOR64;
            // It stands right before its locator, or where that says.
            let stated = u64_at(&tail, locator + 8).checked_sub(tail_start).map(|at| at as usize);
            let is_end = |at: &usize| tail.get(*at..*at + END64).is_some_and(|end| end.starts_with(b"PK\x06\x06"));
            let at = locator
                .checked_sub(END64)
                .filter(is_end)
                .or(stated.filter(|at| *at < tail.len() && is_end(at)));
            let at = at.context("its directory of contents is missing")?;
            let end = &tail[at..];
            (members, size, offset) = (u64_at(end, 32), u64_at(end, 40), u64_at(end, 48));
            directory_end = tail_start + at as u64;
        }
        let start = directory_end.checked_sub(size).context("its directory of contents is torn")?;
        let base = start.checked_sub(offset).context("its directory of contents is torn")?;
        Ok(Directory {
            start,
            size,
            members,
            base,
        })
    }
}

/// What the directory says of a member.
struct Member {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    packed: u64,
    size: u64,
    /// Where its own header is.
    header: u64,
    /// What Unix knows of a file's kind.
    mode: u32,
}

impl Member {
    fn read(records: &mut impl Read) -> anyhow::Result<Member> {
        let mut fixed = [0; MEMBER];
        records.read_exact(&mut fixed)?;
        ensure!(fixed.starts_with(b"PK\x01\x02"), "its directory of contents is torn");
        let mut take = |at: usize| -> anyhow::Result<Vec<u8>> {
            let mut bytes = vec![0; usize::from(u16_at(&fixed, at))];
            records.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let (mut name, extra, _comment) = (take(28)?, take(30)?, take(32)?);
        let host = fixed[5];
        // Some Windows programs part folders as Windows does.
        if host == 0 && !name.contains(&b'/') {
            name.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
        }
        let mut member = Member {
            name,
            flags: u16_at(&fixed, 8),
            method: u16_at(&fixed, 10),
            packed: u32_at(&fixed, 20),
            size: u32_at(&fixed, 24),
            header: u32_at(&fixed, 42),
            mode: if host == 3 { u32_at(&fixed, 38) as u32 >> 16 } else { 0 },
        };
        let mut large = large(&extra).chunks_exact(8);
        for number in [&mut member.size, &mut member.packed, &mut member.header] {
            if *number == u64::from(u32::MAX)
                && let Some(stated) = large.next()
            {
                *number = u64_at(stated, 0);
            }
        }
        Ok(member)
    }

    fn is_link(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }

    /// Its first byte in `window`.
    fn start(&self, window: &Window, base: u64) -> anyhow::Result<u64> {
        let at = base.checked_add(self.header).filter(|at| *at < window.size);
        let at = at.context("a member stands beyond its end")?;
        let mut local = [0; LOCAL];
        window.rest_from(at).read_exact(&mut local)?;
        ensure!(local.starts_with(b"PK\x03\x04"), "a member is not where the directory says");
        let start = at + LOCAL as u64 + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        let end = start.checked_add(self.packed);
        ensure!(end.is_some_and(|end| end <= window.size), "a member goes beyond its end");
        ensure!(self.method != 0 || self.size == self.packed, "a member has two sizes");
        Ok(start)
    }
}

/// The numbers of a member that are too large for their fields.
fn large(mut extra: &[u8]) -> &[u8] {
    while extra.len() >= 4 {
        let (head, rest) = extra.split_at(4);
        let Some((data, rest)) = rest.split_at_checked(usize::from(u16_at(head, 2))) else {
            break;
        };
        if u16_at(head, 0) == 1 {
            return data;
        }
        extra = rest;
    }
    &[]
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u16_at(bytes, at)) | u64::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u32_at(bytes, at) | u32_at(bytes, at + 4) << 32
}
