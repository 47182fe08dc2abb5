//! What runs read, as it lies now: looked at before they are queued, and compared with what their keys stand for.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::datasets::Datasets;
use super::fit::{Misfit, check_fit, check_source};
use crate::data::Survey;
use crate::experiment::{Catalog, Fingerprints, Inputs, Invalid, RunSpec, files};

/// Runs that are not launched with the rest of their study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub runs: usize,
    /// Why.
    pub reason: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs were left out: {}", self.runs, self.reason)
    }
}

/// Looks at what these runs read; reading takes a while, so it is done beside everything else.
pub async fn look_at(datasets: &Datasets, runs: &[RunSpec]) -> Result<(), Invalid> {
    let sources: BTreeSet<String> = runs
        .iter()
        .filter_map(|run| run.value("data", "source"))
        .map(ToString::to_string)
        .collect();
    sources.iter().try_for_each(|source| check_source(source))?;
    // One run a source and list: the rest reads the same.
    let mut seen = BTreeSet::new();
    let distinct = |run: &&RunSpec| {
        seen.insert(format!(
            "{:?} {:?}",
            files(&run.settings).collect::<Vec<_>>(),
            run.value("data", "label_column")
        ))
    };
    let runs: Vec<RunSpec> = runs.iter().filter(distinct).cloned().collect();
    let datasets = datasets.clone();
    let looked = tokio::task::spawn_blocking(move || datasets.look_at(&runs, &mut |_, _| {})).await;
    looked.unwrap_or_else(|fault| Err(Invalid::new("data.source", format!("the images could not be looked at: {fault}"))))
}

/// What the source of a run had when it was last looked at.
pub fn survey_of(datasets: &Datasets, run: &RunSpec) -> Result<Option<Arc<Survey>>, Invalid> {
    let settings = run.section("data").map_err(|fault| Invalid::new("data.source", fault))?;
    Ok(datasets.last(&settings))
}

/// The runs of studies without those that learn classes where there are none.
///
/// # Errors
/// Nothing is left.
pub fn without_misfits(datasets: &Datasets, catalog: &Catalog, runs: Vec<RunSpec>) -> Result<(Vec<RunSpec>, Option<LeftOut>), Invalid> {
    let (mut kept, mut out, mut first) = (Vec::new(), BTreeSet::new(), None);
    for run in runs {
        let misfit = match survey_of(datasets, &run)? {
            Some(survey) => check_fit(&run, &survey, catalog).err(),
            None => None,
        };
        match misfit {
            Some(Misfit::Labels(fault)) => {
                out.insert(run.id);
                first.get_or_insert(fault);
            }
            // What starts from a run that is left out is left out with it.
            _ if run.parent.as_ref().is_some_and(|parent| out.contains(parent)) => {
                out.insert(run.id);
            }
            Some(Misfit::Size(_)) | None => kept.push(run),
        }
    }
    match first {
        Some(fault) if kept.is_empty() => Err(fault),
        first => Ok((
            kept,
            first.map(|fault| LeftOut {
                runs: out.len(),
                reason: fault.message,
            }),
        )),
    }
}

/// Refuses a run whose files are not those that its key stands for.
pub fn check_inputs(run: &RunSpec, now: &Fingerprints) -> Result<(), Invalid> {
    let found = Inputs::of(&run.settings, now);
    for (section, key, path) in files(&run.settings) {
        // Records of before fingerprints say nothing.
        let Some(then) = run.inputs.get(section, key).filter(|_| !run.inputs.is_empty()) else {
            continue;
        };
        if found.get(section, key) != Some(then) {
            let message = format!(
                "what lies at `{path}` has changed since {} was made: launch it again, which makes a run of its own",
                run.label
            );
            return Err(Invalid::new(format!("{section}.{key}"), message));
        }
    }
    Ok(())
}

/// Refuses a child on images that lie where its parent's did, and are others.
pub fn check_unchanged(parent: &RunSpec, child: &RunSpec) -> Result<(), Invalid> {
    let [theirs, own] = [parent, child].map(|run| (run.value("data", "source"), run.inputs.get("data", "source")));
    match (theirs, own) {
        ((Some(source), Some(then)), (Some(here), Some(now))) if source == here && then != now => Err(Invalid::new(
            "data.source",
            format!(
                "the images at `{source}` have changed since {} was trained on them: launch that again, or name the images here",
                parent.label
            ),
        )),
        _ => Ok(()),
    }
}
