//! Of which seeds there are runs.

use super::{Result, Store};

/// The runs of one seed at a scale on a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedRuns {
    /// The scale.
    pub scale: String,
    /// The dataset.
    pub data: String,
    /// The seed.
    pub seed: u64,
    /// How many of the runs are finished.
    pub finished: u64,
}

impl Store {
    /// The seeds of which there are runs, in the order of scale, dataset and seed.
    pub async fn seeds(&self) -> Result<Vec<SeedRuns>> {
        let rows = sqlx::query!(
            r#"select scale, data, seed, sum(state = 'finished') as "finished!: i64"
               from run group by scale, data, seed order by scale, data, seed"#
        )
        .fetch_all(&self.pool)
        .await?;
        let row = rows.into_iter().map(|row| SeedRuns {
            scale: row.scale,
            data: row.data,
            seed: row.seed as u64,
            finished: row.finished as u64,
        });
        Ok(row.collect())
    }
}
