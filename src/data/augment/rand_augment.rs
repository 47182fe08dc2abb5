//! RandAugment (arXiv 1909.13719) as timm's `rand-mM-mstd0.5-inc1`, the one MAE finetunes with.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Normal;

use super::{blur, colour, geometry, tone};
use crate::data::Picture;

/// Operations a view goes through (timm's default).
const OPERATIONS: usize = 2;
/// Chance of each (timm's default).
const CHANCE: f64 = 0.5;
/// Standard deviation of the magnitude (`mstd0.5`).
const SPREAD: f64 = 0.5;
/// Highest magnitude (timm's scale).
const HIGHEST: f64 = 10.0;

/// Two operations drawn with replacement, each done with chance a half at a magnitude near `magnitude`.
pub(super) fn rand_augment(picture: &mut Picture, magnitude: f64, fill: [u8; 3], rng: &mut ChaCha8Rng) {
    let magnitudes = Normal::new(magnitude, SPREAD).expect("the spread is finite and above zero");
    for _ in 0..OPERATIONS {
        let operation = ALL[rng.random_range(0..ALL.len())];
        if rng.random_bool(CHANCE) {
            let share = rng.sample(magnitudes).clamp(0.0, HIGHEST) / HIGHEST;
            operation.apply(picture, share as f32, fill, rng);
        }
    }
}

/// timm's increasing set: a higher magnitude is always a stronger change.
const ALL: [Operation; 15] = [
    Operation::Autocontrast,
    Operation::Equalise,
    Operation::Invert,
    Operation::Rotate,
    Operation::Posterise,
    Operation::Solarise,
    Operation::SolariseAdd,
    Operation::Colour,
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
    Equalise,
    Invert,
    Rotate,
    Posterise,
    Solarise,
    SolariseAdd,
    Colour,
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
    fn apply(self, picture: &mut Picture, share: f32, fill: [u8; 3], rng: &mut ChaCha8Rng) {
        let mut either = |amount: f32| if rng.random_bool(0.5) { -amount } else { amount };
        match self {
            Operation::Autocontrast => tone::autocontrast(picture),
            Operation::Equalise => tone::equalise(picture),
            Operation::Invert => tone::invert(picture),
            Operation::Rotate => geometry::rotate(picture, either(30.0 * share), fill),
            Operation::Posterise => tone::posterise(picture, 4 - (share * 4.0) as u32),
            Operation::Solarise => tone::solarise(picture, 256 - (share * 256.0) as u16),
            Operation::SolariseAdd => tone::solarise_add(picture, (share * 110.0) as u8),
            Operation::Colour => colour::saturation(picture, factor(either(share))),
            Operation::Contrast => colour::contrast(picture, factor(either(share))),
            Operation::Brightness => colour::brightness(picture, factor(either(share))),
            Operation::Sharpness => blur::sharpness(picture, factor(either(share))),
            Operation::ShearX => geometry::shear_x(picture, either(0.3 * share), fill),
            Operation::ShearY => geometry::shear_y(picture, either(0.3 * share), fill),
            Operation::TranslateX => geometry::translate_x(picture, either(0.45 * share), fill),
            Operation::TranslateY => geometry::translate_y(picture, either(0.45 * share), fill),
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

    fn picture() -> Picture {
        let pixels = (0..16usize * 16)
            .flat_map(|i| [(i % 16 * 9 + 40) as u8, (i / 16 * 11 + 20) as u8, (i * 7 % 200) as u8])
            .collect();
        Picture {
            width: 16,
            height: 16,
            pixels,
        }
    }

    fn changed(change: impl Fn(&mut Picture)) -> bool {
        let mut view = picture();
        change(&mut view);
        view != picture()
    }

    #[test]
    fn every_operation_changes_a_picture_at_the_highest_magnitude() {
        for operation in ALL {
            assert!(
                changed(|p| operation.apply(p, 1.0, [0; 3], &mut stream(1, Purpose::Augment, 0, 0))),
                "{operation:?}"
            );
        }
    }

    #[test]
    fn at_magnitude_zero_only_the_operations_without_a_magnitude_and_posterise_change_a_picture() {
        let at_zero = |op: &Operation| changed(|p| op.apply(p, 0.0, [0; 3], &mut stream(1, Purpose::Augment, 0, 0)));
        let changing: Vec<_> = ALL.into_iter().filter(at_zero).collect();
        let expected = [
            Operation::Autocontrast,
            Operation::Equalise,
            Operation::Invert,
            Operation::Posterise,
        ];
        assert_eq!(changing, expected);
    }

    #[test]
    fn the_highest_magnitude_reaches_timms_limits() {
        let with = |op: Operation| {
            let mut view = picture();
            op.apply(&mut view, 1.0, [0; 3], &mut stream(1, Purpose::Augment, 0, 0));
            view.pixels
        };
        assert!(with(Operation::Posterise).iter().all(|level| *level == 0), "no bit is left");
        let negative: Vec<u8> = picture().pixels.iter().map(|level| 255 - level).collect();
        assert_eq!(with(Operation::Solarise), negative);
        assert!((factor(1.0) - 1.9).abs() < 1e-6 && (factor(-1.0) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn a_quarter_of_the_views_is_left_alone_and_the_same_stream_gives_the_same_view() {
        let drawn = |place| {
            let mut view = picture();
            rand_augment(&mut view, 9.0, [0; 3], &mut stream(1, Purpose::Augment, 0, place));
            view
        };
        assert_eq!(drawn(5), drawn(5));
        let same = (0..2000).filter(|place| drawn(*place) == picture()).count();
        // 500 expected, standard deviation 19.
        assert!((420..580).contains(&same), "{same}");
    }
}
