//! Launching: from what somebody asks for to runs in the queue.
//!
//! The form, the API, a study's page, the plan, a claim and `umbra run` all come here. So the same request is the same runs
//! wherever it is made, and what one of them refuses none of them queues.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::app::datasets::Datasets;
use crate::app::fit::{Misfit, check_fit, remedy};
use crate::app::reading::{LeftOut, check_inputs, check_unchanged, look_at, survey_of, without_misfits};
use crate::data::Survey;
use crate::experiment::forecast::distinct;
use crate::experiment::{
    Catalog, Fingerprints, Invalid, Library, Plan, Request, RunId, RunSpec, Scale, Stage, Study, Values, absolute, plan, single_run,
};
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
    /// Runs of a study that are left out since its images have no classes to learn, and why.
    pub left_out: Option<LeftOut>,
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
    /// The data sets.
    pub datasets: &'a Datasets,
}

impl Launcher<'_> {
    /// Queues what is asked for. Runs that are known already are shared.
    ///
    /// # Errors
    /// The first thing that is not allowed, and then nothing is queued; or a fault of the database or the queue.
    pub async fn launch(&self, request: &LaunchRequest) -> Result<Launched> {
        let mut runs = self.resolve(request).await?;
        let mut left_out = None;
        if let LaunchTarget::Studies { .. } = &request.target {
            (runs, left_out) = without_misfits(self.datasets, self.catalog, runs)?;
        }
        // Their images have just been looked at.
        self.check(&runs).await?;
        let submitted = self.jobs.submit(&runs, request.priority).await?;
        Ok(Launched { runs, submitted, left_out })
    }

    /// The runs that a launch would queue, parents before children; of a single run, the run itself is last. Their images are
    /// looked at now.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub async fn resolve(&self, request: &LaunchRequest) -> Result<Vec<RunSpec>> {
        let known = self.datasets.fingerprints();
        let runs = self.resolve_with(request, known.clone()).await?;
        look_at(self.datasets, &runs).await?;
        let now = self.datasets.fingerprints();
        if now == known {
            Ok(runs)
        } else {
            self.resolve_with(request, now).await
        }
    }

    /// As [`Launcher::resolve`] without looking at the images, for a form that shows what would be launched.
    ///
    /// # Errors
    /// As [`Launcher::launch`], but for what is wrong with images.
    pub async fn preview(&self, request: &LaunchRequest) -> Result<Vec<RunSpec>> {
        self.resolve_with(request, self.datasets.fingerprints()).await
    }

    async fn resolve_with(&self, request: &LaunchRequest, fingerprints: Fingerprints) -> Result<Vec<RunSpec>> {
        let data = request.data.as_deref().filter(|data| !data.is_empty());
        let mut wanted = Request {
            data: data.map(absolute),
            seeds: None,
            set: request.set.clone(),
            fingerprints,
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
            Start::Run(id) => {
                let parent = self.parent(id).await?;
                let child = resolve(run.stage, wanted, Some(&parent))?;
                check_unchanged(&parent, &child)?;
                Ok(vec![child])
            }
            Start::NewPretraining => {
                let images = Request {
                    data: wanted.source(),
                    fingerprints: wanted.fingerprints.clone(),
                    ..Request::default()
                };
                let parent = resolve(Stage::Pretrain, &images, None)?;
                let child = resolve(run.stage, wanted, Some(&parent))?;
                Ok(vec![parent, child])
            }
        }
    }

    /// Queues runs whose data sets are there and fit, and whose other runs to compare with.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub async fn queue(&self, runs: &[RunSpec], priority: i64) -> Result<Submitted> {
        look_at(self.datasets, runs).await?;
        self.check(runs).await?;
        Ok(self.jobs.submit(runs, priority).await?)
    }

    /// Lets a run that failed or was cancelled go on from its checkpoint.
    ///
    /// # Errors
    /// As [`Jobs::retry`]; or its images are not there as they were, so that it would fail again.
    pub async fn retry(&self, run: &RunId) -> Result<()> {
        self.check_known(run).await?;
        Ok(self.jobs.retry(run).await?)
    }

    /// Lets a run begin again from nothing.
    ///
    /// # Errors
    /// As [`Jobs::restart`]; or its images are not there as they were, so that its results would be lost for nothing.
    pub async fn restart(&self, run: &RunId) -> Result<()> {
        self.check_known(run).await?;
        Ok(self.jobs.restart(run).await?)
    }

    /// A run that nobody knows is refused by the queue, in its words.
    async fn check_known(&self, run: &RunId) -> Result<()> {
        match self.store.run(run).await? {
            Some(run) => {
                let run = std::slice::from_ref(&*run.spec);
                look_at(self.datasets, run).await?;
                self.check(run).await
            }
            None => Ok(()),
        }
    }

    /// What runs need that is neither among their settings nor their parents. What they read must have been looked at.
    async fn check(&self, runs: &[RunSpec]) -> Result<()> {
        let now = self.datasets.fingerprints();
        for run in runs {
            check_inputs(run, &now)?;
            if let Some(survey) = survey_of(self.datasets, run)? {
                check_fit(run, &survey, self.catalog).map_err(|misfit| self.advised(misfit, runs))?;
            }
        }
        let others: BTreeSet<String> = runs
            .iter()
            .filter_map(|run| run.value("compare", "other").map(ToString::to_string))
            .collect();
        for other in others.iter().filter(|other| !other.is_empty()) {
            check_other(self.store, other).await?;
        }
        Ok(())
    }

    /// The settings of a launch with which it would fit its images; empty if it does.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub async fn remedy(&self, request: &LaunchRequest) -> Result<Vec<(String, i64)>> {
        Ok(self.remedy_of(&self.resolve(request).await?))
    }

    fn remedy_of(&self, runs: &[RunSpec]) -> Vec<(String, i64)> {
        let surveyed: Vec<(&RunSpec, Arc<Survey>)> = runs
            .iter()
            .filter_map(|run| Some((run, survey_of(self.datasets, run).ok()??)))
            .collect();
        remedy(surveyed.iter().map(|(run, survey)| (*run, &**survey)), self.catalog)
    }

    /// What is wrong, and what would work for all of these runs.
    fn advised(&self, misfit: Misfit, runs: &[RunSpec]) -> Invalid {
        let Misfit::Size(Invalid { place, message }) = misfit else {
            return misfit.into();
        };
        let fits = self.remedy_of(runs).into_iter().map(|(place, value)| format!("{place}={value}"));
        let message = match fits.collect::<Vec<_>>() {
            none if none.is_empty() => message,
            fits => format!("{message}. All of it fits with {}", fits.join(", ")),
        };
        Invalid { place, message }
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
