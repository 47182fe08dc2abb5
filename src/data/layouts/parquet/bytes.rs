//! A file's bytes for the Parquet crate, whether the file lies in a folder or in an archive.

use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::bytes::Bytes;
use ::parquet::file::reader::{ChunkReader, Length};

use crate::data::tree::{Entry, Files};

/// Bytes read at once where a page's header is looked for.
const HEADER: usize = 512;

/// A file's bytes, wherever they are.
#[derive(Clone, Debug)]
pub(super) struct Source {
    files: Arc<Files>,
    entry: Entry,
}

impl Source {
    /// The bytes of `entry`.
    pub(super) fn new(files: Arc<Files>, entry: Entry) -> Source {
        Source { files, entry }
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.entry.place.size()
    }
}

impl ChunkReader for Source {
    type T = BufReader<Onward>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let source = self.clone();
        Ok(BufReader::with_capacity(HEADER, Onward { source, at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.files.part(&self.entry.name, self.entry.place, start, length as u64)?;
        Ok(bytes.into())
    }
}

/// A file's bytes from a place on.
pub(super) struct Onward {
    source: Source,
    at: u64,
}

impl Read for Onward {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Source { files, entry } = &self.source;
        let count = entry.place.size().saturating_sub(self.at).min(into.len() as u64);
        let bytes = files.part(&entry.name, entry.place, self.at, count)?;
        into[..bytes.len()].copy_from_slice(&bytes);
        self.at += count;
        Ok(bytes.len())
    }
}

/// A reader that remembers what it was asked for: the crate tells no place of a page, nor of a row.
pub(super) struct Watched {
    source: Arc<Source>,
    /// Where something was to be read from on.
    pub starts: Mutex<Vec<u64>>,
    /// What was read at once, and where it begins.
    pub pieces: Mutex<Vec<(u64, Bytes)>>,
}

impl Watched {
    /// One that was asked for nothing yet.
    pub(super) fn new(source: &Arc<Source>) -> Arc<Watched> {
        Arc::new(Watched {
            source: source.clone(),
            starts: Mutex::default(),
            pieces: Mutex::default(),
        })
    }
}

impl Length for Watched {
    fn len(&self) -> u64 {
        self.source.len()
    }
}

impl ChunkReader for Watched {
    type T = BufReader<Onward>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        taken(&self.starts).push(start);
        self.source.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.source.get_bytes(start, length)?;
        taken(&self.pieces).push((start, bytes.clone()));
        Ok(bytes)
    }
}

/// What a panicking thread left is whole: nothing panics halfway while it holds one of our locks.
pub(super) fn taken<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
