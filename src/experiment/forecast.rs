//! How many runs studies need together, and how long those that are missing will take, judged by what ran here before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::resolve::Plan;
use super::run::{RunId, RunSpec, Stage};
use super::schema::Value;
use super::settings::{DataSettings, RepeatSettings, TrainSettings};

/// Runs of the same kind whose times are averaged, the newest first.
const AVERAGED: usize = 5;

/// A run that was finished here in one go.
#[derive(Clone, Debug, PartialEq)]
pub struct PastRun {
    /// The run.
    pub run: Arc<RunSpec>,
    /// From its start to its end.
    pub seconds: f64,
}

/// How fast a method pretrains, as `umbra bench` measured it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// The method.
    pub method: String,
    /// The scale whose model and images were taken.
    pub scale: String,
    /// The device.
    pub device: String,
    /// Images in a second.
    pub images_per_second: f64,
}

/// The file of a data directory that keeps measured speeds, one JSON object a line.
const SPEEDS: &str = "speeds.jsonl";

impl Speed {
    /// The speeds kept in a data directory, the newest last. Lines of another form are skipped.
    pub fn kept(data_dir: &Path) -> Vec<Speed> {
        let text = fs::read_to_string(data_dir.join(SPEEDS)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Adds this one.
    ///
    /// # Errors
    /// A data directory that cannot be written.
    pub fn keep(&self, data_dir: &Path) -> io::Result<()> {
        fs::create_dir_all(data_dir)?;
        let mut file = OpenOptions::new().create(true).append(true).open(data_dir.join(SPEEDS))?;
        file.write_all(format!("{}\n", serde_json::to_string(self)?).as_bytes())
    }
}

/// What an expected time rests on, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Runs with the same settings and another seed.
    SameSettings,
    /// Runs of the same stage, method, scale and images, in proportion to the images they trained on.
    SameKind,
    /// For what follows pretraining: runs of the same stage, scale and images after another method.
    SameStage,
    /// A measured speed of training.
    Speed,
}

impl Basis {
    /// What it rests on, as the end of a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Basis::SameSettings => "by runs with the same settings",
            Basis::SameKind => "by runs of the same stage, method and scale",
            Basis::SameStage => "by runs of the same stage and scale after other methods",
            Basis::Speed => "by a measured speed",
        }
    }
}

/// What ran here before.
#[derive(Clone, Debug, Default)]
pub struct Past {
    runs: HashMap<(Stage, String), Vec<PastRun>>,
    speeds: Vec<Speed>,
}

impl Past {
    /// Runs, the newest first, and speeds, the newest last.
    pub fn new(runs: Vec<PastRun>, speeds: Vec<Speed>) -> Past {
        let mut past = Past {
            runs: HashMap::new(),
            speeds,
        };
        for past_run in runs {
            let key = (past_run.run.stage, past_run.run.scale.clone());
            past.runs.entry(key).or_default().push(past_run);
        }
        past
    }

    /// How long the run will take in seconds, if anything like it is known.
    pub fn expect(&self, run: &RunSpec) -> Option<(f64, Basis)> {
        let known = self.runs.get(&(run.stage, run.scale.clone())).map_or(&[][..], Vec::as_slice);
        let source = |run: &RunSpec| run.value("data", "source").cloned();
        let alike = |past_run: &&PastRun| source(&past_run.run) == source(run) && images(&past_run.run) == images(run);
        let same = |past_run: &&PastRun| past_run.run.method == run.method && past_run.run.settings == run.settings;
        let kind = |past_run: &&PastRun| past_run.run.method == run.method && alike(past_run);
        let stage = |past_run: &&PastRun| !matches!(run.stage, Stage::Pretrain | Stage::Tokenizer) && alike(past_run);
        let mean = |fits: &dyn Fn(&&PastRun) -> bool| {
            let seconds: Vec<f64> = known
                .iter()
                .filter(fits)
                .take(AVERAGED)
                .map(|past_run| in_proportion(past_run, run))
                .collect();
            (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
        };
        let by_runs = mean(&same)
            .map(|seconds| (seconds, Basis::SameSettings))
            .or_else(|| mean(&kind).map(|seconds| (seconds, Basis::SameKind)))
            .or_else(|| mean(&stage).map(|seconds| (seconds, Basis::SameStage)));
        by_runs.or_else(|| Some((self.by_speed(run)?, Basis::Speed)))
    }

    /// How long these runs will take one after another in seconds, if something is known of each.
    pub fn expect_all(&self, runs: &[&RunSpec]) -> Option<f64> {
        runs.iter().map(|run| Some(self.expect(run)?.0)).sum()
    }

    /// Training alone, where the number of images is known. Fine-tuning is supervised training of the same encoder.
    fn by_speed(&self, run: &RunSpec) -> Option<f64> {
        let method = match run.stage {
            Stage::Pretrain => run.method.as_str(),
            Stage::Finetune => "supervised",
            _ => return None,
        };
        let fits = |speed: &&Speed| speed.method == method && speed.scale == run.scale;
        let speed = self.speeds.iter().rev().find(fits)?;
        Some(trained_on(run)? / speed.images_per_second)
    }
}

/// The settings that say how many images there are.
fn images(run: &RunSpec) -> Option<&Value> {
    run.value("data", "train_images")
}

/// The time of one run for another, by the share of their epochs.
fn in_proportion(past_run: &PastRun, run: &RunSpec) -> f64 {
    match (epochs(&past_run.run), epochs(run)) {
        (Some(then), Some(now)) if then > 0.0 => past_run.seconds * now / then,
        _ => past_run.seconds,
    }
}

/// Epochs of all images that a run trains for; nothing if it does not train.
fn epochs(run: &RunSpec) -> Option<f64> {
    run.settings.get("train")?;
    let train: TrainSettings = run.section("train").ok()?;
    let number = |section: &str, key: &str| match run.value(section, key)? {
        Value::Float(v) => Some(*v),
        Value::Int(v) => Some(*v as f64),
        _ => None,
    };
    let share = number("labels", "fraction").unwrap_or(1.0) * number("repeat", "stop").unwrap_or(1.0);
    Some(train.epochs as f64 * share)
}

/// Images that a run trains on, each as often as it is seen.
fn trained_on(run: &RunSpec) -> Option<f64> {
    let data: DataSettings = run.section("data").ok()?;
    let repeat: RepeatSettings = run.section("repeat").ok()?;
    let an_epoch = if repeat.epoch_samples > 0 {
        repeat.epoch_samples
    } else {
        data.train_images
    };
    (an_epoch > 0).then_some(epochs(run)? * an_epoch as f64)
}

/// What several studies need together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Together {
    /// Each study's part.
    pub studies: Vec<ForecastPart>,
    /// All of them; a run that several need is counted once.
    pub total: ForecastPart,
    /// Distinct runs of each stage.
    pub stages: BTreeMap<Stage, u64>,
    /// Of the missing runs' expected times, how many rest on what.
    pub bases: BTreeMap<Basis, u64>,
}

/// Some runs, and how far they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ForecastPart {
    /// The study; empty for all together.
    pub name: String,
    /// Runs.
    pub runs: u64,
    /// Of them, how many another of the studies needs too.
    pub shared: u64,
    /// Of them, how many are finished.
    pub finished: u64,
    /// Seconds that the missing ones are expected to take one after another, those of unknown time left out.
    pub seconds: f64,
    /// Missing runs of which nothing like them is known.
    pub unknown: u64,
}

impl ForecastPart {
    /// Runs that are not finished.
    pub fn missing(&self) -> u64 {
        self.runs - self.finished
    }

    /// The expected time, said as far as it is known: `12 min`, `at least 12 min`, `unknown`, or nothing if nothing is missing.
    pub fn expected(&self) -> String {
        match (self.missing(), self.unknown) {
            (0, _) => String::new(),
            (_, 0) => format!("about {}", duration(self.seconds)),
            (missing, unknown) if missing == unknown => "unknown".to_owned(),
            _ => format!("at least {}", duration(self.seconds)),
        }
    }

    fn add(&mut self, shared: bool, finished: bool, expected: Option<(f64, Basis)>) {
        self.runs += 1;
        self.shared += u64::from(shared);
        self.finished += u64::from(finished);
        match expected {
            _ if finished => {}
            Some((seconds, _)) => self.seconds += seconds,
            None => self.unknown += 1,
        }
    }
}

impl Together {
    /// Counts the plans of studies by name; `finished` says which runs are.
    pub fn of(plans: &[(String, Plan)], finished: impl Fn(&RunId) -> bool, past: &Past) -> Together {
        let mut needed: HashMap<&RunId, u64> = HashMap::new();
        plans
            .iter()
            .flat_map(|(_, plan)| &plan.runs)
            .for_each(|run| *needed.entry(&run.id).or_default() += 1);
        let (mut together, mut counted) = (Together::default(), BTreeSet::new());
        for (name, plan) in plans {
            let mut part = ForecastPart {
                name: name.clone(),
                ..ForecastPart::default()
            };
            for run in &plan.runs {
                let (shared, done) = (needed[&run.id] > 1, finished(&run.id));
                let expected = if done { None } else { past.expect(run) };
                part.add(shared, done, expected);
                if counted.insert(&run.id) {
                    together.total.add(shared, done, expected);
                    *together.stages.entry(run.stage).or_default() += 1;
                    if let Some((_, basis)) = expected {
                        *together.bases.entry(basis).or_default() += 1;
                    }
                }
            }
            together.studies.push(part);
        }
        together
    }
}

/// A time in the unit that leaves one or two digits, as an expectation deserves no more.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 90.0 * 60.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.0} days", s / 86400.0),
    }
}

/// The runs of several plans, each once, parents before children.
pub fn distinct(plans: &[(String, Plan)]) -> Vec<RunSpec> {
    let mut known = BTreeSet::new();
    let runs = plans.iter().flat_map(|(_, plan)| &plan.runs);
    let mut runs: Vec<RunSpec> = runs.filter(|run| known.insert(run.id.clone())).cloned().collect();
    runs.sort_by_key(|run| run.stage);
    runs
}
