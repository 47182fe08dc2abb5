//! Class folders: which path is which split and which class, the same for folders and archives.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;

use super::Layout;
use crate::data::SplitName;
use crate::data::passed::Reason;
use crate::data::source::{Item, Listing, Pools};
use crate::data::tree::{Tree, is_image_name};

/// Takes `tree` as class folders.
pub(super) fn list(mut tree: Tree) -> anyhow::Result<Listing> {
    let mut items = Vec::new();
    for entry in std::mem::take(&mut tree.entries) {
        if is_image_name(&entry.name) {
            items.push(Item {
                label: 0,
                name: entry.name,
                place: entry.place,
            });
        } else {
            tree.passed.note(Reason::NoImage, &entry.name);
        }
    }
    let (classes, pools) = arrange(&tree, items)?;
    Ok(Listing {
        layout: Layout::ClassFolders,
        classes,
        pools,
        passed: tree.passed,
        warnings: Vec::new(),
        reader: tree.files,
        stamp: tree.stamp,
    })
}

/// The folder names that mean each split, the first found counts.
fn folders_of(split: SplitName) -> &'static [&'static str] {
    match split {
        SplitName::Train => &["train"],
        SplitName::Val => &["val", "valid", "validation", "test"],
    }
}

/// Sorts the images `items` of `tree` into splits and classes by their paths.
///
/// Everything may stand in one more folder at the top. Labels follow the alphabet.
fn arrange(tree: &Tree, items: Vec<Item>) -> anyhow::Result<(Vec<String>, Pools)> {
    let folders = &tree.folders;
    let top = common_top(&items);
    let firsts: BTreeSet<&str> = folders
        .iter()
        .filter_map(|folder| folder.strip_prefix(&top)?.split('/').next())
        .collect();
    let found = |split| {
        folders_of(split)
            .iter()
            .find(|name| firsts.contains(*name))
            .map(|name| format!("{top}{name}/"))
    };
    let (Some(train), val) = (found(SplitName::Train), found(SplitName::Val)) else {
        let (classes, items) = classify(tree, &top, items)?;
        return Ok((classes, Pools::Whole(items)));
    };
    let Some(val) = val else {
        let (classes, items) = classify(tree, &train, items)?;
        return Ok((classes, Pools::Whole(items)));
    };
    let (in_train, rest): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| item.name.starts_with(&train));
    let (classes, train_items) = classify(tree, &train, in_train)?;
    let (val_classes, mut val_items) = classify(tree, &val, rest)?;
    let mut labels = Vec::with_capacity(val_classes.len());
    for class in &val_classes {
        let Ok(label) = classes.binary_search(class) else {
            bail!(
                "`{}` has the class `{class}`, which `{}` has not",
                tree.show(&val),
                tree.show(&train)
            );
        };
        labels.push(label as u32);
    }
    for item in &mut val_items {
        item.label = labels[item.label as usize];
    }
    Ok((
        classes,
        Pools::Divided {
            train: train_items,
            val: val_items,
        },
    ))
}

/// The one folder that everything stands in, with its `/`, or nothing.
fn common_top(items: &[Item]) -> String {
    let Some((top, _)) = items.first().and_then(|item| item.name.split_once('/')) else {
        return String::new();
    };
    let is_split = [SplitName::Train, SplitName::Val]
        .iter()
        .any(|split| folders_of(*split).contains(&top));
    let prefix = format!("{top}/");
    // The folder of a class is not one: below the top a class folder must still follow.
    let around_classes = |item: &Item| item.name.strip_prefix(&prefix).is_some_and(|rest| rest.contains('/'));
    if !is_split && items.iter().all(around_classes) {
        prefix
    } else {
        String::new()
    }
}

/// Keeps the items below `root` and labels them by the folder that follows it.
fn classify(tree: &Tree, root: &str, items: Vec<Item>) -> anyhow::Result<(Vec<String>, Vec<Item>)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for folder in &tree.folders {
        if let Some(class) = folder.strip_prefix(root).and_then(|rest| rest.split('/').next())
            && !class.is_empty()
        {
            counts.entry(class.to_owned()).or_default();
        }
    }
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        if let Some((class, _)) = item.name.strip_prefix(root).and_then(|rest| rest.split_once('/')) {
            *counts.entry(class.to_owned()).or_default() += 1;
            kept.push(item);
        }
    }
    if counts.is_empty() {
        bail!(
            "`{}` has no class folders: each class must be a folder of JPEG or PNG files",
            tree.show(root)
        );
    }
    if let Some((class, _)) = counts.iter().find(|(_, count)| **count == 0) {
        bail!(
            "the class folder `{}` has no JPEG or PNG files: fill it or remove it",
            tree.show(&format!("{root}{class}"))
        );
    }
    let classes: Vec<String> = counts.into_keys().collect();
    for item in &mut kept {
        let class = item.name[root.len()..].split('/').next().unwrap_or_default();
        let label = classes.binary_search_by(|known| known.as_str().cmp(class));
        item.label = label.expect("every item's class was counted above") as u32;
    }
    Ok((classes, kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged(paths: &[&str]) -> anyhow::Result<(Vec<String>, Pools)> {
        let listing = list(Tree::of_names("src", paths))?;
        Ok((listing.classes, listing.pools))
    }

    fn names(items: &[Item]) -> Vec<(&str, u32)> {
        items.iter().map(|item| (item.name.as_str(), item.label)).collect()
    }

    #[test]
    fn the_second_split_may_be_called_val_or_test_and_val_wins() {
        let (classes, pools) = arranged(&["train/b/1.png", "train/a/2.jpg", "val/b/3.JPEG", "test/b/4.png"]).unwrap();
        assert_eq!(classes, ["a", "b"]);
        let Pools::Divided { train, val } = pools else {
            panic!("the source is divided")
        };
        assert_eq!(names(&train), [("train/a/2.jpg", 0), ("train/b/1.png", 1)]);
        assert_eq!(names(&val), [("val/b/3.JPEG", 1)]);
    }

    #[test]
    fn one_more_folder_at_the_top_changes_nothing() {
        let (classes, pools) = arranged(&["top/train/b/1.png", "top/test/b/4.png", "top/README"]).unwrap();
        assert_eq!(classes, ["b"]);
        assert!(matches!(pools, Pools::Divided { .. }));
        let (classes, _) = arranged(&["top/b/1.png", "top/c/4.png"]).unwrap();
        assert_eq!(classes, ["b", "c"]);
        let (classes, _) = arranged(&["only/1.png", "only/4.png"]).unwrap();
        assert_eq!(classes, ["only"]);
    }

    #[test]
    fn a_lone_train_folder_is_one_pool() {
        let (classes, pools) = arranged(&["train/x/1.png", "train/y/1.png"]).unwrap();
        assert_eq!(classes, ["x", "y"]);
        assert!(matches!(pools, Pools::Whole(items) if items.len() == 2));
    }

    #[test]
    fn a_wrong_layout_is_refused_by_name() {
        for (paths, sentence) in [
            (
                &["a/1.png", "b/readme.txt"][..],
                "the class folder `src/b` has no JPEG or PNG files: fill it or remove it",
            ),
            (
                &["1.png"][..],
                "`src` has no class folders: each class must be a folder of JPEG or PNG files",
            ),
            (
                &["train/a/1.png", "val/1.png"][..],
                "`src/val` has no class folders: each class must be a folder of JPEG or PNG files",
            ),
            (
                &["train/a/1.png", "val/b/1.png"][..],
                "`src/val` has the class `b`, which `src/train` has not",
            ),
        ] {
            assert_eq!(arranged(paths).unwrap_err().to_string(), sentence);
        }
    }
}
