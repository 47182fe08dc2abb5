//! What every layout offers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::passed::PassedOver;
use super::tree::{Files, Place};
use super::{Image, decode};

/// One image that a source has, not yet decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// Place of its class in the list of classes.
    pub label: u32,
    /// Path inside the source, or the file and the place in it: what a person is told.
    pub name: String,
    /// Where its bytes are.
    pub place: Place,
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

/// The class names of a source without labels, all of whose images have the label 0.
pub(super) const UNLABELED: &str = "unlabeled";

/// Everything a source says about itself.
pub(super) struct Listing {
    /// How it is laid out.
    pub layout: Layout,
    /// Class names, in the order of their labels; [`UNLABELED`] alone where there are no labels.
    pub classes: Vec<String>,
    /// The images.
    pub pools: Pools,
    /// Files that are not read.
    pub passed: PassedOver,
    /// What else a person should know.
    pub warnings: Vec<String>,
    /// Gets pixels.
    pub reader: Arc<dyn Reader>,
    /// Text that changes whenever the files change: names, sizes and times, no contents.
    pub stamp: String,
}

impl Listing {
    /// Whether the images have labels.
    pub(super) fn is_labeled(&self) -> bool {
        self.classes != [UNLABELED]
    }
}

/// Gets what stands behind an item.
pub(super) trait Reader: Send + Sync {
    /// The bytes of one image as they stand in the source; other bytes are another image.
    fn bytes(&self, item: &Item) -> anyhow::Result<Vec<u8>>;

    /// The first and the last `bytes` of them, or all if they are few: enough to tell images apart.
    fn ends(&self, item: &Item, bytes: u64) -> anyhow::Result<Vec<u8>> {
        let _ = bytes;
        self.bytes(item)
    }

    /// Decodes one image; the error says what is wrong with it, without its name.
    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        let (image, _) = decode::decode(&self.bytes(item)?)?;
        Ok(image)
    }

    /// The same, and whether the image is stored turned; sources that store pixels turn none.
    fn upright(&self, item: &Item) -> anyhow::Result<(Image, bool)> {
        Ok((self.image(item)?, false))
    }
}

impl Reader for Files {
    fn bytes(&self, item: &Item) -> anyhow::Result<Vec<u8>> {
        Ok(self.read(&item.name, item.place)?)
    }

    fn ends(&self, item: &Item, bytes: u64) -> anyhow::Result<Vec<u8>> {
        let size = item.place.size();
        if size <= 2 * bytes {
            return self.bytes(item);
        }
        let mut both = self.part(&item.name, item.place, 0, bytes)?;
        both.extend(self.part(&item.name, item.place, size - bytes, bytes)?);
        Ok(both)
    }

    fn upright(&self, item: &Item) -> anyhow::Result<(Image, bool)> {
        decode::decode(&self.bytes(item)?)
    }
}
