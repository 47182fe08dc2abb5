//! What runs measured: curves, results, images, warnings, attempts.

use std::collections::HashMap;

use crate::experiment::RunId;
use crate::run_dir::{Matrix, State};

use super::{Error, Result, Store};

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Step.
    pub step: u64,
    /// Value; may be not a number.
    pub value: f64,
}

/// Something a person should know about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// Seconds since 1970.
    pub time: f64,
    /// One sentence.
    pub message: String,
}

/// An image a run wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRow {
    /// What it shows, such as `reconstruction`.
    pub name: String,
    /// Step.
    pub step: u64,
    /// File name inside the run's `images/`.
    pub file: String,
}

/// Load of the machine at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Seconds since 1970.
    pub time: f64,
    /// Share of all processors in use, 0 to 100.
    pub cpu_percent: f64,
    /// Memory of the worker in MiB.
    pub memory_mib: f64,
}

/// One execution of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// 1 for the first try.
    pub attempt: u32,
    /// Process id on `host`.
    pub pid: u32,
    /// Machine.
    pub host: String,
    /// Device.
    pub device: String,
    /// Threads used for computing.
    pub threads: u64,
    /// The step of the checkpoint it went on from.
    pub resumed_step: Option<u64>,
    /// Seconds since 1970.
    pub started: f64,
    /// Seconds since 1970.
    pub ended: Option<f64>,
    /// How it ended.
    pub outcome: Option<State>,
    /// Why it failed or was cancelled.
    pub reason: Option<String>,
}

impl Store {
    /// Names of a run's curves, in alphabetical order.
    pub async fn metric_names(&self, id: &RunId) -> Result<Vec<String>> {
        let id = id.as_str();
        Ok(
            sqlx::query_scalar!("select distinct name from metric where run_id = ? order by name", id)
                .fetch_all(&self.pool)
                .await?,
        )
    }

    /// One curve of a run, in order of steps.
    pub async fn metrics(&self, id: &RunId, name: &str) -> Result<Vec<Point>> {
        let id = id.as_str();
        let rows = sqlx::query!(
            "select step, value from metric where run_id = ? and name = ? order by step",
            id,
            name
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Point {
                step: row.step as u64,
                value: number(row.value),
            })
            .collect())
    }

    /// The latest values of some of a run's curves, by name; of those that have a point.
    pub async fn latest(&self, id: &RunId, names: &[&str]) -> Result<HashMap<String, f64>> {
        let (id, names) = (id.as_str(), serde_json::json!(names).to_string());
        let rows = sqlx::query!(
            r#"select metric.name, metric.value
               from json_each(?2) as wanted join metric on metric.run_id = ?1 and metric.name = wanted.value
                and metric.step = (select max(step) from metric where run_id = ?1 and name = wanted.value)"#,
            id,
            names
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.name, number(row.value))).collect())
    }

    /// The results of runs: run, name, value.
    pub async fn summaries(&self, ids: &[RunId]) -> Result<Vec<(RunId, String, f64)>> {
        let ids = serde_json::json!(ids).to_string();
        let rows = sqlx::query!(
            "select run_id, name, value from summary where run_id in (select value from json_each(?)) order by run_id, name",
            ids
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| Ok((row.run_id.parse().map_err(Error::Broken)?, row.name, number(row.value))))
            .collect()
    }

    /// The matrices of that name of these runs, of those that have one.
    pub async fn matrices(&self, ids: &[RunId], name: &str) -> Result<Vec<(RunId, Matrix)>> {
        let ids = serde_json::json!(ids).to_string();
        let rows = sqlx::query!(
            "select run_id, content from matrix where name = ? and run_id in (select value from json_each(?)) order by run_id",
            name,
            ids
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let broken = |e: serde_json::Error| Error::Broken(format!("run {}, matrix {name}: {e}", row.run_id));
                let matrix = serde_json::from_str(&row.content).map_err(broken)?;
                Ok((row.run_id.parse().map_err(Error::Broken)?, matrix))
            })
            .collect()
    }

    /// A run's warnings, oldest first. A history that cannot be read to its end is the last of them.
    pub async fn warnings(&self, id: &RunId) -> Result<Vec<Warning>> {
        let id = id.as_str();
        let rows = sqlx::query_as!(
            Warning,
            r#"select time as "time!", message as "message!" from (
                   select seq, time, message from warning where run_id = ?1
                   union all
                   select seq + 1, coalesce(ended, started, created), broken from run where run_id = ?1 and broken is not null
               ) order by seq"#,
            id
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }

    /// A run's images, by name and step.
    pub async fn images(&self, id: &RunId) -> Result<Vec<ImageRow>> {
        let id = id.as_str();
        let rows = sqlx::query!("select name, step, file from image where run_id = ? order by name, step", id)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| ImageRow {
                name: row.name,
                step: row.step as u64,
                file: row.file,
            })
            .collect())
    }

    /// A run's attempts, oldest first.
    pub async fn attempts(&self, id: &RunId) -> Result<Vec<Attempt>> {
        let id = id.as_str();
        let rows = sqlx::query!(
            "select attempt, pid, host, device, threads, resumed_step, started, ended, outcome, reason
             from attempt where run_id = ? order by attempt",
            id
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Attempt {
                    attempt: row.attempt as u32,
                    pid: row.pid as u32,
                    host: row.host,
                    device: row.device,
                    threads: row.threads as u64,
                    resumed_step: row.resumed_step.map(|step| step as u64),
                    started: row.started,
                    ended: row.ended,
                    outcome: row.outcome.map(|state| state.parse().map_err(Error::Broken)).transpose()?,
                    reason: row.reason,
                })
            })
            .collect()
    }

    /// The load of the machine when a run measured it last.
    pub async fn latest_load(&self, id: &RunId) -> Result<Option<Load>> {
        let id = id.as_str();
        let load = sqlx::query_as!(
            Load,
            "select time, cpu_percent, memory_mib from load where run_id = ? order by seq desc limit 1",
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(load)
    }
}

/// The database keeps what is not a number as null.
fn number(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}
