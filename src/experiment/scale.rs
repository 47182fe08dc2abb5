//! Scales: how large, how long. One TOML file each in `configs/scales/`; any study runs at any scale.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::invalid::Invalid;
use super::schema::{Value, Values};
use super::settings::DataSettings;
use super::toml_file;

/// One scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The name in addresses and on the command line.
    pub name: String,
    /// What it is for and how long it takes, in one sentence.
    pub summary: String,
    /// Seeds a study runs unless told otherwise.
    pub seeds: u64,
    /// The largest factor by which a study's row may multiply a setting here; without one there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_times: Option<f64>,
    /// Settings of every stage that has the section.
    #[serde(default)]
    pub all: Values,
    /// Settings of one stage: stage, section, key.
    #[serde(default)]
    pub stage: BTreeMap<String, Values>,
    /// Settings of one method's pretraining: method, section, key.
    #[serde(default)]
    pub method: BTreeMap<String, Values>,
}

/// The scales built into the binary: file name and text.
const BUILT_IN: &[(&str, &str)] = &[
    ("configs/scales/smoke.toml", include_str!("../../configs/scales/smoke.toml")),
    ("configs/scales/quick.toml", include_str!("../../configs/scales/quick.toml")),
    ("configs/scales/laptop.toml", include_str!("../../configs/scales/laptop.toml")),
    ("configs/scales/cifar.toml", include_str!("../../configs/scales/cifar.toml")),
    ("configs/scales/in100.toml", include_str!("../../configs/scales/in100.toml")),
    ("configs/scales/paper.toml", include_str!("../../configs/scales/paper.toml")),
];

impl Scale {
    /// Reads a scale; `file` is named in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        toml_file::read(file, text)
    }

    /// The scale of that name.
    ///
    /// # Errors
    /// A name that none of them has, with those that they have.
    pub fn find<'a>(scales: &'a [Scale], name: &str) -> Result<&'a Scale, Invalid> {
        let names = || scales.iter().map(|scale| scale.name.as_str()).collect::<Vec<_>>().join(", ");
        scales
            .iter()
            .find(|scale| scale.name == name)
            .ok_or_else(|| Invalid::new("scale", format!("`{name}` is not known: it must be one of {}", names())))
    }

    /// Where its images come from unless somebody says otherwise: `data.source`.
    pub fn source(&self) -> String {
        let own = self.all.get("data").and_then(|data| data.get("source")).map(ToString::to_string);
        let usual = || DataSettings::SECTION.settings.iter().find(|setting| setting.key == "source");
        own.or_else(|| usual().map(|setting| Value::from(setting.default).to_string()))
            .unwrap_or_default()
    }

    /// The images asked for, or its own.
    pub fn source_or(&self, asked: Option<&str>) -> String {
        asked.map_or_else(|| self.source(), str::to_owned)
    }

    /// The scales that come with Umbra, smallest first.
    pub fn built_in() -> Vec<Scale> {
        BUILT_IN
            .iter()
            .map(|(file, text)| Scale::parse(file, text).expect("built-in scales are tested"))
            .collect()
    }
}
