//! The layouts that people's images have: one file each, over the files of a folder or an archive.

mod cifar;
mod class_folders;
mod idx;
mod labels;
mod parquet;
mod shards;
mod webdataset;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::source::Listing;
use super::tree::Tree;
use crate::experiment::settings::DataSettings;

/// How a source is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Made by Umbra.
    BuiltIn,
    /// A folder a class.
    ClassFolders,
    /// Images without labels.
    Unlabeled,
    /// Flat images beside a table of names and labels.
    Table,
    /// The files of CIFAR-10 or CIFAR-100.
    Cifar,
    /// The IDX files of the MNIST family.
    Idx,
    /// The files of STL-10.
    Stl10,
    /// Tiny ImageNet as it is downloaded.
    TinyImageNet,
    /// ImageNet as it is downloaded.
    ImageNet,
    /// Parquet files as Hugging Face datasets write them.
    Parquet,
    /// WebDataset shards.
    WebDataset,
}

impl Layout {
    /// What a person calls it.
    pub fn title(self) -> &'static str {
        match self {
            Layout::BuiltIn => "built in",
            Layout::ClassFolders => "class folders",
            Layout::Unlabeled => "images without labels",
            Layout::Table => "images and a table of labels",
            Layout::Cifar => "CIFAR files",
            Layout::Idx => "IDX files (MNIST family)",
            Layout::Stl10 => "STL-10 files",
            Layout::TinyImageNet => "Tiny ImageNet",
            Layout::ImageNet => "ImageNet",
            Layout::Parquet => "Parquet files",
            Layout::WebDataset => "WebDataset shards",
        }
    }
}

/// The files that `source` names by a pattern or as a single one that is no archive; nothing if it does neither.
pub(super) fn several(source: &str) -> anyhow::Result<Option<Tree>> {
    let single = || shards::alone(Path::new(source), parquet::MAGIC);
    Ok(shards::named_together(source)?.or_else(single))
}

/// Lists the images of `tree` by the first layout that it has.
///
/// A layout that is recognized but incomplete is an error that names what is missing, not passed on to the next.
pub(super) fn recognize(tree: Tree, settings: &DataSettings, scratch: &Path) -> anyhow::Result<Listing> {
    if let Some(listing) = cifar::list(&tree)? {
        return Ok(listing);
    }
    if let Some(listing) = idx::list(&tree)? {
        return Ok(listing);
    }
    if let Some(listing) = parquet::list(&tree, settings)? {
        return Ok(listing);
    }
    if let Some(listing) = webdataset::list(&tree, settings, scratch)? {
        return Ok(listing);
    }
    class_folders::list(tree)
}
