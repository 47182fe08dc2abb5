//! The classes of the images for validation, by whichever files say them.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use super::mat;
use crate::data::layouts::found::{is_wnid, name_of};
use crate::data::tree::{Entry, Tree};

/// Kaggle's table: the name of an image, its wnid and boxes.
const SOLUTION: &str = "LOC_val_solution.csv";
/// The devkit's list: the number of the class of every image in their order.
const TRUTH: &str = "ILSVRC2012_validation_ground_truth.txt";
/// The devkit's table of numbers and wnids.
const META: &str = "meta.mat";
/// A list that goes around: the wnid of every image in their order.
const SYNSETS: &str = "imagenet_2012_validation_synset_labels.txt";

/// What files say.
#[derive(Default)]
pub(super) struct Truth {
    /// The wnid of every image by name without ending, by the first file that says it.
    pub wnids: BTreeMap<String, String>,
    /// The file that says it.
    pub file: String,
    /// Files that were read.
    pub read: Vec<String>,
}

/// What the files of `tree` say, if there are such; where several say it they must agree.
pub(super) fn truth(tree: &Tree) -> anyhow::Result<Option<Truth>> {
    let find = |name: &str| tree.entries.iter().find(|entry| name_of(&entry.name) == name);
    let mut said = Vec::new();
    let mut read = Vec::new();
    if let Some(entry) = find(SOLUTION) {
        said.push((entry, solution(tree, entry)?));
    }
    if let Some(entry) = find(SYNSETS) {
        let wnids = text(tree, entry)?.split_whitespace().map(str::to_owned).collect();
        said.push((entry, numbered(wnids)));
    }
    match (find(TRUTH), find(META)) {
        (Some(entry), Some(meta)) => {
            said.push((entry, devkit(tree, entry, meta)?));
            read.push(meta.name.clone());
        }
        (Some(entry), None) if said.is_empty() => bail!(
            "`{}` numbers the classes, and `{META}` of the devkit, which says the class of each number, is missing",
            tree.show(&entry.name)
        ),
        (_, _) => {}
    }
    read.extend(said.iter().map(|(entry, _)| entry.name.clone()));
    let mut said = said.into_iter();
    let Some((entry, wnids)) = said.next() else { return Ok(None) };
    for (other, others) in said {
        if let Some((name, wnid)) = wnids
            .iter()
            .find(|(name, wnid)| others.get(*name).is_some_and(|other| other != *wnid))
        {
            bail!(
                "`{name}` is of the class `{wnid}` by `{}` and of `{}` by `{}`: remove the wrong one",
                tree.show(&entry.name),
                others[name],
                tree.show(&other.name)
            );
        }
    }
    Ok(Some(Truth {
        wnids,
        file: tree.show(&entry.name),
        read,
    }))
}

/// Lists by number become lists by name.
fn numbered(wnids: Vec<String>) -> BTreeMap<String, String> {
    let name = |(n, wnid)| (format!("ILSVRC2012_val_{:08}", n + 1), wnid);
    wnids.into_iter().enumerate().map(name).collect()
}

fn solution(tree: &Tree, entry: &Entry) -> anyhow::Result<BTreeMap<String, String>> {
    let mut wnids = BTreeMap::new();
    for (row, line) in text(tree, entry)?
        .lines()
        .enumerate()
        .skip(1)
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let cells = line.split_once(',');
        let cells = cells.and_then(|(name, boxes)| Some((name.trim(), boxes.split_whitespace().next()?)));
        match cells {
            Some((name, wnid)) if is_wnid(wnid) => _ = wnids.insert(name.to_owned(), wnid.to_owned()),
            Some(_) | None => bail!("row {} of `{}` has no name and wnid", row + 1, tree.show(&entry.name)),
        }
    }
    Ok(wnids)
}

fn devkit(tree: &Tree, entry: &Entry, meta: &Entry) -> anyhow::Result<BTreeMap<String, String>> {
    let sentence = || format!("`{}` cannot be read", tree.show(&meta.name));
    let classes: BTreeMap<u32, String> = mat::wnids(&tree.read(meta)?).with_context(sentence)?.into_iter().collect();
    let mut wnids = Vec::new();
    for (row, line) in text(tree, entry)?.lines().enumerate() {
        let wnid = line.trim().parse().ok().and_then(|number: u32| classes.get(&number));
        let Some(wnid) = wnid else {
            bail!(
                "row {} of `{}` is `{line}`, which is no number of a class in `{}`",
                row + 1,
                tree.show(&entry.name),
                tree.show(&meta.name)
            )
        };
        wnids.push(wnid.clone());
    }
    Ok(numbered(wnids))
}

fn text(tree: &Tree, entry: &Entry) -> anyhow::Result<String> {
    let bytes = tree
        .read(entry)
        .with_context(|| format!("cannot read `{}`", tree.show(&entry.name)))?;
    Ok(String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned())
}
