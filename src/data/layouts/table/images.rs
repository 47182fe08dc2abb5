//! The images that a table's cells may name.

use std::collections::HashMap;

use crate::data::layouts::found::{folder_of, name_of, split_word};
use crate::data::tree::{Entry, Tree, is_image_name};

/// What a cell names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Nothing that is there.
    Nothing,
    /// The image with this number.
    Image(usize),
    /// These two and perhaps more.
    Several(usize, usize),
}

/// All images of a source.
pub(super) struct Images<'a> {
    /// The images.
    pub all: Vec<&'a Entry>,
    /// Their numbers by name in small letters, with ending and without, without folder.
    by_name: HashMap<String, Vec<u32>>,
}

impl<'a> Images<'a> {
    /// Those of `tree`.
    pub(super) fn of(tree: &'a Tree) -> Images<'a> {
        let all: Vec<&Entry> = tree.entries.iter().filter(|entry| is_image_name(&entry.name)).collect();
        let mut by_name: HashMap<String, Vec<u32>> = HashMap::new();
        for (at, entry) in all.iter().enumerate() {
            let name = name_of(&entry.name).to_lowercase();
            by_name.entry(stem(&name).to_owned()).or_default().push(at as u32);
            by_name.entry(name).or_default().push(at as u32);
        }
        Images { all, by_name }
    }

    /// The image that `cell` of the table `table` names: by name or path, with or without ending.
    pub(super) fn named(&self, cell: &str, table: &str) -> Named {
        let cell = cell.replace('\\', "/");
        let cell = cell.trim_start_matches("./").trim_start_matches('/');
        let Some(places) = self.by_name.get(&name_of(cell).to_lowercase()) else {
            return Named::Nothing;
        };
        let paths = |at: &usize| [self.all[*at].name.as_str(), stem(&self.all[*at].name)];
        let fits = |at: &usize| {
            let fits = |path: &str| ends_with_path(path, cell) || ends_with_path(cell, path);
            let exact = paths(at).into_iter().any(fits);
            // Only the ending may be written in other letters.
            exact
                || paths(at)
                    .into_iter()
                    .any(|path| fits(&with_small_ending(path)) || ends_with_path(path, &with_small_ending(cell)))
        };
        let mut found: Vec<usize> = places.iter().map(|at| *at as usize).filter(fits).collect();
        let own = folder_of(table);
        let split = split_of(table);
        let narrow = |found: &mut Vec<usize>, wanted: &dyn Fn(&str) -> bool| {
            let better: Vec<usize> = found.iter().copied().filter(|at| paths(at).into_iter().any(wanted)).collect();
            if found.len() > 1 && !better.is_empty() {
                *found = better;
            }
        };
        narrow(&mut found, &|path| path.strip_prefix(own) == Some(cell));
        narrow(&mut found, &|path| ends_with_path(path, cell));
        if split.is_some() {
            narrow(&mut found, &|path| path_split(path) == split);
        }
        match found[..] {
            [] => Named::Nothing,
            [one] => Named::Image(one),
            [one, other, ..] => Named::Several(one, other),
        }
    }
}

/// A name without its ending.
fn stem(name: &str) -> &str {
    if is_image_name(name) {
        &name[..name.rfind('.').unwrap_or(name.len())]
    } else {
        name
    }
}

/// A path whose ending is in small letters.
fn with_small_ending(path: &str) -> String {
    let stem = stem(path);
    format!("{stem}{}", path[stem.len()..].to_ascii_lowercase())
}

/// Whether `path` is `end`, or ends with it behind a `/`.
fn ends_with_path(path: &str, end: &str) -> bool {
    path.strip_suffix(end)
        .is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The split that the name of a table says: `train.csv`, `trainLabels.csv`, `labels_val.tsv`.
pub(super) fn split_of(table: &str) -> Option<&'static str> {
    let name = name_of(table);
    let name = &name[..name.rfind('.').unwrap_or(name.len())];
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        if letter.is_uppercase() && before.is_lowercase() || !letter.is_alphabetic() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_alphabetic(), words.last_mut()) {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.iter().find_map(|word| split_word(word))
}

/// The split that the folders of an image say.
pub(super) fn path_split(path: &str) -> Option<&'static str> {
    folder_of(path).split('/').find_map(split_word)
}
