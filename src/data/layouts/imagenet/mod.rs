//! ImageNet as it is downloaded: a tar of a tar for each class, a flat tar of the images for validation, and files that say
//! their classes; also unpacked in part, and as Kaggle has it. Labels follow the sorted wnids, as in frameworks.

mod mat;
#[cfg(test)]
mod tests;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::bail;

use super::found::{folder_of, is_wnid, name_of, split_word};
use crate::data::layout::Layout;
use crate::data::passed::{PassedOver, Reason};
use crate::data::source::{Item, Listing, Pools};
use crate::data::tree::{Entry, Tree, is_image_name};
use truth::truth;

/// The images for training.
const TRAIN_TAR: &str = "ILSVRC2012_img_train.tar";
/// The images for validation.
const VAL_TAR: &str = "ILSVRC2012_img_val.tar";
/// How the names of images for validation begin.
const VAL_NAME: &str = "ILSVRC2012_val_";
/// How the name of the archive with their classes begins.
const DEVKIT: &str = "ILSVRC2012_devkit";

/// What an image is by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role<'a> {
    /// For training, of this class.
    Train(&'a str),
    /// For validation, of this class if a folder says it.
    Val(Option<&'a str>),
    /// Without a label.
    Test,
    /// None of ImageNet's.
    Other,
}

impl Role<'_> {
    fn of(path: &str) -> Role<'_> {
        let parent = name_of(folder_of(path).trim_end_matches('/'));
        let split = folder_of(path).split('/').rev().find_map(split_word);
        match split {
            _ if name_of(path).starts_with(VAL_NAME) && !is_wnid(parent) => Role::Val(None),
            Some("val") if is_wnid(parent) => Role::Val(Some(parent)),
            Some("val") if split_word(parent).is_some() => Role::Val(None),
            Some("train") | None if is_wnid(parent) => Role::Train(parent),
            Some("test") => Role::Test,
            Some(_) | None => Role::Other,
        }
    }
}

/// Whether `tree` is ImageNet: archives of its names, or folders of wnids beside images for validation in one folder.
pub(super) fn is_imagenet(tree: &Tree) -> bool {
    let has = |wanted: fn(&Entry) -> bool| tree.entries.iter().any(wanted);
    if has(|entry| name_of(&entry.name) == TRAIN_TAR || class_of_tar(&entry.name).is_some()) {
        return true;
    }
    if tree.root.is_dir() && has(|entry| name_of(&entry.name) == VAL_TAR) {
        return true;
    }
    let roles = tree
        .entries
        .iter()
        .filter(|entry| is_image_name(&entry.name))
        .map(|entry| Role::of(&entry.name));
    let (mut train, mut flat) = (false, false);
    for role in roles {
        match role {
            Role::Train(_) => train = true,
            Role::Val(None) => flat = true,
            // Folders for training that are no wnids are another set's.
            Role::Other => return false,
            Role::Val(Some(_)) | Role::Test => {}
        }
    }
    train && flat
}

/// The wnid that a tar has the images of.
fn class_of_tar(path: &str) -> Option<&str> {
    name_of(path).strip_suffix(".tar").filter(|stem| is_wnid(stem))
}

/// Lists the images of `tree`, which [`is_imagenet`].
pub(super) fn list(tree: Tree, scratch: &Path) -> anyhow::Result<Listing> {
    let is_single = !tree.root.is_dir();
    let mut tree = unpacked(tree, scratch)?;
    let mut found = Found::default();
    let mut others = Vec::new();
    for entry in std::mem::take(&mut tree.entries) {
        if !is_image_name(&entry.name) {
            others.push(entry);
            continue;
        }
        match Role::of(&entry.name) {
            Role::Train(wnid) => found.train.entry(wnid.to_owned()).or_default().push(entry),
            Role::Val(Some(wnid)) => found.sorted.push((wnid.to_owned(), entry)),
            Role::Val(None) => found.flat.push(entry),
            Role::Test => found.passed.note(Reason::Unlabeled, &entry.name),
            Role::Other => found.passed.note(Reason::OutsideClasses, &entry.name),
        }
    }
    tree.entries = others;
    found.check(&tree, is_single)?;
    let read = found.label(&tree)?;
    for entry in tree.entries.iter().filter(|entry| !read.contains(&entry.name)) {
        found.passed.note(Reason::NoImage, &entry.name);
    }
    found.listing(tree)
}

/// The tree with what is in its archives in their place.
fn unpacked(mut tree: Tree, scratch: &Path) -> anyhow::Result<Tree> {
    let mut parts = Vec::new();
    let mut rest = Vec::new();
    for entry in std::mem::take(&mut tree.entries) {
        let (folder, name) = (folder_of(&entry.name), name_of(&entry.name));
        if name == TRAIN_TAR {
            let outer = tree.open_member(&entry, scratch)?;
            for class in &outer.entries {
                let Some(wnid) = class_of_tar(&class.name) else { continue };
                parts.push((format!("{folder}train/{wnid}"), outer.open_member(class, scratch)?));
            }
        } else if let Some(wnid) = class_of_tar(name) {
            parts.push((format!("{folder}{wnid}"), tree.open_member(&entry, scratch)?));
        } else if name == VAL_TAR {
            parts.push((format!("{folder}val"), tree.open_member(&entry, scratch)?));
        } else if name.starts_with(DEVKIT) && (name.ends_with(".tar.gz") || name.ends_with(".tgz") || name.ends_with(".tar")) {
            parts.push((format!("{folder}devkit"), tree.open_member(&entry, scratch)?));
        } else {
            rest.push(entry);
        }
    }
    tree.entries = rest;
    if parts.is_empty() {
        return Ok(tree);
    }
    let root = tree.root.clone();
    parts.insert(0, (String::new(), tree));
    Ok(Tree::join(root, parts))
}

/// The images by what they are for.
#[derive(Default)]
struct Found {
    /// Images for training by wnid.
    train: BTreeMap<String, Vec<Entry>>,
    /// Images for validation in folders of their classes.
    sorted: Vec<(String, Entry)>,
    /// Images for validation in one folder.
    flat: Vec<Entry>,
    passed: PassedOver,
}

impl Found {
    /// Refuses a half of the set.
    fn check(&self, tree: &Tree, is_single: bool) -> anyhow::Result<()> {
        let root = tree.root.display();
        if self.train.is_empty() {
            bail!(
                "`{root}` has images of ImageNet for validation but none for training: `{}` or the folder `train` is missing",
                tree.show(TRAIN_TAR)
            );
        }
        if self.flat.is_empty() && self.sorted.is_empty() && !is_single {
            bail!(
                "`{root}` has images of ImageNet for training but none for validation: `{}` or the folder `val` is missing (the archive of \
                 the images for training can be given alone)",
                tree.show(VAL_TAR)
            );
        }
        Ok(())
    }

    /// Sorts the images for validation that lie in one folder; the result is the files that say how.
    fn label(&mut self, tree: &Tree) -> anyhow::Result<BTreeSet<String>> {
        let Some(first) = self.flat.first() else {
            return Ok(BTreeSet::new());
        };
        let Some(mut truth) = truth(tree)? else {
            bail!(
                "the images in `{}` lie in one folder, and no file says their classes: put ImageNet's ILSVRC2012_devkit_t12.tar.gz (from \
                 image-net.org) or Kaggle's LOC_val_solution.csv into `{}`, or sort the images into folders of their classes",
                tree.show(folder_of(&first.name)),
                tree.root.display()
            )
        };
        for entry in std::mem::take(&mut self.flat) {
            let name = name_of(&entry.name);
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            let Some(wnid) = truth.wnids.remove(stem) else {
                bail!("`{}` does not say the class of `{}`", truth.file, tree.show(&entry.name))
            };
            self.sorted.push((wnid, entry));
        }
        if let Some(name) = truth.wnids.keys().next() {
            bail!(
                "`{}` says the classes of {} images that are not there, such as `{name}`",
                truth.file,
                truth.wnids.len()
            );
        }
        Ok(truth.read.into_iter().collect())
    }

    fn listing(self, tree: Tree) -> anyhow::Result<Listing> {
        let classes: Vec<String> = self.train.keys().cloned().collect();
        let item = |label: usize, entry: Entry| Item {
            label: label as u32,
            name: entry.name,
            place: entry.place,
        };
        let mut val = Vec::new();
        for (wnid, entry) in self.sorted {
            let Ok(label) = classes.binary_search(&wnid) else {
                bail!(
                    "`{}` is of the class `{wnid}`, of which there are no images for training: is `{wnid}.tar` or the folder missing?",
                    tree.show(&entry.name)
                )
            };
            val.push(item(label, entry));
        }
        val.sort_by(|a, b| a.name.cmp(&b.name));
        let classed = self.train.into_values().enumerate();
        let train: Vec<Item> = classed
            .flat_map(|(label, entries)| entries.into_iter().map(move |entry| item(label, entry)))
            .collect();
        let mut passed = tree.passed.clone();
        passed.add(self.passed);
        Ok(Listing {
            layout: Layout::ImageNet,
            classes,
            pools: if val.is_empty() {
                Pools::Whole(train)
            } else {
                Pools::Divided { train, val }
            },
            passed,
            warnings: Vec::new(),
            reader: tree.files,
            stamp: tree.stamp,
        })
    }
}
