//! A run's settings for people: what each means, where it comes from, and which were changed.

use std::collections::BTreeMap;

use crate::experiment::catalog::recipe;
use crate::experiment::{Catalog, RunSpec, Section, Value};

/// A section of the run's settings.
#[derive(Clone, Debug)]
pub struct SectionView {
    /// The name of the TOML table.
    pub name: String,
    /// How many lines differ from the default.
    pub changed: usize,
    /// The settings, in reading order.
    pub lines: Vec<SettingLine>,
}

/// A setting of the run.
#[derive(Clone, Debug)]
pub struct SettingLine {
    /// The name.
    pub key: String,
    /// What it is.
    pub value: String,
    /// What it would have been, where that differs.
    pub default: Option<String>,
    /// What it does.
    pub meaning: String,
    /// Where the default comes from.
    pub source: &'static str,
}

/// The run's settings by section; those that this version does not know come without a meaning.
pub fn section_views(catalog: &Catalog, run: &RunSpec) -> Vec<SectionView> {
    let known = catalog.sections_of(run.stage, &run.method);
    let settings = run.completed(&known);
    let names = known.iter().map(|section| section.name).filter(|name| settings.contains_key(*name));
    let strange = settings
        .keys()
        .map(String::as_str)
        .filter(|name| !known.iter().any(|section| section.name == *name));
    let view = |name: &str| {
        let section = known.iter().find(|section| section.name == name);
        let lines = lines(catalog, run, name, &settings[name], section);
        SectionView {
            name: name.to_owned(),
            changed: lines.iter().filter(|line| line.default.is_some()).count(),
            lines,
        }
    };
    names.chain(strange).map(view).filter(|section| !section.lines.is_empty()).collect()
}

fn lines(catalog: &Catalog, run: &RunSpec, name: &str, values: &BTreeMap<String, Value>, section: Option<&Section>) -> Vec<SettingLine> {
    let described = section.map(|section| section.settings).unwrap_or_default();
    let known = described.iter().filter_map(|setting| {
        let value = values.get(setting.key)?;
        let default = usual(catalog, run, name, setting.key).unwrap_or_else(|| setting.default.into());
        let default = setting.kind.accept(&default).unwrap_or(default);
        let changed = (default != *value).then(|| default.to_string());
        Some(SettingLine {
            key: setting.key.to_owned(),
            value: value.to_string(),
            default: changed,
            meaning: setting.explained(),
            source: setting.source,
        })
    });
    let strange = values
        .iter()
        .filter(|(key, _)| !described.iter().any(|setting| setting.key == key.as_str()));
    let strange = strange.map(|(key, value)| SettingLine {
        key: key.clone(),
        value: value.to_string(),
        default: None,
        meaning: String::new(),
        source: "another version of Umbra",
    });
    known.chain(strange).collect()
}

/// What the stage's protocol or the method's recipe says, where either does.
pub fn usual(catalog: &Catalog, run: &RunSpec, section: &str, key: &str) -> Option<Value> {
    let mut said = recipe(run.stage, catalog.get(&run.method)?).rev();
    let said = said.find(|(s, k, _)| *s == section && *k == key);
    said.map(|(.., value)| (*value).into())
}
