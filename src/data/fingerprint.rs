//! The fingerprint of a data set: what its images are, whatever they are called by and wherever they lie.
//!
//! Taking it reads the files, so it is kept in the cache under their names, sizes and times, which are looked at each time.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::source::{Item, Listing, Pools, Reader};
use super::stamp::hex;

/// Bytes of all images up to which every byte enters the fingerprint; of larger sets the ends of every image do (ours: a
/// few seconds of reading).
const WHOLE: u64 = 4 << 30;
/// Bytes at either end of an image of a larger set.
const END: u64 = 16 << 10;
/// Images hashed between two reports.
const ROUND: usize = 1024;
/// Part of the name that a fingerprint is kept under; to be raised when the same images would have another one.
const FORMAT: u32 = 1;

/// A fingerprint, and what was seen while it was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// 32 hexadecimal digits that other images would not have.
    pub digits: String,
    /// Validation images that are training images, too; of an undivided source, images that are there twice. By content.
    pub duplicates: usize,
    /// The first of them by name.
    pub duplicate: Option<String>,
    /// Bytes of all images as they stand in the source.
    pub bytes: u64,
}

/// The fingerprint of the images that `listing` names, kept in `cache_dir`. While they are read, `report(done, total)` is called.
pub(super) fn fingerprint(listing: &Listing, cache_dir: &Path, report: &mut dyn FnMut(usize, usize)) -> anyhow::Result<Fingerprint> {
    let name = hex(&Sha256::digest(format!("{FORMAT}\n{:?}\n{}", listing.classes, listing.stamp)), 12);
    let kept = cache_dir.join(format!("{name}.fingerprint"));
    if let Some(known) = std::fs::read(&kept).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(known);
    }
    let fingerprint = take(listing, report);
    let cannot = || format!("the cache folder `{}` cannot be written", cache_dir.display());
    std::fs::create_dir_all(cache_dir).with_context(cannot)?;
    let mut part = tempfile::NamedTempFile::with_suffix_in(".tmp", cache_dir).with_context(cannot)?;
    serde_json::to_writer(&mut part, &fingerprint).with_context(cannot)?;
    part.persist(&kept).with_context(cannot)?;
    Ok(fingerprint)
}

/// Reads the images.
fn take(listing: &Listing, report: &mut dyn FnMut(usize, usize)) -> Fingerprint {
    let (first, second) = match &listing.pools {
        Pools::Divided { train, val } => (train, Some(val)),
        Pools::Whole(items) => (items, None),
    };
    let total = first.len() + second.map_or(0, Vec::len);
    let bytes = first.iter().chain(second.into_iter().flatten()).map(|item| item.place.size()).sum();
    let whole = bytes <= WHOLE;
    let mut all = Sha256::new();
    all.update(format!("{:?}", listing.classes));
    let (mut seen, mut duplicates, mut duplicate, mut done) = (HashSet::with_capacity(first.len()), 0, None, 0);
    for (split, items) in [("train", Some(first)), ("val", second)] {
        for round in items.map(Vec::as_slice).unwrap_or_default().chunks(ROUND) {
            let hashes: Vec<[u8; 16]> = round.par_iter().map(|item| hash(listing.reader.as_ref(), item, whole)).collect();
            for (item, hash) in round.iter().zip(hashes) {
                all.update(format!("{split}\t{}\t{}\t{}\n", item.label, item.name, hex(&hash, 16)));
                let again = match second {
                    Some(_) if split == "val" => seen.contains(&hash),
                    Some(_) => {
                        seen.insert(hash);
                        false
                    }
                    None => !seen.insert(hash),
                };
                if again {
                    duplicates += 1;
                    duplicate.get_or_insert_with(|| item.name.clone());
                }
            }
            done += round.len();
            report(done, total);
        }
    }
    Fingerprint {
        digits: hex(&all.finalize(), 16),
        duplicates,
        duplicate,
        bytes,
    }
}

/// The hash of an image's bytes. One that cannot be read has the hash of nothing: what is wrong with it is said on decoding.
fn hash(reader: &dyn Reader, item: &Item, whole: bool) -> [u8; 16] {
    let bytes = if whole { reader.bytes(item) } else { reader.ends(item, END) };
    let mut hash = Sha256::new();
    hash.update(item.place.size().to_le_bytes());
    hash.update(bytes.unwrap_or_default());
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

/// The fingerprint of a file that is read whole, such as a list of images.
///
/// # Errors
/// Names the file if it cannot be read.
pub fn of_file(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(hex(&Sha256::digest(bytes), 16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::layouts::recognize;
    use crate::data::tree::Tree;
    use crate::experiment::settings::DataSettings;

    fn taken(root: &Path, cache: &Path) -> (Fingerprint, usize) {
        let settings = DataSettings::of_source(&root.to_string_lossy());
        let listing = recognize(Tree::open(root, cache).unwrap(), &settings, cache).unwrap();
        let mut read = 0;
        let fingerprint = fingerprint(&listing, cache, &mut |done, _| read = done).unwrap();
        (fingerprint, read)
    }

    fn put(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn it_follows_the_contents_and_not_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there, cache) = (dir.path().join("here"), dir.path().join("there"), dir.path().join("cache"));
        put(&here, &[("a/1.png", "one"), ("b/2.png", "two")]);
        let (first, read) = taken(&here, &cache);
        assert_eq!(read, 2);
        assert_eq!(taken(&here, &cache), (first.clone(), 0), "it is kept");
        std::fs::rename(&here, &there).unwrap();
        assert_eq!(taken(&there, &cache).0.digits, first.digits, "a folder that moved");
        // Another image of the same name, size and time.
        let old = std::fs::metadata(there.join("a/1.png")).unwrap().modified().unwrap();
        put(&there, &[("a/1.png", "eno")]);
        std::fs::File::options()
            .write(true)
            .open(there.join("a/1.png"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_ne!(taken(&there, &cache).0.digits, first.digits, "other contents");
        put(&there, &[("a/1.png", "one")]);
        std::fs::rename(there.join("b/2.png"), there.join("a/2.png")).unwrap();
        put(&there, &[("b/3.png", "three")]);
        assert_ne!(taken(&there, &cache).0.digits, first.digits, "another class");
    }

    #[test]
    fn images_that_are_there_twice_are_counted_by_content() {
        let dir = tempfile::tempdir().unwrap();
        let (root, cache) = (dir.path().join("src"), dir.path().join("cache"));
        put(
            &root,
            &[("train/a/1.png", "one"), ("train/a/2.png", "one"), ("train/b/3.png", "two")],
        );
        put(&root, &[("val/a/8.png", "eight"), ("val/b/9.png", "one")]);
        let (divided, _) = taken(&root, &cache);
        assert_eq!((divided.duplicates, divided.duplicate.as_deref()), (1, Some("val/b/9.png")));
        let (whole, _) = taken(&root.join("train"), &cache);
        assert_eq!((whole.duplicates, whole.bytes), (1, 9));
    }
}
