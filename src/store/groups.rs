//! Runs by what they have in common, with one result of each.

use crate::experiment::RunId;
use crate::run_dir::State;

use super::filter::{Given, path_of};
use super::{Error, Result, RunFilter, Store};

/// What runs are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// A column that all runs have: `method`, `scale`, `data`, `stage`, `state` or `seed`.
    Column(&'static str),
    /// A setting: section and key.
    Setting(String, String),
}

impl GroupBy {
    /// The columns.
    pub const COLUMNS: [&'static str; 6] = ["method", "stage", "scale", "data", "state", "seed"];
}

/// A run and the group it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouped {
    /// The run.
    pub id: RunId,
    /// What it has, a setting's value as JSON; nothing if it has no such setting.
    pub group: Option<String>,
    /// Where it stands.
    pub state: State,
    /// The result, if it is finished and has one.
    pub value: Option<f64>,
}

impl Store {
    /// Every run that the filter lets through, whatever its limit and offset, with its group and the result of that name.
    pub async fn grouped(&self, filter: &RunFilter, by: &GroupBy, measure: &str) -> Result<Vec<Grouped>> {
        let given = Given::from(filter);
        let (column, path) = match by {
            GroupBy::Column(column) => (*column, None),
            GroupBy::Setting(section, key) => ("", Some(path_of(section, key))),
        };
        let rows = sqlx::query!(
            r#"select run.run_id as "run_id!", state as "state!", summary.value as "value?: f64",
                      case ?10 when 'method' then method when 'stage' then stage when 'scale' then scale when 'data' then data
                               when 'state' then state when 'seed' then cast(seed as text) else spec -> ?11 end as "part?: String"
               from run left join summary on summary.run_id = run.run_id and summary.name = ?12 and state = 'finished'
               where (?1 is null or state = ?1) and (?2 is null or method = ?2) and (?3 is null or stage = ?3)
                 and (?4 is null or run.run_id in (select value from json_each(?4)))
                 and (?5 is null or instr(lower(label), lower(?5)) > 0 or instr(run.run_id, lower(?5)) = 1)
                 and (?6 is null or scale = ?6) and (?7 is null or data = ?7) and (?8 is null or (spec -> ?8) is ?9)"#,
            given.state,
            given.method,
            given.stage,
            given.ids,
            given.text,
            given.scale,
            given.data,
            given.path,
            given.value,
            column,
            path,
            measure
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Grouped {
                    id: row.run_id.parse().map_err(Error::Broken)?,
                    group: row.part,
                    state: row.state.parse().map_err(Error::Broken)?,
                    value: row.value,
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
