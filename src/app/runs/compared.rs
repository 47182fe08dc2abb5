//! Runs side by side: their results, the settings in which they differ, and what to call each.

use std::collections::BTreeSet;

use crate::experiment::measure;
use crate::experiment::{Catalog, RunId, Values};
use crate::store::{Result, Run, Store};

/// A name and what each run has under it.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareLine<T> {
    /// A result's heading, or a setting as `section.key`.
    pub name: String,
    /// A value a run, where it has one.
    pub values: Vec<Option<T>>,
}

/// The results of runs by name.
pub async fn results_of(store: &Store, runs: &[Run]) -> Result<Vec<CompareLine<f64>>> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.id.clone()).collect();
    let found = store.summaries(&ids).await?;
    let names: BTreeSet<&String> = found.iter().map(|(_, name, _)| name).collect();
    let value = |id: &RunId, name: &String| found.iter().find(|(run, n, _)| run == id && n == name).map(|(.., value)| *value);
    let line = |name: &String| CompareLine {
        name: measure::heading(name),
        values: ids.iter().map(|id| value(id, name)).collect(),
    };
    Ok(names.into_iter().map(line).collect())
}

/// The settings in which at least two of the runs differ.
pub fn different_settings(catalog: &Catalog, runs: &[Run]) -> Vec<CompareLine<String>> {
    let completed = |run: &Run| run.spec.completed(&catalog.sections_of(run.spec.stage, &run.spec.method));
    let runs: Vec<Values> = runs.iter().map(completed).collect();
    let places: BTreeSet<(&str, &str)> = runs
        .iter()
        .flatten()
        .flat_map(|(section, keys)| keys.keys().map(move |key| (section.as_str(), key.as_str())))
        .collect();
    let value = |run: &Values, section: &str, key: &str| run.get(section)?.get(key).map(ToString::to_string);
    let lines = places.into_iter().map(|(section, key)| CompareLine {
        name: format!("{section}.{key}"),
        values: runs.iter().map(|run| value(run, section, key)).collect(),
    });
    lines
        .filter(|line| line.values.iter().any(|value| *value != line.values[0]))
        .collect()
}

/// The labels of runs, without what they all have in common.
pub fn titles<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Vec<String> {
    let runs: Vec<&Run> = runs.into_iter().collect();
    let common = |part: fn(&Run) -> String| {
        runs.first()
            .map(|run| part(run))
            .filter(|first| runs.iter().all(|run| part(run) == *first))
    };
    let parts: [fn(&Run) -> String; 3] = [
        |run| run.stage.name().to_owned(),
        |run| run.scale.clone(),
        |run| format!("seed {}", run.seed),
    ];
    let dropped: Vec<String> = parts.into_iter().filter_map(common).collect();
    let title = |run: &&Run| {
        let kept = run.label.split(" · ").filter(|part| !dropped.iter().any(|common| common == part));
        kept.collect::<Vec<_>>().join(" · ")
    };
    runs.iter().map(title).collect()
}
