//! How long runs took, to say how long others will.

use std::collections::HashSet;

use crate::experiment::forecast::{PastRun, Speed};
use crate::experiment::{Past, Plan, RunId, Together};

use super::{Result, Store};

/// Runs that are read, at most: the newest.
const MOST: i64 = 2000;

impl Store {
    /// What the plans of studies at a scale need together, how much of it is done, and how long the rest will take.
    pub async fn together(&self, plans: &[(String, Plan)], scale: &str, speeds: Vec<Speed>) -> Result<Together> {
        let past = self.past(scale, speeds).await?;
        let ids: Vec<&RunId> = plans.iter().flat_map(|(_, plan)| plan.runs.iter().map(|run| &run.id)).collect();
        let ids = serde_json::json!(ids).to_string();
        let finished = sqlx::query_scalar!(
            "select run_id from run where state = 'finished' and run_id in (select value from json_each(?))",
            ids
        )
        .fetch_all(&self.pool)
        .await?;
        let finished: HashSet<String> = finished.into_iter().collect();
        Ok(Together::of(plans, |id| finished.contains(id.as_str()), &past))
    }

    /// What ran at a scale before, and how fast training was measured to be.
    pub async fn past(&self, scale: &str, speeds: Vec<Speed>) -> Result<Past> {
        Ok(Past::new(self.past_runs(scale).await?, speeds))
    }

    /// The runs of a scale that were finished in one go, the newest first.
    async fn past_runs(&self, scale: &str) -> Result<Vec<PastRun>> {
        let rows = sqlx::query!(
            r#"select run.spec, attempt.ended - attempt.started as "seconds!: f64"
               from run join attempt on attempt.run_id = run.run_id and attempt.attempt = run.attempt
               where run.scale = ? and run.state = 'finished' and attempt.outcome = 'finished'
                 and attempt.resumed_step is null and attempt.ended is not null
               order by attempt.ended desc limit ?"#,
            scale,
            MOST
        )
        .fetch_all(&self.pool)
        .await?;
        let runs = rows.into_iter().map(|row| {
            Ok(PastRun {
                run: self.specs.read(row.spec)?,
                seconds: row.seconds,
            })
        });
        runs.collect()
    }
}
