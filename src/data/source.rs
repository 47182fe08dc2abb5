//! What every format offers.

use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Image, SplitName};

/// One image that a source has, not yet decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// Place of its class in the list of classes.
    pub label: u32,
    /// Path inside the source, or the file and the place in it: what a person is told.
    pub name: String,
    /// Which of the source's files it stands in.
    pub file: u32,
    /// First byte in that file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

/// The images of a source, divided or not.
#[derive(Debug)]
pub(super) enum Pools {
    /// The source says which images are for what.
    Divided {
        /// Training images.
        train: Vec<Item>,
        /// Validation images.
        val: Vec<Item>,
    },
    /// One pool, to be divided by us.
    Whole(Vec<Item>),
}

/// Everything a source says about itself.
pub(super) struct SourceListing {
    /// Class names, in the order of their labels.
    pub classes: Vec<String>,
    /// The images.
    pub pools: Pools,
    /// Gets their pixels.
    pub reader: Arc<dyn Reader>,
}

/// Gets the pixels of an item.
pub(super) trait Reader: Send + Sync {
    /// Decodes one image; the error says what is wrong with it, without its name.
    fn image(&self, item: &Item) -> anyhow::Result<Image>;
}

/// A data set on disk, in one of the formats.
pub(super) trait Source {
    /// Text that changes whenever the files change: sizes and times, no contents.
    fn fingerprint(&self) -> anyhow::Result<String>;

    /// Lists the images.
    fn list(&self) -> anyhow::Result<SourceListing>;

    /// Opens the images again without listing them, to be got one by one for as long as a run lasts.
    ///
    /// An error if the format does not allow that.
    fn reader(&self) -> anyhow::Result<Arc<dyn Reader>>;
}

/// A line of a fingerprint: name, bytes, time of the last change in nanoseconds.
pub(super) fn stamp(name: &str, metadata: &Metadata) -> String {
    let changed = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    format!("{name}\t{}\t{}\n", metadata.len(), changed.as_nanos())
}

/// The [`stamp`] of one file.
pub(super) fn stamp_of(path: &Path) -> anyhow::Result<String> {
    let metadata = path.metadata().with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(stamp(&path.to_string_lossy(), &metadata))
}

/// The folder names that mean each split, the first found counts.
pub(super) fn folders_of(split: SplitName) -> &'static [&'static str] {
    match split {
        SplitName::Train => &["train"],
        SplitName::Val => &["val", "valid", "validation", "test"],
    }
}
