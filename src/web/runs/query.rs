//! What the list of runs is asked for: read from the address, written into its links.

use crate::experiment::{Request, RunId, Stage, Study};
use crate::run_dir::State;
use crate::store::{Ground, RunFilter, Sort};
use crate::web::AppState;
use crate::web::error::{Error, Result};
use crate::web::fields::{Fields, query_of};

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
    /// Only runs on those images.
    pub data: String,
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
            scale: text("scale"),
            data: text("data"),
            set: text("set"),
            seeds: fields.parse("seeds")?,
            group: text("group"),
            measure: text("measure"),
            q: text("q"),
            sort: text("sort"),
            descending,
            page,
        })
    }

    /// Whether anything narrows the list.
    pub fn is_narrow(&self) -> bool {
        self.state.is_some()
            || self.stage.is_some()
            || [&self.method, &self.study, &self.scale, &self.data, &self.set, &self.q]
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

    /// The address that sorts by that column, turning the order round if it is the present one.
    pub fn sorted_by(&self, column: &str) -> String {
        let (name, descending) = self.present_order();
        let turned = (name == column).then_some(!descending);
        RunsQuery {
            sort: column.to_owned(),
            descending: turned,
            page: 1,
            ..self.clone()
        }
        .href()
    }

    /// The order of what is listed, runs or groups: name, whether the largest come first.
    pub fn present_order(&self) -> (&'static str, bool) {
        if self.group.is_empty() {
            let (name, _, descending) = self.order();
            (name, descending)
        } else {
            self.group_order()
        }
    }

    /// The address of another page of the same list.
    pub fn at_page(&self, page: u64) -> String {
        RunsQuery { page, ..self.clone() }.href()
    }

    /// The address of the list.
    pub fn href(&self) -> String {
        let pairs = [
            ("state", self.state.map(State::name).unwrap_or_default().to_owned()),
            ("method", self.method.clone()),
            ("stage", self.stage.map(Stage::name).unwrap_or_default().to_owned()),
            ("study", self.study.clone()),
            ("scale", self.scale.clone()),
            ("data", self.data.clone()),
            ("set", self.set.clone()),
            ("seeds", self.seeds.map(|seeds| seeds.to_string()).unwrap_or_default()),
            ("group", self.group.clone()),
            ("measure", self.measure.clone()),
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
            name => Some(study_runs(app, &app.store.grounds().await?, app.study(name)?.as_ref(), self.seeds)),
        };
        let (_, sort, descending) = self.order();
        Ok(RunFilter {
            state: self.state,
            method: Some(self.method.clone()).filter(|method| !method.is_empty()),
            stage: self.stage,
            scale: Some(self.scale.clone()).filter(|scale| !scale.is_empty()),
            data: Some(self.data.clone()).filter(|data| !data.is_empty()),
            setting: self.setting(app)?,
            ids,
            text: Some(self.q.clone()).filter(|q| !q.is_empty()),
            sort,
            descending,
            limit: PAGE_SIZE,
            offset: (self.page - 1) * PAGE_SIZE,
        })
    }

    /// The setting that runs must have: section, key, its value as JSON.
    fn setting(&self, app: &AppState) -> Result<Option<(String, String, Option<String>)>> {
        if self.set.is_empty() {
            return Ok(None);
        }
        let bad = |why: &str| Error::BadRequest(format!("set: `{}` {why}", self.set));
        let (place, text) = self.set.split_once('=').ok_or_else(|| bad("must be section.key=value"))?;
        let (section, key) = place.split_once('.').ok_or_else(|| bad("must be section.key=value"))?;
        let known = app
            .catalog
            .setting(section, key)
            .ok_or_else(|| bad("is of no setting that there is"))?;
        let value = match text {
            "" => None,
            text => {
                let value = known
                    .kind
                    .parse(text)
                    .map_err(|e| Error::BadRequest(format!("set: {place}: {e}")))?;
                Some(serde_json::to_string(&value).map_err(|e| Error::Internal(e.into()))?)
            }
        };
        Ok(Some((section.to_owned(), key.to_owned(), value)))
    }
}

/// The runs a study has at the scales and on the images of these grounds.
pub fn study_runs(app: &AppState, grounds: &[Ground], study: &Study, seeds: Option<u64>) -> Vec<RunId> {
    let mut ids: Vec<RunId> = Vec::new();
    for Ground { scale, data, .. } in grounds {
        let Some(scale) = app.scale(scale) else { continue };
        let request = Request {
            data: Some(data.clone()),
            seeds: Some(seeds.unwrap_or(SEEDS).max(scale.seeds)),
            ..Request::default()
        };
        // A person's own study need not be possible at every scale.
        ids.extend(
            app.outlines
                .of(app, study, scale, &request)
                .map(|outline| outline.ids())
                .unwrap_or_default(),
        );
    }
    ids
}
