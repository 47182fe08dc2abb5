//! What a report says besides numbers: settings, devices, times.

use std::collections::{BTreeMap, BTreeSet};

use crate::experiment::{Plan, RunSpec, Scale, Stage, Study, Values};
use crate::store::Run;
use crate::web::runs::view::RunView;

/// Runs of one device.
pub struct Device {
    /// Its name.
    pub name: String,
    /// How many runs.
    pub runs: u64,
    /// How long they took together, in seconds.
    pub seconds: f64,
}

/// The settings in which a study's rows differ: the settings, and for each row its method and one value each.
pub struct Difference {
    /// Stage, section and key.
    pub keys: Vec<String>,
    /// Heading, method, and the values; empty where a row has no such setting.
    pub rows: Vec<(String, String, Vec<String>)>,
}

/// The devices that runs were made on.
pub fn devices(runs: &[&Run]) -> Vec<Device> {
    let mut all: BTreeMap<&str, Device> = BTreeMap::new();
    for run in runs {
        let name = run.device.as_deref().unwrap_or("not started");
        let device = all.entry(name).or_insert_with(|| Device {
            name: name.to_owned(),
            runs: 0,
            seconds: 0.0,
        });
        device.runs += 1;
        device.seconds += run.seconds().unwrap_or(0.0);
    }
    all.into_values().collect()
}

/// What a scale sets: where, and what.
pub fn scale_settings(scale: &Scale) -> Vec<(String, String)> {
    let flat = |head: &str, values: &Values| -> Vec<(String, String)> {
        let lines = values
            .iter()
            .flat_map(|(section, keys)| keys.iter().map(move |(key, value)| (format!("{section}.{key}"), value.to_string())));
        lines.map(|(place, value)| (format!("{head}: {place}"), value)).collect()
    };
    let stages = scale.stage.iter().flat_map(|(stage, values)| flat(stage, values));
    let methods = scale.method.iter().flat_map(|(method, values)| flat(method, values));
    flat("all", &scale.all).into_iter().chain(stages).chain(methods).collect()
}

/// In which settings a study's rows differ at the first seed. A setting that only one row has is its method's own.
pub fn differences(study: &Study, plan: &Plan) -> Difference {
    let of_row = |row: &str| {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        let cells = plan.cells.iter().filter(|cell| cell.row == row && cell.seed == 0);
        for cell in cells {
            let mut next = plan.runs.iter().find(|run| run.id == cell.run);
            while let Some(run) = next {
                values.extend(settings(run));
                next = run
                    .parent
                    .as_ref()
                    .and_then(|parent| plan.runs.iter().find(|run| run.id == *parent));
            }
        }
        values
    };
    let rows: Vec<_> = study.rows.iter().map(|row| (row, of_row(&row.id))).collect();
    let mut known: BTreeMap<&String, (usize, BTreeSet<&String>)> = BTreeMap::new();
    for (key, value) in rows.iter().flat_map(|(_, values)| values) {
        let (count, different) = known.entry(key).or_default();
        *count += 1;
        different.insert(value);
    }
    let differ = known.into_iter().filter(|(_, (count, values))| *count > 1 && values.len() > 1);
    let keys: Vec<String> = differ.map(|(key, _)| key.clone()).collect();
    let rows = rows.iter().map(|(row, values)| {
        let own = keys.iter().map(|key| values.get(key).cloned().unwrap_or_default());
        (row.title.clone(), row.method.clone(), own.collect())
    });
    Difference {
        rows: rows.collect(),
        keys,
    }
}

/// A run's settings as stage, section and key; a tokenizer's follow from its pretraining.
fn settings(run: &RunSpec) -> Vec<(String, String)> {
    if run.stage == Stage::Tokenizer {
        return Vec::new();
    }
    let lines = run.settings.iter().flat_map(|(section, keys)| {
        keys.iter()
            .map(move |(key, value)| (format!("{}: {section}.{key}", run.stage), value.to_string()))
    });
    lines.collect()
}
