//! Images of a folder or an archive in the order of their names, whatever they are of, read as training reads them.

use std::path::Path;

use anyhow::bail;

use super::Image;
use super::passed::{PassedOver, Reason};
use super::source::{Item, Reader};
use super::tree::{Tree, is_image_name};

/// All images of a place.
pub struct Loose {
    tree: Tree,
    items: Vec<Item>,
    passed: PassedOver,
}

impl Loose {
    /// Lists the images in the folder or the archive at `path`. A compressed archive is unpacked into a file in `scratch`.
    ///
    /// # Errors
    /// A place that cannot be read, or that has no images.
    pub fn open(path: &Path, scratch: &Path) -> anyhow::Result<Loose> {
        if !path.exists() {
            bail!("{}: there is no such folder or archive of images", path.display());
        }
        let mut tree = Tree::open(path, scratch)?;
        let mut passed = std::mem::take(&mut tree.passed);
        let mut items = Vec::new();
        for entry in std::mem::take(&mut tree.entries) {
            if is_image_name(&entry.name) {
                items.push(Item {
                    label: 0,
                    name: entry.name,
                    place: entry.place,
                });
            } else {
                passed.note(Reason::NoImage, &entry.name);
            }
        }
        if items.is_empty() {
            let mut said = passed.sentences().join("; ");
            if !said.is_empty() {
                said = format!(" ({said})");
            }
            bail!("{}: there are no images in it{said}", path.display());
        }
        Ok(Loose { tree, items, passed })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none, which no opened place has.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The path of one inside its place.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn name(&self, i: usize) -> &str {
        &self.items[i].name
    }

    /// One of them, decoded.
    ///
    /// # Errors
    /// What is wrong with it, without its name.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn image(&self, i: usize) -> anyhow::Result<Image> {
        self.tree.files.image(&self.items[i])
    }

    /// Sentences on what is not read.
    pub fn passed_over(&self) -> Vec<String> {
        self.passed.sentences()
    }
}
