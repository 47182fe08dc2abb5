//! On what runs were made: scales, pictures and seeds, and how long each kind of work took there.

use std::collections::HashMap;

use crate::experiment::{RunSpec, Stage};

use super::{Error, Result, Store};

/// A scale and a source of pictures that runs have in common: only their numbers can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The scale.
    pub scale: String,
    /// The source of pictures.
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

/// How many seeds were begun at a scale on some pictures; at least one.
pub fn most_seeds(grounds: &[Ground], scale: &str, data: &str) -> u64 {
    let ground = grounds.iter().find(|ground| ground.scale == scale && ground.data == data);
    ground.map_or(1, Ground::begun)
}

/// How long finished runs took, by kind of work and method, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Durations(HashMap<(Stage, String), f64>);

impl Durations {
    /// How long these runs will take one after another, in seconds; `None` if nothing like one of them was ever done.
    pub fn of(&self, runs: &[&RunSpec]) -> Option<f64> {
        let one = |run: &&RunSpec| {
            let same = self.0.get(&(run.stage, run.method.clone())).copied();
            same.or_else(|| {
                let alike: Vec<f64> = self
                    .0
                    .iter()
                    .filter(|((stage, _), _)| *stage == run.stage)
                    .map(|(_, s)| *s)
                    .collect();
                (!alike.is_empty()).then(|| alike.iter().sum::<f64>() / alike.len() as f64)
            })
        };
        runs.iter().map(one).sum()
    }
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

    /// How many seeds were begun at a scale on some pictures by all studies together; at least one.
    pub async fn most_seeds(&self, scale: &str, data: &str) -> Result<u64> {
        Ok(most_seeds(&self.grounds().await?, scale, data))
    }

    /// How long finished runs took on these pictures at that scale.
    pub async fn durations(&self, scale: &str, data: &str) -> Result<Durations> {
        let rows = sqlx::query!(
            r#"select stage, method, avg(ended - started) as "seconds!: f64" from run
               where state = 'finished' and scale = ? and data = ? and started is not null and ended is not null
               group by stage, method"#,
            scale,
            data
        )
        .fetch_all(&self.pool)
        .await?;
        let each = rows.into_iter().map(|row| {
            let stage = row.stage.parse().map_err(Error::Broken)?;
            Ok(((stage, row.method), row.seconds))
        });
        each.collect::<Result<_>>().map(Durations)
    }
}
