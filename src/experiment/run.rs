//! One run: a stage with all its settings, its seed and its parent. Equal runs have equal keys.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::inputs::Inputs;
use super::renamed;
use super::schema::{Described, Section, Value, Values, deciding};

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Learn the tokens that a pretraining predicts.
    Tokenizer,
    /// Train a method's encoder.
    Pretrain,
    /// Train encoder and head on labels.
    Finetune,
    /// Train a linear head on the frozen encoder.
    Probe,
    /// Train linear heads on features of the frozen encoder that are read once.
    ProbeCached,
    /// Score reconstructions.
    Psnr,
    /// Compare features of whole and of masked images.
    Cka,
    /// Compare features of two encoders, or of one at two times.
    Compare,
}

impl Stage {
    /// All stages.
    pub const ALL: [Stage; 8] = [
        Stage::Pretrain,
        Stage::Finetune,
        Stage::Probe,
        Stage::ProbeCached,
        Stage::Psnr,
        Stage::Cka,
        Stage::Compare,
        Stage::Tokenizer,
    ];

    /// The stages that people ask for; a tokenizer comes with the pretraining that needs it.
    pub const ASKED: [Stage; 7] = [
        Stage::Pretrain,
        Stage::Finetune,
        Stage::Probe,
        Stage::ProbeCached,
        Stage::Psnr,
        Stage::Cka,
        Stage::Compare,
    ];

    /// The stages whose runs a run of this one can start from.
    pub fn starts_from(self) -> &'static [Stage] {
        match self {
            Stage::Tokenizer => &[],
            Stage::Pretrain => &[Stage::Tokenizer],
            Stage::Finetune | Stage::Probe | Stage::ProbeCached | Stage::Psnr => &[Stage::Pretrain],
            Stage::Cka | Stage::Compare => &[Stage::Pretrain, Stage::Finetune],
        }
    }

    /// The name in TOML, SQL and addresses.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Tokenizer => "tokenizer",
            Stage::Pretrain => "pretrain",
            Stage::Finetune => "finetune",
            Stage::Probe => "probe",
            Stage::ProbeCached => "probe_cached",
            Stage::Psnr => "psnr",
            Stage::Cka => "cka",
            Stage::Compare => "compare",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Stage::ALL.into_iter().find(|stage| stage.name() == text).ok_or_else(|| {
            format!(
                "stage `{text}` is not known: it must be one of {}",
                Stage::ALL.map(Stage::name).join(", ")
            )
        })
    }
}

/// The name of a run and of its directory: the first 16 hexadecimal digits of its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = String;

    /// Accepts 16 lower-case hexadecimal digits and nothing else, so an id is always a safe file name.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        digits
            .then(|| RunId(text.to_owned()))
            .ok_or_else(|| "a run id is 16 hexadecimal digits".to_owned())
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A run with every setting resolved: what `run.toml` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Record")]
pub struct RunSpec {
    /// Directory and short name.
    pub id: RunId,
    /// Hash of everything below that decides the result.
    pub key: String,
    /// A name for people, such as `MAE · finetune · quick · seed 0`.
    pub label: String,
    /// The kind of work.
    pub stage: Stage,
    /// The method of the encoder; for a tokenizer, its kind.
    pub method: String,
    /// The seed of every random draw.
    pub seed: u64,
    /// The run this one starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// The scale the settings came from, for people.
    pub scale: String,
    /// Every setting, by section.
    pub settings: Values,
    /// Fingerprints of the images and lists that the settings name; none in records of before they were taken.
    #[serde(skip_serializing_if = "Inputs::is_empty")]
    pub inputs: Inputs,
}

/// A [`RunSpec`] as a version of Umbra wrote it, with the names that settings had then.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    id: RunId,
    key: String,
    label: String,
    stage: Stage,
    method: String,
    seed: u64,
    #[serde(default)]
    parent: Option<RunId>,
    #[serde(default)]
    scale: String,
    settings: Values,
    #[serde(default)]
    inputs: Inputs,
}

impl From<Record> for RunSpec {
    fn from(record: Record) -> RunSpec {
        RunSpec {
            settings: renamed::current(&record.method, record.settings),
            id: record.id,
            key: record.key,
            label: record.label,
            stage: record.stage,
            method: record.method,
            seed: record.seed,
            parent: record.parent,
            scale: record.scale,
            inputs: record.inputs,
        }
    }
}

impl RunSpec {
    /// Makes the run and its key. The label and the scale's name do not enter the key, nor does a setting of `sections`
    /// that is as before the setting existed.
    pub fn new(stage: Stage, method: &str, seed: u64, parent: Option<&RunSpec>, settings: Values, sections: &[Section]) -> Self {
        RunSpec::reading(stage, method, seed, parent, settings, sections, Inputs::default())
    }

    /// As [`RunSpec::new`], of a run that reads files whose fingerprints are known: they enter the key in place of the paths.
    pub fn reading(
        stage: Stage,
        method: &str,
        seed: u64,
        parent: Option<&RunSpec>,
        settings: Values,
        sections: &[Section],
        inputs: Inputs,
    ) -> Self {
        let deciding = inputs.without_paths(deciding(&settings, sections));
        // serde_json writes maps in key order here (BTreeMap), so equal settings give equal text.
        let mut canonical = serde_json::json!({
            "format": 1, "stage": stage, "method": method, "seed": seed,
            "parent": parent.map(|p| &p.key), "settings": renamed::original(method, deciding),
        });
        if !inputs.is_empty() {
            canonical["inputs"] = serde_json::json!(inputs);
        }
        let key: String = Sha256::digest(canonical.to_string())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let id = RunId(key[..16].to_owned());
        let parent = parent.map(|p| p.id.clone());
        RunSpec {
            id,
            key,
            label: String::new(),
            stage,
            method: method.to_owned(),
            seed,
            parent,
            scale: String::new(),
            settings,
            inputs,
        }
    }

    /// One section as its typed struct, for example `spec.section::<TrainSettings>("train")`. What an older record lacks
    /// is as before.
    ///
    /// # Errors
    /// Names the section and the key if the run's record does not fit this version of Umbra.
    pub fn section<T: DeserializeOwned + Described>(&self, name: &str) -> Result<T, String> {
        let mut values = self.settings.get(name).cloned().unwrap_or_default();
        T::SECTION.fill_in(&mut values);
        let table = serde_json::to_value(values).map_err(|e| e.to_string())?;
        serde_json::from_value(table).map_err(|e| format!("run {}: section [{name}]: {e}", self.id))
    }

    /// The settings with what an older record lacks of `sections`, as before.
    pub fn completed(&self, sections: &[Section]) -> Values {
        let mut settings = self.settings.clone();
        for section in sections {
            let mut values = settings.remove(section.name).unwrap_or_default();
            section.fill_in(&mut values);
            if !values.is_empty() || self.settings.contains_key(section.name) {
                settings.insert(section.name.to_owned(), values);
            }
        }
        settings
    }

    /// One value.
    pub fn value(&self, section: &str, key: &str) -> Option<&Value> {
        self.settings.get(section)?.get(key)
    }
}
