//! The binary files: records of label bytes and then 1024 red, 1024 green and 1024 blue bytes, row by row. CIFAR-100 has
//! two label bytes, coarse and fine; the fine one counts.

use anyhow::bail;

use super::{Batch, IMAGE};
use crate::data::layouts::planes::Stored;
use crate::data::tree::{Entry, Tree};

/// Records whose labels are read at once.
const ROUND: usize = 4096;

/// Lists the records of a file.
pub(super) fn batch(tree: &Tree, entry: &Entry, label_bytes: usize) -> anyhow::Result<Batch> {
    let (record, size) = (label_bytes + IMAGE, entry.place.size() as usize);
    if size == 0 || size % record != 0 {
        bail!(
            "`{}` is truncated: its {size} bytes are not a whole number of records of {record} bytes",
            tree.show(&entry.name)
        );
    }
    let mut labels = Vec::with_capacity(size / record);
    for from in (0..size).step_by(ROUND * record) {
        let some = tree
            .files
            .part(&entry.name, entry.place, from as u64, (ROUND * record).min(size - from) as u64)?;
        labels.extend(some.chunks_exact(record).map(|record| u32::from(record[label_bytes - 1])));
    }
    Ok(Batch {
        labels,
        stored: Stored::File(entry.clone()),
        first: label_bytes,
        step: record,
    })
}

/// Class names, one a line.
pub(super) fn class_names(tree: &Tree, entry: &Entry) -> anyhow::Result<Vec<String>> {
    let bytes = tree.read(entry)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}
