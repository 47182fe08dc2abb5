//! Cutmix as an occlusion: a rectangle of every image is covered by the same place of another one.
//!
//! arXiv 2208.04164, Table 5, composes it with masks and colors; its details are in an appendix that is not public, so
//! the box is cutmix's (arXiv 1905.04899): its area is `1 - lambda` of the image, `lambda` from `Beta(alpha, alpha)`.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};
use rand::RngExt;
use rand_distr::Beta;

use super::StepInfo;
use crate::rng::{Purpose, stream};

/// Covers a rectangle of each image by another image of the batch, for every `view` other ones. At `alpha` 0, and
/// in a batch of one, nothing is covered.
///
/// # Shapes
/// images and output: `[batch, 3, side, side]`
pub fn cutmix(images: Tensor<4>, alpha: f64, view: u64, step: &StepInfo) -> Tensor<4> {
    let [batch, _, side, _] = images.dims();
    if alpha == 0.0 || batch < 2 {
        return images;
    }
    let mut rng = stream(step.seed, Purpose::Paste, step.step, view);
    let shift = rng.random_range(1..batch);
    let sizes = Beta::new(alpha, alpha).expect("alpha is above zero");
    let mut covered = vec![0.0_f32; batch * side * side];
    for image in covered.chunks_exact_mut(side * side) {
        let length = (side as f64 * (1.0 - rng.sample(sizes)).sqrt()) as usize;
        let [rows, columns] = [(); 2].map(|()| around(rng.random_range(0..side), length, side));
        for row in rows {
            image[row * side..][columns.clone()].fill(1.0);
        }
    }
    let device = images.device().inner();
    let covered = Tensor::from_data(TensorData::new(covered, [batch, 1, side, side]), &device);
    let partners: Vec<i64> = (0..batch).map(|place| ((place + shift) % batch) as i64).collect();
    let partners = images
        .clone()
        .select(0, Tensor::<1, Int>::from_data(TensorData::new(partners, [batch]), &device));
    images.clone() + (partners - images) * covered
}

/// A stretch of about `length` around `center`, cut to the image.
fn around(center: usize, length: usize, side: usize) -> Range<usize> {
    center.saturating_sub(length / 2)..(center + length / 2).min(side)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    const SIDE: usize = 16;

    /// Images of one number each: 0, 1, 2, ...
    fn plain(batch: usize) -> Tensor<4> {
        let values = (0..batch * 3 * SIDE * SIDE)
            .map(|i| (i / (3 * SIDE * SIDE)) as f32)
            .collect::<Vec<f32>>();
        Tensor::from_data(TensorData::new(values, [batch, 3, SIDE, SIDE]), &Device::flex())
    }

    fn at(step: u64) -> StepInfo {
        StepInfo {
            seed: 3,
            step,
            steps: 9,
            indices: Vec::new(),
        }
    }

    fn pasted(alpha: f64, view: u64, step: u64) -> Vec<f32> {
        cutmix(plain(6), alpha, view, &at(step)).into_data().iter::<f32>().collect()
    }

    #[test]
    fn a_rectangle_of_one_other_image_covers_each_and_a_quarter_and_more_of_all() {
        let mut covered = 0;
        for step in 0..200 {
            let values = pasted(1.0, 0, step);
            for (own, image) in values.chunks_exact(3 * SIDE * SIDE).enumerate() {
                let others: Vec<f32> = image.iter().copied().filter(|v| *v != own as f32).collect();
                assert!(others.iter().all(|v| *v == others[0]), "two images cover image {own}");
                assert_eq!(image[..SIDE * SIDE], image[SIDE * SIDE..2 * SIDE * SIDE], "channels differ");
                covered += others.len();
            }
        }
        let share = covered as f64 / (200 * 6 * 3 * SIDE * SIDE) as f64;
        // Half, less what the border cuts off, is 0.32; lengths are rounded down to even ones.
        assert!((0.25..0.32).contains(&share), "{share}");
    }

    #[test]
    fn steps_and_views_are_covered_differently_and_nothing_at_alpha_zero() {
        assert_eq!(pasted(1.0, 0, 1), pasted(1.0, 0, 1));
        assert_ne!(pasted(1.0, 0, 1), pasted(1.0, 1, 1));
        assert_ne!(pasted(1.0, 0, 1), pasted(1.0, 0, 2));
        assert_eq!(cutmix(plain(6), 0.0, 0, &at(1)).into_data(), plain(6).into_data());
        assert_eq!(cutmix(plain(1), 1.0, 0, &at(1)).into_data(), plain(1).into_data());
    }
}
