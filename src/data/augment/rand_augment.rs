//! RandAugment (arXiv 1909.13719) as timm's `rand-mM-mstd0.5-inc1`, the one MAE fine-tunes with.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Normal;

use super::{blur, color, geometry, tone};
use crate::data::Image;

/// Operations a view goes through (timm's default).
const OPERATIONS: usize = 2;
/// Chance of each (timm's default).
const CHANCE: f64 = 0.5;
/// Standard deviation of the magnitude (`mstd0.5`).
const SPREAD: f64 = 0.5;
/// Highest magnitude (timm's scale).
const HIGHEST: f64 = 10.0;

/// Two operations drawn with replacement, each done with chance a half at a magnitude near `magnitude`.
pub(super) fn rand_augment(image: &mut Image, magnitude: f64, fill: [u8; 3], rng: &mut ChaCha8Rng) {
    let magnitudes = Normal::new(magnitude, SPREAD).expect("the spread is finite and above zero");
    for _ in 0..OPERATIONS {
        let operation = ALL[rng.random_range(0..ALL.len())];
        if rng.random_bool(CHANCE) {
            let share = rng.sample(magnitudes).clamp(0.0, HIGHEST) / HIGHEST;
            operation.apply(image, share as f32, fill, rng);
        }
    }
}

/// timm's increasing set: a higher magnitude is always a stronger change.
const ALL: [Operation; 15] = [
    Operation::Autocontrast,
    Operation::Equalize,
    Operation::Invert,
    Operation::Rotate,
    Operation::Posterize,
    Operation::Solarize,
    Operation::SolarizeAdd,
    Operation::Color,
    Operation::Contrast,
    Operation::Brightness,
    Operation::Sharpness,
    Operation::ShearX,
    Operation::ShearY,
    Operation::TranslateX,
    Operation::TranslateY,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Autocontrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    SolarizeAdd,
    Color,
    Contrast,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
}

impl Operation {
    /// `share` is the magnitude over its highest value; the ranges are timm's.
    fn apply(self, image: &mut Image, share: f32, fill: [u8; 3], rng: &mut ChaCha8Rng) {
        let mut either = |amount: f32| if rng.random_bool(0.5) { -amount } else { amount };
        match self {
            Operation::Autocontrast => tone::autocontrast(image),
            Operation::Equalize => tone::equalize(image),
            Operation::Invert => tone::invert(image),
            Operation::Rotate => geometry::rotate(image, either(30.0 * share), fill),
            Operation::Posterize => tone::posterize(image, 4 - (share * 4.0) as u32),
            Operation::Solarize => tone::solarize(image, 256 - (share * 256.0) as u16),
            Operation::SolarizeAdd => tone::solarize_add(image, (share * 110.0) as u8),
            Operation::Color => color::saturation(image, factor(either(share))),
            Operation::Contrast => color::contrast(image, factor(either(share))),
            Operation::Brightness => color::brightness(image, factor(either(share))),
            Operation::Sharpness => blur::sharpness(image, factor(either(share))),
            Operation::ShearX => geometry::shear_x(image, either(0.3 * share), fill),
            Operation::ShearY => geometry::shear_y(image, either(0.3 * share), fill),
            Operation::TranslateX => geometry::translate_x(image, either(0.45 * share), fill),
            Operation::TranslateY => geometry::translate_y(image, either(0.45 * share), fill),
        }
    }
}

/// The factor of an enhancement: 1 changes nothing, and it stays at 0.1 or above.
fn factor(signed_share: f32) -> f32 {
    (1.0 + 0.9 * signed_share).max(0.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    fn image() -> Image {
        let pixels = (0..16usize * 16)
            .flat_map(|i| [(i % 16 * 9 + 40) as u8, (i / 16 * 11 + 20) as u8, (i * 7 % 200) as u8])
            .collect();
        Image {
            width: 16,
            height: 16,
            pixels,
        }
    }

    fn changed(change: impl Fn(&mut Image)) -> bool {
        let mut view = image();
        change(&mut view);
        view != image()
    }

    #[test]
    fn every_operation_changes_a_image_at_the_highest_magnitude() {
        for operation in ALL {
            assert!(
                changed(|p| operation.apply(p, 1.0, [0; 3], &mut stream(1, Purpose::Augment, 0, 0))),
                "{operation:?}"
            );
        }
    }

    #[test]
    fn at_magnitude_zero_only_the_operations_without_a_magnitude_and_posterize_change_a_image() {
        let at_zero = |op: &Operation| changed(|p| op.apply(p, 0.0, [0; 3], &mut stream(1, Purpose::Augment, 0, 0)));
        let changing: Vec<_> = ALL.into_iter().filter(at_zero).collect();
        let expected = [
            Operation::Autocontrast,
            Operation::Equalize,
            Operation::Invert,
            Operation::Posterize,
        ];
        assert_eq!(changing, expected);
    }

    #[test]
    fn the_highest_magnitude_reaches_timms_limits() {
        let with = |op: Operation| {
            let mut view = image();
            op.apply(&mut view, 1.0, [0; 3], &mut stream(1, Purpose::Augment, 0, 0));
            view.pixels
        };
        assert!(with(Operation::Posterize).iter().all(|level| *level == 0), "no bit is left");
        let negative: Vec<u8> = image().pixels.iter().map(|level| 255 - level).collect();
        assert_eq!(with(Operation::Solarize), negative);
        assert!((factor(1.0) - 1.9).abs() < 1e-6 && (factor(-1.0) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn a_quarter_of_the_views_is_left_alone_and_the_same_stream_gives_the_same_view() {
        let drawn = |place| {
            let mut view = image();
            rand_augment(&mut view, 9.0, [0; 3], &mut stream(1, Purpose::Augment, 0, place));
            view
        };
        assert_eq!(drawn(5), drawn(5));
        let same = (0..2000).filter(|place| drawn(*place) == image()).count();
        // 500 expected, standard deviation 19.
        assert!((420..580).contains(&same), "{same}");
    }
}
