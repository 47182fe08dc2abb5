//! How a source is laid out.

use serde::{Deserialize, Serialize};

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
