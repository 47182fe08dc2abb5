//! A folder of class folders of JPEG and PNG files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::source::{Item, Reader, Source, SourceListing, stamp};
use super::{Image, decode, layout};

/// Folders below the source that are looked into; deeper ones are not, so a link to a parent ends.
const DEEPEST: usize = 8;

/// A folder, walked.
pub(super) struct Folder {
    root: PathBuf,
    items: Vec<Item>,
    folders: BTreeSet<String>,
    stamps: String,
}

impl Folder {
    /// Walks the folder `root`.
    pub(super) fn open(root: &Path) -> anyhow::Result<Self> {
        let mut folder = Folder {
            root: root.to_owned(),
            items: Vec::new(),
            folders: BTreeSet::new(),
            stamps: String::new(),
        };
        folder.walk("", 0)?;
        Ok(folder)
    }

    /// Takes in everything below `inside`, a path relative to the root.
    fn walk(&mut self, inside: &str, depth: usize) -> anyhow::Result<()> {
        let here = self.root.join(inside);
        let sentence = || format!("cannot read the folder `{}`", here.display());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&here).with_context(sentence)? {
            names.push(entry.with_context(sentence)?.file_name().to_string_lossy().into_owned());
        }
        // The order of a directory differs between machines; ours must not.
        names.sort();
        for name in names {
            let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
            let metadata = match self.root.join(&path).metadata() {
                Ok(metadata) => metadata,
                // A dangling link that looks like an image is a broken image, found when it is decoded.
                Err(_) if layout::is_image(&path) => {
                    self.items.push(Item {
                        label: 0,
                        name: path,
                        file: 0,
                        offset: 0,
                        size: 0,
                    });
                    continue;
                }
                Err(_) => continue,
            };
            if metadata.is_dir() {
                self.folders.insert(path.clone());
                if depth < DEEPEST {
                    self.walk(&path, depth + 1)?;
                }
            } else if layout::is_image(&path) {
                self.stamps += &stamp(&path, &metadata);
                self.items.push(Item {
                    label: 0,
                    name: path,
                    file: 0,
                    offset: 0,
                    size: metadata.len(),
                });
            }
        }
        Ok(())
    }
}

impl Source for Folder {
    fn fingerprint(&self) -> anyhow::Result<String> {
        let folders: String = self.folders.iter().map(|folder| format!("{folder}\n")).collect();
        Ok(format!("folder\n{folders}{}", self.stamps))
    }

    fn list(&self) -> anyhow::Result<SourceListing> {
        let (classes, pools) = layout::arrange(&self.root, self.items.clone(), &self.folders)?;
        Ok(SourceListing {
            classes,
            pools,
            reader: self.reader()?,
        })
    }

    fn reader(&self) -> anyhow::Result<Arc<dyn Reader>> {
        Ok(Arc::new(Files { root: self.root.clone() }))
    }
}

/// Reads images that are files of their own.
struct Files {
    root: PathBuf,
}

impl Reader for Files {
    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        decode::decode(&std::fs::read(self.root.join(&item.name))?)
    }
}
