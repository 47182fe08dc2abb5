//! The cache file is written once, shared, checked and made again when damaged.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn description() -> Description {
    Description {
        layout: crate::data::Layout::ClassFolders,
        labeled: true,
        classes: vec!["a".to_owned()],
        train: vec![0, 0],
        val: vec![0],
        mean: [0.5; 3],
        std: [0.25; 3],
        sizes: Sizes::default(),
        warnings: Vec::new(),
        names: Vec::new(),
        contents: Contents::Images { width: 1000, height: 200 },
    }
}

/// Bytes of one image: three of them are more than one block and no whole number of blocks.
const BYTES: usize = 600_000;

fn open(dir: &Path, filled: &AtomicUsize) -> anyhow::Result<Cache> {
    Cache::open(dir, "key", |writer| {
        filled.fetch_add(1, Ordering::SeqCst);
        (0..3_u8).try_for_each(|image| writer.write(&vec![image; BYTES]))?;
        Ok(description())
    })
}

fn check(cache: &Cache) {
    assert_eq!(cache.description, description());
    (0..3).for_each(|index| assert!(cache.pixels(index, BYTES).iter().all(|byte| *byte == index as u8)));
}

#[test]
fn a_cache_is_made_once() {
    let (dir, filled) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    check(&open(dir.path(), &filled).unwrap());
    check(&open(dir.path(), &filled).unwrap());
    assert_eq!(filled.into_inner(), 1);
}

#[test]
fn a_damaged_cache_is_made_again_wherever_the_damage_is() {
    let (dir, filled) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    open(dir.path(), &filled).unwrap();
    let path = dir.path().join("key.images");
    let good = std::fs::read(&path).unwrap();
    for (nth, at) in [0, 9, 17, 25, 30, HEADER, HEADER + BLOCK + 5, HEADER + 3 * BYTES + 3, good.len() - 1]
        .into_iter()
        .enumerate()
    {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, bad).unwrap();
        check(&open(dir.path(), &filled).unwrap());
        assert_eq!(filled.load(Ordering::SeqCst), nth + 2, "a changed byte at {at} must be noticed");
    }
    for length in [0, 10, HEADER, good.len() / 2] {
        std::fs::write(&path, &good[..length]).unwrap();
        check(&open(dir.path(), &filled).unwrap());
    }
    assert_eq!(std::fs::read(&path).unwrap(), good);
}

#[test]
fn many_that_want_the_same_cache_at_once_all_get_it_and_one_makes_it() {
    let (dir, filled) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| check(&open(dir.path(), &filled).unwrap()));
        }
    });
    assert_eq!(filled.into_inner(), 1);
}

#[test]
fn a_failed_filling_leaves_nothing_and_the_next_one_works() {
    let (dir, filled) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    let failed = Cache::open(dir.path(), "key", |writer| {
        writer.write(&[1; 10])?;
        bail!("no")
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["key.lock"]);
    std::fs::write(dir.path().join("key.1-x.tmp"), "left by a killed process").unwrap();
    check(&open(dir.path(), &filled).unwrap());
    assert!(!dir.path().join("key.1-x.tmp").exists());
}

#[test]
fn a_cache_in_use_stays_when_another_is_made_and_an_unused_one_goes() {
    let (dir, filled) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    let path = |name: &str| dir.path().join(name);
    let long_ago = || {
        for name in ["key.images", "other.images"] {
            let file = OpenOptions::new().create(true).append(true).open(path(name)).unwrap();
            file.set_modified(SystemTime::now() - UNUSED).unwrap();
        }
    };
    let make_another = |key: &str| {
        Cache::open(dir.path(), key, |writer| {
            writer.write(&[1; 3 * BYTES])?;
            Ok(description())
        })
    };
    open(dir.path(), &filled).unwrap();
    long_ago();
    let mapped = open(dir.path(), &filled).unwrap();
    make_another("third").unwrap();
    assert!(path("key.images").exists() && !path("other.images").exists());
    long_ago();
    make_another("fourth").unwrap();
    assert!(!path("key.images").exists());
    check(&mapped);
}

#[test]
fn a_cache_folder_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = format!("{:#}", open(&file.join("cache"), &AtomicUsize::new(0)).unwrap_err());
    assert!(error.contains("file/cache` cannot be"), "{error}");
}
