//! From what is written as labels to classes.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::bail;

/// What a field of labels may be called where nothing else tells it.
pub(super) const NAMES: [&str; 15] = [
    "label",
    "labels",
    "class",
    "classes",
    "class_id",
    "class_label",
    "class_name",
    "category",
    "target",
    "cls",
    "y",
    "fine_label",
    "coarse_label",
    "label_id",
    "label_name",
];

/// What is written as a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// A number, none of which is negative.
    Number(i64),
    /// Text, which is not empty.
    Text(String),
}

impl Value {
    /// A number as a label; a negative one means that there is none.
    pub(super) fn number(number: i64) -> Option<Value> {
        (number >= 0).then_some(Value::Number(number))
    }

    /// Text as a label; empty text means that there is none.
    pub(super) fn text(text: &str) -> Option<Value> {
        (!text.is_empty()).then(|| Value::Text(text.to_owned()))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Text(text) => text.fmt(f),
        }
    }
}

/// What is written as labels in one file, image by image.
pub(super) type Values = Vec<Option<Value>>;
/// The labels of one file, image by image.
pub(super) type Labels = Vec<Option<u32>>;

/// The classes in the order of their labels, and the labels of every file; `paths` are the files' for sentences.
///
/// The order is that of the footer where it names the classes, and else that of the values.
pub(super) fn classes(values: &[Values], named: Option<Vec<String>>, paths: &[String]) -> anyhow::Result<(Vec<String>, Vec<Labels>)> {
    let known: BTreeSet<&Value> = values.iter().flatten().flatten().collect();
    let known: Vec<&Value> = known.into_iter().collect();
    let mut labels = Vec::with_capacity(values.len());
    for (values, path) in values.iter().zip(paths) {
        let mut of_file = Vec::with_capacity(values.len());
        for (row, value) in values.iter().enumerate() {
            let label = match (value, &named) {
                (None, _) => None,
                (Some(Value::Number(number)), Some(names)) if *number >= names.len() as i64 => {
                    bail!("`{path}` has the label {number} in row {row}, but names {} classes", names.len())
                }
                (Some(Value::Number(number)), Some(_)) => Some(*number as u32),
                (Some(Value::Text(text)), Some(names)) => match names.iter().position(|name| name == text) {
                    Some(label) => Some(label as u32),
                    None => bail!("`{path}` has the class `{text}` in row {row}, which is none of those that it names"),
                },
                (Some(value), None) => known.binary_search(&value).ok().map(|label| label as u32),
            };
            of_file.push(label);
        }
        labels.push(of_file);
    }
    let names = named.unwrap_or_else(|| known.iter().map(|value| value.to_string()).collect());
    Ok((names, labels))
}
