//! Small sets of IDX files.

use std::io::Write;
use std::path::Path;

use flate2::write::GzEncoder;

use super::*;

fn listed(dir: &Path) -> anyhow::Result<Listing> {
    Ok(list(&Tree::open(dir, dir)?)?.expect("it is IDX"))
}

fn refusal(dir: &Path) -> String {
    match listed(dir) {
        Ok(_) => panic!("must be refused"),
        Err(e) => format!("{e:#}"),
    }
}

fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// Two training images of 2 x 3 pixels with labels 4 and 2, one for validation with label 4, gzipped.
fn write(dir: &Path, prefix: &str, val: &str) {
    std::fs::create_dir_all(dir).unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(dir.join(format!("{prefix}{name}")), bytes).unwrap();
    put(
        "train-images-idx3-ubyte",
        &idx(&[2, 2, 3], &[0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]),
    );
    put("train-labels-idx1-ubyte", &idx(&[2], &[4, 2]));
    put(&format!("{val}-labels-idx1-ubyte"), &idx(&[1], &[4]));
    put(&format!("{val}-images-idx3-ubyte.gz"), &gzip(&idx(&[1, 2, 3], &[9; 6])));
}

fn mnist() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "", "t10k");
    dir
}

#[test]
fn gray_images_become_rgb_and_labels_become_places() {
    let dir = mnist();
    let listing = listed(dir.path()).unwrap();
    assert_eq!(listing.classes, ["2", "4"]);
    let Pools::Divided { train, val } = listing.pools else {
        panic!("IDX is divided")
    };
    assert_eq!((train[0].label, train[1].label, val[0].label), (1, 0, 1));
    let image = listing.reader.image(&train[1]).unwrap();
    assert_eq!((image.width, image.height), (3, 2));
    assert_eq!(image.pixels[..6], [10, 10, 10, 11, 11, 11]);
    assert_eq!(listing.reader.image(&val[0]).unwrap().pixels, [9; 18]);
}

#[test]
fn equal_twins_count_once_and_others_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("MNIST/raw");
    write(&raw, "", "t10k");
    for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
        std::fs::write(raw.join(format!("{name}.gz")), gzip(&std::fs::read(raw.join(name)).unwrap())).unwrap();
    }
    let listing = listed(dir.path()).unwrap();
    let said = listing.passed.sentences();
    assert!(
        said.len() == 1 && said[0].contains("`MNIST/raw/train-images-idx3-ubyte.gz`, `MNIST/raw/train-labels-idx1-ubyte.gz`"),
        "{said:?}"
    );
    std::fs::write(raw.join("train-labels-idx1-ubyte.gz"), gzip(&idx(&[2], &[4, 4]))).unwrap();
    assert!(refusal(dir.path()).ends_with("train-labels-idx1-ubyte.gz` are not the same: remove one of them"));
}

#[test]
fn several_sets_are_refused_and_what_to_give_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("MNIST/raw"), "", "t10k");
    write(&dir.path().join("FashionMNIST/raw"), "", "t10k");
    let sentence = refusal(dir.path());
    assert!(sentence.contains("give one of `") && sentence.contains("/FashionMNIST/raw`, `") && sentence.ends_with("/MNIST/raw`"));
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "emnist-balanced-", "test");
    write(dir.path(), "emnist-letters-", "test");
    assert!(refusal(dir.path()).contains("begin with `emnist-balanced-`, `emnist-letters-`: put the four files"));
}

#[test]
fn emnist_is_read_as_it_is_stored_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "emnist-balanced-", "test");
    let listing = listed(dir.path()).unwrap();
    assert!(listing.warnings[0].contains("rows and columns exchanged"));
}

#[test]
fn names_are_told_however_they_are_unpacked() {
    let role = |path: &str| Role::of(path).map(|role| role.name());
    assert_eq!(role("a/train-images.idx3-ubyte").as_deref(), Some("a/train-images-idx3-ubyte"));
    assert_eq!(
        role("a/t10k-labels-idx1-ubyte/t10k-labels-idx1-ubyte").as_deref(),
        Some("a/t10k-labels-idx1-ubyte")
    );
    assert_eq!(
        role("emnist-mnist-test-images-idx3-ubyte.gz").as_deref(),
        Some("emnist-mnist-test-images-idx3-ubyte")
    );
    assert_eq!(role("notes-ubyte.txt"), None);
}

#[test]
fn a_missing_truncated_or_contradicting_file_is_refused_by_name() {
    let refusal = |name: &str, bytes: Option<&[u8]>| {
        let dir = mnist();
        match bytes {
            Some(bytes) => std::fs::write(dir.path().join(name), bytes).unwrap(),
            None => std::fs::remove_file(dir.path().join(name)).unwrap(),
        }
        refusal(dir.path())
    };
    let labels = "train-labels-idx1-ubyte";
    assert!(refusal(labels, Some(&idx(&[2], &[4]))).contains("train-labels-idx1-ubyte` is truncated"));
    assert!(refusal(labels, Some(&idx(&[1], &[4]))).contains("has 1 labels, but"));
    assert!(refusal(labels, Some(b"hello")).contains("is not an IDX file"));
    assert!(refusal(labels, Some(&idx(&[2], &[2, 3]))).contains("label 4 in"));
    assert!(refusal(labels, None).contains("train-labels-idx1-ubyte` is missing, plain or .gz"));
    assert!(refusal("t10k-images-idx3-ubyte.gz", Some(&[0x1f, 0x8b, 8, 0])).contains("t10k-images-idx3-ubyte.gz` is truncated"));
}

#[test]
fn impossible_dimensions_are_refused() {
    for (dims, sentence) in [
        ([0, 28, 28], "is damaged: its dimensions are [0, 28, 28]"),
        ([u32::MAX, u32::MAX, u32::MAX], "is damaged: its dimensions are"),
        ([2, 1 << 20, 1 << 20], "is truncated: it has"),
        ([1, 1, 1], "has more bytes than its dimensions"),
    ] {
        let dir = mnist();
        std::fs::write(dir.path().join("train-images-idx3-ubyte"), idx(&dims, &[7; 12])).unwrap();
        assert!(refusal(dir.path()).contains(sentence), "{}", refusal(dir.path()));
        std::fs::remove_file(dir.path().join("train-images-idx3-ubyte")).unwrap();
        std::fs::write(dir.path().join("train-images-idx3-ubyte.gz"), gzip(&idx(&dims, &[7; 12]))).unwrap();
        let packed = refusal(dir.path());
        assert!(
            packed.contains(sentence) || packed.contains("unpacks to 2199023255552 bytes"),
            "{packed}"
        );
    }
}
