//! The images of a stage that learns from a part of them: the list is kept with the run.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::data::{Dataset, Split, fingerprint, subset};
use crate::run_dir::write_atomic;
use crate::stages::Work;

/// The training images that pretraining sees, if they are not all.
///
/// # Errors
/// A choice that cannot be made, or another one than the run began with.
pub fn subset(work: &mut Work, dataset: &Dataset) -> Result<Option<Split>> {
    check_list(work, "subset")?;
    let places = subset::subset(dataset, &work.section("subset")?)?;
    places.map(|places| keep(work, dataset, &places)).transpose()
}

/// The training images whose labels fine-tuning knows, if they are not all.
///
/// # Errors
/// As [`subset()`].
pub fn labeled(work: &mut Work, dataset: &Dataset) -> Result<Option<Split>> {
    check_list(work, "labels")?;
    let places = subset::labeled(dataset, &work.section("labels")?)?;
    places.map(|places| keep(work, dataset, &places)).transpose()
}

/// Refuses a list that is not the one the run was launched with.
fn check_list(work: &Work, section: &str) -> Result<()> {
    let Some((then, path)) = work.run.inputs.get(section, "list").zip(work.run.value(section, "list")) else {
        return Ok(());
    };
    let path = path.to_string();
    if fingerprint::of_file(Path::new(&path))? != then {
        bail!(
            "{section}.list: `{path}` has changed since this run was launched: put it back, or launch it again, which makes a run of its own"
        );
    }
    Ok(())
}

/// How many classes the images are of.
pub fn classes(part: &Split) -> usize {
    let mut labels = part.labels().to_vec();
    labels.sort_unstable();
    labels.dedup();
    labels.len()
}

/// Writes the list. A run that goes on must go on with the images that it began with.
fn keep(work: &Work, dataset: &Dataset, places: &[usize]) -> Result<Split> {
    let part = dataset.train.only(places);
    let (list, path) = (subset::list(dataset, &part), work.dir.subset_file());
    let place = path.display();
    match fs::read_to_string(&path) {
        Ok(known) if known == list => return Ok(part),
        Ok(_) if work.session.checkpoints.newest()?.is_some() => {
            bail!(
                "{place}: the images chosen now are others than those this run began with: did the data change, or the list it was given?"
            )
        }
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e).with_context(|| format!("{place}: cannot be read")),
        _ => {}
    }
    write_atomic(&path, list.as_bytes()).with_context(|| format!("{place}: cannot be written"))?;
    Ok(part)
}
