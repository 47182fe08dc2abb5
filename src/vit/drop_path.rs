//! Stochastic depth: in training, a residual branch is left out for some images of the batch.
//!
//! arXiv 1603.09382, with timm's rule: the chance rises linearly from 0 in the first block to `rate` in the
//! last, per image, and what is kept is divided by the chance to be kept.

use rand::RngExt;

use crate::kernels::Factors;
use crate::rng::{Purpose, stream};

/// Which branches are dropped in one forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct DropPath {
    /// Chance in the last block.
    pub rate: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Counter of batches.
    pub step: u64,
}

impl DropPath {
    /// The chance in block `index` of `depth`.
    pub fn chance(&self, index: usize, depth: usize) -> f64 {
        self.rate * index as f64 / depth.saturating_sub(1).max(1) as f64
    }

    pub(super) fn for_block(&self, index: usize, depth: usize) -> BlockDrop {
        BlockDrop {
            chance: self.chance(index, depth),
            seed: self.seed,
            step: self.step,
            block: index as u64,
        }
    }

    /// What a branch of a block is multiplied by, for each of `batch` images: 0, or 1 / chance to be kept.
    #[cfg(test)]
    fn factors(&self, index: usize, depth: usize, branch: u64, batch: usize) -> Vec<f32> {
        self.for_block(index, depth).factors(branch, batch)
    }
}

/// The same for one block.
pub(super) struct BlockDrop {
    chance: f64,
    seed: u64,
    step: u64,
    block: u64,
}

impl BlockDrop {
    /// The factors of the attention branches of a batch.
    pub(super) fn attention(&self, batch: usize) -> Factors {
        self.branch(0, batch)
    }

    /// The factors of the MLP branches of a batch.
    pub(super) fn mlp(&self, batch: usize) -> Factors {
        self.branch(1, batch)
    }

    fn branch(&self, which: u64, batch: usize) -> Factors {
        if self.chance == 0.0 {
            return Factors::default();
        }
        Factors::new(self.factors(which, batch))
    }

    fn factors(&self, which: u64, batch: usize) -> Vec<f32> {
        let mut rng = stream(self.seed, Purpose::DropPath, self.step, 2 * self.block + which);
        let keep = 1.0 - self.chance;
        (0..batch)
            .map(|_| if rng.random::<f64>() < keep { (1.0 / keep) as f32 } else { 0.0 })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_rises_linearly_from_nothing_in_the_first_block() {
        let drop = DropPath {
            rate: 0.3,
            seed: 0,
            step: 0,
        };
        for (index, depth, chance) in [(0, 4, 0.0), (1, 4, 0.1), (3, 4, 0.3), (0, 1, 0.0)] {
            assert!((drop.chance(index, depth) - chance).abs() < 1e-12);
        }
    }

    #[test]
    fn branches_are_dropped_at_the_stated_rate_and_their_mean_is_kept() {
        let factors = DropPath {
            rate: 0.2,
            seed: 4,
            step: 7,
        }
        .factors(3, 4, 0, 20_000);
        let dropped = factors.iter().filter(|&&factor| factor == 0.0).count();
        // 20 000 draws at 0.2: the standard deviation is 57.
        assert!(dropped.abs_diff(4000) < 300, "{dropped} of 20000 were dropped");
        assert!(factors.iter().all(|&factor| factor == 0.0 || factor == 1.25));
    }

    #[test]
    fn blocks_branches_and_steps_drop_differently_and_a_repeated_step_alike() {
        let at = |step| DropPath { rate: 0.5, seed: 1, step };
        let here = at(3).factors(2, 4, 0, 64);
        assert_eq!(here, at(3).factors(2, 4, 0, 64));
        for other in [at(4).factors(2, 4, 0, 64), at(3).factors(3, 4, 0, 64), at(3).factors(2, 4, 1, 64)] {
            assert_ne!(
                here.iter().map(|f| *f > 0.0).collect::<Vec<_>>(),
                other.iter().map(|f| *f > 0.0).collect::<Vec<_>>()
            );
        }
    }
}
