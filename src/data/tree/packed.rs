//! Compressed archives: unpacked once into a file that can be read anywhere.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::data::source::stamp_of;

/// Unpacked bytes that are too many whatever they are packed in (ours).
const SUSPICIOUS: u64 = 64 << 20;
/// How many times its packed size an archive of images may have unpacked (ours; images hardly shrink).
const MOST_TIMES: u64 = 200;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
}

impl Packing {
    /// Tells by a file's first bytes.
    pub(super) fn of(first: &[u8]) -> Packing {
        match first {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            _ => Packing::Plain,
        }
    }
}

/// The file at `path` as it is unpacked, which is kept in `scratch`.
pub(super) fn unpacked(path: &Path, packing: Packing, scratch: &Path) -> anyhow::Result<File> {
    let sentence = || format!("cannot read `{}`", path.display());
    let file = File::open(path).with_context(sentence)?;
    let packed_size = file.metadata().with_context(sentence)?.len();
    let mut stream: Box<dyn Read> = match packing {
        Packing::Plain => return Ok(file),
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
    };
    let kept = place_of(path, scratch)?;
    if let Ok(file) = File::open(&kept) {
        return Ok(file);
    }
    let cannot = || format!("`{}` cannot be unpacked into `{}`", path.display(), scratch.display());
    std::fs::create_dir_all(scratch).with_context(cannot)?;
    let mut part = tempfile::NamedTempFile::with_suffix_in(".tmp", scratch).with_context(cannot)?;
    let most = SUSPICIOUS.max(packed_size.saturating_mul(MOST_TIMES));
    let damaged = || format!("the archive `{}` is truncated or damaged", path.display());
    let written = io::copy(&mut stream.by_ref().take(most + 1), &mut part).with_context(damaged)?;
    if written > most {
        bail!(
            "`{}` has {packed_size} bytes and unpacks to more than {most}: this is no archive of images",
            path.display()
        );
    }
    part.persist(&kept).with_context(cannot)?;
    File::open(&kept).with_context(cannot)
}

/// Where the unpacked file is kept.
fn place_of(path: &Path, scratch: &Path) -> anyhow::Result<PathBuf> {
    let path = path.canonicalize().with_context(|| format!("cannot read `{}`", path.display()))?;
    let digest = Sha256::digest(stamp_of(&path)?);
    let key: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(scratch.join(format!("{key}.unpacked")))
}
