//! The files of STL-10: images of 96 x 96 pixels, red, green and blue one after the other, each column by column; labels
//! from 1 to 10, a byte each.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;

use super::found::{folders_with, passed_but, single};
use super::planes::{Planes, Stored};
use crate::data::layout::Layout;
use crate::data::passed::{PassedOver, Reason};
use crate::data::source::{Item, Listing, Pools, UNLABELED};
use crate::data::tree::{Entry, Files, Place, Tree};

/// Side of every image, in pixels.
const SIDE: usize = 96;
/// Bytes of one image.
const IMAGE: usize = 3 * SIDE * SIDE;
/// Classes.
const CLASSES: usize = 10;
/// Images and labels, for training and for validation.
const FILES: [[&str; 2]; 2] = [["train_X.bin", "train_y.bin"], ["test_X.bin", "test_y.bin"]];
/// Images without labels.
const UNLABELED_FILE: &str = "unlabeled_X.bin";
/// Names of the classes, one a line.
const NAMES: &str = "class_names.txt";

/// Takes `tree` if it has files of STL-10, in whatever folder; those of both splits must be there then.
pub(super) fn list(tree: &Tree) -> anyhow::Result<Option<Listing>> {
    let all: Vec<&str> = FILES.iter().flatten().copied().chain([UNLABELED_FILE, NAMES]).collect();
    let mut folders = folders_with(tree, &all, 2);
    folders.retain(|folder| folders_with(tree, &all[..5], 1).contains(folder));
    let Some(folder) = single(tree, folders, "STL-10")? else {
        return Ok(None);
    };
    let find = |name: &str| {
        let path = format!("{folder}{name}");
        match tree.find(&path) {
            Some(entry) => Ok(entry),
            None => bail!("`{}` is missing: STL-10 needs {}", tree.show(&path), FILES.concat().join(", ")),
        }
    };
    let mut read = BTreeSet::new();
    let (mut splits, mut stored) = (Vec::new(), Vec::new());
    for [images, labels] in FILES {
        let (images, labels) = (find(images)?, find(labels)?);
        read.extend([images.name.as_str(), labels.name.as_str()]);
        let (path, labels) = (tree.show(&images.name), labeled(tree, labels)?);
        splits.push(items(&path, images, &labels, stored.len() as u32)?);
        stored.push(Stored::File(images.clone()));
    }
    let names = find(NAMES).ok();
    read.extend(names.map(|entry| entry.name.as_str()));
    let mut warnings = Vec::new();
    let mut unlabeled = PassedOver::default();
    if let Ok(entry) = find(UNLABELED_FILE) {
        read.insert(&entry.name);
        let count = entry.place.size() / IMAGE as u64;
        unlabeled.note_many(Reason::Unlabeled, count as usize, &entry.name);
        let path = tree.show(&entry.name);
        warnings.push(format!(
            "for pretraining on the {count} images without labels, give `{path}` itself as the source"
        ));
    }
    let mut passed = passed_but(tree, &read);
    passed.add(unlabeled);
    let (val, train) = (splits.pop().unwrap_or_default(), splits.pop().unwrap_or_default());
    Ok(Some(Listing {
        layout: Layout::Stl10,
        classes: class_names(tree, names)?,
        pools: Pools::Divided { train, val },
        passed,
        warnings,
        reader: Arc::new(planes(tree.files.clone(), stored)),
        stamp: tree.stamp.clone(),
    }))
}

/// Names of the classes from the file that comes with the images, or numbers.
fn class_names(tree: &Tree, names: Option<&Entry>) -> anyhow::Result<Vec<String>> {
    let bytes = names.map_or(Ok(Vec::new()), |entry| tree.read(entry))?;
    let names: Vec<String> = String::from_utf8_lossy(&bytes).split_whitespace().map(str::to_owned).collect();
    match names.len() {
        CLASSES => Ok(names),
        _ => Ok((1..=CLASSES).map(|label| label.to_string()).collect()),
    }
}

/// Takes `tree` if it is the single file of STL-10's images without labels: they are one pool.
pub(super) fn list_unlabeled(tree: &Tree) -> anyhow::Result<Option<Listing>> {
    let entry = match &tree.entries[..] {
        [entry] if tree.alone.is_some() && entry.name == UNLABELED_FILE => entry,
        [..] => return Ok(None),
    };
    let count = entry.place.size() as usize / IMAGE;
    let items = items(&tree.show(&entry.name), entry, &vec![0; count], 0)?;
    Ok(Some(Listing {
        layout: Layout::Unlabeled,
        classes: vec![UNLABELED.to_owned()],
        pools: Pools::Whole(items),
        passed: PassedOver::default(),
        warnings: Vec::new(),
        reader: Arc::new(planes(tree.files.clone(), vec![Stored::File(entry.clone())])),
        stamp: tree.stamp.clone(),
    }))
}

fn planes(files: Arc<Files>, stored: Vec<Stored>) -> Planes {
    Planes {
        files,
        stored,
        side: SIDE,
        by_columns: true,
    }
}

/// Labels from 0 to 9.
fn labeled(tree: &Tree, entry: &Entry) -> anyhow::Result<Vec<u32>> {
    let path = tree.show(&entry.name);
    if entry.place.size() > 1 << 24 {
        bail!("`{path}` has {} bytes: STL-10 has a byte for each label", entry.place.size());
    }
    let bytes = tree.read(entry)?;
    if let Some(n) = bytes.iter().position(|label| !(1..=CLASSES as u8).contains(label)) {
        bail!("label {n} of `{path}` is {}: labels go from 1 to {CLASSES}", bytes[n]);
    }
    Ok(bytes.into_iter().map(|label| u32::from(label) - 1).collect())
}

/// The images of the `file`th file.
fn items(path: &str, entry: &Entry, labels: &[u32], file: u32) -> anyhow::Result<Vec<Item>> {
    let size = entry.place.size();
    if size == 0 || size != (labels.len() * IMAGE) as u64 {
        bail!(
            "`{path}` has {size} bytes: {} images of {IMAGE} bytes are needed, is it truncated?",
            labels.len().max(1)
        );
    }
    let item = |(n, label): (usize, &u32)| Item {
        label: *label,
        name: format!("{}#{n}", super::found::name_of(&entry.name)),
        place: Place::Part {
            file,
            offset: (n * IMAGE) as u64,
            size: IMAGE as u64,
        },
    };
    Ok(labels.iter().enumerate().map(item).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// An image of one color but for the pixel in the second column of the first row, which is one brighter.
    fn image(color: u8) -> Vec<u8> {
        let mut bytes = vec![color; IMAGE];
        (0..3).for_each(|plane| bytes[plane * SIDE * SIDE + SIDE] += 1);
        bytes
    }

    fn stl10() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("stl10_binary");
        std::fs::create_dir(&folder).unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
        put("train_X.bin", &[image(10), image(20)].concat());
        put("train_y.bin", &[10, 1]);
        put("test_X.bin", &image(30));
        put("test_y.bin", &[2]);
        put("unlabeled_X.bin", &[image(40), image(50), image(60)].concat());
        put(
            "class_names.txt",
            b"airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n",
        );
        put("fold_indices.txt", b"0 1\n");
        dir
    }

    fn refusal(dir: &Path) -> String {
        list(&Tree::open(dir, dir).unwrap()).err().expect("must be refused").to_string()
    }

    #[test]
    fn images_are_read_column_by_column_and_labels_from_one() {
        let dir = stl10();
        let listing = list(&Tree::open(dir.path(), dir.path()).unwrap()).unwrap().expect("it is STL-10");
        let Pools::Divided { train, val } = &listing.pools else {
            panic!("STL-10 is divided")
        };
        assert_eq!((train[0].label, train[1].label, val[0].label), (9, 0, 1));
        assert_eq!((&listing.classes[0][..], &listing.classes[9][..]), ("airplane", "truck"));
        let image = listing.reader.image(&train[1]).unwrap();
        assert_eq!(
            (image.width, image.height, &image.pixels[..9]),
            (96, 96, &[20, 20, 20, 21, 21, 21, 20, 20, 20][..])
        );
        let said = listing.passed.sentences();
        assert!(
            said[0].contains("fold_indices.txt") && said[1].starts_with("3 images have no label"),
            "{said:?}"
        );
        assert!(listing.warnings[0].ends_with("stl10_binary/unlabeled_X.bin` itself as the source"));
    }

    #[test]
    fn the_images_without_labels_can_be_given_alone() {
        let dir = stl10();
        let alone = |name: &str| {
            let tree = Tree::open(&dir.path().join("stl10_binary").join(name), dir.path()).unwrap();
            list_unlabeled(&tree)
        };
        let listing = alone("unlabeled_X.bin").unwrap().expect("it has images");
        let Pools::Whole(items) = &listing.pools else {
            panic!("they are one pool")
        };
        assert_eq!((items.len(), listing.is_labeled()), (3, false));
        assert_eq!(listing.reader.image(&items[2]).unwrap().pixels[0], 60);
        assert!(alone("train_X.bin").unwrap().is_none());
        std::fs::write(dir.path().join("stl10_binary/unlabeled_X.bin"), [1; 5]).unwrap();
        assert!(alone("unlabeled_X.bin").is_err());
    }

    #[test]
    fn a_missing_truncated_or_mislabeled_file_is_refused_by_name() {
        let dir = stl10();
        let folder = dir.path().join("stl10_binary");
        std::fs::write(folder.join("train_X.bin"), image(10)).unwrap();
        assert!(refusal(dir.path()).contains("train_X.bin` has 27648 bytes: 2 images"));
        std::fs::write(folder.join("train_y.bin"), [11, 1]).unwrap();
        assert!(refusal(dir.path()).contains("label 0 of `") && refusal(dir.path()).ends_with("is 11: labels go from 1 to 10"));
        std::fs::remove_file(folder.join("train_y.bin")).unwrap();
        assert!(refusal(dir.path()).contains("train_y.bin` is missing"));
    }

    #[test]
    fn class_folders_with_a_list_of_names_are_none() {
        let tree = Tree::of_names("src", &["cat/1.png", "class_names.txt", "train_y.bin.txt", "train_X.bin"]);
        assert!(list(&Tree::of_names("src", &["cat/1.png", "class_names.txt"])).unwrap().is_none());
        assert!(list(&tree).is_err());
    }
}
