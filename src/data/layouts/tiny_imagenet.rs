//! Tiny ImageNet as it is downloaded: `train/<wnid>/images/`, and for validation one folder of images with a table of
//! their classes. A class keeps its wnid as name, as in class folders.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;

use super::found::{folder_of, is_wnid, name_of, single};
use crate::data::layout::Layout;
use crate::data::passed::Reason;
use crate::data::source::{Item, Listing, Pools};
use crate::data::tree::{Entry, Tree, is_image_name};

/// The table of the classes of the images for validation.
const ANNOTATIONS: &str = "val/val_annotations.txt";
/// The folder of the images for validation.
const VAL: &str = "val/images/";

/// Takes `tree` if it is Tiny ImageNet, in whatever folder.
///
/// Where the images for validation were moved into folders of their classes, these are class folders.
pub(super) fn list(tree: &Tree) -> anyhow::Result<Option<Listing>> {
    let Some(root) = single(tree, roots(tree), "Tiny ImageNet")? else {
        return Ok(None);
    };
    let mut train: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    let mut val = BTreeMap::new();
    let mut passed = tree.passed.clone();
    let annotations = tree.find(&format!("{root}{ANNOTATIONS}"));
    for entry in &tree.entries {
        let inside = entry.name.strip_prefix(&root).unwrap_or_default();
        if !is_image_name(inside) {
            if annotations != Some(entry) && inside != "wnids.txt" {
                passed.note(Reason::NoImage, &entry.name);
            }
        } else if let Some(class) = class_of(inside) {
            train.entry(class).or_default().push(entry);
        } else if let Some(name) = inside.strip_prefix(VAL).filter(|name| !name.contains('/')) {
            val.insert(name, entry);
        } else if inside.starts_with("test/") {
            passed.note(Reason::Unlabeled, &entry.name);
        } else {
            passed.note(Reason::OutsideClasses, &entry.name);
        }
    }
    check_classes(tree, &root, &train)?;
    let classes: Vec<String> = train.keys().map(|class| (*class).to_owned()).collect();
    let Some(annotations) = annotations else {
        bail!(
            "`{}` is missing: it says which class each image of `{}` has",
            tree.show(&format!("{root}{ANNOTATIONS}")),
            tree.show(&format!("{root}{VAL}"))
        )
    };
    let val = annotated(tree, annotations, val, &classes)?;
    let train = train.into_values().enumerate();
    let train = train.flat_map(|(label, entries)| entries.into_iter().map(move |entry| item(label, entry)));
    Ok(Some(Listing {
        layout: Layout::TinyImageNet,
        classes,
        pools: Pools::Divided {
            train: train.collect(),
            val,
        },
        passed,
        warnings: Vec::new(),
        reader: tree.files.clone(),
        stamp: tree.stamp.clone(),
    }))
}

/// Refuses a class of the set's list that has no images.
fn check_classes(tree: &Tree, root: &str, train: &BTreeMap<&str, Vec<&Entry>>) -> anyhow::Result<()> {
    if let Some(entry) = tree.find(&format!("{root}wnids.txt")) {
        let text = tree.read(entry)?;
        let text = String::from_utf8_lossy(&text);
        if let Some(class) = text.split_whitespace().find(|class| !train.contains_key(class)) {
            bail!(
                "`{}` has no images, but `{}` names the class `{class}`",
                tree.show(&format!("{root}train/{class}/images")),
                tree.show(&entry.name)
            );
        }
    }
    Ok(())
}

fn item(label: usize, entry: &Entry) -> Item {
    Item {
        label: label as u32,
        name: entry.name.clone(),
        place: entry.place,
    }
}

/// The wnid of an image for training.
fn class_of(inside: &str) -> Option<&str> {
    let (class, rest) = inside.strip_prefix("train/")?.split_once('/')?;
    let name = rest.strip_prefix("images/")?;
    (is_wnid(class) && !name.contains('/')).then_some(class)
}

/// Folders that have images of wnids for training and images in one folder for validation, with their `/`.
fn roots(tree: &Tree) -> Vec<String> {
    let mut with_val = BTreeSet::new();
    let mut with_train = BTreeSet::new();
    for entry in tree.entries.iter().filter(|entry| is_image_name(&entry.name)) {
        let folder = folder_of(&entry.name);
        if let Some(root) = folder.strip_suffix(VAL) {
            with_val.insert(root);
        } else if folder.ends_with("/images/")
            && let Some((root, _)) = folder.rsplit_once("train/")
            && class_of(&entry.name[root.len()..]).is_some()
        {
            with_train.insert(root);
        }
    }
    with_val.intersection(&with_train).map(|root| (*root).to_owned()).collect()
}

/// The images for validation with the classes that the table says.
fn annotated(tree: &Tree, table: &Entry, mut images: BTreeMap<&str, &Entry>, classes: &[String]) -> anyhow::Result<Vec<Item>> {
    let path = tree.show(&table.name);
    let text = tree.read(table)?;
    let text = String::from_utf8_lossy(&text);
    let mut items = Vec::new();
    for (row, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row = row + 1;
        let mut cells = line.split_whitespace();
        let (Some(name), Some(class)) = (cells.next(), cells.next()) else {
            bail!("row {row} of `{path}` has no name and class")
        };
        let Ok(label) = classes.binary_search_by(|known| known.as_str().cmp(class)) else {
            bail!("row {row} of `{path}` has the class `{class}`, of which there are no images for training")
        };
        let Some(entry) = images.remove(name) else {
            bail!("row {row} of `{path}` names `{name}`, which is not there, or names it again")
        };
        items.push(item(label, entry));
    }
    if let Some(entry) = images.values().next() {
        bail!(
            "`{path}` does not name {} images, among them `{}`",
            images.len(),
            name_of(&entry.name)
        );
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TRAIN: [&str; 4] = [
        "t/train/n00000002/images/n00000002_0.JPEG",
        "t/train/n00000001/images/n00000001_0.JPEG",
        "t/train/n00000001/n00000001_boxes.txt",
        "t/test/images/test_0.JPEG",
    ];

    fn written(annotations: &str, wnids: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        TRAIN.iter().for_each(|name| put(name, ""));
        ["t/val/images/val_0.JPEG", "t/val/images/val_1.JPEG"]
            .iter()
            .for_each(|name| put(name, ""));
        put("t/wnids.txt", wnids);
        put("t/val/val_annotations.txt", annotations);
        dir
    }

    fn listed(dir: &Path) -> anyhow::Result<Option<Listing>> {
        list(&Tree::open(dir, dir)?)
    }

    #[test]
    fn validation_has_the_classes_of_its_table() {
        let dir = written(
            "val_1.JPEG\tn00000001\t0\t0\t62\t62\nval_0.JPEG\tn00000002\t0\t0\t62\t62\n",
            "n00000002\nn00000001\n",
        );
        let listing = listed(dir.path()).unwrap().expect("it is Tiny ImageNet");
        assert_eq!(listing.classes, ["n00000001", "n00000002"]);
        let Pools::Divided { train, val } = &listing.pools else {
            panic!("it is divided")
        };
        let labels = |items: &[Item]| items.iter().map(|item| item.label).collect::<Vec<_>>();
        assert_eq!((labels(train), labels(val)), (vec![0, 1], vec![1, 0]));
        let said = listing.passed.sentences();
        assert!(
            said[0].contains("_boxes.txt") && said[1].starts_with("1 images have no label"),
            "{said:?}"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = "val_1.JPEG\tn00000001\nval_0.JPEG\tn00000002\n";
        for (annotations, wnids, sentence) in [
            (
                "val_1.JPEG\tn00000001\n",
                "n00000001",
                "does not name 1 images, among them `val_0.JPEG`",
            ),
            ("val_9.JPEG\tn00000001\n", "n00000001", "names `val_9.JPEG`, which is not there"),
            ("val_1.JPEG\tn00000003\n", "n00000001", "has the class `n00000003`"),
            (whole, "n00000001 n00000003", "train/n00000003/images` has no images"),
        ] {
            let error = listed(written(annotations, wnids).path())
                .err()
                .expect("must be refused")
                .to_string();
            assert!(error.contains(sentence), "{error}");
        }
        let dir = written(whole, "");
        std::fs::remove_file(dir.path().join("t/val/val_annotations.txt")).unwrap();
        let error = listed(dir.path()).err().expect("must be refused").to_string();
        assert!(error.contains("val_annotations.txt` is missing"), "{error}");
    }

    #[test]
    fn class_folders_are_none() {
        let sorted = [
            "train/n00000001/images/a.JPEG",
            "val/n00000001/images/b.JPEG",
            "val/val_annotations.txt",
        ];
        let ordinary = ["train/cat/1.png", "val/images/2.png", "train/images/1.png"];
        for names in [sorted, ordinary] {
            assert!(list(&Tree::of_names("src", &names)).unwrap().is_none());
        }
    }
}
