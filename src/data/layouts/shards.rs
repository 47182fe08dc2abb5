//! Many files of one kind that are one data set: which of them are for what, and how they are named together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::data::passed::{PassedOver, Reason};
use crate::data::source::{Item, Pools};
use crate::data::stamp::stamp;
use crate::data::tree::{Entry, Files, Place, Tree};

/// What a file is for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Training.
    Train,
    /// Validation.
    Validation,
    /// The final test; validation where there is no other.
    Test,
}

impl Part {
    /// What `name` says: `train-00000-of-00002.parquet`, `data/val/0.tar`; the file's own name before its folders'.
    pub(super) fn of(name: &str) -> Option<Part> {
        name.rsplit('/')
            .find_map(|part| part.split(|c: char| !c.is_ascii_alphabetic()).find_map(Part::of_word))
    }

    fn of_word(word: &str) -> Option<Part> {
        match word.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Part::Train),
            "val" | "valid" | "validation" | "dev" => Some(Part::Validation),
            "test" | "testing" | "eval" | "evaluation" => Some(Part::Test),
            _other => None,
        }
    }
}

/// The images of a file of that name.
pub(super) type FileItems = (String, Vec<Item>);

/// Divides the images of files by what the files are for; `unlabeled` ones are left out where others have labels.
pub(super) fn divide(root: &str, files: Vec<FileItems>, passed: &mut PassedOver) -> anyhow::Result<Pools> {
    let parts: Vec<Option<Part>> = files.iter().map(|(name, _)| Part::of(name)).collect();
    let has = |part: Option<Part>| {
        files
            .iter()
            .zip(&parts)
            .any(|((_, items), found)| *found == part && !items.is_empty())
    };
    let val = [Part::Validation, Part::Test].into_iter().find(|part| has(Some(*part)));
    let (true, Some(val)) = (has(Some(Part::Train)), val) else {
        if has(Some(Part::Validation)) && has(Some(Part::Test)) && !has(Some(Part::Train)) {
            bail!("`{root}` has files for validation and for test, but none for training: their names must begin with `train`");
        }
        return Ok(Pools::Whole(files.into_iter().flat_map(|(_, items)| items).collect()));
    };
    let mut splits = [Vec::new(), Vec::new()];
    for ((name, items), part) in files.into_iter().zip(parts) {
        match part {
            Some(Part::Train) => splits[0].extend(items),
            Some(part) if part == val => splits[1].extend(items),
            Some(_) => items.iter().for_each(|item| passed.note(Reason::OtherSplit, &item.name)),
            None => bail!("`{root}` has files for training and for validation, but `{name}` is named for neither: rename or remove it"),
        }
    }
    let [train, val] = splits;
    Ok(Pools::Divided { train, val })
}

/// The files that a pattern names: `data/train-*.parquet`, `shards-{000000..000002}.tar`; nothing if `source` is none.
pub(in crate::data) fn named_together(source: &str) -> anyhow::Result<Option<Tree>> {
    if !source.contains(['*', '?', '{']) || Path::new(source).exists() {
        return Ok(None);
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for pattern in braces(source)? {
        let found = matches(&pattern)?;
        if found.is_empty() {
            bail!("data.source is `{source}`, but there is no file `{pattern}`");
        }
        paths.extend(found);
    }
    paths.sort();
    paths.dedup();
    let root = folder_before(source);
    let mut text = String::new();
    let mut entries = Vec::new();
    for path in paths {
        let metadata = path.metadata().with_context(|| format!("cannot read `{}`", path.display()))?;
        let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
        text += &stamp(&name, &metadata);
        let place = Place::Own { size: metadata.len() };
        entries.push(Entry { name, place });
    }
    let files = Files {
        root: root.clone(),
        ..Files::default()
    };
    Ok(Some(Tree {
        entries,
        files: Arc::new(files),
        stamp: text,
        ..Tree::empty(root)
    }))
}

/// The tree of the one file at `path`, if its first bytes are `magic`.
pub(in crate::data) fn alone(path: &Path, magic: &[u8]) -> Option<Tree> {
    use std::io::Read;
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut first = vec![0; magic.len()];
    std::fs::File::open(path).ok()?.read_exact(&mut first).ok()?;
    if first != magic {
        return None;
    }
    let root = path.parent().map(Path::to_owned).unwrap_or_default();
    let name = path.file_name()?.to_str()?.to_owned();
    let files = Files {
        root: root.clone(),
        ..Files::default()
    };
    Some(Tree {
        stamp: stamp(&name, &metadata),
        entries: vec![Entry {
            name,
            place: Place::Own { size: metadata.len() },
        }],
        files: Arc::new(files),
        ..Tree::empty(root)
    })
}

/// Files that a pattern may mean when its braces are opened.
const MOST: usize = 100_000;

/// A pattern without braces for every choice: `{a,b}` and `{000..012}`.
fn braces(pattern: &str) -> anyhow::Result<Vec<String>> {
    let mut done = vec![String::new()];
    let mut rest = pattern;
    while let Some(open) = rest.find('{') {
        let close = rest[open..]
            .find('}')
            .with_context(|| format!("data.source is `{pattern}`, which has a `{{` without a `}}`"))?;
        let choices = choices(&rest[open + 1..open + close])?;
        if done.len() * choices.len() > MOST {
            bail!("data.source is `{pattern}`, which means more than {MOST} files");
        }
        let before = &rest[..open];
        done = done
            .iter()
            .flat_map(|start| choices.iter().map(move |choice| format!("{start}{before}{choice}")))
            .collect();
        rest = &rest[open + close + 1..];
    }
    done.iter_mut().for_each(|start| start.push_str(rest));
    Ok(done)
}

/// The choices between two braces.
fn choices(inside: &str) -> anyhow::Result<Vec<String>> {
    let Some((first, last)) = inside.split_once("..") else {
        return Ok(inside.split(',').map(str::to_owned).collect());
    };
    let (Ok(from), Ok(to)) = (first.parse::<usize>(), last.parse::<usize>()) else {
        bail!("data.source has `{{{inside}}}`, which must count from a number to a number");
    };
    if to.saturating_sub(from) >= MOST {
        bail!("data.source has `{{{inside}}}`, which means more than {MOST} files");
    }
    let width = first.len();
    Ok((from..=to).map(|number| format!("{number:0width$}")).collect())
}

/// The folder that no star stands in.
fn folder_before(pattern: &str) -> PathBuf {
    let plain = &pattern[..pattern.find(['*', '?', '{']).unwrap_or(pattern.len())];
    PathBuf::from(plain.rfind('/').map_or(".", |at| if at == 0 { "/" } else { &plain[..at] }))
}

/// The files that fit a pattern with stars.
fn matches(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let root = folder_before(pattern);
    if !pattern.contains(['*', '?']) {
        return Ok(Path::new(pattern).is_file().then(|| PathBuf::from(pattern)).into_iter().collect());
    }
    let below = pattern
        .rfind('/')
        .map_or(pattern, |_| pattern.strip_prefix(&*root.to_string_lossy()).unwrap_or(pattern));
    let mut found = vec![root];
    let parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
    for (depth, part) in parts.iter().enumerate() {
        let mut next = Vec::new();
        for folder in found {
            let sentence = || format!("cannot read the folder `{}`", folder.display());
            for entry in std::fs::read_dir(&folder).with_context(sentence)? {
                let entry = entry.with_context(sentence)?;
                let name = entry.file_name();
                let whole = depth + 1 == parts.len();
                let path = entry.path();
                if fits(part, &name.to_string_lossy()) && if whole { path.is_file() } else { path.is_dir() } {
                    next.push(path);
                }
            }
        }
        found = next;
    }
    Ok(found)
}

/// Whether a name fits a pattern of `*`, `?` and characters; a name that begins with a dot is meant by nobody.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    if name.first() == Some(&'.') && pattern.first() != Some(&'.') {
        return false;
    }
    // Where the last star stands, and how much of the name it takes: it takes one more when the rest does not fit.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_files_are_for() {
        for (name, part) in [
            ("data/train-00000-of-00002.parquet", Some(Part::Train)),
            ("validation-00000-of-00001.parquet", Some(Part::Validation)),
            ("default/test/0000.parquet", Some(Part::Test)),
            ("train/val_3.tar", Some(Part::Validation)),
            ("imagenet1k-validation-07.tar", Some(Part::Validation)),
            ("Train/0.tar", Some(Part::Train)),
            ("shard-000000.tar", None),
            ("trains.tar", None),
            ("contest/latest-1.tar", None),
        ] {
            assert_eq!(Part::of(name), part, "{name}");
        }
    }

    #[test]
    fn braces_and_stars_name_files() {
        assert_eq!(braces("s-{08..11}.tar").unwrap(), ["s-08.tar", "s-09.tar", "s-10.tar", "s-11.tar"]);
        assert_eq!(braces("{a,b}/{0..1}").unwrap(), ["a/0", "a/1", "b/0", "b/1"]);
        assert!(braces("s-{0..9999999999}.tar").unwrap_err().to_string().contains("more than"));
        assert!(braces("s-{0..x}.tar").unwrap_err().to_string().contains("must count"));
        assert!(braces("s-{0..1").unwrap_err().to_string().contains("without a `}`"));
        for (pattern, name, fit) in [
            ("train-*.parquet", "train-0.parquet", true),
            ("*a*b", "xaab", true),
            ("*a*b", "xaaba", false),
            ("?.tar", "1.tar", true),
            ("?.tar", "11.tar", false),
            ("*", ".hidden", false),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_finds_files_in_folders_and_a_missing_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/train-0.parquet", "a/train-1.parquet", "b/train-0.parquet", "b/other.txt"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let source = |pattern: &str| format!("{}/{pattern}", dir.path().display());
        let tree = named_together(&source("*/train-*.parquet")).unwrap().unwrap();
        let names: Vec<&str> = tree.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a/train-0.parquet", "a/train-1.parquet", "b/train-0.parquet"]);
        assert_eq!(tree.read(&tree.entries[2]).unwrap(), b"b/train-0.parquet");
        let error = named_together(&source("a/train-{0..2}.parquet")).unwrap_err().to_string();
        assert!(error.contains("there is no file") && error.contains("train-2.parquet"), "{error}");
        assert!(named_together(&source("a")).unwrap().is_none());
    }
}
