//! Flat images beside a table of their names and labels.

mod columns;
mod images;
mod read;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;

use super::found::{folder_of, name_of, split_word};
use crate::data::layout::Layout;
use crate::data::passed::{PassedOver, Reason};
use crate::data::source::{Item, Listing, Pools};
use crate::data::tree::{Tree, is_image_name};
use crate::experiment::settings::DataSettings;
use columns::{Columns, find_label, find_names};
use images::{Images, Named, path_split, split_of};
use read::Table;

/// What is found in a source.
pub(super) enum Found {
    /// No table that has labels of its images.
    Nothing,
    /// Tables that name the images of class folders, which say the labels; a sentence about it.
    Folders(String),
    /// Images with the labels of tables.
    Labeled(Box<Listing>),
}

/// Takes `tree` if it has a table that names its images.
pub(super) fn list(tree: &Tree, settings: &DataSettings) -> anyhow::Result<Found> {
    let mut candidates = Candidates::default();
    let mut images = None;
    for entry in &tree.entries {
        if let Some(table) = Table::read(tree, entry)? {
            let images = images.get_or_insert_with(|| Images::of(tree));
            candidates.take(tree, images, table, &settings.label_column)?;
        }
    }
    let Some(images) = images else { return Ok(Found::Nothing) };
    let tables = candidates.chosen(tree, &images)?;
    if tables.is_empty() {
        return Ok(candidates.folders.map_or(Found::Nothing, Found::Folders));
    }
    let mut listed = Listed::default();
    let several = tables.len() > 1;
    for table in &tables {
        listed.take(tree, &images, table, several)?;
    }
    listed
        .listing(tree, &images, &tables)
        .map(|listing| Found::Labeled(Box::new(listing)))
}

/// The tables that name images.
#[derive(Default)]
struct Candidates {
    /// Those with a column of labels.
    good: Vec<Columns>,
    /// Those without one, with the images that they name and what is wrong.
    bad: Vec<(BTreeSet<usize>, String, anyhow::Error)>,
    /// A sentence about a table beside class folders.
    folders: Option<String>,
}

impl Candidates {
    /// Takes one in, if it is one.
    fn take(&mut self, tree: &Tree, images: &Images<'_>, mut table: Table, asked: &str) -> anyhow::Result<()> {
        let Some(names) = find_names(&mut table, images) else {
            return Ok(());
        };
        let named = named(images, &table, names);
        let folders: BTreeSet<&str> = named.iter().map(|at| class_folder(&images.all[*at].name)).collect();
        let few = 2 * named.len() < table.body().len();
        if folders.len() > 1 && !are_parts(&folders) {
            let says_folder = |column: &usize| folder_column(images, &table, names, *column);
            if few || (0..table.columns()).any(|column| says_folder(&column)) {
                return Ok(());
            }
            if asked.is_empty() {
                let path = tree.show(&table.name);
                let note = format!(
                    "the folders say the classes, not `{path}`, which names images too: set data.label_column if a column of it does"
                );
                self.folders = self.folders.take().or(Some(note));
                return Ok(());
            }
        }
        let name = table.name.clone();
        match find_label(table, names, images, tree, asked) {
            Ok(Some(columns)) => self.good.push(columns),
            Ok(None) => {}
            Err(e) => self.bad.push((named, name, e)),
        }
        Ok(())
    }

    /// The tables to read: one, or one for each split.
    fn chosen(&mut self, tree: &Tree, images: &Images<'_>) -> anyhow::Result<Vec<Columns>> {
        let mut good = std::mem::take(&mut self.good);
        if good.len() > 1 {
            // An example of what is to be handed in has one label for all.
            good.retain(|columns| split_of(&columns.table.name) == Some("train") || columns.labels().len() > 1);
        }
        let covered: BTreeSet<usize> = good
            .iter()
            .flat_map(|columns| named(images, &columns.table, columns.names))
            .collect();
        for (named, name, error) in std::mem::take(&mut self.bad) {
            let is_other = name_of(&name).to_lowercase().contains("submission") || !covered.is_empty() && named.is_disjoint(&covered);
            if !is_other {
                return Err(error);
            }
        }
        let splits: BTreeSet<Option<&str>> = good.iter().map(|columns| split_of(&columns.table.name)).collect();
        let divided = splits.len() == good.len() && splits.contains(&Some("train")) && !splits.contains(&None);
        if good.len() > 1 && !divided {
            let paths: Vec<String> = good.iter().map(|columns| tree.show(&columns.table.name)).collect();
            bail!(
                "`{}` has several tables that name its images: keep one, or name them train and val, of `{}`",
                tree.root.display(),
                paths.join("`, `")
            );
        }
        Ok(good)
    }
}

impl Columns {
    /// Different labels.
    fn labels(&self) -> BTreeSet<&str> {
        let cells = self.table.body().iter().map(|row| row[self.label].as_str());
        cells.filter(|label| !label.is_empty()).collect()
    }
}

/// The images that a column names.
fn named(images: &Images<'_>, table: &Table, names: usize) -> BTreeSet<usize> {
    let image = |row: &Vec<String>| match images.named(&row[names], &table.name) {
        Named::Image(at) | Named::Several(at, _) => Some(at),
        Named::Nothing => None,
    };
    table.body().iter().filter_map(image).collect()
}

/// The last folder of an image that is none of a split.
fn class_folder(path: &str) -> &str {
    let mut folders = folder_of(path).trim_end_matches('/').rsplit('/');
    folders.find(|folder| split_word(folder).is_none()).unwrap_or_default()
}

/// Whether folders are numbered parts of one: `images_part_1`, `images_part_2`.
fn are_parts(folders: &BTreeSet<&str>) -> bool {
    let stem = |folder: &&str| folder.trim_end_matches(|letter: char| letter.is_ascii_digit()).to_owned();
    let stems: BTreeSet<String> = folders.iter().map(stem).collect();
    stems.len() == 1 && stems.iter().all(|stem| !stem.is_empty()) && folders.iter().all(|folder| !super::found::is_wnid(folder))
}

/// Whether a column says the folder of each image.
fn folder_column(images: &Images<'_>, table: &Table, names: usize, column: usize) -> bool {
    table.body().iter().all(|row| match images.named(&row[names], &table.name) {
        Named::Image(at) => class_folder(&images.all[at].name).eq_ignore_ascii_case(&row[column]),
        Named::Nothing | Named::Several(..) => true,
    })
}

/// One image with what tables say of it.
struct Row<'a> {
    label: &'a str,
    split: Option<&'static str>,
    /// Where it is said.
    row: usize,
    table: &'a str,
}

/// The images with labels, by number.
#[derive(Default)]
struct Listed<'a> {
    rows: BTreeMap<usize, Row<'a>>,
    /// Images that are named again.
    again: Vec<usize>,
}

impl<'a> Listed<'a> {
    /// Takes in what a table says; the name of one of `several` says the split.
    fn take(&mut self, tree: &Tree, images: &Images<'_>, columns: &'a Columns, several: bool) -> anyhow::Result<()> {
        let (table, split) = (&columns.table, &columns.split);
        let path = tree.show(&table.name);
        if let Some(row) = table.ragged {
            bail!("row {row} of `{path}` has not {} cells as the first row has", table.columns());
        }
        let mut missing = Vec::new();
        for (at, cells) in table.body().iter().enumerate() {
            let (row, name, label) = (table.row_number(at), &cells[columns.names], cells[columns.label].as_str());
            if label.is_empty() {
                continue;
            }
            let image = match images.named(name, &table.name) {
                Named::Image(image) => image,
                Named::Nothing => {
                    missing.push((row, name));
                    continue;
                }
                Named::Several(one, other) => bail!(
                    "row {row} of `{path}` names `{name}`, which may be `{}` or `{}`",
                    images.all[one].name,
                    images.all[other].name
                ),
            };
            let split = match split {
                _ if several => split_of(&table.name),
                Some(split) => split_word(&cells[*split]),
                None => path_split(&images.all[image].name),
            };
            let new = Row {
                label,
                split,
                row,
                table: &table.name,
            };
            self.put(tree, image, new, name)?;
        }
        if let [(row, name), others @ ..] = &missing[..] {
            let more = if others.is_empty() {
                String::new()
            } else {
                format!(", nor are {} others", others.len())
            };
            bail!("row {row} of `{path}` names the image `{name}`, which is not there{more}");
        }
        Ok(())
    }

    fn put(&mut self, tree: &Tree, image: usize, new: Row<'a>, name: &str) -> anyhow::Result<()> {
        let Some(old) = self.rows.get(&image) else {
            self.rows.insert(image, new);
            return Ok(());
        };
        if (old.label, old.split) != (new.label, new.split) {
            bail!(
                "row {} of `{}` and row {} of `{}` both name `{name}`, as `{}` and as `{}`: one class for each image is needed",
                old.row,
                tree.show(old.table),
                new.row,
                tree.show(new.table),
                old.label,
                new.label
            );
        }
        self.again.push(image);
        Ok(())
    }

    fn listing(self, tree: &Tree, images: &Images<'_>, tables: &[Columns]) -> anyhow::Result<Listing> {
        let mut passed = tree.passed.clone();
        let asked = tables.len() > 1 || tables.iter().any(|columns| columns.split.is_some());
        let has = |wanted: &str| self.rows.values().any(|row| row.split == Some(wanted));
        let val_is = if has("val") { "val" } else { "test" };
        let all_say = self.rows.values().all(|row| row.split.is_some());
        let divided = has("train") && has(val_is) && (asked || all_say);
        let (mut train, mut val) = (Vec::new(), Vec::new());
        for (image, row) in &self.rows {
            match row.split {
                _ if !divided && !asked => train.push((*image, row)),
                Some("train") => train.push((*image, row)),
                Some(split) if split == val_is => val.push((*image, row)),
                Some(_) | None => passed.note(Reason::OtherSplit, &images.all[*image].name),
            }
        }
        let classes = classes(train.iter().map(|(_, row)| row.label).collect());
        let places: BTreeMap<&str, u32> = classes.iter().enumerate().map(|(at, class)| (class.as_str(), at as u32)).collect();
        let item = |(image, row): &(usize, &Row<'_>)| {
            let entry = images.all[*image];
            let Some(label) = places.get(row.label) else {
                bail!(
                    "row {} of `{}` has the class `{}`, of which there are no images for training",
                    row.row,
                    tree.show(row.table),
                    row.label
                )
            };
            Ok(Item {
                label: *label,
                name: entry.name.clone(),
                place: entry.place,
            })
        };
        let items = |rows: &[(usize, &Row<'_>)]| rows.iter().map(item).collect::<anyhow::Result<Vec<Item>>>();
        let (train, val) = (items(&train)?, items(&val)?);
        self.pass_over(tree, images, tables, &mut passed);
        Ok(Listing {
            layout: Layout::Table,
            classes,
            pools: if divided {
                Pools::Divided { train, val }
            } else {
                Pools::Whole(train)
            },
            passed,
            warnings: tables.iter().filter_map(|columns| columns.note.clone()).collect(),
            reader: tree.files.clone(),
            stamp: tree.stamp.clone(),
        })
    }

    /// Counts what is not read.
    fn pass_over(&self, tree: &Tree, images: &Images<'_>, tables: &[Columns], passed: &mut PassedOver) {
        let without = images.all.iter().enumerate().filter(|(at, _)| !self.rows.contains_key(at));
        without.for_each(|(_, entry)| passed.note(Reason::Unlabeled, &entry.name));
        self.again.iter().for_each(|at| passed.note(Reason::Again, &images.all[*at].name));
        let is_read = |name: &str| tables.iter().any(|columns| columns.table.name == name);
        let others = tree
            .entries
            .iter()
            .filter(|entry| !is_image_name(&entry.name) && !is_read(&entry.name));
        others.for_each(|entry| passed.note(Reason::NoImage, &entry.name));
    }
}

/// Labels in their order: numbers by size, others by the alphabet.
fn classes(labels: BTreeSet<&str>) -> Vec<String> {
    let number = |label: &str| label.parse::<f64>().ok().filter(|number| number.is_finite());
    let mut labels: Vec<&str> = labels.into_iter().collect();
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal).then(a.cmp(b)));
    }
    labels.into_iter().map(str::to_owned).collect()
}
