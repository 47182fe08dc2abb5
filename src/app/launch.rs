//! Launching: from what somebody asks for to runs in the queue.
//!
//! The form, the API, a study's page, the plan, a claim and `umbra run` all come here. So the same request is the same runs
//! wherever it is made, and what one of them refuses none of them queues.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::experiment::forecast::distinct;
use crate::experiment::{Catalog, Invalid, Library, Plan, Request, RunId, RunSpec, Scale, Stage, Study, Values, plan, single_run};
use crate::jobs::{self, Jobs, Submitted};
use crate::run_dir::State;
use crate::store::{self, Store};

/// What to launch, and what is to differ from what the scale says.
#[derive(Clone, Debug, PartialEq)]
pub struct LaunchRequest {
    /// The run or the studies.
    pub target: LaunchTarget,
    /// The scale's name.
    pub scale: String,
    /// Where the images are. If it is left out or empty, a run that starts from another has that one's dataset, and any
    /// other the scale's.
    pub data: Option<String>,
    /// Settings, by section and key.
    pub set: Values,
    /// The place in the queue: higher goes first.
    pub priority: i64,
}

/// What is launched.
#[derive(Clone, Debug, PartialEq)]
pub enum LaunchTarget {
    /// Every run of these studies, each once.
    Studies {
        /// Their names.
        names: Vec<String>,
        /// How many seeds; if left out, the study's or the scale's own number.
        seeds: Option<u64>,
    },
    /// One run.
    Run(RunTarget),
}

/// A single run, but for its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunTarget {
    /// The method.
    pub method: String,
    /// The kind of work.
    pub stage: Stage,
    /// The seed of every random draw.
    pub seed: u64,
    /// What it starts from.
    pub start: Start,
}

/// What a run starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing that was there before, as a pretraining does.
    Nothing,
    /// A pretraining with the scale's settings, which is launched with it.
    NewPretraining,
    /// The run of this id.
    Run(String),
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Launched {
    /// The runs, parents before children.
    pub runs: Vec<RunSpec>,
    /// Which of them were queued, with the tokenizers they need.
    pub submitted: Submitted,
}

/// Why nothing was launched.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Something that was asked for is not allowed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The queue did not take the runs.
    #[error(transparent)]
    Jobs(#[from] jobs::Error),
    /// The database could not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The result of a launch.
pub type Result<T, E = LaunchError> = std::result::Result<T, E>;

/// What there is to launch, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Launcher<'a> {
    /// The studies.
    pub library: &'a Library,
    /// The scales.
    pub scales: &'a [Scale],
    /// The methods.
    pub catalog: &'a Catalog,
    /// The runs that there are.
    pub store: &'a Store,
    /// The queue.
    pub jobs: &'a Jobs,
}

impl Launcher<'_> {
    /// Queues what is asked for. Runs that are known already are shared.
    ///
    /// # Errors
    /// The first thing that is not allowed, and then nothing is queued; or a fault of the database or the queue.
    pub async fn launch(&self, request: &LaunchRequest) -> Result<Launched> {
        let runs = self.resolve(request).await?;
        let submitted = queue(self.store, self.jobs, &runs, request.priority).await?;
        Ok(Launched { runs, submitted })
    }

    /// The runs that a launch would queue, parents before children; of a single run, the run itself is last.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub async fn resolve(&self, request: &LaunchRequest) -> Result<Vec<RunSpec>> {
        let mut wanted = Request {
            data: request.data.clone().filter(|data| !data.is_empty()),
            seeds: None,
            set: request.set.clone(),
        };
        match &request.target {
            LaunchTarget::Studies { names, seeds } => {
                wanted.seeds = *seeds;
                let plans = plan_studies(self.library, self.scales, self.catalog, names, &request.scale, &wanted)?;
                let named: Vec<(String, Plan)> = plans.into_iter().map(|(study, plan)| (study.name.clone(), plan)).collect();
                Ok(distinct(&named))
            }
            LaunchTarget::Run(run) => self.single(run, &request.scale, &wanted).await,
        }
    }

    async fn single(&self, run: &RunTarget, scale: &str, wanted: &Request) -> Result<Vec<RunSpec>> {
        // SQLite and TOML have signed numbers, so the upper half of u64 is not for seeds.
        if run.seed > i64::MAX as u64 {
            return Err(Invalid::new("seed", format!("{} is larger than {}", run.seed, i64::MAX)).into());
        }
        let scale = Scale::find(self.scales, scale)?;
        let resolve = |stage, wanted: &Request, parent: Option<&RunSpec>| {
            single_run(stage, &run.method, scale, self.catalog, wanted, run.seed, parent)
        };
        match &run.start {
            Start::Nothing => Ok(vec![resolve(run.stage, wanted, None)?]),
            Start::Run(id) => Ok(vec![resolve(run.stage, wanted, Some(&self.parent(id).await?))?]),
            Start::NewPretraining => {
                let images = Request {
                    data: wanted.source(),
                    ..Request::default()
                };
                let parent = resolve(Stage::Pretrain, &images, None)?;
                let child = resolve(run.stage, wanted, Some(&parent))?;
                Ok(vec![parent, child])
            }
        }
    }

    async fn parent(&self, id: &str) -> Result<RunSpec> {
        let id: RunId = id.parse().map_err(|message: String| Invalid::new("parent", message))?;
        let none = || Invalid::new("parent", format!("there is no run {id}"));
        Ok((*self.store.run(&id).await?.ok_or_else(none)?.spec).clone())
    }
}

/// Studies by name, each once, with their runs at a scale.
///
/// # Errors
/// A study or scale that is not there, with those that are, or a setting that is not allowed.
pub fn plan_studies(
    library: &Library,
    scales: &[Scale],
    catalog: &Catalog,
    names: &[String],
    scale: &str,
    request: &Request,
) -> Result<Vec<(Arc<Study>, Plan)>, Invalid> {
    let scale = Scale::find(scales, scale)?;
    let mut plans: Vec<(Arc<Study>, Plan)> = Vec::new();
    for name in names {
        let unknown = || format!("`{name}` is not known: it must be one of {}", library.names());
        let study = library.find(name).ok_or_else(|| Invalid::new("study", unknown()))?;
        if !plans.iter().any(|(known, _)| known.name == study.name) {
            let plan = plan(&study, scale, catalog, request)?;
            plans.push((study, plan));
        }
    }
    Ok(plans)
}

/// Queues runs whose datasets are there, and whose other runs to compare with.
///
/// # Errors
/// As [`Launcher::launch`].
pub async fn queue(store: &Store, jobs: &Jobs, runs: &[RunSpec], priority: i64) -> Result<Submitted> {
    check(store, runs).await?;
    Ok(jobs.submit(runs, priority).await?)
}

/// Lets a run that failed or was cancelled go on from its checkpoint.
///
/// # Errors
/// As [`Jobs::retry`]; or its dataset is not there, so that it would fail again.
pub async fn retry(store: &Store, jobs: &Jobs, run: &RunId) -> Result<()> {
    check_known(store, run).await?;
    Ok(jobs.retry(run).await?)
}

/// Lets a run begin again from nothing.
///
/// # Errors
/// As [`Jobs::restart`]; or its dataset is not there, so that its results would be lost for nothing.
pub async fn restart(store: &Store, jobs: &Jobs, run: &RunId) -> Result<()> {
    check_known(store, run).await?;
    Ok(jobs.restart(run).await?)
}

/// A run that nobody knows is refused by the queue, in its words.
async fn check_known(store: &Store, run: &RunId) -> Result<()> {
    match store.run(run).await? {
        Some(run) => check(store, std::slice::from_ref(&*run.spec)).await,
        None => Ok(()),
    }
}

/// What runs need that is neither among their settings nor their parents.
///
/// # Errors
/// The first that is not there.
pub async fn check(store: &Store, runs: &[RunSpec]) -> Result<()> {
    let said = |section: &str, key: &str| -> BTreeSet<String> {
        let values = runs.iter().filter_map(|run| run.value(section, key));
        values.map(ToString::to_string).collect()
    };
    for source in said("data", "source") {
        check_source(&source)?;
    }
    for other in said("compare", "other").iter().filter(|other| !other.is_empty()) {
        check_other(store, other).await?;
    }
    Ok(())
}

/// Refuses images that are not there now, rather than let every run fail on them later.
///
/// # Errors
/// A path at which nothing is, or text that is no path.
pub fn check_source(source: &str) -> Result<(), Invalid> {
    let sound = source.len() <= 4096 && !source.contains(char::is_control);
    if sound && (source == "builtin" || Path::new(source).exists()) {
        return Ok(());
    }
    let shown: String = source.chars().filter(|c| !c.is_control()).take(200).collect();
    let message = format!("`{shown}` is not there: it must be `builtin`, or a folder or archive on the machine that Umbra runs on");
    Err(Invalid::new("data.source", message))
}

/// Nobody waits for the run that is compared with as for a parent, so it must have finished.
async fn check_other(store: &Store, other: &str) -> Result<()> {
    let refuse = |message: String| Err(Invalid::new("compare.other", message).into());
    let id: RunId = match other.parse() {
        Ok(id) => id,
        Err(message) => return refuse(message),
    };
    match store.run(&id).await? {
        None => refuse(format!("there is no run {id}")),
        Some(run) if !Stage::Compare.starts_from().contains(&run.stage) => {
            refuse(format!("that run is a {} and has no encoder of its own", run.stage))
        }
        Some(run) if run.state != State::Finished => refuse(format!("that run is {}: it must have finished", run.state.name())),
        Some(_) => Ok(()),
    }
}
