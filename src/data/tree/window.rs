//! A file that others are parts of, and a part of it, read as if it were a file.

use std::fs::File;
use std::io::{self, Error, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use crate::data::stamp::stamp;

/// A file that others are parts of.
#[derive(Debug)]
pub(in crate::data) struct Larger {
    path: PathBuf,
    /// Device, number on the disk and bytes when it was listed: another file under its name is not read for it.
    identity: [u64; 3],
    /// Text that changes whenever it changes.
    pub(super) stamp: String,
}

impl Larger {
    /// The file at `path`, and the same opened.
    pub(super) fn open(path: &Path) -> anyhow::Result<(Larger, File)> {
        let sentence = || format!("cannot read `{}`", path.display());
        let path = path.canonicalize().with_context(sentence)?;
        let file = File::open(&path).with_context(sentence)?;
        let metadata = file.metadata().with_context(sentence)?;
        let larger = Larger {
            identity: [metadata.dev(), metadata.ino(), metadata.len()],
            stamp: stamp(&path.to_string_lossy(), &metadata),
            path,
        };
        Ok((larger, file))
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.identity[2]
    }

    /// Opens it again.
    pub(super) fn reopened(&self) -> io::Result<File> {
        let file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        if [metadata.dev(), metadata.ino(), metadata.len()] == self.identity {
            Ok(file)
        } else {
            Err(Error::other(format!("`{}` was replaced while it was in use", self.path.display())))
        }
    }
}

/// A file of a source, or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// What it is to a person.
    pub shown: PathBuf,
    /// What it is a part of.
    pub larger: Arc<Larger>,
    /// The same, opened.
    pub file: Arc<File>,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// The next byte to be read.
    at: u64,
    /// Whether something was to be read from beyond its end.
    pub exhausted: bool,
}

impl Window {
    /// `size` bytes of `larger` from `start` on.
    pub(super) fn new(shown: PathBuf, larger: Arc<Larger>, file: Arc<File>, start: u64, size: u64) -> Window {
        Window {
            shown,
            larger,
            file,
            start,
            size,
            at: 0,
            exhausted: false,
        }
    }

    /// All of the file at `shown`.
    pub(super) fn whole(shown: PathBuf, (larger, file): (Larger, File)) -> Window {
        let size = larger.size();
        Window::new(shown, Arc::new(larger), Arc::new(file), 0, size)
    }

    /// What follows the next byte to be read, beginning with it.
    pub(super) fn rest(&self) -> Window {
        let at = self.at.min(self.size);
        Window::new(
            self.shown.clone(),
            self.larger.clone(),
            self.file.clone(),
            self.start + at,
            self.size - at,
        )
    }

    /// Its first bytes, as many of `count` as there are.
    pub(super) fn first(&self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut window = self.rest_from(0);
        (&mut window).take(count as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The same, read from `at` on.
    pub(super) fn rest_from(&self, at: u64) -> Window {
        let mut window = self.clone();
        window.at = at;
        window.rest()
    }

    /// Text that changes whenever its bytes change.
    pub(super) fn stamp(&self) -> String {
        format!("{}\t{}\t{}", self.larger.stamp, self.start, self.size)
    }
}

impl Read for Window {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.at);
        let count = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if count == 0 {
            self.exhausted |= !into.is_empty();
            return Ok(0);
        }
        let read = self.file.read_at(&mut into[..count], self.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
