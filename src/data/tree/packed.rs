//! Compressed archives: unpacked once into a file that can be read anywhere.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use sha2::{Digest, Sha256};

use super::window::{Larger, Window};
use crate::data::stamp::hex;

/// Unpacked bytes that are too many whatever they are packed in (ours).
pub(super) const SUSPICIOUS: u64 = 64 << 20;
/// How many times its packed size an archive of images may have unpacked (ours; images hardly shrink).
pub(super) const MOST_TIMES: u64 = 200;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// As members of ZIP archives are.
    Deflate,
}

impl Packing {
    /// Tells by a file's first bytes.
    pub(super) fn of(first: &[u8]) -> Packing {
        match first {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            // A frame, or one that is to be skipped before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
            _ => Packing::Plain,
        }
    }
}

/// What `window` shows as it is unpacked, which is kept in `scratch`.
pub(super) fn unpacked(window: Window, packing: Packing, scratch: &Path) -> anyhow::Result<Window> {
    let kept = kept(&window, scratch);
    let stream: Box<dyn Read> = match packing {
        Packing::Plain => return Ok(window),
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(window.rest()))),
        Packing::Zstd => Box::new(zstd::Decoder::new(window.rest())?),
        Packing::Deflate => Box::new(DeflateDecoder::new(BufReader::new(window.rest()))),
    };
    if !kept.is_file() {
        unpack(stream, &window, &kept, scratch)?;
    }
    let (mut larger, file) = Larger::open(&kept)?;
    // What is unpacked out of this one in turn is found again, whenever this one was used.
    larger.stamp = window.stamp();
    // Says that it is in use; on a file system that allows no such change it is removed and made again some day.
    let _ = file.set_modified(SystemTime::now());
    Ok(Window::whole(window.shown, (larger, file)))
}

/// Writes what `stream` makes of `window` to `kept`.
fn unpack(stream: Box<dyn Read>, window: &Window, kept: &Path, scratch: &Path) -> anyhow::Result<()> {
    let shown = window.shown.display();
    let cannot = || format!("`{shown}` cannot be unpacked into `{}`", scratch.display());
    std::fs::create_dir_all(scratch).with_context(cannot)?;
    let mut part = tempfile::NamedTempFile::with_suffix_in(".tmp", scratch).with_context(cannot)?;
    let most = SUSPICIOUS.max(window.size.saturating_mul(MOST_TIMES));
    let damaged = || format!("the archive `{shown}` is truncated or damaged");
    let written = io::copy(&mut stream.take(most + 1), &mut part).with_context(damaged)?;
    if written > most {
        bail!(
            "`{shown}` has {} bytes and unpacks to more than {most}: this is no archive of images",
            window.size
        );
    }
    part.persist(kept).with_context(cannot)?;
    Ok(())
}

/// Where the unpacked file is kept.
fn kept(window: &Window, scratch: &Path) -> PathBuf {
    scratch.join(format!("{}.unpacked", hex(&Sha256::digest(window.stamp()), 12)))
}
