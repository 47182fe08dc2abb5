//! On what runs were made: scales, images and seeds.

use super::{Result, Store};

/// A scale and a source of images that runs have in common: only their numbers can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The scale.
    pub scale: String,
    /// The source of images.
    pub data: String,
    /// Their seeds, in order.
    pub seeds: Vec<u64>,
    /// How many of them are finished.
    pub finished: u64,
}

impl Ground {
    /// How many seeds were begun, from 0 on without a gap; at least one.
    pub fn begun(&self) -> u64 {
        let gap = self.seeds.iter().zip(0..).find(|(seed, place)| *seed != place);
        gap.map_or(self.seeds.len() as u64, |(_, place)| place).max(1)
    }
}

/// How many seeds were begun at a scale on some images; at least one.
pub fn most_seeds(grounds: &[Ground], scale: &str, data: &str) -> u64 {
    let ground = grounds.iter().find(|ground| ground.scale == scale && ground.data == data);
    ground.map_or(1, Ground::begun)
}

impl Store {
    /// What runs were made on, where most are finished first.
    pub async fn grounds(&self) -> Result<Vec<Ground>> {
        let rows = sqlx::query!(
            r#"select scale, data, seed, sum(state = 'finished') as "finished!: i64"
               from run group by scale, data, seed order by scale, data, seed"#
        )
        .fetch_all(&self.pool)
        .await?;
        let mut grounds: Vec<Ground> = Vec::new();
        for row in rows {
            let (seed, finished) = (row.seed as u64, row.finished as u64);
            match grounds.last_mut().filter(|last| last.scale == row.scale && last.data == row.data) {
                Some(last) => {
                    last.seeds.push(seed);
                    last.finished += finished;
                }
                None => grounds.push(Ground {
                    scale: row.scale,
                    data: row.data,
                    seeds: vec![seed],
                    finished,
                }),
            }
        }
        grounds.sort_by_key(|ground| std::cmp::Reverse(ground.finished));
        Ok(grounds)
    }

    /// How many seeds were begun at a scale on some images by all studies together; at least one.
    pub async fn most_seeds(&self, scale: &str, data: &str) -> Result<u64> {
        Ok(most_seeds(&self.grounds().await?, scale, data))
    }
}
