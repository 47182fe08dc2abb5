//! Which columns have the images and the labels.

use ::parquet::basic::{ConvertedType, LogicalType, Type};
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::schema::types::ColumnDescriptor;
use anyhow::bail;
use serde_json::Value;

use crate::data::layouts::labels;

/// What the column of images is called where several could be.
const IMAGES: [&str; 3] = ["image", "img", "jpg"];

/// The column of labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    /// Its place among the leaves.
    pub leaf: usize,
    /// What it is called.
    pub name: String,
    /// The classes in the order of their numbers, where the file names them.
    pub classes: Option<Vec<String>>,
}

/// The columns of one file.
pub(super) struct Columns<'a> {
    footer: &'a ParquetMetaData,
    /// What `datasets` notes of each column.
    features: Value,
    /// The file, for sentences.
    path: &'a str,
}

impl<'a> Columns<'a> {
    /// Those of a footer.
    pub(super) fn new(footer: &'a ParquetMetaData, path: &'a str) -> Self {
        let notes = footer.file_metadata().key_value_metadata().into_iter().flatten();
        let note = notes
            .filter(|pair| pair.key == "huggingface")
            .find_map(|pair| pair.value.as_deref());
        let mut note: Value = note.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let features = note.pointer_mut("/info/features").map(Value::take).unwrap_or_default();
        Columns { footer, features, path }
    }

    fn leaves(&self) -> impl Iterator<Item = (usize, &ColumnDescriptor)> {
        let leaves = self.footer.file_metadata().schema_descr().columns();
        leaves.iter().map(|leaf| &**leaf).enumerate()
    }

    /// The names of all columns, for a sentence.
    fn names(&self) -> String {
        let fields = self.footer.file_metadata().schema_descr().root_schema().get_fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        format!("`{}`", names.join("`, `"))
    }

    fn kind(&self, leaf: &ColumnDescriptor) -> Option<&str> {
        self.features.get(top(leaf))?.get("_type")?.as_str()
    }

    /// The one column of images; `is_image(leaf)` looks into the first row.
    pub(super) fn image(&self, is_image: impl Fn(usize) -> anyhow::Result<bool>) -> anyhow::Result<usize> {
        let binary = |leaf: &ColumnDescriptor| {
            let text = leaf.converted_type() == ConvertedType::UTF8 || leaf.logical_type_ref() == Some(&LogicalType::String);
            let parts = leaf.path().parts();
            let named = parts.len() == 1 || parts.len() == 2 && parts[1] == "bytes";
            leaf.physical_type() == Type::BYTE_ARRAY && leaf.max_rep_level() == 0 && named && !text
        };
        let binary: Vec<(usize, &ColumnDescriptor)> = self.leaves().filter(|(_, leaf)| binary(leaf)).collect();
        let mut found: Vec<_> = binary
            .iter()
            .filter(|(_, leaf)| self.kind(leaf) == Some("Image"))
            .copied()
            .collect();
        if found.is_empty() {
            for (number, leaf) in &binary {
                if is_image(*number)? {
                    found.push((*number, *leaf));
                }
            }
        }
        if found.len() > 1 {
            let usual: Vec<_> = found.iter().filter(|(_, leaf)| IMAGES.contains(&top(leaf))).copied().collect();
            found = if usual.len() == 1 { usual } else { found };
        }
        match found[..] {
            [(number, _)] => Ok(number),
            [] => bail!(
                "`{}` has no column of images: its columns are {}, and none of them has the bytes of JPEG, PNG or other image files",
                self.path,
                self.names()
            ),
            _ => bail!(
                "`{}` has several columns of images (its columns are {}): keep one, or call one of them `image`",
                self.path,
                self.names()
            ),
        }
    }

    /// The one column of labels, or none; `wanted` is the setting that names it, or empty.
    pub(super) fn label(&self, image: usize, wanted: &str) -> anyhow::Result<Option<Label>> {
        let types = [Type::BYTE_ARRAY, Type::INT32, Type::INT64, Type::BOOLEAN];
        let simple =
            |leaf: &ColumnDescriptor| leaf.path().parts().len() == 1 && leaf.max_rep_level() == 0 && types.contains(&leaf.physical_type());
        let simple: Vec<_> = self.leaves().filter(|(number, leaf)| *number != image && simple(leaf)).collect();
        let pick = |fits: &dyn Fn(&ColumnDescriptor) -> bool| -> Vec<(usize, &ColumnDescriptor)> {
            simple.iter().filter(|(_, leaf)| fits(leaf)).copied().collect()
        };
        let found = if wanted.is_empty() {
            let noted = pick(&|leaf| self.kind(leaf) == Some("ClassLabel"));
            let named = || pick(&|leaf| labels::NAMES.contains(&top(leaf).to_ascii_lowercase().as_str()));
            if noted.is_empty() { named() } else { noted }
        } else {
            let found = pick(&|leaf| top(leaf) == wanted);
            if found.is_empty() {
                bail!(
                    "data.label_column is `{wanted}`, but `{}` has no such column of numbers or text: its columns are {}",
                    self.path,
                    self.names()
                );
            }
            found
        };
        match found[..] {
            [] => Ok(None),
            [(leaf, column)] => Ok(Some(Label {
                leaf,
                name: top(column).to_owned(),
                classes: self.classes(column),
            })),
            _ => {
                let names: Vec<&str> = found.iter().map(|(_, leaf)| top(leaf)).collect();
                bail!(
                    "`{}` has several columns of labels, `{}`: set data.label_column to the one that is meant",
                    self.path,
                    names.join("`, `")
                )
            }
        }
    }

    /// The classes that the footer names for a column.
    fn classes(&self, leaf: &ColumnDescriptor) -> Option<Vec<String>> {
        let names = self.features.get(top(leaf))?.get("names")?.as_array()?;
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    }

    /// Columns that could have labels but are called nothing that says so, for a sentence; none if there are none.
    pub(super) fn others(&self, image: usize) -> Option<String> {
        let image = self.footer.file_metadata().schema_descr().column(image);
        let others: Vec<&str> = self
            .leaves()
            .map(|(_, leaf)| top(leaf))
            .filter(|name| *name != top(&image))
            .collect();
        (!others.is_empty()).then(|| format!("`{}`", others.join("`, `")))
    }
}

/// The column that a leaf belongs to.
fn top(leaf: &ColumnDescriptor) -> &str {
    leaf.path().parts().first().map_or("", String::as_str)
}
