//! What the list of runs is asked for: read from the address, written into its links.

use super::AppState;
use super::error::Result;
use super::fields::{Fields, query_of};
use crate::experiment::{Request, RunId, Stage, Study, plan};
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
    /// Text in the label, or the start of an id.
    pub q: String,
    /// The order, by one of [`SORTS`].
    pub sort: String,
    /// Whether the largest come first; `None` is the order's own habit.
    pub descending: Option<bool>,
    /// From 1.
    pub page: u64,
}

/// The columns that can be sorted by: name in the address, order, whether the largest come first by habit.
pub const SORTS: [(&str, Sort, bool); 6] = [
    ("created", Sort::Created, true),
    ("label", Sort::Label, false),
    ("state", Sort::State, false),
    ("stage", Sort::Stage, false),
    ("method", Sort::Method, false),
    ("duration", Sort::Duration, true),
];

impl RunsQuery {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// A state or stage that is not known, or a page that is no number.
    pub fn read(fields: &Fields) -> Result<RunsQuery> {
        let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let descending = match fields.get("dir") {
            Some("desc") => Some(true),
            Some("asc") => Some(false),
            _ => None,
        };
        let (state, stage) = (fields.parse("state")?, fields.parse("stage")?);
        let page = fields.parse::<u64>("page")?.unwrap_or(1).clamp(1, 1_000_000);
        Ok(RunsQuery {
            state,
            stage,
            method: text("method"),
            study: text("study"),
            q: text("q"),
            sort: text("sort"),
            descending,
            page,
        })
    }

    /// Whether anything narrows the list.
    pub fn is_narrow(&self) -> bool {
        self.state.is_some() || self.stage.is_some() || [&self.method, &self.study, &self.q].iter().any(|text| !text.is_empty())
    }

    /// Its order: name, order, whether the largest come first.
    pub fn order(&self) -> (&'static str, Sort, bool) {
        let (name, sort, habit) = SORTS.into_iter().find(|(name, ..)| *name == self.sort).unwrap_or(SORTS[0]);
        (name, sort, self.descending.unwrap_or(habit))
    }

    /// The address that sorts by that column, turning the order round if it is the present one.
    pub fn sorted_by(&self, column: &str) -> String {
        let (name, _, descending) = self.order();
        let turned = (name == column).then_some(!descending);
        RunsQuery {
            sort: column.to_owned(),
            descending: turned,
            page: 1,
            ..self.clone()
        }
        .href()
    }

    /// The address of another page of the same list.
    pub fn at_page(&self, page: u64) -> String {
        RunsQuery { page, ..self.clone() }.href()
    }

    fn href(&self) -> String {
        let pairs = [
            ("state", self.state.map(State::name).unwrap_or_default().to_owned()),
            ("method", self.method.clone()),
            ("stage", self.stage.map(Stage::name).unwrap_or_default().to_owned()),
            ("study", self.study.clone()),
            ("q", self.q.clone()),
            ("sort", self.sort.clone()),
            (
                "dir",
                self.descending
                    .map_or("", |descending| if descending { "desc" } else { "asc" })
                    .to_owned(),
            ),
            ("page", if self.page > 1 { self.page.to_string() } else { String::new() }),
        ];
        let query = query_of(pairs);
        if query.is_empty() {
            "/runs".to_owned()
        } else {
            format!("/runs?{query}")
        }
    }

    /// The question to the store.
    ///
    /// # Errors
    /// A study that is not known.
    pub async fn filter(&self, app: &AppState) -> Result<RunFilter> {
        let ids = match self.study.as_str() {
            "" => None,
            name => Some(study_runs(app, app.study(name)?.as_ref()).await?),
        };
        let (_, sort, descending) = self.order();
        Ok(RunFilter {
            state: self.state,
            method: Some(self.method.clone()).filter(|method| !method.is_empty()),
            stage: self.stage,
            ids,
            text: Some(self.q.clone()).filter(|q| !q.is_empty()),
            sort,
            descending,
            limit: PAGE_SIZE,
            offset: (self.page - 1) * PAGE_SIZE,
        })
    }
}

/// The runs a study has at any scale, on any pictures that runs of this server use.
async fn study_runs(app: &AppState, study: &Study) -> Result<Vec<RunId>> {
    let mut ids: Vec<RunId> = Vec::new();
    for data in app.store.sources().await? {
        for scale in &app.scales {
            let request = Request {
                data: Some(data.clone()),
                seeds: Some(SEEDS.max(scale.seeds)),
                ..Request::default()
            };
            // A person's own study need not be possible at every scale.
            let runs = plan(study, scale, &app.catalog, &request).map(|plan| plan.runs).unwrap_or_default();
            ids.extend(runs.into_iter().map(|run| run.id));
        }
    }
    Ok(ids)
}
