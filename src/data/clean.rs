//! Removing what nobody has used for long from the image cache.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;

/// Time without use after which a cache file goes when another one is made (ours: longer than a holiday).
pub(super) const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Data sets.
    pub caches: usize,
    /// Bytes of all removed files.
    pub bytes: u64,
}

/// A file of the cache.
struct ListEntry {
    path: PathBuf,
    bytes: u64,
    /// A cache file is touched whenever a run opens it.
    used: SystemTime,
}

/// Removes the cache files in `dir` that were last used `unused` ago or longer; those being written stay.
///
/// A run that has its file open keeps it. One that wants a removed file later decodes its images again.
///
/// # Errors
/// Names the folder or the file that cannot be read or removed. A missing folder holds nothing.
pub fn clean(dir: &Path, unused: Duration) -> anyhow::Result<Cleaned> {
    let now = SystemTime::now();
    let old = |entry: &ListEntry| now.duration_since(entry.used).is_ok_and(|age| age >= unused);
    let mut cleaned = Cleaned::default();
    for (key, files) in files_by_key(dir)? {
        // A lock tells nothing: it is as old as the first try to make the cache.
        if !files.iter().filter(|file| !is_lock(&file.path)).all(old) || is_held(&dir.join(format!("{key}.lock"))) {
            continue;
        }
        for file in files {
            match fs::remove_file(&file.path) {
                Err(e) if e.kind() != ErrorKind::NotFound => {
                    return Err(e).with_context(|| format!("the image cache `{}` cannot be removed", file.path.display()));
                }
                _ => cleaned.bytes += file.bytes,
            }
            cleaned.caches += usize::from(file.path.extension().is_some_and(|e| e == "images"));
        }
    }
    Ok(cleaned)
}

/// The cache's own files in `dir`, by the key that their names begin with.
fn files_by_key(dir: &Path) -> anyhow::Result<BTreeMap<String, Vec<ListEntry>>> {
    let sentence = || format!("the cache folder `{}` cannot be read", dir.display());
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries.with_context(sentence)?,
    };
    let mut files: BTreeMap<String, Vec<ListEntry>> = BTreeMap::new();
    for entry in entries {
        let entry = entry.with_context(sentence)?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let ours = [".images", ".lock", ".tmp", ".unpacked", ".fingerprint", ".sheet"]
            .iter()
            .any(|ending| name.ends_with(ending));
        // A file that is gone since was somebody else's to remove.
        let (Some((key, _)), true, Ok(metadata)) = (name.split_once('.'), ours, entry.metadata()) else {
            continue;
        };
        files.entry(key.to_owned()).or_default().push(ListEntry {
            path,
            bytes: metadata.len(),
            used: metadata.modified().with_context(sentence)?,
        });
    }
    Ok(files)
}

fn is_lock(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "lock")
}

/// Whether somebody is making the cache file of that lock.
fn is_held(lock: &Path) -> bool {
    File::open(lock).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn put(dir: &Path, name: &str, days: u32) {
        fs::write(dir.join(name), "pixels").unwrap();
        let file = File::options().write(true).open(dir.join(name)).unwrap();
        file.set_modified(SystemTime::now() - DAY * days).unwrap();
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_not_used_for_long_is_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        for (name, days) in [("a.images", 31), ("a.lock", 90), ("b.images", 29), ("b.lock", 90)] {
            put(dir, name, days);
        }
        for (name, days) in [("c.7-x.tmp", 31), ("c.lock", 31), ("notes.txt", 400)] {
            put(dir, name, days);
        }
        assert_eq!(clean(dir, DAY * 30).unwrap(), Cleaned { caches: 1, bytes: 24 });
        assert_eq!(names(dir), ["b.images", "b.lock", "notes.txt"]);
        assert_eq!(clean(dir, Duration::ZERO).unwrap(), Cleaned { caches: 1, bytes: 12 });
        assert_eq!(names(dir), ["notes.txt"]);
        assert_eq!(clean(&dir.join("missing"), Duration::ZERO).unwrap(), Cleaned::default());
    }

    #[test]
    fn a_file_being_written_stays() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "a.lock", 40);
        put(root.path(), "a.7-x.tmp", 40);
        let lock = File::open(root.path().join("a.lock")).unwrap();
        lock.lock().unwrap();
        assert_eq!(clean(root.path(), Duration::ZERO).unwrap(), Cleaned::default());
        drop(lock);
        assert_eq!(clean(root.path(), Duration::ZERO).unwrap(), Cleaned { caches: 0, bytes: 12 });
    }
}
