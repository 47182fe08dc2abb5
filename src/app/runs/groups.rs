//! Runs by what they have in common: how many stand where, and a result's mean over them.

use std::collections::{BTreeMap, HashSet};

use super::RunsQuery;
use super::query::study_runs;
use crate::app::studies::evidence;
use crate::app::{Error, Result, Workspace};
use crate::experiment::RunId;
use crate::run_dir::State;
use crate::store::{GroupBy, GroupPart};

/// Runs that have something in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What it is, if it is anything.
    pub key: Option<String>,
    /// The same for people.
    pub name: String,
    /// How many there are.
    pub runs: u64,
    /// How many stand where, of the states that occur.
    pub states: Vec<(State, u64)>,
    /// How many have the result.
    pub n: u64,
    /// Its mean.
    pub mean: Option<f64>,
    /// Standard deviation (n - 1), from two on.
    pub sd: Option<f64>,
    /// The smallest and the largest.
    pub range: Option<(f64, f64)>,
}

/// The name of a group whose runs lack what others are grouped by.
const NONE: &str = "(none)";

/// The words that `group` may be, besides settings as `section.key`.
pub fn group_words() -> impl Iterator<Item = &'static str> {
    GroupBy::COLUMNS.into_iter().chain(["study"])
}

/// The groups of the runs that the query lets through, in the query's order.
///
/// # Errors
/// A `group` that is not known, with what is; or a database that cannot be read.
pub async fn groups(workspace: &Workspace, query: &RunsQuery) -> Result<Vec<Group>> {
    let filter = query.filter(workspace).await?;
    let by = match query.group.as_str() {
        "study" => GroupBy::Lists(runs_by_study(workspace, query).await?),
        group => by(workspace, group)?,
    };
    let parts = workspace.store.grouped(&filter, &by, &query.measure).await?;
    let groups = parts.chunk_by(|a, b| a.group == b.group);
    let mut groups: Vec<Group> = groups.map(|parts| group(query, parts)).collect();
    sort(&mut groups, query);
    Ok(groups)
}

async fn runs_by_study(workspace: &Workspace, query: &RunsQuery) -> Result<BTreeMap<String, HashSet<RunId>>> {
    let evidence = evidence(&workspace.store).await?;
    let studies = workspace.library.all().into_iter().map(|study| {
        // Scales may have runs in common.
        let ids = study_runs(workspace, &evidence, &study, query.seeds).into_iter().collect();
        (study.name.clone(), ids)
    });
    Ok(studies.collect())
}

fn by(workspace: &Workspace, group: &str) -> Result<GroupBy> {
    if let Some(column) = GroupBy::COLUMNS.into_iter().find(|column| *column == group) {
        return Ok(GroupBy::Column(column));
    }
    let place = group
        .split_once('.')
        .filter(|(section, key)| workspace.catalog.setting(section, key).is_some());
    place
        .map(|(section, key)| GroupBy::Setting(section.to_owned(), key.to_owned()))
        .ok_or_else(|| {
            let words: Vec<&str> = group_words().collect();
            Error::Unreadable(format!(
                "group: `{group}` is not known: it must be {} or a setting as section.key",
                words.join(", ")
            ))
        })
}

/// The group of which these are all parts; there is at least one.
fn group(query: &RunsQuery, parts: &[GroupPart]) -> Group {
    let key = parts[0].group.clone();
    // A text is shown without its quotes.
    let plain = |json: String| serde_json::from_str::<String>(&json).unwrap_or(json);
    let key = if query.group.contains('.') { key.map(plain) } else { key };
    let values: Vec<f64> = parts.iter().flat_map(|part| part.values.iter().copied()).collect();
    let n = values.len();
    let mean = (n > 0).then(|| values.iter().sum::<f64>() / n as f64);
    let sd = mean
        .filter(|_| n > 1)
        .map(|mean| (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt());
    let count = |state: State| parts.iter().filter(|part| part.state == state).map(|part| part.runs).sum::<u64>();
    Group {
        name: key.clone().filter(|key| !key.is_empty()).unwrap_or_else(|| NONE.to_owned()),
        key,
        runs: parts.iter().map(|part| part.runs).sum(),
        states: State::ALL
            .into_iter()
            .map(|state| (state, count(state)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        n: n as u64,
        mean,
        sd,
        range: values.iter().copied().reduce(f64::min).zip(values.iter().copied().reduce(f64::max)),
    }
}

/// By name, unless the query says otherwise; groups without a mean come last.
fn sort(groups: &mut [Group], query: &RunsQuery) {
    let (by, descending) = query.group_order();
    // Numbers in names count as numbers: 2 comes before 10.
    groups.sort_by(|a, b| {
        let names = match (a.name.parse::<f64>(), b.name.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.name.cmp(&b.name),
        };
        let order = match by {
            "runs" => a.runs.cmp(&b.runs),
            "mean" => match (a.mean, b.mean) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                (a, b) => return b.is_some().cmp(&a.is_some()).then(names),
            },
            _ => names,
        };
        if descending { order.reverse() } else { order }.then(names)
    });
}
