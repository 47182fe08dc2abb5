use std::path::PathBuf;

use super::*;
use crate::data::source::Pools;

fn settings(label_column: &str) -> DataSettings {
    DataSettings {
        label_column: label_column.to_owned(),
        ..DataSettings::of_source("")
    }
}

fn png(gray: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(2, 2, image::Rgb([gray; 3]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A folder with one tar for each list of files: their names and what is in them; images are made of one gray.
fn shards_of(tars: &[(&str, &[(&str, &str)])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, files) in tars {
        let mut tar = tar::Builder::new(std::fs::File::create(dir.path().join(name)).unwrap());
        for (number, (path, text)) in files.iter().enumerate() {
            let bytes = if is_image_name(path) {
                png(number as u8)
            } else {
                text.as_bytes().to_vec()
            };
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, &bytes[..]).unwrap();
        }
        tar.finish().unwrap();
    }
    dir
}

fn listed_at(path: &Path, label_column: &str) -> anyhow::Result<Option<Listing>> {
    let scratch = tempfile::tempdir().unwrap();
    list(&Tree::open(path, scratch.path())?, &settings(label_column), scratch.path())
}

fn refusal(path: &Path, label_column: &str) -> String {
    listed_at(path, label_column).map(|_| ()).expect_err("must be refused").to_string()
}

fn labels_of(listing: &Listing) -> Vec<(&str, u32)> {
    match &listing.pools {
        Pools::Whole(items) => items.iter().map(|item| (item.name.as_str(), item.label)).collect(),
        Pools::Divided { .. } => panic!("it is one pool"),
    }
}

#[test]
fn shards_are_read_as_they_are_noted() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let expected = std::fs::read_to_string(data.join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let expected = &expected["webdataset"];
    let listing = listed_at(&data.join("webdataset"), "").unwrap().unwrap();
    assert_eq!(serde_json::to_value(&listing.classes).unwrap(), expected["classes"]);
    let Pools::Whole(items) = &listing.pools else {
        panic!("it is one pool")
    };
    let images = expected["splits"]["train"]["images"].as_array().unwrap();
    assert_eq!(items.len(), images.len());
    for (item, image) in items.iter().zip(images) {
        assert!(
            item.name.ends_with(&format!("/{}.jpg", image[0].as_str().unwrap())),
            "{}",
            item.name
        );
        assert_eq!(u64::from(item.label), image[1].as_u64().unwrap(), "{}", item.name);
        let decoded = listing.reader.image(item).unwrap();
        for color in 0..3 {
            let sum: f64 = decoded.pixels.iter().skip(color).step_by(3).map(|value| f64::from(*value)).sum();
            let mean = image[4][color].as_f64().unwrap();
            // Decoders of JPEG differ by a step here and there.
            assert!((sum / 1024.0 - mean).abs() < 0.6, "{}: {}, not {mean}", item.name, sum / 1024.0);
        }
    }
}

#[test]
fn fields_name_the_classes_and_other_images_of_a_sample_are_none() {
    let dir = shards_of(&[(
        "s-0.tar",
        &[
            ("part0/0.png", ""),
            ("part0/0.seg.png", ""),
            ("part0/0.json", r#"{"label": 1, "class": "a boat", "width": 2}"#),
            ("part0/1.png", ""),
            ("part0/1.json", r#"{"label": 0, "class": "moon"}"#),
            ("part0/2.v1.png", ""),
        ],
    )]);
    let listing = listed_at(dir.path(), "").unwrap().unwrap();
    assert_eq!(listing.classes, ["moon", "a boat"]);
    assert_eq!(labels_of(&listing), [("s-0.tar/part0/0.png", 1), ("s-0.tar/part0/1.png", 0)]);
    assert_eq!(
        listing.warnings,
        ["other files of the samples are not read: 1 of `.seg.png`, 1 of `.v1.png`"]
    );
    let Pools::Whole(items) = &listing.pools else { panic!() };
    assert_eq!(listing.reader.image(&items[1]).unwrap().pixels, [3; 12]);
    // The tar alone is the same set.
    let alone = listed_at(&dir.path().join("s-0.tar"), "").unwrap().unwrap();
    assert_eq!(labels_of(&alone), [("part0/0.png", 1), ("part0/1.png", 0)]);
    assert_eq!(listed_at(dir.path(), "width").unwrap().unwrap().classes, ["2"]);
    let error = refusal(dir.path(), "species");
    assert!(
        error.contains("data.label_column is `species`") && error.contains("`class`, `label`, `width`"),
        "{error}"
    );
}

#[test]
fn fields_that_contradict_each_other_are_refused_with_their_names() {
    let json = [r#"{"label": 0, "category": 1}"#, r#"{"label": 1, "category": 1}"#];
    let dir = shards_of(&[("s-0.tar", &[("0.png", ""), ("0.json", json[0]), ("1.png", ""), ("1.json", json[1])])]);
    let error = refusal(dir.path(), "");
    assert!(error.contains("`category`, `label`: set data.label_column"), "{error}");
    assert_eq!(listed_at(dir.path(), "label").unwrap().unwrap().classes, ["0", "1"]);
}

#[test]
fn labels_that_are_no_numbers_or_missing_are_named() {
    let dir = shards_of(&[(
        "bad.tar",
        &[
            ("000000.jpg", ""),
            ("000000.cls", "zero"),
            ("000001.jpg", ""),
            ("000002.jpg", ""),
            ("000002.cls", "0"),
        ],
    )]);
    for (path, key) in [(dir.path().to_owned(), "bad.tar/000000"), (dir.path().join("bad.tar"), "000000")] {
        let error = refusal(&path, "");
        for part in [&format!("`{key}` is `zero`"), "1 samples have no label", "000001`"] {
            assert!(error.contains(part), "{error}");
        }
    }
    let dir = shards_of(&[(
        "s-0.tar",
        &[("0.jpg", ""), ("0.cls", "4\n"), ("1.jpg", ""), ("2.jpg", ""), ("2.cls", "-1")],
    )]);
    let listing = listed_at(dir.path(), "").unwrap().unwrap();
    assert_eq!(
        (labels_of(&listing), &listing.classes[..]),
        (vec![("s-0.tar/0.jpg", 0)], &["4".to_owned()][..])
    );
    assert!(
        listing.passed.sentences()[0].starts_with("2 images have no label"),
        "{:?}",
        listing.passed
    );
    let dir = shards_of(&[("s-0.tar", &[("0.jpg", ""), ("0.cls", "1"), ("0.png", "")])]);
    assert!(refusal(dir.path(), "").contains("the sample `0` has two images, `.jpg` and `.png`"));
    let dir = shards_of(&[("s-0.tar", &[("0.jpg", ""), ("0.json", "[1]")])]);
    assert!(refusal(dir.path(), "").contains("the `.json` of the sample `s-0.tar/0` is no object"));
}

#[test]
fn shards_are_divided_by_their_names() {
    let sample: &[(&str, &str)] = &[("0.jpg", ""), ("0.cls", "1")];
    let dir = shards_of(&[
        ("train-0.tar", sample),
        ("train-1.tar", sample),
        ("val-0.tar", sample),
        ("test-0.tar", sample),
    ]);
    let listing = listed_at(dir.path(), "").unwrap().unwrap();
    let Pools::Divided { train, val } = &listing.pools else {
        panic!("it is divided")
    };
    assert_eq!((train.len(), val[0].name.as_str()), (2, "val-0.tar/0.jpg"));
    assert!(listing.passed.sentences()[0].starts_with("1 images are of a split that is not used"));
}

#[test]
fn tars_of_class_folders_are_no_shards() {
    let folders: &[(&str, &str)] = &[("a/0.png", ""), ("a/1.png", ""), ("b/0.png", ""), ("b/notes.json", "{}")];
    let dir = shards_of(&[("set-0.tar", folders)]);
    assert!(listed_at(dir.path(), "").unwrap().is_none());
    assert!(listed_at(&dir.path().join("set-0.tar"), "").unwrap().is_none());
    // A class of ImageNet, and shards without any labels.
    let flat: &[(&str, &str)] = &[("0.png", ""), ("1.png", "")];
    assert!(listed_at(shards_of(&[("n01440764.tar", flat)]).path(), "").unwrap().is_none());
    let listing = listed_at(shards_of(&[("images-000.tar", flat), ("images-001.tar", flat)]).path(), "")
        .unwrap()
        .unwrap();
    assert_eq!((listing.is_labeled(), labels_of(&listing).len()), (false, 4));
}
