//! Data sets as they are downloaded: `tests/data/` has small ones, made by a script that read them back with torchvision.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::colors::Colors;
use super::locate;
use super::source::{Item, Listing, Pools};
use crate::experiment::settings::DataSettings;

fn folder() -> PathBuf {
    match std::env::var("UMBRA_TEST_DATA") {
        Ok(folder) => folder.into(),
        Err(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"),
    }
}

fn located(path: &str, scratch: &Path) -> anyhow::Result<Listing> {
    let settings = DataSettings {
        source: folder().join(path).to_string_lossy().into_owned(),
        image_size: 32,
        train_images: 0,
        val_images: 0,
        val_fraction: 0.25,
        max_broken: 0.0,
        label_column: String::new(),
    };
    locate::locate(&settings, scratch)
}

/// Compares the source at `path` with what `datasets.json` says of `name`, and returns the sentences about it.
fn check(name: &str, path: &str, exact: bool) -> Vec<String> {
    let json = std::fs::read_to_string(folder().join("datasets.json")).unwrap();
    let truth: Value = serde_json::from_str(&json).unwrap();
    let truth = &truth["sources"][name];
    let scratch = tempfile::tempdir().unwrap();
    let listing = located(path, scratch.path()).unwrap_or_else(|e| panic!("{path}: {e:#}"));
    let classes: Vec<Value> = listing.classes.iter().map(|class| class.as_str().into()).collect();
    assert_eq!(Value::Array(classes), truth["classes"], "{path}");
    let (train, val) = match &listing.pools {
        Pools::Divided { train, val } => (&train[..], &val[..]),
        Pools::Whole(items) => (&items[..], &[][..]),
    };
    for (split, items) in [("train", train), ("val", val)] {
        let no_images = Vec::new();
        let images = truth["splits"][split]["pictures"].as_array().unwrap_or(&no_images);
        assert_eq!(items.len(), images.len(), "{path} {split}");
        for image in images {
            compare(&listing, items, image, exact);
        }
    }
    [listing.passed.sentences(), listing.warnings].concat()
}

/// Finds an image of the truth among `items` and compares label, size and mean color.
fn compare(listing: &Listing, items: &[Item], truth: &Value, exact: bool) {
    let name = truth[0].as_str().unwrap();
    // The binary files of CIFAR have an ending that the truth leaves out.
    let binary = name.replace('#', ".bin#");
    let is_named = |item: &&Item| item.name.ends_with(name) || item.name.ends_with(&binary);
    let [item] = items.iter().filter(is_named).collect::<Vec<_>>()[..] else {
        panic!("`{name}` is there once")
    };
    assert_eq!(u64::from(item.label), truth[1], "{name}");
    let image = listing.reader.image(item).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    assert_eq!(
        (Value::from(image.width), Value::from(image.height)),
        (truth[2].clone(), truth[3].clone()),
        "{name}"
    );
    let mean = Colors::of(&image.pixels).mean();
    for (channel, mean) in mean.into_iter().enumerate() {
        let wanted = truth[4][channel].as_f64().unwrap();
        let off = (f64::from(mean) * 255.0 - wanted).abs();
        assert!(off < if exact { 0.006 } else { 0.6 }, "{name} channel {channel}: {mean} {wanted}");
    }
}

#[test]
fn cifar_archives_are_read_binary_or_pickled_alone_or_together() {
    for kind in ["binary", "python"] {
        let said = check(&format!("cifar10_{kind}"), &format!("cifar10/cifar-10-{kind}.tar.gz"), true);
        assert_eq!(
            said,
            ["1 files are no images and were passed over: `".to_owned()
                + &format!("cifar-10-batches-{}/readme.html`", if kind == "binary" { "bin" } else { "py" })]
        );
    }
    let said = check("cifar10_binary", "cifar10", true);
    assert!(
        said.iter()
            .any(|sentence| sentence.ends_with("have the same images and labels: the first is read")),
        "{said:?}"
    );
}

#[test]
fn mnist_is_read_from_its_folder_and_from_those_above() {
    for path in ["mnist/MNIST/raw", "mnist/MNIST", "mnist"] {
        assert!(check("mnist", path, true).is_empty());
    }
}

#[test]
fn imagenet_is_read_from_its_archives() {
    let said = check("imagenet", "imagenet", false);
    assert!(said.iter().any(|sentence| sentence.contains("LOC_synset_mapping.txt")), "{said:?}");
}

#[test]
fn kaggles_table_is_read_and_images_without_labels_are_counted() {
    let said = check("kaggle", "kaggle", false);
    assert!(
        said[0].contains("sample_submission.csv") && said[1].starts_with("4 images have no label"),
        "{said:?}"
    );
}

#[test]
fn an_image_that_the_table_names_and_is_lost_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let lost = scratch.path().join("lost");
    copy(&folder().join("kaggle"), &lost);
    let image = std::fs::read_dir(lost.join("train")).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(&image).unwrap();
    let error = located(lost.to_str().unwrap(), scratch.path())
        .err()
        .expect("an image is lost")
        .to_string();
    let name = image.file_stem().unwrap().to_str().unwrap();
    assert!(error.contains("labels.csv`") && error.contains(name), "{error}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::write(to, std::fs::read(from).unwrap()).unwrap();
        }
    }
}
