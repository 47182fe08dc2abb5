//! Which patches are masked. Everywhere `masked` is true where a patch is masked from the encoder.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::rng::{Purpose, stream};

/// The masked patches of a batch; every image keeps the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masks {
    /// `[batch][patches]`, row-major over the image, true where hidden.
    pub masked: Vec<Vec<bool>>,
    /// Visible patches of each image.
    pub keep: usize,
}

impl Masks {
    /// Masks of a training batch, a stream of its own for every place in the batch.
    pub fn random(seed: u64, step: u64, batch: usize, patches: usize, mask_ratio: f64) -> Masks {
        Masks::random_view(0, seed, step, batch, patches, mask_ratio)
    }

    /// As [`Masks::random`], independent for every `view` of the images.
    pub fn random_view(view: u64, seed: u64, step: u64, batch: usize, patches: usize, mask_ratio: f64) -> Masks {
        let keep = keep_count(patches, mask_ratio);
        let masked = (0..batch as u64)
            .map(|place| hide(&mut stream(seed, Purpose::Mask, step, view << 32 | place), patches, keep))
            .collect();
        Masks { masked, keep }
    }

    /// Masks of an evaluation: fixed by seed and image number, so every method meets the same ones.
    pub fn for_evaluation(seed: u64, images: &[u32], patches: usize, mask_ratio: f64) -> Masks {
        let keep = keep_count(patches, mask_ratio);
        let mask = |&image: &u32| hide(&mut stream(seed, Purpose::EvalMask, u64::from(image), 0), patches, keep);
        Masks {
            masked: images.iter().map(mask).collect(),
            keep,
        }
    }

    /// Other such masks, a set for each `draw`. Of two ratios the larger hides what the smaller does, and more. With `shared`
    /// all images have the mask of the first.
    pub fn for_comparison(seed: u64, draw: u64, images: &[u32], patches: usize, mask_ratio: f64, shared: bool) -> Masks {
        let keep = keep_count(patches, mask_ratio);
        // The draw 0 is that of [`Masks::for_evaluation`].
        let mask = |&image: &u32| hide(&mut stream(seed, Purpose::EvalMask, u64::from(image), 1 + draw), patches, keep);
        let masked = match images.first().filter(|_| shared) {
            Some(first) => vec![mask(first); images.len()],
            None => images.iter().map(mask).collect(),
        };
        Masks { masked, keep }
    }

    /// Masks given patch by patch.
    ///
    /// # Errors
    /// If the images do not keep the same number of patches.
    pub fn given(masked: Vec<Vec<bool>>) -> Result<Masks, String> {
        let visible = |mask: &Vec<bool>| mask.iter().filter(|&&hidden| !hidden).count();
        let keep = masked.first().map_or(0, visible);
        match masked.iter().position(|mask| visible(mask) != keep) {
            Some(other) => Err(format!(
                "mask {other} keeps {} patches, the first keeps {keep}: all must keep the same number",
                visible(&masked[other])
            )),
            None => Ok(Masks { masked, keep }),
        }
    }

    /// The visible patches of each image in ascending order, `[batch, keep]`.
    pub fn ids_keep(&self, device: &Device) -> Tensor<2, Int> {
        let ids = self
            .masked
            .iter()
            .flat_map(|mask| mask.iter().enumerate().filter(|(_, hidden)| !**hidden).map(|(id, _)| id as i64));
        ints(ids.collect(), [self.masked.len(), self.keep], device)
    }

    /// 1 where a patch is masked, 0 where it is visible, `[batch, patches]`.
    pub fn hidden(&self, device: &Device) -> Tensor<2> {
        hidden_tensor(&self.masked, device)
    }

    /// The same images with exactly the other patches masked.
    pub fn complement(&self) -> Masks {
        Masks {
            masked: self.masked.iter().map(|mask| mask.iter().map(|hidden| !hidden).collect()).collect(),
            keep: self.patches() - self.keep,
        }
    }

    /// Other masks that hide `share` of what these hide, and as large a share of what these show, so that every image
    /// shows the same number of patches in both.
    pub fn overlapping(&self, share: f64, seed: u64, step: u64) -> Masks {
        let other = |(place, mask): (usize, &Vec<bool>)| {
            let mut rng = stream(seed, Purpose::Mask, step, 1 << 32 | place as u64);
            let mut other = vec![false; mask.len()];
            for part in [true, false] {
                let patches: Vec<usize> = (0..mask.len()).filter(|&patch| mask[patch] == part).collect();
                let hidden = hide(&mut rng, patches.len(), keep_count(patches.len(), share));
                patches.iter().zip(hidden).for_each(|(&patch, hidden)| other[patch] = hidden);
            }
            other
        };
        let masked: Vec<Vec<bool>> = self.masked.iter().enumerate().map(other).collect();
        Masks {
            keep: keep_count(self.keep, share) + keep_count(self.patches() - self.keep, share),
            masked,
        }
    }

    /// Nothing hidden.
    pub fn none(batch: usize, patches: usize) -> Masks {
        Masks {
            masked: vec![vec![false; patches]; batch],
            keep: patches,
        }
    }

    /// Patches of an image.
    pub fn patches(&self) -> usize {
        self.masked.first().map_or(0, Vec::len)
    }
}

/// 1 where a patch is masked, 0 where it is visible, `[batch, patches]`, of masks that may hide different numbers.
pub fn hidden_tensor(masked: &[Vec<bool>], device: &Device) -> Tensor<2> {
    let patches = masked.first().map_or(0, Vec::len);
    let values: Vec<f32> = masked.iter().flatten().map(|&hidden| f32::from(u8::from(hidden))).collect();
    Tensor::from_data(TensorData::new(values, [masked.len(), patches]), device)
}

/// Visible patches at a mask ratio: `patches * (1 - mask_ratio)` rounded down, in integer millionths. In
/// floating point 20 patches at 0.9 would keep 1, because `20.0 * (1.0 - 0.9)` is a little below 2.
pub fn keep_count(patches: usize, mask_ratio: f64) -> usize {
    let visible = 1_000_000 - (mask_ratio.clamp(0.0, 1.0) * 1e6).round() as usize;
    patches * visible / 1_000_000
}

/// Checks that a mask ratio leaves something to see and something to predict.
///
/// # Errors
/// One sentence with the setting's name and what it keeps.
pub fn check_ratio(setting: &str, mask_ratio: f64, patches: usize) -> Result<(), String> {
    let keep = keep_count(patches, mask_ratio);
    if keep == 0 || keep == patches {
        return Err(format!(
            "{setting} = {mask_ratio} keeps {keep} of {patches} patches: at least one must be hidden and one visible"
        ));
    }
    Ok(())
}

/// Hides all but `keep` of `patches`. Ranks random numbers instead of calling a shuffle, whose draws could
/// change with the library's version.
fn hide(rng: &mut ChaCha8Rng, patches: usize, keep: usize) -> Vec<bool> {
    let mut order: Vec<(u64, usize)> = (0..patches).map(|patch| (rng.next_u64(), patch)).collect();
    order.sort_unstable();
    let mut masked = vec![true; patches];
    for &(_, patch) in &order[..keep] {
        masked[patch] = false;
    }
    masked
}

fn ints(values: Vec<i64>, shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_visible_patches_does_not_depend_on_rounding_errors() {
        for (patches, ratio, keep) in [
            (20, 0.9, 2),
            (196, 0.75, 49),
            (64, 0.75, 16),
            (10, 0.7, 3),
            (49, 0.6, 19),
            (16, 0.5, 8),
            (4, 0.99, 0),
        ] {
            assert_eq!(keep_count(patches, ratio), keep, "{patches} patches at {ratio}");
        }
    }

    #[test]
    fn a_mask_depends_on_seed_step_and_place_and_on_nothing_else() {
        let masks = Masks::random(1, 5, 3, 64, 0.75);
        assert_eq!(masks, Masks::random(1, 5, 3, 64, 0.75));
        assert_eq!(
            masks.masked[..2],
            Masks::random(1, 5, 2, 64, 0.75).masked[..],
            "a longer batch moved the first masks"
        );
        assert_ne!(masks.masked[0], masks.masked[1]);
        assert_ne!(masks.masked, Masks::random(2, 5, 3, 64, 0.75).masked);
        assert_ne!(masks.masked, Masks::random(1, 6, 3, 64, 0.75).masked);
    }

    #[test]
    fn an_evaluation_gives_a_image_the_same_mask_in_any_batch() {
        let all = Masks::for_evaluation(3, &[0, 1, 2, 3], 16, 0.75);
        assert_eq!(all.masked[2..], Masks::for_evaluation(3, &[2, 3], 16, 0.75).masked[..]);
    }

    #[test]
    fn masks_to_compare_are_nested_and_another_draw_has_others() {
        let at = |draw, ratio, shared| Masks::for_comparison(3, draw, &[5, 6, 7], 16, ratio, shared);
        let (few, many) = (at(0, 0.25, false), at(0, 0.75, false));
        assert_eq!((few.keep, many.keep), (12, 4));
        for (few, many) in few.masked.iter().zip(&many.masked) {
            assert!(few.iter().zip(many).all(|(few, many)| !few || *many));
        }
        assert_ne!(at(1, 0.75, false), many);
        assert_ne!(many.masked[0], many.masked[1]);
        let shared = at(0, 0.75, true);
        assert!(shared.masked.iter().all(|mask| *mask == many.masked[0]));
    }

    #[test]
    fn every_patch_is_hidden_equally_often() {
        let masks = Masks::random(9, 0, 4000, 16, 0.75);
        for patch in 0..16 {
            let hidden = masks.masked.iter().filter(|mask| mask[patch]).count();
            // 4000 draws at 0.75: the standard deviation is 27.
            assert!(hidden.abs_diff(3000) < 140, "patch {patch} was hidden {hidden} times of 4000");
        }
    }

    #[test]
    fn visible_patches_are_named_in_order_and_the_complement_names_the_others() {
        let device = Device::flex();
        let masks = Masks::random(1, 2, 5, 20, 0.6);
        let ids = |masks: &Masks| masks.ids_keep(&device).into_data().iter::<i64>().collect::<Vec<i64>>();
        let (visible, hidden) = (ids(&masks), ids(&masks.complement()));
        for (image, mask) in masks.masked.iter().enumerate() {
            let (visible, hidden) = (&visible[image * 8..][..8], &hidden[image * 12..][..12]);
            assert!(visible.is_sorted() && hidden.is_sorted());
            assert!(visible.iter().all(|&id| !mask[id as usize]) && hidden.iter().all(|&id| mask[id as usize]));
        }
        assert_eq!(ids(&Masks::none(1, 3)), [0, 1, 2]);
        assert_eq!(Masks::random(1, 2, 5, 20, 0.0), Masks::none(5, 20));
    }

    #[test]
    fn overlapping_masks_share_the_same_number_of_visible_patches_in_every_image() {
        let first = Masks::random(1, 2, 6, 64, 0.75);
        let second = first.overlapping(0.25, 1, 2);
        assert_eq!((second.keep, second.masked.len()), (48, 6));
        for (a, b) in first.masked.iter().zip(&second.masked) {
            assert_eq!(b.iter().filter(|hidden| !**hidden).count(), 48);
            assert_eq!(a.iter().zip(b).filter(|(a, b)| !**a && !**b).count(), 12);
        }
        assert_ne!(second.masked[0], second.masked[1]);
        assert_ne!(second, first.overlapping(0.25, 1, 3));
    }

    #[test]
    fn masks_that_keep_different_numbers_are_refused() {
        let error = Masks::given(vec![vec![true, false], vec![true, true]]).unwrap_err();
        assert_eq!(error, "mask 1 keeps 0 patches, the first keeps 1: all must keep the same number");
    }
}
