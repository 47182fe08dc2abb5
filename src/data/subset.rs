//! A part of the training split, for a stage that trains on fewer images than there are.
//!
//! Mean and deviation of the colors stay those of the whole split, so that a model sees every image alike in all stages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::sampling;
pub use super::sampling::For;
use super::{Dataset, Split};
use crate::experiment::choices::Selection;
use crate::experiment::settings::{LabelsSettings, SubsetSettings};

/// The list's first line, which a list need not have.
const HEADER: &str = "image\tclass";

/// Places of the images that `subset` names, ascending; nothing if it names all.
///
/// # Errors
/// One sentence with the setting or the list at fault, and what is allowed.
pub fn subset(dataset: &Dataset, subset: &SubsetSettings) -> Result<Option<Vec<usize>>> {
    let (train, classes, wanted, seed) = (&dataset.train, dataset.classes.len(), subset.images, subset.seed);
    if wanted == 0 && subset.selection != Selection::List {
        return Ok(None);
    }
    ensure!(
        wanted <= train.len(),
        "subset.images = {wanted} is more than there are: it must be at most {}, the number of training images",
        train.len()
    );
    let places = match subset.selection {
        Selection::OnePerClass => sampling::even(train.labels(), classes, wanted, seed, For::Few),
        Selection::Random => sampling::random(train.len(), classes, wanted, seed),
        Selection::OneClass => of_one_class(dataset, subset)?,
        Selection::List => listed(train, &subset.list, "subset.list")?,
    };
    Ok(Some(sorted(places)))
}

/// Places of the images whose labels `labels` allows, ascending; nothing if all are.
///
/// # Errors
/// As [`subset`].
pub fn labeled(dataset: &Dataset, labels: &LabelsSettings) -> Result<Option<Vec<usize>>> {
    let train = &dataset.train;
    if !labels.list.is_empty() {
        return listed(train, &labels.list, "labels.list").map(Some);
    }
    if labels.fraction == 1.0 {
        return Ok(None);
    }
    let wanted = ((train.len() as f64 * labels.fraction).round() as usize).max(1);
    Ok(Some(sorted(sampling::even(
        train.labels(),
        dataset.classes.len(),
        wanted,
        labels.seed,
        For::Labels,
    ))))
}

/// Places of the images for a purpose that no setting names: `most` or all if there are not more, ascending, evenly over
/// the classes; always the same ones, and others than for another purpose.
pub fn always(split: &Split, classes: usize, most: usize, purpose: For) -> Vec<usize> {
    sorted(sampling::even(split.labels(), classes, most.min(split.len()), 0, purpose))
}

/// The list of a part, one image a line: name, tabulator, class. It can be given as a list again.
pub fn list(dataset: &Dataset, part: &Split) -> String {
    let line = |i: usize| format!("{}\t{}\n", part.name(i), dataset.classes[part.label(i) as usize]);
    format!("{HEADER}\n") + &(0..part.len()).map(line).collect::<String>()
}

fn sorted(mut places: Vec<usize>) -> Vec<usize> {
    places.sort_unstable();
    places
}

fn of_one_class(dataset: &Dataset, subset: &SubsetSettings) -> Result<Vec<usize>> {
    let (labels, classes) = (dataset.train.labels(), &dataset.classes);
    let of = |class: usize| sampling::of_class(labels, classes.len(), class, subset.images, subset.seed);
    if subset.class.is_empty() {
        let found = sampling::classes_by_chance(classes.len(), subset.seed).into_iter().find_map(of);
        return found.with_context(|| format!("subset.images = {}: no class has as many training images", subset.images));
    }
    let known = classes.iter().position(|name| *name == subset.class);
    let class = known.with_context(|| {
        let some: Vec<&str> = classes.iter().take(10).map(String::as_str).collect();
        format!(
            "subset.class = `{}` is no class: it must be one such as {}",
            subset.class,
            some.join(", ")
        )
    })?;
    of(class).with_context(|| {
        let have = labels.iter().filter(|label| **label as usize == class).count();
        format!(
            "subset.images = {} is more than class `{}` has: it must be at most {have}",
            subset.images, subset.class
        )
    })
}

/// The images that a file names, one a line and before a tabulator: by their name in a run's list, or by the file's own
/// name where no other image has it.
fn listed(train: &Split, file: &str, setting: &str) -> Result<Vec<usize>> {
    let path = Path::new(file);
    let text = fs::read_to_string(path).with_context(|| format!("{setting} is `{file}`, which cannot be read as a list of images"))?;
    let mut places: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for i in 0..train.len() {
        let name = train.name(i);
        if let Some((_, short)) = name.rsplit_once('/') {
            // A name that two folders have says nothing.
            places.entry(short.to_owned()).and_modify(|place| *place = None).or_insert(Some(i));
        }
        places.insert(name, Some(i));
    }
    let mut chosen = BTreeSet::new();
    let names = text.lines().filter(|line| *line != HEADER);
    for (line, name) in names.map(|line| line.split('\t').next().unwrap_or_default().trim()).enumerate() {
        match places.get(name) {
            _ if name.is_empty() => continue,
            Some(Some(place)) => ensure!(chosen.insert(*place), "{setting}: `{file}` names `{name}` twice"),
            Some(None) => bail!("{setting}: `{file}` names `{name}`, which several folders have: give the path in the data"),
            None => bail!(
                "{setting}: `{file}` names `{name}` as image {}, which is no training image: names are such as `{}`",
                line + 1,
                train.name(0)
            ),
        }
    }
    ensure!(!chosen.is_empty(), "{setting}: `{file}` names no image");
    Ok(chosen.into_iter().collect())
}

#[cfg(test)]
#[path = "subset_tests.rs"]
mod tests;
