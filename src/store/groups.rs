//! Runs by what they have in common, with the values of one result.

use std::collections::{BTreeMap, HashSet};

use crate::experiment::RunId;
use crate::run_dir::State;

use sqlx::query;

use super::filter::{Given, filtered, path_of};
use super::{Error, Result, RunFilter, Store};

/// What runs are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// A column that all runs have: `method`, `scale`, `data`, `stage`, `state` or `seed`.
    Column(&'static str),
    /// A setting: section and key.
    Setting(String, String),
    /// Lists of runs by their names; a run may be on several, on each once.
    Lists(BTreeMap<String, HashSet<RunId>>),
}

impl GroupBy {
    /// The columns.
    pub const COLUMNS: [&'static str; 6] = ["method", "stage", "scale", "data", "state", "seed"];

    /// What the query asks for: the column, the setting's path, the lists as JSON.
    fn asked(&self) -> Result<(&str, Option<String>, String)> {
        let no_lists = || "{}".to_owned();
        Ok(match self {
            GroupBy::Column(name) => (name, None, no_lists()),
            GroupBy::Setting(section, key) => ("", Some(path_of(section, key)), no_lists()),
            GroupBy::Lists(runs) => {
                let lists = serde_json::to_string(runs).map_err(|e| Error::Broken(format!("lists of runs: {e}")))?;
                ("list", None, lists)
            }
        })
    }
}

/// The runs of a group that stand at the same state.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupPart {
    /// What they have, a setting's value as JSON; nothing if they have no such setting, or are on no list.
    pub group: Option<String>,
    /// Where they stand.
    pub state: State,
    /// How many they are.
    pub runs: u64,
    /// The finite results of those that are finished and have one.
    pub values: Vec<f64>,
}

impl Store {
    /// The runs that the filter lets through, whatever its limit and offset, by group and state, with their results of that
    /// name. Groups are in order.
    pub async fn grouped(&self, filter: &RunFilter, by: &GroupBy, measure: &str) -> Result<Vec<GroupPart>> {
        let given = Given::from(filter);
        let (column, path, lists) = by.asked()?;
        // SQLite puts the results of a group together: ten thousand rows would cost more on their way than to find.
        let rows = filtered!(
            query:
            r#"select case ?11 when 'method' then method when 'stage' then stage when 'scale' then scale when 'data' then data
                               when 'state' then state when 'seed' then cast(seed as text) when 'list' then list.name
                               else spec -> ?12 end as "part?: String",
                      state as "state!", count(*) as "runs!: i64",
                      json_group_array(summary.value) filter (where abs(summary.value) < 1.7e308) as "results!: String"
               from run left join summary on summary.run_id = run.run_id and summary.name = ?13 and state = 'finished'
                        left join (select list.key as name, member.value as run_id
                                   from json_each(?14) as list, json_each(list.value) as member) as list
                        on list.run_id = run.run_id"#,
            "group by 1, 2 order by 1, 2";
            given, column, path, measure, lists
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(GroupPart {
                    group: row.part,
                    state: row.state.parse().map_err(Error::Broken)?,
                    runs: row.runs as u64,
                    values: serde_json::from_str(&row.results).map_err(|e| Error::Broken(format!("results of runs: {e}")))?,
                })
            })
            .collect()
    }

    /// The names of all results, in alphabetical order.
    pub async fn measures(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar!("select distinct name from summary order by name")
            .fetch_all(&self.pool)
            .await?)
    }
}
