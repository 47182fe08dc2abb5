//! What tells that a file has changed without reading it, and how digests are written.

use std::fmt::Write as _;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// A line of a stamp: name, bytes, times of the last change of contents and of anything in nanoseconds, number on the disk.
pub(super) fn stamp(name: &str, metadata: &Metadata) -> String {
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let contents = nanoseconds(metadata.mtime(), metadata.mtime_nsec());
    let anything = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
    format!("{name}\t{}\t{contents}\t{anything}\t{}\n", metadata.len(), metadata.ino())
}

/// The first `bytes` bytes in hexadecimal digits.
pub fn hex(digest: &[u8], bytes: usize) -> String {
    digest.iter().take(bytes).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
