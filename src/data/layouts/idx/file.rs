//! One IDX file: two zero bytes, the type (8 = bytes), the number of dimensions, each dimension as a big-endian 32-bit
//! number, and the bytes.

use std::io::Read;

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;

use crate::data::tree::{Entry, Files, Tree};

/// Bytes of a gzipped file, unpacked, that are too many (ours: the largest of the family has 640 million).
const MOST: u64 = 768 << 20;
/// Bytes compared at once.
const ROUND: u64 = 1 << 20;

/// A file whose head was read.
#[derive(Debug)]
pub(super) struct Idx {
    pub entry: Entry,
    /// Items, rows, columns; or items alone. Their product is the number of bytes that there are.
    pub dims: Vec<usize>,
    /// Bytes of the head.
    head: u64,
    /// What follows the head, where the file is packed.
    unpacked: Option<Vec<u8>>,
}

impl Idx {
    /// Whether the file is not gzipped.
    pub(super) fn is_plain(&self) -> bool {
        self.unpacked.is_none()
    }

    /// Pixels of an image.
    pub(super) fn pixels(&self) -> usize {
        self.dims[1..].iter().product()
    }

    /// Bytes behind the head.
    fn length(&self) -> u64 {
        self.dims.iter().product::<usize>() as u64
    }

    /// All bytes behind the head.
    pub(super) fn data(self, files: &Files) -> anyhow::Result<Vec<u8>> {
        let length = self.length();
        match self.unpacked {
            Some(bytes) => Ok(bytes),
            None => Ok(files.part(&self.entry.name, self.entry.place, self.head, length)?),
        }
    }

    /// Some bytes behind the head.
    pub(super) fn part(&self, files: &Files, from: u64, size: u64) -> anyhow::Result<Vec<u8>> {
        match &self.unpacked {
            Some(bytes) => Ok(bytes[usize::try_from(from)?..][..usize::try_from(size)?].to_vec()),
            None => Ok(files.part(&self.entry.name, self.entry.place, self.head + from, size)?),
        }
    }

    /// Whether both say the same.
    pub(super) fn equals(&self, other: &Idx, files: &Files) -> anyhow::Result<bool> {
        if self.dims != other.dims {
            return Ok(false);
        }
        for from in (0..self.length()).step_by(ROUND as usize) {
            let size = ROUND.min(self.length() - from);
            if self.part(files, from, size)? != other.part(files, from, size)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Reads the head of a file, unpacks it if it is packed, and checks that it is what it says.
pub(super) fn read(tree: &Tree, entry: &Entry, dimensions: usize) -> anyhow::Result<Idx> {
    let path = tree.show(&entry.name);
    let head = 4 + 4 * dimensions as u64;
    let start = tree.files.part(&entry.name, entry.place, 0, head.min(entry.place.size()));
    let start = start.with_context(|| format!("cannot read `{path}`"))?;
    if !start.starts_with(&[0x1f, 0x8b]) {
        let dims = dims(&start, dimensions, &path)?;
        check(&dims, Some(entry.place.size() - head), &path)?;
        return Ok(Idx {
            entry: entry.clone(),
            dims,
            head,
            unpacked: None,
        });
    }
    let packed = tree.read(entry).with_context(|| format!("cannot read `{path}`"))?;
    let damaged = || format!("`{path}` is truncated or damaged");
    let mut stream = MultiGzDecoder::new(&packed[..]);
    let mut start = Vec::new();
    stream.by_ref().take(head).read_to_end(&mut start).with_context(damaged)?;
    let dims = dims(&start, dimensions, &path)?;
    let length = check(&dims, None, &path)?;
    if length > MOST {
        bail!("`{path}` unpacks to {length} bytes, more than any set of this family has: unpack it and give the plain file");
    }
    let mut bytes = Vec::new();
    stream.take(length + 1).read_to_end(&mut bytes).with_context(damaged)?;
    check(&dims, Some(bytes.len() as u64), &path)?;
    Ok(Idx {
        entry: entry.clone(),
        dims,
        head,
        unpacked: Some(bytes),
    })
}

/// The dimensions that the head says.
fn dims(head: &[u8], dimensions: usize, path: &str) -> anyhow::Result<Vec<usize>> {
    if head.len() < 4 + 4 * dimensions || head[..4] != [0, 0, 8, dimensions as u8] {
        bail!("`{path}` is not an IDX file of bytes in {dimensions} dimensions");
    }
    let word = |chunk: &[u8]| u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]) as usize;
    Ok(head[4..].chunks_exact(4).map(word).collect())
}

/// The bytes that the dimensions ask for, which must be `there`.
fn check(dims: &[usize], there: Option<u64>, path: &str) -> anyhow::Result<u64> {
    let wanted = dims.iter().try_fold(1_u64, |all, dim| all.checked_mul(*dim as u64));
    let Some(wanted) = wanted.filter(|wanted| *wanted > 0) else {
        bail!("`{path}` is damaged: its dimensions are {dims:?}");
    };
    match there {
        Some(there) if there < wanted => bail!("`{path}` is truncated: it has {there} bytes for dimensions {dims:?}"),
        Some(there) if there > wanted => bail!("`{path}` is damaged: it has more bytes than its dimensions {dims:?}"),
        Some(_) | None => Ok(wanted),
    }
}
