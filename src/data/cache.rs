//! The cache file: decoded images, or the list of a source too large to be decoded, ready to be mapped.
//!
//! ```text
//! 8 bytes   magic and version
//! 8 bytes   length of the pixels, little-endian
//! 8 bytes   length of the description
//! 4 bytes   CRC-32 of the description
//! 4 bytes   CRC-32 of the 28 bytes before
//! pixels    every image [height, width, 3], train first
//! JSON      the description, with a CRC-32 of every `BLOCK` of the pixels
//! ```
//!
//! A file is written under another name, synced and renamed, so a name that exists is a whole file; the checksums
//! are for what a disk does later. A damaged file is written again. Files unused for long are removed when a new one is
//! made.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use flate2::Crc;
use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Sizes;
use super::clean::{UNUSED, clean};
use super::source::Item;

const MAGIC: [u8; 8] = *b"UMBRAP\x00\x01";
const HEADER: usize = 32;
/// Bytes under one checksum, so that all processors can check.
const BLOCK: usize = 1 << 20;

/// What stands in a cache file besides pixels: the data set as it was when it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Description {
    /// How the source is laid out.
    pub layout: super::Layout,
    /// Whether the images have labels.
    pub labeled: bool,
    /// Class names.
    pub classes: Vec<String>,
    /// Labels of the images in train.
    pub train: Vec<u32>,
    /// Labels of the images in val.
    pub val: Vec<u32>,
    /// Names of the decoded images, val after train; none where only their places are kept.
    pub names: Vec<String>,
    /// Mean of the colors of train, from 0 to 1.
    pub mean: [f32; 3],
    /// Their standard deviation.
    pub std: [f32; 3],
    /// Sizes of the images in the source.
    pub sizes: Sizes,
    /// What a user should know.
    pub warnings: Vec<String>,
    /// What the file holds.
    pub contents: Contents,
}

/// What a cache file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Contents {
    /// Decoded images, all of one size.
    Images {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Where the images are in their source.
    Places {
        /// Of train.
        train: Vec<Item>,
        /// Of val.
        val: Vec<Item>,
        /// What tells whether the files are the same.
        stamp: String,
    },
}

/// The JSON at the end of the file.
#[derive(Serialize, Deserialize)]
struct Tail {
    description: Description,
    checks: Vec<u32>,
}

/// A cache file, mapped.
#[derive(Debug)]
pub(super) struct Cache {
    /// The data set.
    pub description: Description,
    map: Mmap,
}

impl Cache {
    /// The bytes of the `index`th image, val after train: [height, width, 3].
    pub(super) fn pixels(&self, index: usize, bytes: usize) -> &[u8] {
        &self.map[HEADER + index * bytes..][..bytes]
    }

    /// Maps the file for `key` in `dir`; if it is not there or damaged, has `fill` make it first.
    ///
    /// Processes that want the same file at once wait for the first of them.
    pub(super) fn open(dir: &Path, key: &str, fill: impl FnOnce(&mut Writer) -> anyhow::Result<Description>) -> anyhow::Result<Cache> {
        let path = dir.join(file_name(key));
        if let Some(cache) = load(&path)? {
            return Ok(cache);
        }
        std::fs::create_dir_all(dir).with_context(|| format!("the cache folder `{}` cannot be made", dir.display()))?;
        let lock_path = dir.join(format!("{key}.lock"));
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path);
        let lock = open.with_context(|| format!("the cache folder `{}` cannot be written", dir.display()))?;
        // Where locks do not work both decode, which costs time alone: each writes a file of its own and renames it.
        let alone = lock.lock().is_ok();
        if let Some(cache) = load(&path)? {
            return Ok(cache);
        }
        if alone {
            remove_leftovers(dir, key);
        }
        let mut writer = Writer::create(dir, key)?;
        let description = fill(&mut writer)?;
        writer
            .finish(description, &path)
            .with_context(|| format!("the image cache `{}` cannot be written", path.display()))?;
        // This run can do without the room.
        if let Err(error) = clean(dir, UNUSED) {
            tracing::warn!("{error:#}");
        }
        match load(&path)? {
            Some(cache) => Ok(cache),
            None => bail!(
                "the image cache `{}` is damaged right after it was written: check the disk",
                path.display()
            ),
        }
    }
}

/// The name of the file for `key`.
pub(super) fn file_name(key: &str) -> String {
    format!("{key}.images")
}

/// What stands in a cache file besides pixels, which are not checked, and its bytes; nothing if it is not there, or damaged.
pub(super) fn describe(path: &Path) -> Option<(Description, u64)> {
    let mut file = File::open(path).ok()?;
    let mut start = [0; HEADER];
    file.read_exact(&mut start).ok()?;
    let pixels = length(&start, 8) as u64;
    file.seek(SeekFrom::Start(pixels.checked_add(HEADER as u64)?)).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let Tail { description, .. } = (start == header(pixels, &tail)).then(|| serde_json::from_slice(&tail).ok())??;
    Some((description, file.metadata().ok()?.len()))
}

/// The number at that place of a header.
fn length(header: &[u8; HEADER], at: usize) -> usize {
    let bytes = header[at..at + 8].iter().rev();
    bytes.fold(0_usize, |all, byte| all << 8 | usize::from(*byte))
}

/// Writes a cache file; dropping it unfinished removes what it wrote.
pub(super) struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
    written: u64,
    block: Crc,
    checks: Vec<u32>,
}

impl Writer {
    /// Starts a file under a name of its own.
    fn create(dir: &Path, key: &str) -> anyhow::Result<Self> {
        let path = dir.join(format!("{key}.{}-{:?}.tmp", std::process::id(), std::thread::current().id()));
        let sentence = || format!("the image cache `{}` cannot be written", path.display());
        let mut file = BufWriter::new(File::create(&path).with_context(sentence)?);
        file.write_all(&[0; HEADER]).with_context(sentence)?;
        Ok(Writer {
            file,
            path,
            written: 0,
            block: Crc::new(),
            checks: Vec::new(),
        })
    }

    /// Appends one image.
    pub(super) fn write(&mut self, mut pixels: &[u8]) -> anyhow::Result<()> {
        self.file
            .write_all(pixels)
            .with_context(|| format!("the image cache `{}` cannot be written", self.path.display()))?;
        while !pixels.is_empty() {
            let room = BLOCK - (self.written as usize % BLOCK);
            let (now, later) = pixels.split_at(room.min(pixels.len()));
            self.block.update(now);
            self.written += now.len() as u64;
            if now.len() == room {
                self.checks.push(self.block.sum());
                self.block.reset();
            }
            pixels = later;
        }
        Ok(())
    }

    /// Completes the file and gives it its name.
    fn finish(mut self, description: Description, path: &Path) -> anyhow::Result<()> {
        if !(self.written as usize).is_multiple_of(BLOCK) {
            self.checks.push(self.block.sum());
        }
        let tail = serde_json::to_vec(&Tail {
            description,
            checks: std::mem::take(&mut self.checks),
        })?;
        self.file.write_all(&tail)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.written, &tail))?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        std::fs::rename(&self.path, path)?;
        // The new name itself must survive a power cut, too.
        if let Some(dir) = path.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After a rename the name is gone, and that is the usual case.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The first bytes of a file with so many bytes of pixels and that tail.
fn header(pixels: u64, tail: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&pixels.to_le_bytes());
    header[16..24].copy_from_slice(&(tail.len() as u64).to_le_bytes());
    header[24..28].copy_from_slice(&crc(tail).to_le_bytes());
    let own = crc(&header[..28]);
    header[28..].copy_from_slice(&own.to_le_bytes());
    header
}

/// Maps a file and checks all of it; nothing if it is not there, or damaged.
fn load(path: &Path) -> anyhow::Result<Option<Cache>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("the image cache `{}` cannot be read", path.display())),
    };
    let mut start = [0; HEADER];
    if file.read_exact(&mut start).is_err() {
        return Ok(damaged(path));
    }
    let map = map(&file).with_context(|| format!("the image cache `{}` cannot be mapped", path.display()))?;
    let length = |at| length(&start, at);
    let whole = length(8).checked_add(length(16)).and_then(|all| all.checked_add(HEADER)) == Some(map.len());
    if !whole || start != header(length(8) as u64, &map[HEADER + length(8)..]) {
        return Ok(damaged(path));
    }
    let (pixels, tail) = map[HEADER..].split_at(length(8));
    let Ok(Tail { description, checks }) = serde_json::from_slice::<Tail>(tail) else {
        return Ok(damaged(path));
    };
    let count = pixels.len().div_ceil(BLOCK);
    if checks.len() != count || !pixels.par_chunks(BLOCK).zip(&checks).all(|(block, check)| crc(block) == *check) {
        return Ok(damaged(path));
    }
    // Says that it is in use; on a file system that allows no such change it is removed and made again some day.
    let _ = file.set_modified(SystemTime::now());
    Ok(Some(Cache { description, map }))
}

/// Says that a file is damaged and will be made again.
fn damaged(path: &Path) -> Option<Cache> {
    tracing::warn!("the image cache `{}` is damaged and is made again", path.display());
    None
}

/// Maps a finished cache file into memory.
#[expect(unsafe_code, reason = "a mapping is what lets all workers share one copy of the pixels")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: a mapping is sound while nobody changes the file. Ours is never changed in place: it is written under
    // another name and renamed, and a damaged one is replaced by a rename, which leaves this mapping its old file.
    unsafe { Mmap::map(file) }
}

/// Removes what a killed process left; only whoever holds the lock may.
fn remove_leftovers(dir: &Path, key: &str) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("{key}.")) && name.ends_with(".tmp") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// CRC-32 of some bytes.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
