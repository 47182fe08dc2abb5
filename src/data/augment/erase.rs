//! Random erasing (arXiv 1708.04896) as timm's `pixel` mode, on normalized values.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Tries to place a rectangle before the view is left as it is (timm).
const TRIES: usize = 10;
/// Smallest and largest fraction of the view (timm).
const AREA: (f64, f64) = (0.02, 1.0 / 3.0);
/// Smallest height over width; the largest is its inverse (timm).
const ASPECT: f64 = 0.3;

/// Replaces a random rectangle of `values`, `[3, size, size]`, by standard normal noise.
pub(super) fn erase(values: &mut [f32], size: usize, rng: &mut ChaCha8Rng) {
    for _ in 0..TRIES {
        let area = (size * size) as f64 * rng.random_range(AREA.0..=AREA.1);
        let aspect = rng.random_range(ASPECT.ln()..=-ASPECT.ln()).exp();
        let height = (area * aspect).sqrt().round_ties_even() as usize;
        let width = (area / aspect).sqrt().round_ties_even() as usize;
        if height < size && width < size {
            let top = rng.random_range(0..=size - height);
            let left = rng.random_range(0..=size - width);
            for plane in values.chunks_exact_mut(size * size) {
                for row in plane.chunks_exact_mut(size).skip(top).take(height) {
                    row[left..left + width].fill_with(|| rng.sample(StandardNormal));
                }
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    /// Stands for a pixel that was not erased; noise never reaches it.
    const KEPT: f32 = 1e9;

    #[test]
    fn what_is_erased_is_one_rectangle_of_noise_through_all_channels() {
        let (mut share, mut noise) = (0.0, Vec::new());
        for place in 0..500 {
            let mut values = vec![KEPT; 3 * 32 * 32];
            erase(&mut values, 32, &mut stream(2, Purpose::Augment, 0, place));
            let hit: Vec<usize> = (0..1024).filter(|i| values[*i] != KEPT).collect();
            let (rows, columns) = (hit.iter().map(|i| i / 32), hit.iter().map(|i| i % 32));
            let height = rows.clone().max().unwrap() - rows.min().unwrap() + 1;
            let width = columns.clone().max().unwrap() - columns.min().unwrap() + 1;
            assert_eq!(hit.len(), height * width, "one full rectangle");
            assert!(hit.iter().all(|i| values[1024 + i] != KEPT && values[2048 + i] != KEPT));
            assert!((12..=400).contains(&hit.len()), "area {}", hit.len());
            share += hit.len() as f64 / 1024.0 / 500.0;
            noise.extend(values.into_iter().filter(|v| *v != KEPT).map(f64::from));
        }
        // The middle of 0.02..1/3 is 0.177; the standard error of the mean is 0.004.
        assert!((0.15..0.20).contains(&share), "share {share}");
        let mean = noise.iter().sum::<f64>() / noise.len() as f64;
        let variance = noise.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / noise.len() as f64;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02,
            "mean {mean}, variance {variance}"
        );
    }
}
