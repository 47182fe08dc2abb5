//! Several trees as one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::window::Larger;
use super::{Entry, Files, Place, Tree};
use crate::data::stamp::hex;

/// As [`Tree::join`] says.
pub(super) fn join(root: PathBuf, parts: Vec<(String, Tree)>) -> Tree {
    let mut files = Files::default();
    let mut places = BTreeMap::new();
    let mut stamp = Sha256::new();
    let mut tree = Tree::empty(root);
    for (prefix, part) in parts {
        let below = |name: &str| match prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        stamp.update(format!("{prefix}\t{}\n", part.stamp));
        let moved: Vec<u32> = part
            .files
            .larger
            .iter()
            .map(|larger| taken(larger, &mut files, &mut places))
            .collect();
        for Entry { name, place } in part.entries {
            let (inside, name) = (below(&name), name);
            if let Place::Own { .. } = place {
                files.raw.insert(inside.clone(), part.files.path(&name));
            }
            tree.entries.push(Entry {
                name: inside,
                place: place.with_file(|file| moved[file as usize]),
            });
        }
        tree.folders
            .extend(prefix.match_indices('/').map(|(at, _)| prefix[..at].to_owned()));
        tree.folders.extend((!prefix.is_empty()).then(|| prefix.clone()));
        tree.folders.extend(part.folders.iter().map(|folder| below(folder)));
        tree.again
            .extend(part.again.iter().map(|(name, first)| (below(name), below(first))));
        tree.passed.add(part.passed);
        tree.warnings.extend(part.warnings);
        files.scratch = part.files.scratch.clone();
    }
    tree.entries.sort_by(|a, b| a.name.cmp(&b.name));
    tree.files = Arc::new(files);
    tree.stamp = hex(&stamp.finalize(), 32);
    tree
}

/// The place of `larger` among those of `files`, where it is put if it is not there.
fn taken(larger: &Arc<Larger>, files: &mut Files, places: &mut BTreeMap<String, u32>) -> u32 {
    *places.entry(larger.stamp.clone()).or_insert_with(|| {
        files.larger.push(larger.clone());
        files.larger.len() as u32 - 1
    })
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
