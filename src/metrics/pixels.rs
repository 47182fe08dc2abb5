//! From what a model predicts to pixels that people see.
//!
//! An image is cut into patches `[patches, p*p*3]`, row-major, channel fastest. A model may predict each
//! patch normalized by its own mean and deviation; to undo that, statistics of patches the model never saw
//! are needed. Where they come from is [`Denorm`], and the number it changes most is the PSNR.

use crate::experiment::choices::PatchStatistics;

/// Where the statistics of a masked patch come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denorm {
    /// From the true patch: an oracle, as in MAE's own demonstration. It leaks brightness and contrast.
    Oracle,
    /// The mean over the visible patches of their means and deviations: nothing leaks.
    VisibleStats,
    /// The model predicts pixels that were not normalized patch by patch.
    Raw,
}

impl Denorm {
    /// Every way back that a model has.
    pub fn all(normalizes_targets: bool) -> &'static [Denorm] {
        if normalizes_targets {
            &[Denorm::Oracle, Denorm::VisibleStats]
        } else {
            &[Denorm::Raw]
        }
    }

    /// The name, as `psnr.denorm` has it; `none` if there is nothing to undo.
    pub fn name(self) -> &'static str {
        match self {
            Denorm::Oracle => PatchStatistics::Oracle.name(),
            Denorm::VisibleStats => PatchStatistics::VisibleStats.name(),
            Denorm::Raw => "none",
        }
    }

    /// What fits a model and the setting `psnr.denorm`.
    pub fn new(statistics: PatchStatistics, normalizes_targets: bool) -> Self {
        match statistics {
            PatchStatistics::Oracle if normalizes_targets => Denorm::Oracle,
            PatchStatistics::VisibleStats if normalizes_targets => Denorm::VisibleStats,
            PatchStatistics::Oracle | PatchStatistics::VisibleStats => Denorm::Raw,
        }
    }
}

/// Shape and scale of the images a model sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelSpace {
    /// Side of the image in pixels.
    pub side: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Mean of the data, by channel.
    pub mean: [f32; 3],
    /// Standard deviation of the data, by channel.
    pub std: [f32; 3],
}

/// Guards the deviation of flat patches; MAE repository.
const EPSILON: f64 = 1e-6;

impl PixelSpace {
    /// Values of one patch.
    pub fn patch_values(&self) -> usize {
        self.patch_size * self.patch_size * 3
    }

    /// Patches of an image.
    pub fn patches(&self) -> usize {
        (self.side / self.patch_size).pow(2)
    }

    /// Place in an image `[3, side, side]` of value `value` of patch `patch`.
    fn place(&self, patch: usize, value: usize) -> usize {
        let (grid, p) = (self.side / self.patch_size, self.patch_size);
        let (row, column, channel) = (patch / grid * p + value / (3 * p), patch % grid * p + value / 3 % p, value % 3);
        channel * self.side * self.side + row * self.side + column
    }

    /// Cuts an image `[3, side, side]` into patches `[patches, p*p*3]`.
    pub fn cut(&self, image: &[f32]) -> Vec<f32> {
        let values = self.patch_values();
        (0..self.patches() * values)
            .map(|i| image[self.place(i / values, i % values)])
            .collect()
    }

    /// Puts patches together to an image `[side, side, 3]` of bytes; values are from 0 to 1.
    pub fn bytes(&self, patches: &[f32]) -> Vec<u8> {
        let values = self.patch_values();
        let mut bytes = vec![0; patches.len()];
        for (i, value) in patches.iter().enumerate() {
            let (channel, pixel) = {
                let place = self.place(i / values, i % values);
                (place / (self.side * self.side), place % (self.side * self.side))
            };
            bytes[pixel * 3 + channel] = (value * 255.0).round() as u8;
        }
        bytes
    }

    /// Undoes the data's normalization: values from 0 to 1.
    pub fn to_unit(&self, patches: &[f32]) -> Vec<f32> {
        patches
            .iter()
            .enumerate()
            .map(|(i, value)| (value * self.std[i % 3] + self.mean[i % 3]).clamp(0.0, 1.0))
            .collect()
    }

    /// The mean color of the visible patches, everywhere: what is known of an image without a model. Black if none is
    /// visible.
    pub fn visible_mean(&self, unit: &[f32], masked: &[bool]) -> Vec<f32> {
        let (mut sums, mut pixels) = ([0.0; 3], 0.0f64);
        let visible = unit.chunks_exact(self.patch_values()).zip(masked).filter(|(_, hidden)| !**hidden);
        for pixel in visible.flat_map(|(patch, _)| patch.chunks_exact(3)) {
            sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += f64::from(*value));
            pixels += 1.0;
        }
        let mean = sums.map(|sum| (sum / pixels.max(1.0)) as f32);
        mean.into_iter().cycle().take(unit.len()).collect()
    }

    /// Predictions `[patches, p*p*3]` as values from 0 to 1.
    pub fn restored(&self, predicted: &[f32], truth: &[f32], masked: &[bool], denorm: Denorm) -> Vec<f32> {
        self.to_unit(&self.denormalize(predicted, truth, masked, denorm))
    }

    /// Brings predictions back from the space of the target, with the true patches at hand.
    fn denormalize(&self, predicted: &[f32], truth: &[f32], masked: &[bool], denorm: Denorm) -> Vec<f32> {
        if denorm == Denorm::Raw {
            return predicted.to_vec();
        }
        let statistics: Vec<(f64, f64)> = truth.chunks(self.patch_values()).map(statistics).collect();
        let visible = mean_of_visible(&statistics, masked);
        let of_patch = |patch: usize| if denorm == Denorm::Oracle { statistics[patch] } else { visible };
        let value = |(i, value): (usize, &f32)| {
            let (mean, deviation) = of_patch(i / self.patch_values());
            (f64::from(*value) * deviation + mean) as f32
        };
        predicted.iter().enumerate().map(value).collect()
    }
}

/// Mean and deviation of a patch, all channels together, with the unbiased variance.
fn statistics(patch: &[f32]) -> (f64, f64) {
    let count = patch.len() as f64;
    let mean = patch.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let squares: f64 = patch.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) + EPSILON).sqrt())
}

fn mean_of_visible(statistics: &[(f64, f64)], masked: &[bool]) -> (f64, f64) {
    let visible: Vec<_> = statistics
        .iter()
        .zip(masked)
        .filter(|(_, hidden)| !**hidden)
        .map(|(s, _)| s)
        .collect();
    let mean = |part: fn(&(f64, f64)) -> f64| visible.iter().map(|s| part(s)).sum::<f64>() / visible.len().max(1) as f64;
    (mean(|s| s.0), mean(|s| s.1))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub const SPACE: PixelSpace = PixelSpace {
        side: 4,
        patch_size: 2,
        mean: [0.5, 0.25, 0.5],
        std: [0.5, 0.25, 0.125],
    };

    /// An image `[3, 4, 4]`, another value everywhere, from -1 to 1.
    pub fn image() -> Vec<f32> {
        (0..48).map(|i| (i as f32 * 0.7).sin()).collect()
    }

    #[test]
    fn patches_are_in_order_of_row_column_channel() {
        let image: Vec<f32> = (0..48).map(|i| i as f32).collect();
        let patches = SPACE.cut(&image);
        // The second patch starts at row 0, column 2; its third pixel is at row 1, column 2.
        assert_eq!(patches[12..15], [2.0, 18.0, 34.0]);
        assert_eq!(patches[18..21], [6.0, 22.0, 38.0]);
    }

    #[test]
    fn bytes_put_the_image_together_again() {
        let unit: Vec<f32> = (0..48).map(|i| i as f32 / 255.0).collect();
        let bytes = SPACE.bytes(&SPACE.cut(&unit));
        // [channel, row, column] became [row, column, channel].
        assert_eq!(bytes[..6], [0, 16, 32, 1, 17, 33]);
        assert_eq!(bytes[45..], [15, 31, 47]);
    }

    #[test]
    fn a_perfect_normalized_prediction_comes_back_as_the_image() {
        let truth = SPACE.cut(&image());
        let normalized: Vec<f32> = truth
            .chunks(12)
            .flat_map(|patch| {
                let (mean, deviation) = statistics(patch);
                patch.iter().map(move |v| ((f64::from(*v) - mean) / deviation) as f32)
            })
            .collect();
        let back = SPACE.denormalize(&normalized, &truth, &[true; 4], Denorm::Oracle);
        assert!(back.iter().zip(&truth).all(|(b, t)| (b - t).abs() < 1e-6));
    }

    #[test]
    fn visible_statistics_use_nothing_of_the_masked_patches() {
        let mut truth = SPACE.cut(&image());
        let masked = [true, false, false, true];
        let zeros = vec![0.0; 48];
        let before = SPACE.denormalize(&zeros, &truth, &masked, Denorm::VisibleStats);
        truth[..12].fill(7.0);
        assert_eq!(before, SPACE.denormalize(&zeros, &truth, &masked, Denorm::VisibleStats));
        let mean = truth[12..36].iter().sum::<f32>() / 24.0;
        assert!(before.iter().all(|v| (v - mean).abs() < 1e-6));
    }
}
