//! Images that have several names.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::data::SplitName;

/// Takes every image once in a class.
pub(super) struct Once<'a> {
    /// Other names, and the first.
    again: &'a BTreeMap<String, String>,
    firsts: HashSet<&'a str>,
    /// By first name: where the image was taken.
    taken: HashMap<&'a str, BTreeSet<(&'static str, u32)>>,
}

impl<'a> Once<'a> {
    pub(super) fn new(again: &'a BTreeMap<String, String>) -> Once<'a> {
        Once {
            again,
            firsts: again.values().map(String::as_str).collect(),
            taken: HashMap::new(),
        }
    }

    /// Whether the image of that name is the first of its class in this split.
    pub(super) fn take(&mut self, name: &str, split: SplitName, label: u32) -> bool {
        let first = self.again.get(name).map(String::as_str).or_else(|| self.firsts.get(name).copied());
        first.is_none_or(|first| self.taken.entry(first).or_default().insert((split.as_str(), label)))
    }

    /// Sentences about images that several classes or both splits have.
    pub(super) fn warnings(&self) -> Vec<String> {
        let several = |part: fn(&(&'static str, u32)) -> u64| {
            let differ = |places: &&BTreeSet<(&'static str, u32)>| places.iter().map(part).collect::<BTreeSet<u64>>().len() > 1;
            self.taken.values().filter(differ).count()
        };
        let classes = several(|(_, label)| u64::from(*label));
        let splits = several(|(split, _)| split.len() as u64);
        let sentence = |count: usize, of: &str| (count > 0).then(|| format!("{count} images are, by links, in {of}"));
        [
            sentence(classes, "more than one class"),
            sentence(splits, "training and validation both"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
