//! Giving runs to devices.

use crate::experiment::RunId;

use super::{Error, Result, Store};

impl Store {
    /// Gives the next ready run to a device with a free one of its `places`: the highest priority, then the longest wait. A
    /// run is ready when its parent is finished. One statement, so that nobody else can claim the same run.
    pub async fn claim(&self, device: &str, places: usize) -> Result<Option<RunId>> {
        let places = places as i64;
        let run = sqlx::query_scalar!(
            r#"insert into claim (run_id, device)
               select run.run_id, ?1 from run left join run as parent on parent.run_id = run.parent_id
               where run.state = 'queued' and (run.parent_id is null or parent.state = 'finished')
                 and not exists (select 1 from claim where claim.run_id = run.run_id)
                 and (select count(*) from claim where claim.device = ?1) < ?2
               order by run.priority desc, run.queued, run.run_id limit 1
               returning run_id as "run_id!""#,
            device,
            places
        )
        .fetch_optional(&self.pool)
        .await?;
        run.map(|run| run.parse().map_err(Error::Broken)).transpose()
    }

    /// Notes that a run is already at work on a device.
    pub async fn adopt(&self, run: &RunId, device: &str) -> Result<()> {
        let run = run.as_str();
        sqlx::query!("insert or replace into claim (run_id, device) values (?, ?)", run, device)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Keeps a run from every device until it is [released](Store::release).
    pub async fn set_aside(&self, run: &RunId) -> Result<()> {
        // No device has an empty name, so the claim fills no place.
        self.adopt(run, "").await
    }

    /// Gives the device of a run back.
    pub async fn release(&self, run: &RunId) -> Result<()> {
        let run = run.as_str();
        sqlx::query!("delete from claim where run_id = ?", run).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets the claims of an earlier server.
    pub async fn release_all(&self) -> Result<()> {
        sqlx::query!("delete from claim").execute(&self.pool).await?;
        Ok(())
    }
}
