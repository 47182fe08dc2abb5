//! BEiT's masks: rectangles of patches instead of single ones (arXiv 2106.08254, algorithm 1, and its repository).
//!
//! A rectangle's area is drawn between a least and what is still to be hidden, its height over its width log-uniformly
//! between 0.3 and 1 / 0.3. BEiT stops when nothing fits any more, so an image may have fewer patches masked than
//! asked for; CAE (arXiv 2202.03026) goes on until the number is exact.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Masks;
use crate::rng::{Purpose, stream};

/// Least height over width of a rectangle; the largest is one over it (BEiT).
const LEAST_ASPECT: f64 = 0.3;
/// Rectangles tried before giving up (BEiT).
const TRIES: usize = 10;
/// Times that an exact count is tried for again before single patches fill it up; ours. CAE's own loop would not end
/// on a grid where no rectangle fits.
const ROUNDS: usize = 100;

/// How a grid is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blockwise {
    /// Patches along a side of the square image.
    grid: usize,
    /// Patches to hide.
    count: usize,
    /// Least area of a rectangle.
    least: usize,
}

impl Blockwise {
    /// Rectangles on a square grid that hide `mask_ratio` of it; `setting` names that number in errors. The least area
    /// is BEiT's 16 of 196 patches, as a share of the grid and at least 1.
    ///
    /// # Errors
    /// If nothing would be hidden, or everything.
    pub fn new(setting: &str, mask_ratio: f64, grid: usize) -> Result<Blockwise, String> {
        let patches = grid * grid;
        let count = (patches as f64 * mask_ratio).round() as usize;
        if count == 0 || count >= patches {
            return Err(format!(
                "{setting} = {mask_ratio} hides {count} of {patches} patches: at least one must be hidden and one visible"
            ));
        }
        let least = (16.0 * patches as f64 / 196.0).round() as usize;
        Ok(Blockwise {
            grid,
            count,
            least: least.max(1),
        })
    }

    /// The masked patches of a training batch, from 1 to the asked number in each image: `[batch][patches]`, true
    /// where hidden.
    pub fn at_most(&self, seed: u64, step: u64, batch: usize) -> Vec<Vec<bool>> {
        let hide = |place| {
            let (mut rng, mut mask) = self.begin(seed, step, place);
            self.fill(&mut rng, &mut mask);
            if hidden(&mask) == 0 {
                hide_one(&mut rng, &mut mask);
            }
            mask
        };
        (0..batch as u64).map(hide).collect()
    }

    /// The same with exactly the asked number in each image.
    pub fn exactly(&self, seed: u64, step: u64, batch: usize) -> Masks {
        let hide = |place| {
            let (mut rng, mut mask) = self.begin(seed, step, place);
            for _ in 0..ROUNDS {
                self.fill(&mut rng, &mut mask);
                if hidden(&mask) == self.count {
                    break;
                }
            }
            while hidden(&mask) < self.count {
                hide_one(&mut rng, &mut mask);
            }
            mask
        };
        Masks::given((0..batch as u64).map(hide).collect()).expect("every image has the same number")
    }

    fn begin(&self, seed: u64, step: u64, place: u64) -> (ChaCha8Rng, Vec<bool>) {
        (stream(seed, Purpose::Mask, step, place), vec![false; self.grid * self.grid])
    }

    /// Hides rectangle after rectangle until the number is reached or none of the tried ones fits.
    fn fill(&self, rng: &mut ChaCha8Rng, mask: &mut [bool]) {
        let mut missing = self.count - hidden(mask);
        while missing > 0 {
            let Some(added) = (0..TRIES).find_map(|_| self.hide_block(rng, mask, missing)) else {
                return;
            };
            missing -= added;
        }
    }

    /// Hides one rectangle if it is smaller than the grid and hides from 1 to `missing` more patches; says how many.
    fn hide_block(&self, rng: &mut ChaCha8Rng, mask: &mut [bool], missing: usize) -> Option<usize> {
        let area = between(rng, self.least as f64, missing as f64);
        let aspect = between(rng, LEAST_ASPECT.ln(), -LEAST_ASPECT.ln()).exp();
        let (height, width) = ((area * aspect).sqrt().round() as usize, (area / aspect).sqrt().round() as usize);
        if height >= self.grid || width >= self.grid {
            return None;
        }
        let (top, left) = (below(rng, self.grid - height + 1), below(rng, self.grid - width + 1));
        let places = (top..top + height).flat_map(|row| (left..left + width).map(move |column| row * self.grid + column));
        let fresh: Vec<usize> = places.filter(|&place| !mask[place]).collect();
        if fresh.is_empty() || fresh.len() > missing {
            return None;
        }
        fresh.iter().for_each(|&place| mask[place] = true);
        Some(fresh.len())
    }
}

fn hidden(mask: &[bool]) -> usize {
    mask.iter().filter(|&&hidden| hidden).count()
}

/// Hides a patch that is still visible.
fn hide_one(rng: &mut ChaCha8Rng, mask: &mut [bool]) {
    let visible: Vec<usize> = (0..mask.len()).filter(|&place| !mask[place]).collect();
    mask[visible[below(rng, visible.len())]] = true;
}

fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// A whole number below `limit`.
fn below(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    ((rng.random::<f64>() * limit as f64) as usize).min(limit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(masks: &[Vec<bool>]) -> Vec<usize> {
        masks.iter().map(|mask| hidden(mask)).collect()
    }

    #[test]
    fn beits_numbers_are_75_of_196_in_rectangles_of_16_and_more() {
        let blocks = Blockwise::new("r", 0.383, 14).unwrap();
        assert_eq!((blocks.count, blocks.least), (75, 16));
        assert_eq!(Blockwise::new("r", 0.5, 14).unwrap().count, 98);
        assert_eq!(Blockwise::new("r", 0.4, 8).unwrap().least, 5);
        assert_eq!(Blockwise::new("r", 0.4, 2).unwrap().least, 1);
    }

    #[test]
    fn nothing_to_predict_and_nothing_to_see_are_refused() {
        let error = Blockwise::new("method.mask_ratio", 0.01, 4).unwrap_err();
        assert_eq!(
            error,
            "method.mask_ratio = 0.01 hides 0 of 16 patches: at least one must be hidden and one visible"
        );
        assert!(Blockwise::new("r", 0.99, 4).is_err() && Blockwise::new("r", 0.5, 1).is_err());
    }

    #[test]
    fn counts_hold_for_every_grid_ratio_and_seed() {
        for grid in 2..=14 {
            for ratio in [0.1, 0.25, 0.383, 0.5, 0.75, 0.9] {
                let Ok(blocks) = Blockwise::new("r", ratio, grid) else { continue };
                for seed in 0..40 {
                    let at_most = blocks.at_most(seed, 3, 4);
                    let found = counts(&at_most);
                    assert!(
                        found.iter().all(|count| (1..=blocks.count).contains(count)),
                        "grid {grid}, ratio {ratio}, seed {seed}: {found:?} of {}",
                        blocks.count
                    );
                    let exact = blocks.exactly(seed, 3, 4);
                    assert_eq!(exact.keep, grid * grid - blocks.count);
                    assert_eq!(counts(&exact.masked), [blocks.count; 4], "grid {grid}, ratio {ratio}, seed {seed}");
                }
            }
        }
    }

    #[test]
    fn on_beits_grid_most_of_what_is_asked_for_is_hidden_and_counts_differ() {
        let blocks = Blockwise::new("r", 0.383, 14).unwrap();
        let found = counts(&blocks.at_most(1, 0, 500));
        let mean = found.iter().sum::<usize>() as f64 / 500.0;
        assert!((65.0..=75.0).contains(&mean), "{mean}");
        assert!(found.iter().any(|count| *count != found[0]));
    }

    #[test]
    fn masked_patches_stand_together_more_than_single_ones_would() {
        let blocks = Blockwise::new("r", 0.383, 14).unwrap();
        let neighbors = |masks: &[Vec<bool>]| {
            let pairs = masks.iter().flat_map(|mask| (0..196).map(move |place| (mask, place)));
            let right = pairs.filter(|(mask, place)| place % 14 < 13 && mask[*place] && mask[place + 1]);
            right.count() as f64 / masks.iter().map(|mask| hidden(mask)).sum::<usize>() as f64
        };
        let alone = Masks::random(1, 0, 200, 196, 0.383);
        let (blockwise, alone) = (neighbors(&blocks.at_most(1, 0, 200)), neighbors(&alone.masked));
        // A patch hidden by itself has a hidden neighbor at the mask ratio.
        assert!((alone - 0.383 * 13.0 / 14.0).abs() < 0.03, "{alone}");
        assert!(blockwise > 1.5 * alone, "{blockwise} against {alone}");
    }

    #[test]
    fn a_mask_depends_on_seed_step_and_place_and_on_nothing_else() {
        let blocks = Blockwise::new("r", 0.4, 8).unwrap();
        let masks = blocks.at_most(1, 5, 3);
        assert_eq!(masks[..2], blocks.at_most(1, 5, 2)[..]);
        assert_ne!(masks[0], masks[1]);
        assert_ne!(masks, blocks.at_most(2, 5, 3));
        assert_ne!(masks, blocks.at_most(1, 6, 3));
    }
}
