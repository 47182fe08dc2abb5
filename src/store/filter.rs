//! Which runs are asked for, and in which order.

use crate::experiment::{RunId, Stage};
use crate::run_dir::State;

/// What a list of runs is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When the run was queued first.
    #[default]
    Created,
    /// The name for people.
    Label,
    /// Where it stands.
    State,
    /// The kind of work.
    Stage,
    /// The method.
    Method,
    /// Seconds from the first start to the end, or to now.
    Duration,
}

/// Which runs a page lists. The default is the newest 100.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFilter {
    /// Only runs that stand there.
    pub state: Option<State>,
    /// Only runs of that method.
    pub method: Option<String>,
    /// Only that kind of work.
    pub stage: Option<Stage>,
    /// Only runs of that scale.
    pub scale: Option<String>,
    /// Only runs on those images: `data.source`.
    pub data: Option<String>,
    /// Only runs on images of that fingerprint.
    pub fingerprint: Option<String>,
    /// Only runs with that setting: section, key, and its value as JSON, or `None` for runs that have no such setting.
    pub setting: Option<(String, String, Option<String>)>,
    /// Only these runs, such as those of a study.
    pub ids: Option<Vec<RunId>>,
    /// Only runs with this text in their label or at the start of their id; letter case is ignored.
    pub text: Option<String>,
    /// The order.
    pub sort: Sort,
    /// Whether the order is turned round.
    pub descending: bool,
    /// At most that many.
    pub limit: u64,
    /// Passing over that many first.
    pub offset: u64,
}

impl Default for RunFilter {
    fn default() -> Self {
        RunFilter {
            state: None,
            method: None,
            stage: None,
            scale: None,
            data: None,
            fingerprint: None,
            setting: None,
            ids: None,
            text: None,
            sort: Sort::Created,
            descending: true,
            limit: 100,
            offset: 0,
        }
    }
}

/// Asks about the runs that a filter lets through: `ask` is the macro of the question, which gets the SQL before the condition
/// and after it. The filter's values are ?1 to ?10; those of further arguments follow from ?11 on.
macro_rules! filtered {
    ($ask:ident: $before:tt, $after:tt; $given:expr $(, $argument:expr)* $(,)?) => {
        $ask!(
            $before
                + r#"
               where (?1 is null or run.state = ?1) and (?2 is null or run.method = ?2) and (?3 is null or run.stage = ?3)
                 and (?4 is null or run.run_id in (select value from json_each(?4)))
                 and (?5 is null or instr(lower(run.label), lower(?5)) > 0 or instr(run.run_id, lower(?5)) = 1)
                 and (?6 is null or run.scale = ?6) and (?7 is null or run.data = ?7)
                 and (?8 is null or (run.spec -> ?8) is ?9) and (?10 is null or run.fingerprint = ?10)
               "#
                + $after,
            $given.state,
            $given.method,
            $given.stage,
            $given.ids,
            $given.text,
            $given.scale,
            $given.data,
            $given.path,
            $given.value,
            $given.fingerprint
            $(, $argument)*
        )
    };
}
pub(super) use filtered;

/// The values of the condition, as SQL takes them.
pub(super) struct Given<'a> {
    pub state: Option<&'static str>,
    pub method: Option<&'a str>,
    pub stage: Option<&'static str>,
    pub scale: Option<&'a str>,
    pub data: Option<&'a str>,
    pub fingerprint: Option<&'a str>,
    /// Where a setting stands in a run's record, and what it is.
    pub path: Option<String>,
    pub value: Option<&'a str>,
    pub ids: Option<String>,
    pub text: Option<&'a str>,
}

/// Where a setting stands in a run's record.
pub(super) fn path_of(section: &str, key: &str) -> String {
    format!("$.settings.\"{section}\".\"{key}\"")
}

impl<'a> From<&'a RunFilter> for Given<'a> {
    fn from(filter: &'a RunFilter) -> Self {
        Given {
            state: filter.state.map(State::name),
            method: filter.method.as_deref(),
            stage: filter.stage.map(Stage::name),
            scale: filter.scale.as_deref(),
            data: filter.data.as_deref(),
            fingerprint: filter.fingerprint.as_deref(),
            path: filter.setting.as_ref().map(|(section, key, _)| path_of(section, key)),
            value: filter.setting.as_ref().and_then(|(.., value)| value.as_deref()),
            ids: filter.ids.as_ref().map(|ids| serde_json::json!(ids).to_string()),
            text: filter.text.as_deref().filter(|text| !text.is_empty()),
        }
    }
}

impl Sort {
    pub(super) fn key(self) -> &'static str {
        match self {
            Sort::Created => "created",
            Sort::Label => "label",
            Sort::State => "state",
            Sort::Stage => "stage",
            Sort::Method => "method",
            Sort::Duration => "duration",
        }
    }
}
