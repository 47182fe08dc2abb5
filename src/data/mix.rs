//! Mixup (arXiv 1710.09412) and cutmix (arXiv 1905.04899) of a batch, and soft targets, by timm's rules.

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Beta;

use crate::experiment::settings::ClassifySettings;
use crate::rng::{Purpose, stream};

/// Chance of cutmix where both are on (timm's default).
const SWITCH: f64 = 0.5;

/// How batches are mixed, and how their targets are softened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Mixup's Beta parameter; 0 is off.
    pub mixup: f64,
    /// Cutmix's Beta parameter; 0 is off.
    pub cutmix: f64,
    /// Chance that a batch is mixed at all.
    pub prob: f64,
    /// Fraction of each target spread over all classes.
    pub smoothing: f64,
    /// Length of a target.
    pub classes: usize,
}

/// What is done to one batch. Image `i` meets image `batch - 1 - i`; the middle one of an odd batch itself.
#[derive(Clone, Debug, PartialEq)]
enum Mixing {
    None,
    /// The fraction of an image in its mixture.
    Blend {
        lambda: f64,
    },
    /// The rectangle that comes from the partner.
    Cutmix {
        rows: Range<usize>,
        columns: Range<usize>,
    },
}

impl Mix {
    /// As the settings say, for so many classes.
    pub fn new(settings: &ClassifySettings, classes: usize) -> Mix {
        Mix {
            mixup: settings.mixup,
            cutmix: settings.cutmix,
            prob: settings.mix_prob,
            smoothing: settings.label_smoothing,
            classes,
        }
    }

    /// Mixes the views of batch `step` in place, each `[batch, 3, side, side]` and all in the same way, and
    /// returns the targets, `[batch, classes]`; every row sums to 1. A rectangle is drawn for the first view and
    /// covers the same part of the others.
    ///
    /// # Panics
    /// When there is no view.
    pub fn apply(&self, seed: u64, step: u64, labels: &[u32], sides: &[usize], views: &mut [Vec<f32>]) -> Vec<f32> {
        let size = sides[0];
        let mixing = self.draw(size, &mut stream(seed, Purpose::Mix, step, 0));
        for (view, side) in views.iter_mut().zip(sides) {
            mix(view, *side, &mixing.scaled(size, *side));
        }
        self.targets(labels, mixing.lambda(size))
    }

    fn draw(&self, size: usize, rng: &mut ChaCha8Rng) -> Mixing {
        let mixes = self.mixup > 0.0 || self.cutmix > 0.0;
        if !mixes || !rng.random_bool(self.prob) {
            return Mixing::None;
        }
        let cuts = self.cutmix > 0.0 && (self.mixup == 0.0 || rng.random_bool(SWITCH));
        let alpha = if cuts { self.cutmix } else { self.mixup };
        let lambda: f64 = rng.sample(Beta::new(alpha, alpha).expect("alpha is above zero"));
        if !cuts {
            return Mixing::Blend { lambda };
        }
        let side = (size as f64 * (1.0 - lambda).sqrt()) as usize;
        let rows = clipped(rng.random_range(0..size), side, size);
        let columns = clipped(rng.random_range(0..size), side, size);
        Mixing::Cutmix { rows, columns }
    }

    fn targets(&self, labels: &[u32], lambda: f64) -> Vec<f32> {
        let off = self.smoothing / self.classes as f64;
        let on = 1.0 - self.smoothing;
        let mut targets = vec![off as f32; labels.len() * self.classes];
        let partners = labels.iter().rev();
        for ((row, own), partner) in targets.chunks_exact_mut(self.classes).zip(labels).zip(partners) {
            row[*own as usize] += (on * lambda) as f32;
            row[*partner as usize] += (on * (1.0 - lambda)) as f32;
        }
        targets
    }
}

impl Mixing {
    /// The same for a view of another side.
    fn scaled(&self, from: usize, to: usize) -> Mixing {
        let scaled = |part: &Range<usize>| part.start * to / from..part.end * to / from;
        match self {
            Mixing::Cutmix { rows, columns } => Mixing::Cutmix {
                rows: scaled(rows),
                columns: scaled(columns),
            },
            other => other.clone(),
        }
    }

    /// The fraction of each image that is its own.
    fn lambda(&self, size: usize) -> f64 {
        match self {
            Mixing::None => 1.0,
            Mixing::Blend { lambda } => *lambda,
            Mixing::Cutmix { rows, columns } => 1.0 - (rows.len() * columns.len()) as f64 / (size * size) as f64,
        }
    }
}

/// A stretch of length `side` (even part) around `center`, cut to the image.
fn clipped(center: usize, side: usize, size: usize) -> Range<usize> {
    center.saturating_sub(side / 2)..(center + side / 2).min(size)
}

fn mix(view: &mut [f32], size: usize, mixing: &Mixing) {
    let image = 3 * size * size;
    let batch = view.len() / image;
    // The middle image of an odd batch stays: mixed with itself it is itself.
    let (front, back) = view.split_at_mut(batch.div_ceil(2) * image);
    for (own, partner) in front.chunks_exact_mut(image).zip(back.chunks_exact_mut(image).rev()) {
        match mixing {
            Mixing::None => {}
            Mixing::Blend { lambda } => blend(own, partner, *lambda as f32),
            Mixing::Cutmix { rows, columns } => {
                for start in (0..3).flat_map(|plane| rows.clone().map(move |row| (plane * size + row) * size)) {
                    let cut = start + columns.start..start + columns.end;
                    own[cut.clone()].swap_with_slice(&mut partner[cut]);
                }
            }
        }
    }
}

fn blend(own: &mut [f32], partner: &mut [f32], lambda: f32) {
    for (a, b) in own.iter_mut().zip(partner) {
        (*a, *b) = (lambda * *a + (1.0 - lambda) * *b, lambda * *b + (1.0 - lambda) * *a);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAE: Mix = Mix {
        mixup: 0.8,
        cutmix: 1.0,
        prob: 1.0,
        smoothing: 0.1,
        classes: 10,
    };
    const SIZE: usize = 8;

    /// Image `i` is `i` everywhere.
    fn batch(n: usize) -> Vec<f32> {
        (0..n).flat_map(|i| vec![i as f32; 3 * SIZE * SIZE]).collect()
    }

    fn mixed(mix: &Mix, step: u64, n: usize) -> (Vec<f32>, Vec<f32>) {
        let mut views = [batch(n)];
        let labels: Vec<u32> = (0..n as u32).collect();
        let targets = mix.apply(3, step, &labels, &[SIZE], &mut views);
        let [view] = views;
        (view, targets)
    }

    #[test]
    fn every_target_sums_to_one_and_is_what_the_pixels_show() {
        for step in 0..200 {
            let (view, targets) = mixed(&MAE, step, 4);
            for (i, (pixels, target)) in view.chunks(3 * SIZE * SIZE).zip(targets.chunks(10)).enumerate() {
                assert!((target.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                // The mean of the pixels tells lambda in both kinds of mixing.
                let (own, partner) = (i as f32, 3.0 - i as f32);
                let lambda = (pixels.iter().sum::<f32>() / pixels.len() as f32 - partner) / (own - partner);
                assert!((target[i] - (0.9 * lambda + 0.01)).abs() < 1e-4, "step {step}: {lambda} {target:?}");
                assert!((target[3 - i] - (0.9 * (1.0 - lambda) + 0.01)).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn cutmix_pastes_one_rectangle_of_the_partner_and_mixup_blends_everywhere() {
        let cut = Mix { mixup: 0.0, ..MAE };
        let blended = Mix { cutmix: 0.0, ..MAE };
        for step in 0..100 {
            let (view, _) = mixed(&cut, step, 2);
            assert!(view.iter().all(|v| *v == 0.0 || *v == 1.0));
            let (view, _) = mixed(&blended, step, 2);
            assert!(view[..3 * SIZE * SIZE].iter().all(|v| *v == view[0]));
        }
    }

    #[test]
    fn views_of_another_side_have_the_same_part_pasted() {
        let small = SIZE / 2;
        for step in 0..50 {
            let mut views = [batch(2), (0..2).flat_map(|i| vec![i as f32; 3 * small * small]).collect()];
            let cut = Mix { mixup: 0.0, ..MAE };
            cut.apply(3, step, &[0, 1], &[SIZE, small], &mut views);
            for (row, column) in (0..small).flat_map(|row| (0..small).map(move |column| (row, column))) {
                let large = [(0, 0), (1, 1)].map(|(down, right)| views[0][(2 * row + down) * SIZE + 2 * column + right]);
                // Where the border of the rectangle cuts a pixel of the small view in two, either is right.
                let little = views[1][row * small + column];
                assert!(large.contains(&little), "step {step}: row {row}, column {column}");
            }
        }
    }

    #[test]
    fn a_clipped_box_corrects_lambda_to_the_area_left() {
        assert_eq!(clipped(1, 6, 8), 0..4);
        assert_eq!(clipped(7, 4, 8), 5..8);
        assert_eq!(clipped(3, 5, 8), 1..5, "an odd side loses a pixel, as in timm");
        let mixing = Mixing::Cutmix { rows: 0..4, columns: 5..8 };
        assert_eq!(mixing.lambda(8), 1.0 - 12.0 / 64.0);
    }

    #[test]
    fn half_the_batches_are_cut_and_lambda_is_beta() {
        let (mut cuts, mut blends) = (0, Vec::new());
        for step in 0..4000 {
            match MAE.draw(224, &mut stream(1, Purpose::Mix, step, 0)) {
                Mixing::Cutmix { .. } => cuts += 1,
                Mixing::Blend { lambda } => blends.push(lambda),
                Mixing::None => panic!("the chance is 1"),
            }
        }
        assert!((1850..2150).contains(&cuts), "{cuts} of 4000");
        let mean = blends.iter().sum::<f64>() / blends.len() as f64;
        let variance = blends.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / blends.len() as f64;
        // Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)) = 0.0962 at 0.8.
        assert!(
            (mean - 0.5).abs() < 0.03 && (variance - 0.0962).abs() < 0.01,
            "mean {mean}, variance {variance}"
        );
    }

    #[test]
    fn a_batch_that_is_not_mixed_keeps_its_pixels_and_has_smoothed_targets() {
        for mix in [
            Mix { prob: 0.0, ..MAE },
            Mix {
                mixup: 0.0,
                cutmix: 0.0,
                ..MAE
            },
        ] {
            let (view, targets) = mixed(&mix, 0, 3);
            assert_eq!(view, batch(3));
            assert!((targets[0] - 0.91).abs() < 1e-6 && (targets[1] - 0.01).abs() < 1e-6);
        }
        let (_, hard) = mixed(
            &Mix {
                prob: 0.0,
                smoothing: 0.0,
                ..MAE
            },
            0,
            2,
        );
        assert_eq!(hard[..10], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_middle_image_of_an_odd_batch_stays_itself_with_its_own_target() {
        for step in 0..20 {
            let (view, targets) = mixed(&MAE, step, 3);
            assert!(view[3 * SIZE * SIZE..6 * SIZE * SIZE].iter().all(|v| *v == 1.0));
            assert!((targets[11] - 0.91).abs() < 1e-6);
        }
    }

    #[test]
    fn a_batch_is_mixed_the_same_way_again_and_another_one_differently() {
        assert_eq!(mixed(&MAE, 5, 4), mixed(&MAE, 5, 4));
        assert_ne!(mixed(&MAE, 5, 4).1, mixed(&MAE, 6, 4).1);
    }
}
