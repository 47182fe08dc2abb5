//! The files of CIFAR-10 and CIFAR-100, binary or as Python pickles.

mod binary;
mod python;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;

use super::found::{folders_with, passed_but, single};
use super::planes::{Planes, Stored};
use crate::data::layout::Layout;
use crate::data::passed::Reason;
use crate::data::source::{Item, Listing, Pools, Reader};
use crate::data::tree::{Entry, Place, Tree};

/// Side of every image, in pixels.
const SIDE: usize = 32;
/// Bytes of one image.
const IMAGE: usize = 3 * SIDE * SIDE;

/// One of the two sets in one of its two forms.
struct Form {
    /// What its authors call it.
    title: &'static str,
    classes: usize,
    /// Files of training images.
    train: &'static [&'static str],
    /// The file of validation images.
    test: &'static str,
    /// The file of class names.
    names: &'static str,
    /// How its files are read.
    kind: Kind,
}

enum Kind {
    /// Records of so many label bytes, of which the last counts, and an image.
    Binary { label_bytes: usize },
    /// Pickles with these keys for labels and for names of classes.
    Python { labels: &'static str, names: &'static str },
}

const FORMS: [Form; 4] = [
    Form {
        title: "CIFAR-10",
        classes: 10,
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        names: "batches.meta.txt",
        kind: Kind::Binary { label_bytes: 1 },
    },
    Form {
        title: "CIFAR-10",
        classes: 10,
        train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        test: "test_batch",
        names: "batches.meta",
        kind: Kind::Python {
            labels: "labels",
            names: "label_names",
        },
    },
    Form {
        title: "CIFAR-100",
        classes: 100,
        train: &["train.bin"],
        test: "test.bin",
        names: "fine_label_names.txt",
        kind: Kind::Binary { label_bytes: 2 },
    },
    Form {
        title: "CIFAR-100",
        classes: 100,
        train: &["train"],
        test: "test",
        names: "meta",
        kind: Kind::Python {
            labels: "fine_labels",
            names: "fine_label_names",
        },
    },
];

/// Takes `tree` if it has files of CIFAR, in whatever folder; all of them must be there then.
pub(super) fn list(tree: &Tree) -> anyhow::Result<Option<Listing>> {
    let mut found = Vec::new();
    for form in &FORMS {
        let names: Vec<&str> = form.files().into_iter().chain([form.names]).collect();
        if let Some(folder) = single(tree, folders_with(tree, &names, 2), form.title)? {
            found.push((form, folder));
        }
    }
    let (set, again, warning) = match &found[..] {
        [] => return Ok(None),
        [(form, folder)] => (form.read(tree, folder)?, Vec::new(), None),
        [(form, one), (other_form, other)] if form.title == other_form.title => {
            let set = form.read(tree, one)?;
            let (one, other) = (tree.show(one), tree.show(other));
            let second = other_form.read(tree, &found[1].1)?;
            if !set.equals(&second)? {
                bail!(
                    "`{one}` and `{other}` are both {}, but not the same images and labels: give one of them",
                    form.title
                );
            }
            let note = format!("`{one}` and `{other}` have the same images and labels: the first is read");
            (set, second.read, Some(note))
        }
        several => {
            let folders: Vec<String> = several.iter().map(|(_, folder)| tree.show(folder)).collect();
            bail!(
                "`{}` has CIFAR-10 and CIFAR-100: give one of `{}`",
                tree.root.display(),
                folders.join("`, `")
            );
        }
    };
    let read: BTreeSet<&str> = set.read.iter().chain(&again).map(String::as_str).collect();
    let mut passed = passed_but(tree, &read);
    again.iter().for_each(|name| passed.note(Reason::Again, name));
    Ok(Some(Listing {
        layout: Layout::Cifar,
        passed,
        classes: set.classes,
        pools: Pools::Divided {
            train: set.train,
            val: set.val,
        },
        warnings: warning.into_iter().collect(),
        reader: Arc::new(set.reader),
        stamp: tree.stamp.clone(),
    }))
}

/// A set, listed.
struct Set {
    classes: Vec<String>,
    train: Vec<Item>,
    val: Vec<Item>,
    /// Names of the files that were read.
    read: Vec<String>,
    reader: Planes,
}

impl Set {
    /// Whether both have the same images with the same labels in the same order.
    fn equals(&self, other: &Set) -> anyhow::Result<bool> {
        if (self.train.len(), self.val.len(), &self.classes) != (other.train.len(), other.val.len(), &other.classes) {
            return Ok(false);
        }
        let others = other.train.iter().chain(&other.val);
        for (mine, theirs) in self.train.iter().chain(&self.val).zip(others) {
            if mine.label != theirs.label || self.reader.bytes(mine)? != other.reader.bytes(theirs)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Images of one file.
struct Batch {
    labels: Vec<u32>,
    stored: Stored,
    /// First byte of the first image, and bytes from one image to the next.
    first: usize,
    step: usize,
}

impl Form {
    /// All files of images: those for training, then the one for validation.
    fn files(&self) -> Vec<&'static str> {
        self.train.iter().copied().chain([self.test]).collect()
    }

    /// Reads the set in `folder`.
    fn read(&self, tree: &Tree, folder: &str) -> anyhow::Result<Set> {
        let mut read = Vec::new();
        let (mut train, mut val, mut stored) = (Vec::new(), Vec::new(), Vec::new());
        for (file, name) in self.files().into_iter().enumerate() {
            let path = format!("{folder}{name}");
            let Some(entry) = tree.find(&path) else {
                bail!(
                    "`{}` is missing: {} needs {}",
                    tree.show(&path),
                    self.title,
                    self.files().join(", ")
                );
            };
            let batch = self.batch(tree, entry)?;
            let split = if name == self.test { &mut val } else { &mut train };
            split.extend(batch.labels.iter().enumerate().map(|(n, label)| Item {
                label: *label,
                name: format!("{name}#{n}"),
                place: Place::Part {
                    file: file as u32,
                    offset: (batch.first + n * batch.step) as u64,
                    size: IMAGE as u64,
                },
            }));
            stored.push(batch.stored);
            read.push(path);
        }
        let classes = match tree.find(&format!("{folder}{}", self.names)) {
            Some(entry) => {
                read.push(entry.name.clone());
                self.class_names(tree, entry)?
            }
            None => Vec::new(),
        };
        let numbers = || (0..self.classes).map(|label| label.to_string()).collect();
        let reader = Planes {
            files: tree.files.clone(),
            stored,
            side: SIDE,
            by_columns: false,
        };
        Ok(Set {
            classes: if classes.len() == self.classes { classes } else { numbers() },
            train,
            val,
            read,
            reader,
        })
    }

    fn batch(&self, tree: &Tree, entry: &Entry) -> anyhow::Result<Batch> {
        let batch = match self.kind {
            Kind::Binary { label_bytes } => binary::batch(tree, entry, label_bytes)?,
            Kind::Python { labels, .. } => python::batch(tree, entry, labels)?,
        };
        if let Some(n) = batch.labels.iter().position(|label| *label as usize >= self.classes) {
            bail!(
                "record {n} of `{}` has label {}: labels go from 0 to {}",
                tree.show(&entry.name),
                batch.labels[n],
                self.classes - 1
            );
        }
        Ok(batch)
    }

    /// Class names from the file that comes with the data.
    fn class_names(&self, tree: &Tree, entry: &Entry) -> anyhow::Result<Vec<String>> {
        match self.kind {
            Kind::Binary { .. } => binary::class_names(tree, entry),
            Kind::Python { names, .. } => python::class_names(tree, entry, names),
        }
    }
}
