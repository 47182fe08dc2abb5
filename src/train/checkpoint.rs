//! Checkpoints: complete sets, there or not there, never a part.
//!
//! ```text
//! checkpoints/step-00000120/model.safetensors      every weight under its path
//!                           optimizer.safetensors  every moment
//!                           counters.json          step, place in the event log, running values
//! checkpoints/features/step-00000012/…             the same of a part of an evaluation, which has no optimizer
//! checkpoints/latest                               the name of the set to go on from, `features/step-00000012` for example
//! ```
//! A set is written beside its place and renamed into it when all of it is on the disk. A run has parts one after another:
//! training stands in the folder itself, each part of an evaluation in one of its own. Sets that were written after the one
//! that `latest` names do not count.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::run_dir::{sync_dir, write_atomic};
use crate::weights::{self, Weights};

/// Everything training needs to go on as if it had not stopped.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Every weight, and what else the stage keeps in tensors.
    pub model: Weights,
    /// Every moment of the optimizer.
    pub optimizer: Weights,
    /// The numbers.
    pub counters: Counters,
}

/// The numbers of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Optimizer steps done.
    pub step: u64,
    /// The last event of the log that belongs to these steps.
    pub seq: u64,
    /// Seconds that the steps took, with their waiting for images and without evaluations.
    #[serde(default)]
    pub seconds: f64,
    /// What the stage remembers, such as its best value so far.
    pub values: BTreeMap<String, f64>,
    /// Losses since they were last written to the log.
    pub window: Averages,
    /// Losses of the current epoch.
    pub epoch: Averages,
    /// What an evaluation has added up: the bits of its numbers, because JSON has none for infinity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sums: BTreeMap<String, Vec<u64>>,
}

/// Running means by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Averages {
    sums: BTreeMap<String, f64>,
    count: u64,
}

impl Averages {
    /// Takes in one value for each name.
    pub fn add(&mut self, values: &[(&'static str, f64)]) {
        self.count += 1;
        for (name, value) in values {
            *self.sums.entry((*name).to_owned()).or_default() += value;
        }
    }

    /// The means, and starts anew. Empty if nothing was taken in.
    pub fn take(&mut self) -> Vec<(String, f64)> {
        let taken = std::mem::take(self);
        taken.sums.into_iter().map(|(name, sum)| (name, sum / taken.count as f64)).collect()
    }
}

/// The checkpoints of one part of a run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// Of the whole run.
    root: PathBuf,
    /// Name of the part; training has none.
    part: &'static str,
    keep: usize,
}

impl Checkpoints {
    /// The checkpoints in `dir`, of which the newest `keep` of each part are kept.
    pub fn at(dir: PathBuf, keep: usize) -> Self {
        Checkpoints {
            root: dir,
            part: "",
            keep: keep.max(1),
        }
    }

    /// Those of another part of the same run.
    pub fn part(&self, part: &'static str) -> Self {
        Checkpoints { part, ..self.clone() }
    }

    fn dir(&self) -> PathBuf {
        self.root.join(self.part)
    }

    /// Writes a complete set and makes it the latest.
    ///
    /// # Errors
    /// Names the path that could not be written; the previous set is then still the latest.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<()> {
        let (dir, name) = (self.dir(), format!("step-{:08}", checkpoint.counters.step));
        let (scratch, place) = (dir.join(format!("{name}.tmp")), dir.join(&name));
        if self.newest_set()?.is_some_and(|newest| newest == place) {
            // The weights of a step are what they are. The set stays whole at every moment.
            return write_counters(&place, &checkpoint.counters);
        }
        self.write_set(&scratch, checkpoint)
            .with_context(|| format!("{}: the checkpoint cannot be written", scratch.display()))?;
        remove(&place)?;
        fs::rename(&scratch, &place)
            .and_then(|()| sync_dir(&dir))
            .with_context(|| format!("{}: the checkpoint cannot be put in place", place.display()))?;
        let latest = Path::new(self.part).join(&name).display().to_string();
        write_atomic(&self.root.join("latest"), latest.as_bytes())
            .with_context(|| format!("{}: cannot be written", self.root.join("latest").display()))?;
        self.prune(&name)
    }

    fn write_set(&self, scratch: &Path, checkpoint: &Checkpoint) -> Result<()> {
        remove(scratch)?;
        fs::create_dir_all(scratch)?;
        let no_notes = BTreeMap::new();
        weights::write(&scratch.join("model.safetensors"), &checkpoint.model, &no_notes)?;
        weights::write(&scratch.join("optimizer.safetensors"), &checkpoint.optimizer, &no_notes)?;
        write_counters(scratch, &checkpoint.counters)
    }

    /// The numbers of the latest set of the whole run, or `None` before the first.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn newest(&self) -> Result<Option<Counters>> {
        self.newest_set()?.map(|set| read_counters(&set)).transpose()
    }

    /// The latest set of this part, or `None` before its first.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn latest(&self) -> Result<Option<Checkpoint>> {
        let Some(set) = self.latest_set()? else { return Ok(None) };
        let counters = read_counters(&set)?;
        let (model, _) = weights::read(&set.join("model.safetensors"))?;
        let (optimizer, _) = weights::read(&set.join("optimizer.safetensors"))?;
        Ok(Some(Checkpoint {
            model,
            optimizer,
            counters,
        }))
    }

    /// The set that `latest` names.
    fn newest_set(&self) -> Result<Option<PathBuf>> {
        let path = self.root.join("latest");
        let name = match fs::read_to_string(&path) {
            Ok(name) => name,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("{}: cannot be read", path.display())),
        };
        let (part, set) = name.rsplit_once('/').unwrap_or(("", &name));
        let is_set = set
            .strip_prefix("step-")
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        if !is_set || part.contains(['/', '.']) {
            bail!("{}: must name a set such as step-00000120", path.display());
        }
        Ok(Some(self.root.join(name)))
    }

    /// The newest set of this part that is not newer than what `latest` names.
    fn latest_set(&self) -> Result<Option<PathBuf>> {
        let Some(newest) = self.newest_set()? else { return Ok(None) };
        if newest.parent() == Some(self.dir().as_path()) {
            return Ok(Some(newest));
        }
        let last = read_counters(&newest)?.seq;
        for name in self.names()?.into_iter().rev().filter(|name| !name.ends_with(".tmp")) {
            let set = self.dir().join(name);
            if read_counters(&set)?.seq <= last {
                return Ok(Some(set));
            }
        }
        Ok(None)
    }

    /// The sets of this part in their order, and what an interrupted write left.
    fn names(&self) -> Result<Vec<String>> {
        let dir = self.dir();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).with_context(|| format!("{}: cannot be read", dir.display())),
        };
        let mut names: Vec<String> = entries
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("step-"))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Removes all but the newest sets, and what an interrupted write left; never the latest.
    fn prune(&self, latest: &str) -> Result<()> {
        let (left_over, mut sets): (Vec<_>, Vec<_>) = self.names()?.into_iter().partition(|name| name.ends_with(".tmp"));
        sets.retain(|name| name != latest);
        let old = sets.len().saturating_sub(self.keep - 1);
        sets.iter()
            .take(old)
            .chain(&left_over)
            .try_for_each(|name| remove(&self.dir().join(name)))
    }
}

fn read_counters(set: &Path) -> Result<Counters> {
    let path = set.join("counters.json");
    let text = fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{}: not the counters of a checkpoint", path.display()))
}

fn write_counters(set: &Path, counters: &Counters) -> Result<()> {
    let path = set.join("counters.json");
    write_atomic(&path, &serde_json::to_vec_pretty(counters)?).with_context(|| format!("{}: cannot be written", path.display()))
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).with_context(|| format!("{}: cannot be removed", dir.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::HostTensor;

    fn at_step(step: u64) -> Checkpoint {
        let weights = Weights::from([(
            "weight".to_owned(),
            HostTensor {
                shape: vec![2],
                data: vec![step as f32, 0.1],
            },
        )]);
        let counters = Counters {
            step,
            seq: 10 * step,
            values: BTreeMap::from([("best".to_owned(), 0.1 + 0.2)]),
            ..Counters::default()
        };
        Checkpoint {
            model: weights.clone(),
            optimizer: weights,
            counters,
        }
    }

    #[test]
    fn the_latest_set_comes_back_exactly_and_only_the_newest_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::at(dir.path().join("checkpoints"), 2);
        assert!(checkpoints.latest().unwrap().is_none());
        for step in [1, 2, 3] {
            checkpoints.write(&at_step(step)).unwrap();
        }
        let back = checkpoints.latest().unwrap().unwrap();
        assert_eq!(
            (back.counters, back.model["weight"].data.clone()),
            (at_step(3).counters, vec![3.0, 0.1])
        );
        let mut names: Vec<_> = fs::read_dir(dir.path().join("checkpoints"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["latest", "step-00000002", "step-00000003"]);
    }

    #[test]
    fn a_write_that_was_cut_short_leaves_the_previous_set_and_is_cleared_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::at(dir.path().to_owned(), 2);
        checkpoints.write(&at_step(1)).unwrap();
        let torn = dir.path().join("step-00000002.tmp");
        fs::create_dir(&torn).unwrap();
        fs::write(torn.join("model.safetensors"), b"half").unwrap();
        assert_eq!(checkpoints.latest().unwrap().unwrap().counters.step, 1);
        checkpoints.write(&at_step(3)).unwrap();
        assert!(!torn.exists());
        assert_eq!(checkpoints.newest().unwrap().unwrap().step, 3);
    }

    #[test]
    fn a_step_that_is_written_again_keeps_its_set_and_takes_the_newer_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::at(dir.path().to_owned(), 2);
        checkpoints.write(&at_step(2)).unwrap();
        let written = |name: &str| {
            fs::metadata(dir.path().join("step-00000002").join(name))
                .unwrap()
                .modified()
                .unwrap()
        };
        let before = written("model.safetensors");
        let mut again = at_step(2);
        again.counters.seq = 77;
        checkpoints.write(&again).unwrap();
        assert_eq!(checkpoints.latest().unwrap().unwrap().counters, again.counters);
        assert_eq!(written("model.safetensors"), before);
    }

    #[test]
    fn parts_follow_on_each_other_and_what_comes_after_the_latest_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let training = Checkpoints::at(dir.path().join("checkpoints"), 2);
        let part = training.part("features");
        training.write(&at_step(7)).unwrap();
        assert!(part.latest().unwrap().is_none());
        let later = |step: u64| {
            let mut later = at_step(step);
            later.counters.seq = 100 + step;
            later
        };
        (1..=3).for_each(|step| part.write(&later(step)).unwrap());
        let steps = || [&training, &part].map(|part| part.latest().unwrap().map(|set| set.counters.step));
        assert_eq!(steps(), [Some(7), Some(3)]);
        assert_eq!(training.newest().unwrap().unwrap(), later(3).counters);
        let latest = dir.path().join("checkpoints/latest");
        assert_eq!(fs::read_to_string(&latest).unwrap(), "features/step-00000003");
        fs::write(&latest, "features/step-00000002").unwrap();
        assert_eq!(steps(), [Some(7), Some(2)]);
        fs::write(&latest, "step-00000007").unwrap();
        assert_eq!(steps(), [Some(7), None]);
        fs::write(&latest, "../step-00000007").unwrap();
        assert!(part.latest().is_err());
    }

    #[test]
    fn a_broken_set_is_refused_with_the_name_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::at(dir.path().to_owned(), 2);
        checkpoints.write(&at_step(1)).unwrap();
        fs::write(dir.path().join("step-00000001/optimizer.safetensors"), b"torn").unwrap();
        assert!(format!("{:#}", checkpoints.latest().unwrap_err()).contains("optimizer.safetensors"));
    }

    #[test]
    fn averages_are_means_and_start_anew_when_taken() {
        let mut averages = Averages::default();
        averages.add(&[("loss", 1.0), ("acc", 0.0)]);
        averages.add(&[("loss", 2.0), ("acc", 1.0)]);
        assert_eq!(averages.take(), [("acc".to_owned(), 0.5), ("loss".to_owned(), 1.5)]);
        assert!(averages.take().is_empty());
    }
}
