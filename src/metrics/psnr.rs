//! How near restored pixels are to the true ones: peak signal-to-noise ratios of values from 0 to 1, in decibels.

use crate::metrics::pixels::{Denorm, PixelSpace};

/// Where errors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// Masked patches only.
    Masked,
    /// The full image with the true pixels in visible patches.
    Composite,
    /// The full image as it was predicted.
    Full,
}

impl Region {
    pub const ALL: [Region; 3] = [Region::Masked, Region::Composite, Region::Full];

    pub fn name(self) -> &'static str {
        match self {
            Region::Masked => "masked",
            Region::Composite => "composite",
            Region::Full => "full",
        }
    }
}

/// Mean squared errors of one image, by region.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Errors([f64; 3]);

impl Errors {
    /// Of patches `[patches, patch_values]` with values from 0 to 1. Where nothing is hidden the masked error is 0.
    pub fn of(truth: &[f32], restored: &[f32], masked: &[bool], patch_values: usize) -> Errors {
        let (mut hidden, mut visible, mut patches) = (0.0, 0.0, 0usize);
        for ((truth, restored), masked) in truth.chunks(patch_values).zip(restored.chunks(patch_values)).zip(masked) {
            let squares: f64 = truth.iter().zip(restored).map(|(t, r)| f64::from(t - r).powi(2)).sum();
            *(if *masked { &mut hidden } else { &mut visible }) += squares;
            patches += usize::from(*masked);
        }
        let all = truth.len() as f64;
        Errors([
            hidden / (patches * patch_values).max(1) as f64,
            hidden / all,
            (hidden + visible) / all,
        ])
    }

    /// The decibels of this image.
    pub fn decibels(&self, region: Region) -> f64 {
        decibels(self.0[region as usize])
    }
}

/// Sums over images, by region.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    images: f64,
    decibels: [f64; 3],
    errors: [f64; 3],
}

impl Sums {
    /// Takes in an image.
    pub fn add(&mut self, errors: &Errors) {
        self.images += 1.0;
        for region in Region::ALL {
            self.decibels[region as usize] += errors.decibels(region);
            self.errors[region as usize] += errors.0[region as usize];
        }
    }

    /// The mean of the images' decibels.
    pub fn mean(&self, region: Region) -> f64 {
        self.decibels[region as usize] / self.images
    }

    /// The decibels of the mean error over all images.
    pub fn pooled(&self, region: Region) -> f64 {
        decibels(self.errors[region as usize] / self.images)
    }
}

impl From<Sums> for [f64; 7] {
    fn from(sums: Sums) -> Self {
        let ([a, b, c], [d, e, f]) = (sums.decibels, sums.errors);
        [sums.images, a, b, c, d, e, f]
    }
}

impl From<[f64; 7]> for Sums {
    fn from([images, a, b, c, d, e, f]: [f64; 7]) -> Self {
        Sums {
            images,
            decibels: [a, b, c],
            errors: [d, e, f],
        }
    }
}

/// Decibels of a mean squared error of values from 0 to 1. A perfect image counts as 100 dB, far above
/// what eight bits can show, so that it does not make a mean infinite.
pub(crate) fn decibels(error: f64) -> f64 {
    -10.0 * error.max(1e-10).log10()
}

/// The errors of a prediction, of one that is zero everywhere and of the mean of the visible pixels, in an image cut into
/// patches `[patches, p*p*3]`, normalized.
pub(crate) fn errors(space: &PixelSpace, truth: &[f32], predicted: &[f32], masked: &[bool], denorm: Denorm) -> [Errors; 3] {
    let unit = space.to_unit(truth);
    let pixels = |predicted: &[f32]| space.restored(predicted, truth, masked, denorm);
    let restored = [
        pixels(predicted),
        pixels(&vec![0.0; predicted.len()]),
        space.visible_mean(&unit, masked),
    ];
    restored.map(|restored| Errors::of(&unit, &restored, masked, space.patch_values()))
}

#[cfg(test)]
mod tests {
    use crate::metrics::psnr::*;

    const MASKED: [bool; 4] = [true, false, true, true];

    #[test]
    fn a_constant_error_gives_the_values_worked_by_hand() {
        let errors = Errors::of(&[0.5; 48], &[0.6; 48], &MASKED, 12);
        // Error 0.01 is 20 dB; three of four patches make the composite 10 log10(4/3) better.
        assert!((errors.decibels(Region::Masked) - 20.0).abs() < 1e-4);
        assert!((errors.decibels(Region::Full) - 20.0).abs() < 1e-4);
        assert!((errors.decibels(Region::Composite) - 20.0 - 10.0 * (4.0f64 / 3.0).log10()).abs() < 1e-4);
    }

    #[test]
    fn an_error_in_a_visible_patch_counts_in_the_full_image_alone() {
        let mut restored = [0.5; 48];
        restored[12..24].fill(0.7);
        let errors = Errors::of(&[0.5; 48], &restored, &MASKED, 12);
        assert_eq!(
            (errors.decibels(Region::Masked), errors.decibels(Region::Composite)),
            (100.0, 100.0)
        );
        assert!((errors.decibels(Region::Full) - decibels(0.01)).abs() < 1e-4);
    }

    #[test]
    fn the_mean_is_over_images_and_the_pooled_value_over_errors() {
        let mut sums = Sums::default();
        for error in [0.1, 0.01] {
            sums.add(&Errors::of(&[0.0; 48], &[error; 48], &MASKED, 12));
        }
        assert!((sums.mean(Region::Masked) - 30.0).abs() < 1e-3);
        assert!((sums.pooled(Region::Masked) - decibels((0.01 + 0.0001) / 2.0)).abs() < 1e-3);
    }

    #[test]
    fn with_nothing_hidden_nothing_is_wrong_in_what_is_hidden() {
        let errors = Errors::of(&[0.0; 24], &[1.0; 24], &[false, false], 12);
        assert_eq!(errors.decibels(Region::Masked), 100.0);
        assert_eq!(errors.decibels(Region::Full), 0.0);
    }
}
