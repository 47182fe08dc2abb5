//! Finding the files of a set among all files of a source.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;

use crate::data::passed::{PassedOver, Reason};
use crate::data::tree::{Tree, is_image_name};

/// The last part of a path.
pub(super) fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What stands before the last part of a path, with its `/`, or nothing.
pub(super) fn folder_of(path: &str) -> &str {
    &path[..path.len() - name_of(path).len()]
}

/// Folders (with their `/`) that have at least `least` of the files `names` themselves.
pub(super) fn folders_with(tree: &Tree, names: &[&str], least: usize) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &tree.entries {
        if names.contains(&name_of(&entry.name)) {
            *counts.entry(folder_of(&entry.name)).or_default() += 1;
        }
    }
    let enough = counts.into_iter().filter(|(_, count)| *count >= least);
    enough.map(|(folder, _)| folder.to_owned()).collect()
}

/// The one folder that `what` (such as "STL-10") lies in, if there is one; several are refused by name.
pub(super) fn single(tree: &Tree, folders: Vec<String>, what: &str) -> anyhow::Result<Option<String>> {
    if let [_, _, ..] = folders[..] {
        let shown: Vec<String> = folders.iter().map(|folder| tree.show(folder)).collect();
        bail!(
            "`{}` has {what} in several folders: give one of `{}`",
            tree.root.display(),
            shown.join("`, `")
        );
    }
    Ok(folders.into_iter().next())
}

/// What is passed over when `read` alone is read: everything else, by what it is.
pub(super) fn passed_but(tree: &Tree, read: &BTreeSet<&str>) -> PassedOver {
    let mut passed = tree.passed.clone();
    for entry in tree.entries.iter().filter(|entry| !read.contains(entry.name.as_str())) {
        let reason = if is_image_name(&entry.name) {
            Reason::OutsideClasses
        } else {
            Reason::NoImage
        };
        passed.note(reason, &entry.name);
    }
    passed
}

/// Whether the name is one of `WordNet` as ImageNet uses them: `n` and eight digits.
pub(super) fn is_wnid(name: &str) -> bool {
    name.len() == 9
        && name
            .strip_prefix('n')
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The split that a word says in any case: `train`, `val` or `test`.
pub(super) fn split_word(word: &str) -> Option<&'static str> {
    match word.trim().to_lowercase().as_str() {
        "train" | "training" => Some("train"),
        "val" | "valid" | "validation" | "dev" => Some("val"),
        "test" | "testing" => Some("test"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_in_several_folders_is_refused_by_name() {
        let tree = Tree::of_names("src", &["a/x.bin", "a/y.bin", "b/x.bin", "b/y.bin", "c/x.bin"]);
        let folders = folders_with(&tree, &["x.bin", "y.bin"], 2);
        assert_eq!(folders, ["a/", "b/"]);
        assert_eq!(
            single(&tree, folders, "XY").unwrap_err().to_string(),
            "`src` has XY in several folders: give one of `src/a`, `src/b`"
        );
        assert_eq!((folder_of("x"), name_of("x"), folder_of("a/b/x")), ("", "x", "a/b/"));
        assert!(is_wnid("n01440764") && !is_wnid("n0144076") && !is_wnid("x01440764") && !is_wnid("nature123"));
    }
}
