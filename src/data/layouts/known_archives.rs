//! Archives that a site hands out under names of their own, lying in a folder as they were downloaded.

use std::path::Path;

use super::found::name_of;
use crate::data::tree::Tree;

/// How their names begin, and how they end.
const NAMES: [(&str, &[&str]); 4] = [
    ("cifar-10-", &[".tar.gz", ".tgz", ".tar"]),
    ("cifar-100-", &[".tar.gz", ".tgz", ".tar"]),
    ("stl10_binary", &[".tar.gz", ".tgz", ".tar"]),
    ("tiny-imagenet-200", &[".zip", ".tar.gz", ".tar"]),
];

/// Whether a file is one of them.
fn is_known(path: &str) -> bool {
    let is_named = |(start, ends): &(&str, &[&str])| {
        let rest = name_of(path).strip_prefix(start);
        rest.is_some_and(|rest| ends.iter().any(|end| rest.ends_with(end)))
    };
    NAMES.iter().any(is_named)
}

/// The tree with what is in such archives below their names, if it has any.
pub(super) fn opened(tree: Tree, scratch: &Path) -> anyhow::Result<Result<Tree, Tree>> {
    if !tree.entries.iter().any(|entry| is_known(&entry.name)) {
        return Ok(Err(tree));
    }
    let mut tree = tree;
    let (known, rest) = std::mem::take(&mut tree.entries)
        .into_iter()
        .partition(|entry| is_known(&entry.name));
    tree.entries = rest;
    let mut parts = Vec::new();
    for entry in known {
        parts.push((entry.name.clone(), tree.open_member(&entry, scratch)?));
    }
    let root = tree.root.clone();
    parts.push((String::new(), tree));
    Ok(Ok(Tree::join(root, parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_known_by_their_names() {
        assert!(is_known("data/cifar-10-binary.tar.gz") && is_known("cifar-100-python.tar.gz") && is_known("tiny-imagenet-200.zip"));
        assert!(!is_known("cifar-10-batches-py/data_batch_1") && !is_known("images.tar.gz") && !is_known("my-cifar-10-x.tar.gz"));
    }
}
