//! Parquet files as Hugging Face datasets write them: a column of encoded images and one of labels, in any number of files.
//!
//! Rows are read where they are; nothing is unpacked but the page that a row is in.

mod bytes;
mod columns;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ::parquet::basic::Type;
use ::parquet::data_type::{BoolType, ByteArrayType, Int32Type, Int64Type};
use anyhow::{Context, bail};

use self::bytes::Source;
use columns::{Columns, Label};
use rows::{File, Images, Pages};

use super::labels::{self, Value, Values};
use super::shards::{FileItems, divide};
use crate::data::layout::Layout;
use crate::data::passed::{PassedOver, Reason};
use crate::data::source::{Item, Listing, UNLABELED};
use crate::data::tree::{Entry, Place, Tree, is_image_name};
use crate::experiment::settings::DataSettings;

/// The first bytes of a Parquet file.
pub(in crate::data) const MAGIC: &[u8] = b"PAR1";

/// Takes `tree` if it has Parquet files and no images beside them.
pub(super) fn list(tree: &Tree, settings: &DataSettings) -> anyhow::Result<Option<Listing>> {
    let is_parquet =
        |entry: &Entry| entry.name.to_ascii_lowercase().ends_with(".parquet") || entry.place.size() > 12 && starts(tree, entry);
    if tree.entries.iter().any(|entry| is_image_name(&entry.name)) {
        return Ok(None);
    }
    let (found, others): (Vec<&Entry>, Vec<&Entry>) = tree.entries.iter().partition(|entry| is_parquet(entry));
    if found.is_empty() {
        return Ok(None);
    }
    let mut passed = tree.passed.clone();
    others.iter().for_each(|entry| passed.note(Reason::NoImage, &entry.name));
    let mut set = Set::default();
    for entry in found {
        let path = tree.show(&entry.name);
        let file = File::open(Source::new(tree.files.clone(), entry.clone()));
        let file = file.with_context(|| format!("the Parquet file `{path}` is truncated or damaged"))?;
        set.take(file, entry, &path, settings)?;
    }
    let root = tree.show("");
    let (classes, files) = set.labeled(&mut passed)?;
    let pools = divide(&root, files, &mut passed)?;
    Ok(Some(Listing {
        layout: Layout::Parquet,
        classes,
        pools,
        passed,
        warnings: set.warnings,
        reader: Arc::new(Images {
            files: set.files,
            pages: Pages::default(),
        }),
        stamp: tree.stamp.clone(),
    }))
}

/// Whether a file of another name is a Parquet file.
fn starts(tree: &Tree, entry: &Entry) -> bool {
    !entry.name.contains('.') && tree.files.part(&entry.name, entry.place, 0, 4).is_ok_and(|first| first == MAGIC)
}

/// All files of a source.
#[derive(Default)]
struct Set {
    files: Vec<File>,
    names: Vec<String>,
    paths: Vec<String>,
    label: Option<Option<Label>>,
    values: Vec<Values>,
    warnings: Vec<String>,
}

impl Set {
    /// Takes in one file, which must have the columns of the first.
    fn take(&mut self, mut file: File, entry: &Entry, path: &str, settings: &DataSettings) -> anyhow::Result<()> {
        let damaged = || format!("the Parquet file `{path}` is truncated or damaged");
        let columns = Columns::new(&file.footer, path);
        let image = columns.image(|leaf| file.is_image(leaf).with_context(damaged))?;
        let label = columns.label(image, &settings.label_column)?;
        if let (None, None, Some(others)) = (&self.label, &label, columns.others(image)) {
            self.warnings.push(format!(
                "no column of `{path}` is called as labels are, so the images have none; data.label_column can name one of {others}"
            ));
        }
        match (self.label.get_or_insert_with(|| label.clone()), &label) {
            (None, None) => {}
            (Some(first), Some(label)) if first.name == label.name && first.classes == label.classes => {}
            _ => bail!(
                "`{path}` and `{}` have other columns or other classes: they are no parts of one data set",
                self.paths.first().unwrap_or(&entry.name)
            ),
        }
        file.column = image;
        if file.rows() > 0 && file.nulls() == Some(file.rows()) {
            bail!("`{path}` has only the paths of its images, not their bytes: write it again with the images in it");
        }
        let values = match label {
            Some(label) => labels_in(&file, label.leaf).with_context(damaged)?,
            None => Vec::new(),
        };
        self.files.push(file);
        self.names.push(entry.name.clone());
        self.paths.push(path.to_owned());
        self.values.push(values);
        Ok(())
    }

    /// The classes, and the images of every file by its name, without those that have no label where others have one.
    fn labeled(&mut self, passed: &mut PassedOver) -> anyhow::Result<(Vec<String>, Vec<FileItems>)> {
        let named = self.label.take().flatten().and_then(|label| label.classes);
        let (mut classes, labels) = labels::classes(&self.values, named, &self.paths)?;
        let labeled = labels.iter().flatten().any(Option::is_some);
        if !labeled {
            classes = vec![UNLABELED.to_owned()];
        }
        let mut files = Vec::with_capacity(self.files.len());
        for (number, (entry, file)) in self.names.iter().zip(&self.files).enumerate() {
            let mut items = Vec::new();
            for row in 0..file.rows() {
                let name = format!("{entry}#{row}");
                let label = labels[number].get(row as usize).copied().flatten();
                if labeled && label.is_none() {
                    passed.note(Reason::Unlabeled, &name);
                    continue;
                }
                let place = Place::Part {
                    file: number as u32,
                    offset: row,
                    size: file.usual(),
                };
                items.push(Item {
                    label: label.unwrap_or(0),
                    name,
                    place,
                });
            }
            files.push((entry.clone(), items));
        }
        Ok((classes, files))
    }
}

/// The values in a column of labels; none where there is no label: null, a negative number, or nothing.
fn labels_in(file: &File, leaf: usize) -> anyhow::Result<Values> {
    let kind = file.footer.file_metadata().schema_descr().column(leaf).physical_type();
    Ok(match kind {
        Type::INT32 => each(file.values::<Int32Type>(leaf)?, |value| Value::number(i64::from(value))),
        Type::INT64 => each(file.values::<Int64Type>(leaf)?, Value::number),
        Type::BOOLEAN => each(file.values::<BoolType>(leaf)?, |value| Value::text(&value.to_string())),
        Type::BYTE_ARRAY => each(file.values::<ByteArrayType>(leaf)?, |value| {
            Value::text(&String::from_utf8_lossy(value.data()))
        }),
        Type::INT96 | Type::FLOAT | Type::DOUBLE | Type::FIXED_LEN_BYTE_ARRAY => bail!("labels must be numbers or text, not {kind}"),
    })
}

fn each<T>(values: Vec<Option<T>>, label: impl Fn(T) -> Option<Value>) -> Values {
    values.into_iter().map(|value| label(value?)).collect()
}
