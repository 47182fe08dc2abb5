//! What the list of runs is asked for.

use crate::app::studies::{Evidence, evidence};
use crate::app::{Error, Result, Workspace};
use crate::experiment::{Request, RunId, Stage, Study};
use crate::run_dir::State;
use crate::store::{RunFilter, Sort};

/// Runs on one page.
pub const PAGE_SIZE: u64 = 100;

/// Seeds up to which a study's runs are looked for.
const SEEDS: u64 = 10;

/// The query, as typed where a form shows it again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunsQuery {
    /// Only runs that stand there.
    pub state: Option<State>,
    /// Only that method.
    pub method: String,
    /// Only that kind of work.
    pub stage: Option<Stage>,
    /// Only runs of that study, at any scale.
    pub study: String,
    /// Only runs of that scale.
    pub scale: String,
    /// Only runs on that dataset.
    pub data: String,
    /// Only runs on images of that fingerprint.
    pub images: String,
    /// Only runs with that setting: `section.key=value`, and nothing behind the sign for runs that have no such setting.
    pub set: String,
    /// How many seeds of a study are looked for.
    pub seeds: Option<u64>,
    /// What runs are grouped by; empty lists them one by one.
    pub group: String,
    /// The result of which groups have a mean.
    pub measure: String,
    /// Text in the label, or the start of an id.
    pub q: String,
    /// The order, by one of [`SORTS`].
    pub sort: String,
    /// Whether the largest come first; `None` is the order's own habit.
    pub descending: Option<bool>,
    /// From 1.
    pub page: u64,
}

/// What can be sorted by: name, order, whether the largest come first by habit.
pub const SORTS: [(&str, Sort, bool); 6] = [
    ("created", Sort::Created, true),
    ("label", Sort::Label, false),
    ("state", Sort::State, false),
    ("stage", Sort::Stage, false),
    ("method", Sort::Method, false),
    ("duration", Sort::Duration, true),
];

impl RunsQuery {
    /// Whether anything narrows the list.
    pub fn is_narrow(&self) -> bool {
        self.state.is_some()
            || self.stage.is_some()
            || [&self.method, &self.study, &self.scale, &self.data, &self.images, &self.set, &self.q]
                .iter()
                .any(|text| !text.is_empty())
    }

    /// Its order: name, order, whether the largest come first.
    pub fn order(&self) -> (&'static str, Sort, bool) {
        let (name, sort, habit) = SORTS.into_iter().find(|(name, ..)| *name == self.sort).unwrap_or(SORTS[0]);
        (name, sort, self.descending.unwrap_or(habit))
    }

    /// The order of groups: `group`, `runs` or `mean`, and whether the largest come first.
    pub fn group_order(&self) -> (&'static str, bool) {
        let (name, habit) = [("group", false), ("runs", true), ("mean", true)]
            .into_iter()
            .find(|(name, _)| *name == self.sort)
            .unwrap_or(("group", false));
        (name, self.descending.unwrap_or(habit))
    }

    /// The question to the store.
    ///
    /// # Errors
    /// A study or setting that is not known, or a database that cannot be read.
    pub async fn filter(&self, workspace: &Workspace) -> Result<RunFilter> {
        let ids = match self.study.as_str() {
            "" => None,
            name => {
                let (study, evidence) = (workspace.study(name)?, evidence(&workspace.store).await?);
                Some(study_runs(workspace, &evidence, &study, self.seeds))
            }
        };
        let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (_, sort, descending) = self.order();
        Ok(RunFilter {
            state: self.state,
            method: said(&self.method),
            stage: self.stage,
            scale: said(&self.scale),
            data: said(&self.data),
            fingerprint: said(&self.images),
            setting: self.setting(workspace)?,
            ids,
            text: said(&self.q),
            sort,
            descending,
            limit: PAGE_SIZE,
            offset: (self.page - 1) * PAGE_SIZE,
        })
    }

    /// The setting that runs must have: section, key, its value as JSON.
    fn setting(&self, workspace: &Workspace) -> Result<Option<(String, String, Option<String>)>> {
        if self.set.is_empty() {
            return Ok(None);
        }
        let bad = |why: &str| Error::Unreadable(format!("set: `{}` {why}", self.set));
        let (place, text) = self.set.split_once('=').ok_or_else(|| bad("must be section.key=value"))?;
        let (section, key) = place.split_once('.').ok_or_else(|| bad("must be section.key=value"))?;
        let known = workspace.catalog.setting(section, key);
        let known = known.ok_or_else(|| bad("is of no setting that there is"))?;
        let value = match text {
            "" => None,
            text => {
                let value = known.kind.parse(text);
                let value = value.map_err(|e| Error::Unreadable(format!("set: {place}: {e}")))?;
                Some(serde_json::json!(value).to_string())
            }
        };
        Ok(Some((section.to_owned(), key.to_owned(), value)))
    }
}

/// The runs a study has at the scales and on the datasets of which there is evidence.
pub(super) fn study_runs(workspace: &Workspace, evidence: &[Evidence], study: &Study, seeds: Option<u64>) -> Vec<RunId> {
    let mut ids: Vec<RunId> = Vec::new();
    for Evidence { scale, data, .. } in evidence {
        let Some(scale) = workspace.scale(scale) else { continue };
        let request = Request {
            data: Some(data.clone()),
            seeds: Some(seeds.unwrap_or(SEEDS).max(scale.seeds)),
            fingerprints: workspace.datasets.fingerprints(),
            ..Request::default()
        };
        // A person's own study need not be possible at every scale.
        if let Ok(plan) = workspace.index.plan(&workspace.catalog, study, scale, &request) {
            ids.extend(plan.ids());
        }
    }
    ids
}
