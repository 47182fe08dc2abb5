//! Which runs were made on which images.

use super::{Result, Store};

/// The runs of a scale at a path, of the same images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagesRuns {
    /// The scale.
    pub scale: String,
    /// The path of the images, or `builtin`.
    pub data: String,
    /// The fingerprint of the images; runs of before there were any have none.
    pub fingerprint: Option<String>,
    /// How many.
    pub runs: u64,
}

impl Store {
    /// How many runs there are by scale, path and fingerprint of their images.
    pub async fn images_of_runs(&self) -> Result<Vec<ImagesRuns>> {
        let rows = sqlx::query!(
            r#"select scale, data, fingerprint, count(*) as "runs!: i64"
               from run group by scale, data, fingerprint order by scale, data, fingerprint"#
        )
        .fetch_all(&self.pool)
        .await?;
        let row = rows.into_iter().map(|row| ImagesRuns {
            scale: row.scale,
            data: row.data,
            fingerprint: row.fingerprint,
            runs: row.runs as u64,
        });
        Ok(row.collect())
    }

    /// The settings by which runs read the images of that fingerprint, as JSON, each once.
    pub async fn settings_of_images(&self, fingerprint: &str) -> Result<Vec<String>> {
        let rows = sqlx::query_scalar!(
            r#"select distinct spec -> '$.settings.data' as "settings!: String" from run where fingerprint = ?"#,
            fingerprint
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }
}
