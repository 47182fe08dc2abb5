//! The IDX files of the MNIST family (MNIST, Fashion-MNIST, KMNIST, EMNIST), plain or gzipped; gray becomes RGB.

mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::bail;

use super::found::{folder_of, name_of, passed_but};
use crate::data::layout::Layout;
use crate::data::passed::Reason;
use crate::data::source::{Item, Listing, Pools, Reader};
use crate::data::tree::{Entry, Files, Place, Tree};
use crate::data::{Image, SplitName};
use file::{Idx, read};

/// What a file is by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Role {
    /// The folder it lies in, with its `/`.
    folder: String,
    /// What stands before the split, such as `emnist-balanced-`.
    prefix: String,
    /// Whether it is of the training images.
    train: bool,
    /// Whether it has images, not labels.
    images: bool,
}

impl Role {
    /// Tells by a path: `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`, `emnist-letters-test-images-idx3-ubyte`.
    fn of(path: &str) -> Option<Role> {
        let name = name_of(path).to_ascii_lowercase();
        let stem = name.strip_suffix(".gz").unwrap_or(&name);
        let (stem, images) = match (stem.strip_suffix("idx3-ubyte"), stem.strip_suffix("idx1-ubyte")) {
            (Some(stem), _) => (stem.strip_suffix(['-', '.'])?.strip_suffix("-images")?, true),
            (None, Some(stem)) => (stem.strip_suffix(['-', '.'])?.strip_suffix("-labels")?, false),
            (None, None) => return None,
        };
        let found = [("train", true), ("t10k", false), ("test", false)]
            .into_iter()
            .find_map(|(mark, train)| Some((stem.strip_suffix(mark)?, train)));
        let (prefix, train) = found?;
        // Some unpackers put a file into a folder of its own name.
        let folder = folder_of(path);
        let own = format!("{}/", name_of(path));
        let folder = folder
            .strip_suffix(&own)
            .filter(|rest| rest.is_empty() || rest.ends_with('/'))
            .unwrap_or(folder);
        Some(Role {
            folder: folder.to_owned(),
            prefix: prefix.to_owned(),
            train,
            images,
        })
    }

    /// What it is called where it is not there.
    fn name(&self) -> String {
        let split = match (self.train, self.prefix.is_empty()) {
            (true, _) => "train",
            (false, true) => "t10k",
            (false, false) => "test",
        };
        let kind = if self.images { "images-idx3-ubyte" } else { "labels-idx1-ubyte" };
        format!("{}{}{split}-{kind}", self.folder, self.prefix)
    }
}

/// Takes `tree` if it has IDX files; all four must be there then.
pub(super) fn list(tree: &Tree) -> anyhow::Result<Option<Listing>> {
    let mut found: BTreeMap<Role, Vec<&Entry>> = BTreeMap::new();
    for entry in &tree.entries {
        if let Some(role) = Role::of(&entry.name) {
            found.entry(role).or_default().push(entry);
        }
    }
    let sets: BTreeSet<(&str, &str)> = found.keys().map(|role| (role.folder.as_str(), role.prefix.as_str())).collect();
    let (folder, prefix) = match sets.iter().collect::<Vec<_>>()[..] {
        [] => return Ok(None),
        [set] => *set,
        [..] => return Err(several(tree, &sets)),
    };
    let mut set = Set {
        tree,
        read: BTreeSet::new(),
        again: Vec::new(),
        stored: Vec::new(),
    };
    let mut labels = Vec::new();
    for split in [SplitName::Train, SplitName::Val] {
        let role = |images| Role {
            folder: folder.to_owned(),
            prefix: prefix.to_owned(),
            train: split == SplitName::Train,
            images,
        };
        labels.push(set.split(&found, &role(true), &role(false))?);
    }
    let transposed = prefix.contains("emnist");
    set.listing(labels, transposed).map(Some)
}

/// Which sets there are and what to give.
fn several(tree: &Tree, sets: &BTreeSet<(&str, &str)>) -> anyhow::Error {
    let folders: BTreeSet<&str> = sets.iter().map(|(folder, _)| *folder).collect();
    let root = tree.root.display();
    if folders.len() > 1 {
        let folders: Vec<String> = folders.into_iter().map(|folder| tree.show(folder)).collect();
        return anyhow::anyhow!("`{root}` has several sets of IDX files: give one of `{}`", folders.join("`, `"));
    }
    let prefixes: Vec<&str> = sets
        .iter()
        .map(|(_, prefix)| if prefix.is_empty() { "train-" } else { prefix })
        .collect();
    anyhow::anyhow!(
        "`{root}` has several sets of IDX files in one folder, whose names begin with `{}`: put the four files of one of them into a \
         folder of its own and give that",
        prefixes.join("`, `")
    )
}

/// The four files of a set, as they are found.
struct Set<'a> {
    tree: &'a Tree,
    read: BTreeSet<&'a str>,
    /// Files that are the same as others but packed otherwise.
    again: Vec<&'a str>,
    /// Images for training and for validation.
    stored: Vec<Idx>,
}

impl<'a> Set<'a> {
    /// Takes one split's images in, and returns its labels with the path of the file.
    fn split(&mut self, found: &BTreeMap<Role, Vec<&'a Entry>>, images: &Role, labels: &Role) -> anyhow::Result<(String, Vec<u8>)> {
        let (images, labels) = (self.one(found, images, 3)?, self.one(found, labels, 1)?);
        let labels_path = self.tree.show(&labels.entry.name);
        let (count, labeled) = (images.dims[0], labels.dims[0]);
        if labeled != count {
            bail!(
                "`{labels_path}` has {labeled} labels, but `{}` has {count} images",
                self.tree.show(&images.entry.name)
            );
        }
        self.stored.push(images);
        let labels = labels.data(&self.tree.files)?;
        Ok((labels_path, labels))
    }

    /// The one file of a role; others must be the same.
    fn one(&mut self, found: &BTreeMap<Role, Vec<&'a Entry>>, role: &Role, dimensions: usize) -> anyhow::Result<Idx> {
        let Some(entries) = found.get(role) else {
            bail!(
                "`{}` is missing, plain or .gz: a set of IDX files has images and labels for training and for validation",
                self.tree.show(&role.name())
            )
        };
        let mut files = entries
            .iter()
            .map(|entry| read(self.tree, entry, dimensions))
            .collect::<anyhow::Result<Vec<Idx>>>()?;
        // Of equal files, the plain one is read where it lies.
        let chosen = files.iter().position(Idx::is_plain).unwrap_or(0);
        for (n, other) in files.iter().enumerate().filter(|(n, _)| *n != chosen) {
            if !files[chosen].equals(other, &self.tree.files)? {
                bail!(
                    "`{}` and `{}` are not the same: remove one of them",
                    self.tree.show(&entries[chosen].name),
                    self.tree.show(&entries[n].name)
                );
            }
            self.again.push(&entries[n].name);
        }
        self.read.extend(entries.iter().map(|entry| entry.name.as_str()));
        Ok(files.swap_remove(chosen))
    }

    fn listing(self, labels: Vec<(String, Vec<u8>)>, transposed: bool) -> anyhow::Result<Listing> {
        let mut known = labels[0].1.clone();
        known.sort_unstable();
        known.dedup();
        let mut splits = Vec::new();
        for (file, (path, values)) in labels.iter().enumerate() {
            let (name, pixels) = (name_of(&self.stored[file].entry.name), self.stored[file].pixels());
            let item = |(n, value): (usize, &u8)| {
                let Ok(label) = known.binary_search(value) else {
                    bail!("label {value} in `{path}` does not occur in `{}`", labels[0].0);
                };
                Ok(Item {
                    label: label as u32,
                    name: format!("{name}#{n}"),
                    place: Place::Part {
                        file: file as u32,
                        offset: (n * pixels) as u64,
                        size: pixels as u64,
                    },
                })
            };
            splits.push(values.iter().enumerate().map(item).collect::<anyhow::Result<Vec<Item>>>()?);
        }
        let mut passed = passed_but(self.tree, &self.read);
        self.again.iter().for_each(|name| passed.note(Reason::Again, name));
        let note = "EMNIST's images are stored with rows and columns exchanged, and are read as they are stored, as torchvision does";
        let (val, train) = (splits.pop().unwrap_or_default(), splits.pop().unwrap_or_default());
        Ok(Listing {
            layout: Layout::Idx,
            classes: known.iter().map(u8::to_string).collect(),
            pools: Pools::Divided { train, val },
            passed,
            warnings: transposed.then(|| note.to_owned()).into_iter().collect(),
            reader: Arc::new(Gray {
                files: self.tree.files.clone(),
                stored: self.stored,
            }),
            stamp: self.tree.stamp.clone(),
        })
    }
}

/// Reads images.
struct Gray {
    files: Arc<Files>,
    stored: Vec<Idx>,
}

impl Gray {
    fn part(&self, item: &Item) -> anyhow::Result<(&Idx, Vec<u8>)> {
        let Place::Part { file, offset, size } = item.place else {
            bail!("an image is a part of a file")
        };
        let stored = &self.stored[file as usize];
        Ok((stored, stored.part(&self.files, offset, size)?))
    }
}

impl Reader for Gray {
    fn bytes(&self, item: &Item) -> anyhow::Result<Vec<u8>> {
        Ok(self.part(item)?.1)
    }

    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        let (stored, bytes) = self.part(item)?;
        Ok(Image {
            width: stored.dims[2],
            height: stored.dims[1],
            pixels: bytes.iter().flat_map(|gray| [*gray; 3]).collect(),
        })
    }
}
