//! The evidence there is: runs that have scale and dataset in common, by seed.

use crate::store::{Result, SeedRuns, Store};

/// Runs with a scale and a dataset in common. Only their numbers can be compared, so this is what claims are judged on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The scale.
    pub scale: String,
    /// The dataset.
    pub data: String,
    /// The seeds of the runs, in order.
    pub seeds: Vec<u64>,
    /// How many of the runs are finished.
    pub finished: u64,
}

impl Evidence {
    /// How many seeds were begun, from 0 on without a gap; at least one.
    pub fn begun(&self) -> u64 {
        let gap = self.seeds.iter().zip(0..).find(|(seed, place)| *seed != place);
        gap.map_or(self.seeds.len() as u64, |(_, place)| place).max(1)
    }

    /// How many seeds all studies together have begun at a scale on a dataset; at least one.
    pub fn seeds_at(all: &[Evidence], scale: &str, data: &str) -> u64 {
        let found = all.iter().find(|evidence| evidence.scale == scale && evidence.data == data);
        found.map_or(1, Evidence::begun)
    }

    /// Gathers rows that are in the order of scale, dataset and seed.
    fn gathered(rows: Vec<SeedRuns>) -> Vec<Evidence> {
        let mut all: Vec<Evidence> = Vec::new();
        for row in rows {
            match all.last_mut().filter(|last| last.scale == row.scale && last.data == row.data) {
                Some(last) => {
                    last.seeds.push(row.seed);
                    last.finished += row.finished;
                }
                None => all.push(Evidence {
                    scale: row.scale,
                    data: row.data,
                    seeds: vec![row.seed],
                    finished: row.finished,
                }),
            }
        }
        all.sort_by_key(|evidence| std::cmp::Reverse(evidence.finished));
        all
    }
}

/// All the evidence there is; where most runs are finished comes first.
pub async fn evidence(store: &Store) -> Result<Vec<Evidence>> {
    Ok(Evidence::gathered(store.seeds().await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_gathered_by_scale_and_dataset_and_counted_up_to_the_first_gap() {
        assert!(Evidence::gathered(Vec::new()).is_empty());
        let row = |data: &str, seed, finished| SeedRuns {
            scale: "smoke".to_owned(),
            data: data.to_owned(),
            seed,
            finished,
        };
        let rows = vec![row("a", 0, 0), row("builtin", 0, 1), row("builtin", 1, 1), row("builtin", 3, 0)];
        let all = Evidence::gathered(rows);
        let first = &all[0];
        assert_eq!(
            (first.data.as_str(), &first.seeds[..], first.finished),
            ("builtin", &[0, 1, 3][..], 2)
        );
        assert_eq!(first.begun(), 2, "seed 2 is a gap");
        assert_eq!(all.len(), 2);
        assert_eq!(Evidence::seeds_at(&all, "smoke", "builtin"), 2);
        assert_eq!(Evidence::seeds_at(&all, "smoke", "elsewhere"), 1);
    }
}
