//! Whole sources, from files on disk to opened data sets.

use std::io::{Cursor, Write};
use std::path::PathBuf;

use flate2::write::GzEncoder;
use image::{ImageFormat, RgbImage};
use tempfile::TempDir;

use super::*;

#[path = "moved_tests.rs"]
mod moved;

/// An image of one color that tells `tone`.
fn encoded(width: u32, height: u32, tone: u8, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(width, height, image::Rgb([tone, 100, 200]))
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

fn small_png(tone: u8) -> Vec<u8> {
    encoded(8, 8, tone, ImageFormat::Png)
}

/// Files by path: two classes, six training images each and two for validation.
fn divided() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (class, base) in [("cat", 0), ("dog", 100)] {
        files.extend((0..6).map(|n| (format!("train/{class}/{n}.png"), small_png(base + n))));
        files.extend((0..2).map(|n| (format!("val/{class}/{n}.png"), small_png(base + 50 + n))));
    }
    files
}

fn folder(files: &[(String, Vec<u8>)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = dir.path().join("src").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn archive(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn settings(source: &Path) -> DataSettings {
    let source = source.to_string_lossy().into_owned();
    DataSettings {
        source,
        image_size: 8,
        train_images: 0,
        val_images: 0,
        val_fraction: 0.25,
        max_broken: 0.0,
        label_column: String::new(),
    }
}

/// Opens with a cache beside the source.
fn opened(settings: &DataSettings) -> anyhow::Result<Dataset> {
    open(settings, &Path::new(&settings.source).with_file_name("cache"), &mut |_, _| {})
}

fn refusal(settings: &DataSettings) -> String {
    format!("{:#}", opened(settings).unwrap_err())
}

/// The tones of a split, with their labels.
fn tones(split: &Split) -> Vec<(u8, u32)> {
    (0..split.len())
        .map(|i| (split.image(i).unwrap().pixels[0], split.label(i)))
        .collect()
}

fn check_divided(dataset: &Dataset) {
    assert_eq!(dataset.classes, ["cat", "dog"]);
    let train: Vec<(u8, u32)> = (0..6).map(|n| (n, 0)).chain((100..106).map(|n| (n, 1))).collect();
    assert_eq!(tones(&dataset.train), train);
    assert_eq!(tones(&dataset.val), [(50, 0), (51, 0), (150, 1), (151, 1)]);
    assert!(dataset.warnings.is_empty(), "{:?}", dataset.warnings);
    let expected = [52.5 / 255.0, 100.0 / 255.0, 200.0 / 255.0];
    assert!(
        dataset
            .mean
            .iter()
            .zip(expected)
            .all(|(mean, expected)| (mean - expected).abs() < 1e-6),
        "{:?}",
        dataset.mean
    );
}

#[test]
fn folder_and_archives_of_the_same_images_are_the_same_data() {
    let dir = folder(&divided());
    check_divided(&opened(&settings(&dir.path().join("src"))).unwrap());
    let nested: Vec<_> = divided()
        .into_iter()
        .map(|(path, bytes)| (format!("./top/{path}"), bytes))
        .collect();
    for files in [divided(), nested] {
        for (name, bytes) in [
            ("a.tar", tar(&files)),
            ("a.tar.gz", gzip(&tar(&files))),
            ("a.tgz", gzip(&tar(&files))),
        ] {
            let (_dir, path) = archive(name, &bytes);
            check_divided(&opened(&settings(&path)).unwrap());
        }
    }
}

#[test]
fn a_single_folder_is_divided_per_class_and_always_in_the_same_way() {
    let files: Vec<_> = divided()
        .into_iter()
        .filter_map(|(path, bytes)| Some((path.strip_prefix("train/")?.to_owned(), bytes)))
        .collect();
    let dir = folder(&files[..]);
    let mut settings = settings(&dir.path().join("src"));
    settings.val_fraction = 1.0 / 3.0;
    let dataset = opened(&settings).unwrap();
    assert_eq!((dataset.train.len(), dataset.val.len()), (8, 4));
    assert_eq!(dataset.val.labels(), [0, 0, 1, 1]);
    std::fs::remove_dir_all(dir.path().join("cache")).unwrap();
    assert_eq!(tones(&opened(&settings).unwrap().val), tones(&dataset.val));
}

#[test]
fn a_subset_is_balanced_and_more_than_there_is_is_refused() {
    let dir = folder(&divided());
    let mut settings = settings(&dir.path().join("src"));
    (settings.train_images, settings.val_images) = (4, 2);
    let dataset = opened(&settings).unwrap();
    assert_eq!(dataset.train.labels(), [0, 0, 1, 1]);
    assert_eq!(dataset.val.labels(), [0, 1]);
    settings.val_images = 5;
    let sentence = refusal(&settings);
    assert!(
        sentence.starts_with("data.val_images is 5, but `") && sentence.ends_with("has 4 images for val (0 uses all)"),
        "{sentence}"
    );
}

#[test]
fn large_images_of_any_shape_are_kept_as_squares_and_their_sizes_remembered() {
    let sizes = [(300, 200), (150, 400), (120, 120), (500, 110)];
    let image = |(n, (w, h)): (usize, &(u32, u32))| (format!("only/{n}.jpg"), encoded(*w, *h, 40, ImageFormat::Jpeg));
    let dir = folder(&sizes.iter().enumerate().map(image).collect::<Vec<_>>());
    let dataset = opened(&settings(&dir.path().join("src"))).unwrap();
    assert_eq!(dataset.train.kept_size(), Some([16, 16]));
    assert_eq!(
        dataset.sizes,
        Sizes {
            seen: 4,
            min: [120, 110],
            max: [500, 400],
            turned: 0,
        }
    );
    let tone = dataset.val.image(0).unwrap().pixels[0];
    assert!(tone.abs_diff(40) < 3, "{tone}");
}

#[test]
fn a_source_too_large_to_be_cached_gives_the_same_images_on_demand() {
    let dir = folder(&divided());
    let (_tar_dir, tar_path) = archive("a.tar", &tar(&divided()));
    let (_tgz_dir, tgz_path) = archive("a.tgz", &gzip(&tar(&divided())));
    for source in [dir.path().join("src"), tar_path, tgz_path] {
        let settings = settings(&source);
        let cache = source.with_file_name("cache");
        // Once listing, once from the remembered places.
        for _ in 0..2 {
            let dataset = prepare::open(locate::locate(&settings, &cache).unwrap(), &settings, 10, &cache, &mut |_, _| {}).unwrap();
            assert_eq!(dataset.train.kept_size(), None);
            check_divided(&dataset);
        }
    }
}

#[test]
fn a_cache_is_used_again_until_the_source_changes() {
    let dir = folder(&divided());
    let settings = settings(&dir.path().join("src"));
    let count = |settings: &DataSettings| {
        let mut decoded = 0;
        open(settings, &dir.path().join("cache"), &mut |done, total| {
            assert_eq!(total, 16);
            decoded = done;
        })
        .unwrap();
        decoded
    };
    assert_eq!((count(&settings), count(&settings)), (16, 0));
    std::fs::write(dir.path().join("src/val/cat/1.png"), encoded(8, 8, 9, ImageFormat::Jpeg)).unwrap();
    assert_eq!((count(&settings), count(&settings)), (16, 0));
}

#[test]
fn broken_images_are_skipped_by_name_up_to_the_limit() {
    let mut files = divided();
    files[3].1.truncate(30);
    let dir = folder(&files);
    let mut settings = settings(&dir.path().join("src"));
    let sentence = refusal(&settings);
    assert!(
        sentence.contains("cannot be read than data.max_broken = 0 allows: `train/cat/3.png` ("),
        "{sentence}"
    );
    settings.max_broken = 0.1;
    for _ in 0..2 {
        let dataset = opened(&settings).unwrap();
        assert_eq!(dataset.train.len(), 11);
        assert_eq!(tones(&dataset.train)[3], (4, 0));
        assert!(
            dataset.warnings[0].starts_with("skipped `train/cat/3.png`: "),
            "{:?}",
            dataset.warnings
        );
    }
}

#[test]
fn a_source_that_is_missing_or_of_no_known_kind_is_refused_by_path() {
    assert!(refusal(&settings(Path::new("/no/such/place"))).starts_with("data.source is `/no/such/place`, which cannot be opened"));
    let (_dir, path) = archive("a.zip", b"PK");
    assert!(refusal(&settings(&path)).contains("a.zip` is truncated or damaged"));
    let (_dir, path) = archive("1.png", &small_png(1));
    let sentence = refusal(&settings(&path));
    assert!(
        sentence.ends_with("1.png`, which is a single image: a folder, a tar (plain, gzip or Zstandard) or a ZIP is wanted"),
        "{sentence}"
    );
}

#[test]
fn a_folder_without_classes_or_with_an_empty_one_is_refused_by_path() {
    let dir = folder(&divided());
    let source = dir.path().join("src");
    std::fs::create_dir(source.join("train/emu")).unwrap();
    assert!(refusal(&settings(&source)).contains("src/train/emu` has no images"));
    std::fs::create_dir(dir.path().join("bare")).unwrap();
    assert!(refusal(&settings(&dir.path().join("bare"))).contains("bare` has no images"));
    let lonely = folder(&[("a/1.png".to_owned(), small_png(1))]);
    assert!(refusal(&settings(&lonely.path().join("src"))).contains("src` has a single image"));
}

#[test]
fn a_truncated_archive_is_refused_by_path_wherever_it_ends() {
    let whole = tar(&divided());
    for length in [whole.len() - 1024, whole.len() / 2, whole.len() / 2 + 100, 700, 10] {
        let (_dir, path) = archive("a.tar", &whole[..length]);
        let sentence = refusal(&settings(&path));
        assert!(
            sentence.contains("a.tar` is truncated or damaged"),
            "{length} of {}: {sentence}",
            whole.len()
        );
    }
    let whole = gzip(&whole);
    for length in [whole.len() - 1, whole.len() / 2, 10, 0] {
        let (_dir, path) = archive("a.tar.gz", &whole[..length]);
        let sentence = refusal(&settings(&path));
        assert!(
            sentence.contains("a.tar.gz` is truncated or damaged"),
            "{length} of {}: {sentence}",
            whole.len()
        );
    }
}

#[test]
fn what_was_decided_and_passed_over_is_said() {
    let mut files: Vec<_> = divided().into_iter().map(|(path, bytes)| (format!("me/{path}"), bytes)).collect();
    files.push(("me/test/cat/1.png".to_owned(), small_png(7)));
    files.push(("notes.txt".to_owned(), b"hello".to_vec()));
    files.push(("me/train/cat/._1.png".to_owned(), b"from a Mac".to_vec()));
    // What it is, its bytes say.
    files[0].0 = "me/train/cat/0".to_owned();
    let dir = folder(&files);
    let (_dir, path) = archive("a", &gzip(&tar(&files)));
    for source in [dir.path().join("src"), path] {
        let dataset = opened(&settings(&source)).unwrap();
        assert_eq!((dataset.train.len(), dataset.val.len()), (12, 4));
        assert_eq!(
            dataset.warnings,
            [
                "1 files of operating systems were ignored: `me/train/cat/._1.png`",
                "1 files are no images and were passed over: `notes.txt`",
                "1 images are of a split that is not used: `me/test/cat/1.png`",
            ]
        );
    }
}

#[test]
fn images_without_labels_are_one_pool_in_folders_and_archives() {
    let files: Vec<_> = (0..4).map(|n| (format!("{n}.png"), small_png(n))).collect();
    let dir = folder(&files);
    let (_dir, path) = archive("a.tar", &tar(&files));
    for source in [dir.path().join("src"), path] {
        let dataset = opened(&settings(&source)).unwrap();
        assert_eq!((dataset.layout, dataset.labeled), (Layout::Unlabeled, false));
        assert_eq!((dataset.train.len(), dataset.val.len()), (3, 1));
    }
}

#[test]
fn the_contact_sheet_has_a_row_per_class() {
    let dir = folder(&divided());
    let (source, sheet) = (dir.path().join("src"), dir.path().join("sheet.png"));
    let settings = DataSettings {
        image_size: 8,
        ..settings(&source)
    };
    let cache = dir.path().join("cache");
    let dataset = super::open(&settings, &cache, &mut |_, _| {}).unwrap();
    write_sheet(&dataset, &sheet).unwrap();
    let drawn = image::open(&sheet).unwrap().into_rgb8();
    assert_eq!((drawn.width(), drawn.height()), (684, 140));
    // The sixth of the dogs, and nothing to its right.
    assert_eq!(drawn.get_pixel(4 + 5 * 68 + 30, 4 + 68 + 30).0, [105, 100, 200]);
    assert_eq!(drawn.get_pixel(4 + 6 * 68 + 30, 4 + 68 + 30).0, [255; 3]);

    // The one for a page is drawn from the source, and kept.
    let small = super::decoded(&settings, &dataset.fingerprint, &cache).expect("it was opened");
    assert_eq!((small.train, small.val, small.kept), (12, 4, Some([8, 8])));
    let png = page_sheet(&settings, &dataset.fingerprint, &cache).unwrap();
    assert_eq!(image::load_from_memory(&png).unwrap().height(), 140);
    let others = page_sheet(&settings, "0", &cache).unwrap_err().to_string();
    assert!(others.contains("are others now"), "{others}");
    std::fs::remove_dir_all(&source).unwrap();
    assert_eq!(page_sheet(&settings, &dataset.fingerprint, &cache).unwrap(), png);
    assert!(page_sheet(&settings, "0", &cache).is_err(), "the source is gone");
}

#[test]
fn a_few_odd_images_do_not_decide_the_size_of_all_and_tiny_ones_are_named() {
    let image = |name: String, side: u32, tone: u8| (name, encoded(side, side, tone, ImageFormat::Png));
    let usual: Vec<_> = (0..8_u8)
        .map(|n| image(format!("{}/{n}.png", ["a", "b"][usize::from(n % 2)]), 48, n))
        .collect();
    let kept = |odd: &[u32]| {
        let odd = odd.iter().map(|side| image(format!("a/odd{side}.png"), *side, 99));
        let dir = folder(&usual.iter().cloned().chain(odd).collect::<Vec<_>>());
        let dataset = opened(&settings(&dir.path().join("src"))).unwrap();
        (dataset.train.kept_size().unwrap(), dataset.warnings)
    };
    assert_eq!(kept(&[]), ([48, 48], Vec::new()));
    assert_eq!(kept(&[300]), ([48, 48], Vec::new()));
    let (size, warnings) = kept(&[1]);
    assert_eq!(size, [48, 48]);
    assert_eq!(
        warnings,
        ["1 images are less than a quarter as large as usual (short side 48) and are enlarged: `a/odd1.png`"]
    );
}

#[test]
fn images_that_are_stored_turned_are_counted() {
    let turned = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images/turned6.jpg")).unwrap();
    let upright = encoded(12, 20, 9, ImageFormat::Jpeg);
    let dir = folder(&[
        ("a/0.jpg".to_owned(), turned.clone()),
        ("a/1.jpg".to_owned(), turned),
        ("b/0.jpg".to_owned(), upright.clone()),
        ("b/1.jpg".to_owned(), upright),
    ]);
    let dataset = opened(&settings(&dir.path().join("src"))).unwrap();
    assert_eq!((dataset.sizes.turned, dataset.sizes.seen), (2, 4));
    assert_eq!((dataset.sizes.min, dataset.train.kept_size()), ([12, 20], Some([12, 20])));
}
