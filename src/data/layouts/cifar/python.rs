//! The Python pickles: a dictionary of a list of labels and an array of an image a row, 1024 red, 1024 green and 1024 blue.

use anyhow::{Context, bail};

use super::{Batch, IMAGE};
use crate::data::layouts::pickle::{Bytes, Pickle, Value};
use crate::data::layouts::planes::Stored;
use crate::data::tree::{Entry, Tree};

/// Bytes of a pickle that are too many (ours: CIFAR-100's training images have 155 million).
const MOST: u64 = 256 << 20;

/// Lists the images of a file.
pub(super) fn batch(tree: &Tree, entry: &Entry, labels_key: &str) -> anyhow::Result<Batch> {
    let bytes = read(tree, entry)?;
    let path = tree.show(&entry.name);
    let pickle = Pickle::read(&bytes).with_context(|| damaged(&path))?;
    let Some(labels) = pickle.integers(labels_key) else {
        bail!("`{path}` has no list of numbers under the key `{labels_key}`, as CIFAR's pickles have")
    };
    let labels: Vec<u32> = labels.into_iter().map(|label| u32::try_from(label).unwrap_or(u32::MAX)).collect();
    let Some(Value::Array { shape, bytes: pixels }) = pickle.get("data") else {
        bail!("`{path}` has no array under the key `data`, as CIFAR's pickles have")
    };
    if labels.is_empty() || shape[..] != [labels.len(), IMAGE] {
        bail!(
            "`{path}` has {} labels and an array of {shape:?}: [{}, {IMAGE}] is needed",
            labels.len(),
            labels.len()
        );
    }
    let (stored, first) = match pixels {
        Bytes::There(range) => (Stored::File(entry.clone()), range.start),
        Bytes::Made(pixels) => (Stored::Memory(pixels.clone()), 0),
    };
    Ok(Batch {
        labels,
        stored,
        first,
        step: IMAGE,
    })
}

/// Class names from the file that comes with the images.
pub(super) fn class_names(tree: &Tree, entry: &Entry, key: &str) -> anyhow::Result<Vec<String>> {
    let bytes = read(tree, entry)?;
    let pickle = Pickle::read(&bytes).with_context(|| damaged(&tree.show(&entry.name)))?;
    match pickle.texts(key) {
        Some(names) => Ok(names),
        None => bail!("`{}` has no list of names under the key `{key}`", tree.show(&entry.name)),
    }
}

fn damaged(path: &str) -> String {
    format!("`{path}` is no pickle of CIFAR, or damaged")
}

fn read(tree: &Tree, entry: &Entry) -> anyhow::Result<Vec<u8>> {
    if entry.place.size() > MOST {
        bail!(
            "`{}` has {} bytes: no file of CIFAR has so many",
            tree.show(&entry.name),
            entry.place.size()
        );
    }
    tree.read(entry)
}
