//! Damaged sources: whatever bytes a disk or a stranger leaves, there is an answer or a sentence, and no panic.
//!
//! Small sources of every kind are damaged at random, always in the same way, and opened as a run would. `UMBRA_MUTATIONS` sets how
//! many times; docs/performance.md has what a long run took.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::{ImageFormat, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Damaged sources of a usual run of the tests.
const USUAL: usize = 300;

/// A file of a source.
type Named = (PathBuf, Vec<u8>);

/// Sources by name: those of `tests/data`, and some that are made here.
fn sources() -> Vec<(String, Vec<Named>)> {
    let mut sources = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for entry in std::fs::read_dir(&root).into_iter().flatten().flatten() {
        let mut files = Vec::new();
        gather(&entry.path(), &entry.path(), &mut files);
        sources.push((entry.file_name().to_string_lossy().into_owned(), files));
    }
    let formats = [("png", ImageFormat::Png), ("jpg", ImageFormat::Jpeg)];
    for (ending, format) in formats {
        let mut files = Vec::new();
        for n in 0..6_u8 {
            let mut bytes = Cursor::new(Vec::new());
            let image = RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8 * 16, y as u8 * 16, n * 40]));
            image.write_to(&mut bytes, format).unwrap();
            files.push((PathBuf::from(format!("{}/{n}.{ending}", n % 2)), bytes.into_inner()));
        }
        let mut tar = tar::Builder::new(Vec::new());
        for (path, bytes) in &files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, &bytes[..]).unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, &tar).unwrap();
        sources.push((format!("folder of {ending}"), files));
        sources.push((format!("tar of {ending}"), vec![(PathBuf::from("images.tar"), tar)]));
        sources.push((
            format!("tgz of {ending}"),
            vec![(PathBuf::from("images.tar.gz"), gz.finish().unwrap())],
        ));
    }
    sources.sort();
    sources
}

fn gather(root: &Path, path: &Path, files: &mut Vec<Named>) {
    if path.is_dir() {
        let mut inside: Vec<PathBuf> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        inside.sort();
        inside.iter().for_each(|path| gather(root, path, files));
    } else {
        let name = path.strip_prefix(root).unwrap();
        let name = if name.as_os_str().is_empty() {
            Path::new(path.file_name().unwrap())
        } else {
            name
        };
        files.push((name.to_owned(), std::fs::read(path).unwrap()));
    }
}

/// Damages bytes in one of the ways in which files come to harm.
fn damage(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.random_range(0..bytes.len());
    let some = rng.random_range(1..=16_usize.min(bytes.len() - at));
    match rng.random_range(0..6) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << rng.random_range(0..8),
        2 => bytes[at..at + some].fill(0xff),
        3 => bytes[at..at + some].fill(0),
        4 => {
            let copy = bytes[at..at + some].to_vec();
            bytes.splice(at..at, copy);
        }
        _ => drop(bytes.drain(at..at + some)),
    }
    // What stands first decides most.
    if rng.random_bool(0.3) {
        let at = rng.random_range(0..bytes.len().clamp(1, 64));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = rng.random();
        }
    }
}

#[test]
fn damaged_sources_are_read_or_refused_without_a_panic() {
    let times = std::env::var("UMBRA_MUTATIONS")
        .ok()
        .and_then(|times| times.parse().ok())
        .unwrap_or(USUAL);
    let sources = sources();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for n in 0..times {
        let (name, files) = &sources[n % sources.len()];
        let mut files = files.clone();
        let hit = rng.random_range(0..files.len());
        (0..rng.random_range(1..4)).for_each(|_| damage(&mut files[hit].1, &mut rng));
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("source");
        for (path, bytes) in &files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        // An archive of its own is given itself.
        let source = match &files[..] {
            [(path, _)] => root.join(path),
            _ => root,
        };
        let settings = DataSettings {
            image_size: 8,
            max_broken: 0.5,
            ..DataSettings::of_source(&source.to_string_lossy())
        };
        let cache = dir.path().join("cache");
        let answered = catch_unwind(AssertUnwindSafe(|| {
            let _ = survey(&settings, &cache, &mut |_, _| {});
            if let Ok(dataset) = open_as(&settings, Keep::Nothing, &cache, &mut |_, _| {}) {
                (0..dataset.train.len().min(4)).for_each(|i| drop(dataset.train.image(i)));
            }
        }));
        assert!(
            answered.is_ok(),
            "{name}, damaged for the {n}th time, at `{}`",
            files[hit].0.display()
        );
    }
}
