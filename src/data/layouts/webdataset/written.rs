//! What is written beside the images: a number in `.cls`, or fields in `.json`.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::{Map, Value as Json};

use super::sample::{Sample, Shard, split};
use crate::data::layouts::labels::{self, Value, Values};
use crate::data::source::UNLABELED;
use crate::data::tree::Entry;

/// Samples named in one sentence.
const NAMED: usize = 3;

/// The labels of all samples, in their order.
pub(super) struct Written<'a> {
    root: &'a str,
    /// The setting that names the field, or nothing.
    wanted: &'a str,
    samples: usize,
    /// What `.cls` says.
    numbers: Values,
    /// Samples whose `.cls` is no number, and those that have none.
    no_numbers: Vec<String>,
    without: Vec<String>,
    /// What `.json` says, by field.
    fields: BTreeMap<String, Values>,
    /// Fields that are called nothing that says they are labels.
    others: BTreeMap<String, ()>,
}

impl<'a> Written<'a> {
    /// Nothing yet.
    pub(super) fn new(root: &'a str, wanted: &'a str) -> Self {
        Written {
            root,
            wanted,
            samples: 0,
            numbers: Vec::new(),
            no_numbers: Vec::new(),
            without: Vec::new(),
            fields: BTreeMap::new(),
            others: BTreeMap::new(),
        }
    }

    /// Takes in what is written beside one image.
    pub(super) fn take(&mut self, shard: &Shard, sample: &Sample) -> anyhow::Result<()> {
        let (key, _) = split(&sample.image.name);
        let key = shard.show(key);
        let text = |entry: &Entry| {
            let bytes = shard.files.read(&entry.name, entry.place);
            let bytes = bytes.with_context(|| format!("`{}`: `{}` cannot be read", shard.path, entry.name))?;
            anyhow::Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        match sample.number.as_ref().map(text).transpose()? {
            None => {
                self.without.push(key.clone());
                self.numbers.push(None);
            }
            Some(text) => match text.parse() {
                Ok(number) => self.numbers.push(Value::number(number)),
                Err(_) => {
                    self.no_numbers.push(format!("`{key}` is `{text}`"));
                    self.numbers.push(Value::text(&text));
                }
            },
        }
        if let Some(entry) = &sample.fields {
            let fields: Map<String, Json> = serde_json::from_str(&text(entry)?)
                .with_context(|| format!("`{}`: the `.json` of the sample `{key}` is no object of fields", shard.path))?;
            self.take_fields(fields);
        }
        self.samples += 1;
        Ok(())
    }

    fn take_fields(&mut self, fields: Map<String, Json>) {
        for (name, value) in fields {
            let value = match value {
                Json::Number(number) => number.as_i64().map(Value::number),
                Json::String(text) => Some(Value::text(&text)),
                Json::Bool(truth) => Some(Value::text(&truth.to_string())),
                Json::Null => Some(None),
                Json::Array(_) | Json::Object(_) => None,
            };
            let known = labels::NAMES.contains(&name.to_ascii_lowercase().as_str());
            let meant = if self.wanted.is_empty() { known } else { name == self.wanted };
            match value {
                Some(value) if meant => {
                    let values = self.fields.entry(name).or_default();
                    values.resize(self.samples, None);
                    values.push(value);
                }
                Some(_) if self.others.len() < 20 => drop(self.others.insert(name, ())),
                _ => {}
            }
        }
    }

    /// The classes, and the label of every sample; without any labels, all are of one class.
    pub(super) fn classes(mut self, warnings: &mut Vec<String>) -> anyhow::Result<(Vec<String>, Vec<Option<u32>>)> {
        let (root, samples) = (self.root.to_owned(), self.samples);
        self.fields.values_mut().for_each(|values| values.resize(samples, None));
        let (values, named) = if self.wanted.is_empty() && self.without.len() < samples {
            self.check_numbers()?;
            (self.numbers, None)
        } else {
            self.field(warnings)?
        };
        if values.iter().all(Option::is_none) {
            return Ok((vec![UNLABELED.to_owned()], vec![Some(0); samples]));
        }
        let (classes, labels) = labels::classes(&[values], named, &[root])?;
        Ok((classes, labels.into_iter().flatten().collect()))
    }

    /// An error where some labels are numbers and others are not.
    fn check_numbers(&self) -> anyhow::Result<()> {
        let some = |names: &[String]| {
            let more = if names.len() > NAMED { ", …" } else { "" };
            format!("{}{more}", names[..names.len().min(NAMED)].join(", "))
        };
        if self.no_numbers.is_empty() || self.no_numbers.len() + self.without.len() == self.samples && self.no_numbers.len() > 1 {
            return Ok(());
        }
        let mut problem = format!("{} labels are no numbers: {}", self.no_numbers.len(), some(&self.no_numbers));
        if !self.without.is_empty() {
            let without: Vec<String> = self.without.iter().map(|key| format!("`{key}`")).collect();
            problem += &format!("; {} samples have no label: {}", without.len(), some(&without));
        }
        bail!("`{}` has shards whose `.cls` cannot be read as numbers. {problem}", self.root)
    }

    /// The one field that can be meant, and the names of its numbers if another field tells them.
    fn field(self, warnings: &mut Vec<String>) -> anyhow::Result<(Values, Option<Vec<String>>)> {
        let Written {
            root,
            wanted,
            samples,
            fields,
            others,
            ..
        } = self;
        let others: Vec<String> = others.into_keys().collect();
        let names: Vec<String> = fields.keys().cloned().collect();
        let mut fields: Vec<Values> = fields.into_values().collect();
        match (fields.len(), fields.pop()) {
            (0, _) | (_, None) if wanted.is_empty() => {
                if !others.is_empty() {
                    warnings.push(format!(
                        "no field in the `.json` of `{root}` is called as labels are, so the images have none; data.label_column can name one of `{}`",
                        others.join("`, `")
                    ));
                }
                Ok((vec![None; samples], None))
            }
            (0, _) | (_, None) => bail!(
                "data.label_column is `{wanted}`, but no `.json` in `{root}` has such a field: there are `{}`",
                others.join("`, `")
            ),
            (1, Some(only)) => Ok((only, None)),
            (_, Some(last)) => match named(fields.pop().unwrap_or_default(), last) {
                Some((numbers, classes)) if fields.is_empty() => Ok((numbers, Some(classes))),
                _ => bail!(
                    "the `.json` in `{root}` has several fields of labels, `{}`: set data.label_column to the one that is meant",
                    names.join("`, `")
                ),
            },
        }
    }
}

/// Numbers and the names of their classes, where one of two fields has a number for every name of the other.
fn named(one: Values, other: Values) -> Option<(Values, Vec<String>)> {
    let is_text = |values: &[Option<Value>]| values.iter().flatten().all(|value| matches!(value, Value::Text(_)));
    let (numbers, texts) = if is_text(&one) { (other, one) } else { (one, other) };
    let mut names: BTreeMap<i64, &str> = BTreeMap::new();
    let mut known: BTreeMap<&str, i64> = BTreeMap::new();
    for pair in numbers.iter().zip(&texts) {
        let (number, text) = match pair {
            (None, None) => continue,
            (Some(Value::Number(number)), Some(Value::Text(text))) => (*number, text.as_str()),
            _ => return None,
        };
        if *names.entry(number).or_insert(text) != text || *known.entry(text).or_insert(number) != number {
            return None;
        }
    }
    // A class that has no sample has no name: then the numbers that are there stand for themselves.
    let whole = names.keys().enumerate().all(|(place, number)| *number == place as i64);
    let classes: Vec<String> = names.into_values().map(str::to_owned).collect();
    if whole {
        return Some((numbers, classes));
    }
    let places: BTreeMap<i64, i64> = known
        .values()
        .copied()
        .collect::<std::collections::BTreeSet<i64>>()
        .into_iter()
        .zip(0..)
        .collect();
    let moved = numbers.into_iter().map(|value| match value {
        Some(Value::Number(number)) => places.get(&number).copied().map(Value::Number),
        other => other,
    });
    Some((moved.collect(), classes))
}
