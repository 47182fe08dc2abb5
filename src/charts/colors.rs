//! Colors for numbers: one map for 0 to 1, and one for differences around 0.
//!
//! Both are lines in Oklch, whose steps look equally large. Lightness alone tells the order, so it is seen without a sense of
//! color too, and neither map depends on the ground: cells carry their own.

use plotters::style::RGBColor;

/// What a map's ends stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColorScale {
    /// 0, dark, to 1, light. What lies outside has the color of the end.
    Unit,
    /// From minus this number, blue, over 0, near white, to this number, brown.
    Around(f64),
}

/// Lightness, chroma and hue in degrees of the map for 0 to 1, at even distances.
const UNIT: [[f64; 3]; 5] = [
    [0.27, 0.11, 300.0],
    [0.44, 0.10, 262.0],
    [0.60, 0.095, 205.0],
    [0.76, 0.15, 150.0],
    [0.93, 0.17, 105.0],
];
/// Lightness in the middle and at both ends of the map for differences.
const AROUND: [f64; 2] = [0.965, 0.45];
/// Chroma at its ends.
const VIVID: f64 = 0.14;
/// Hues of its ends: below and above zero.
const SIDES: [f64; 2] = [258.0, 50.0];

impl ColorScale {
    /// A scale around 0 that has room for these differences, with a round end.
    pub fn around(differences: impl Iterator<Item = f64>) -> ColorScale {
        let largest = differences
            .filter(|value| value.is_finite())
            .fold(0.0, |most: f64, value| most.max(value.abs()));
        let ends = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
        ColorScale::Around(ends.into_iter().find(|end| *end >= largest).unwrap_or(largest.ceil()))
    }

    /// The numbers at the ends.
    pub fn ends(self) -> (f64, f64) {
        match self {
            ColorScale::Unit => (0.0, 1.0),
            ColorScale::Around(end) => (-end, end),
        }
    }

    /// The color of a number.
    pub(super) fn color(self, value: f64) -> RGBColor {
        match self {
            ColorScale::Unit => {
                let place = value.clamp(0.0, 1.0) * (UNIT.len() - 1) as f64;
                let from = (place as usize).min(UNIT.len() - 2);
                let between = |i: usize| UNIT[from][i] + (UNIT[from + 1][i] - UNIT[from][i]) * (place - from as f64);
                oklch(between(0), between(1), between(2))
            }
            ColorScale::Around(end) => {
                let far = (value / end).clamp(-1.0, 1.0);
                let lightness = AROUND[0] + (AROUND[1] - AROUND[0]) * far.abs();
                oklch(lightness, VIVID * far.abs(), SIDES[usize::from(far > 0.0)])
            }
        }
    }

    /// The color of a number's text on its own cell.
    pub(super) fn ink(self, value: f64) -> RGBColor {
        let RGBColor(red, green, blue) = self.color(value);
        // WCAG's relative luminance, at which white and black are equally legible: (L + 0.05)² = 1.05 * 0.05.
        let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        if luminance > 0.179 {
            RGBColor(0, 0, 0)
        } else {
            RGBColor(255, 255, 255)
        }
    }
}

/// Björn Ottosson's Oklab in polar form, to sRGB.
fn oklch(lightness: f64, chroma: f64, hue: f64) -> RGBColor {
    let (a, b) = (chroma * hue.to_radians().cos(), chroma * hue.to_radians().sin());
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    let channel = |linear: f64| {
        let linear = linear.clamp(0.0, 1.0);
        let value = if linear <= 0.003_130_8 {
            12.92 * linear
        } else {
            1.055 * linear.powf(1.0 / 2.4) - 0.055
        };
        (value * 255.0).round() as u8
    };
    RGBColor(
        channel(4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s),
        channel(-1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s),
        channel(-0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s),
    )
}

fn linear(channel: u8) -> f64 {
    let value = f64::from(channel) / 255.0;
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protanopia, deuteranopia and tritanopia on linear RGB (Machado, Oliveira and Fernandes 2009, severity 1), after none.
    const SIGHTS: [[[f64; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ];

    /// CIE L* of a color as such an eye sees it.
    fn lightness(RGBColor(red, green, blue): RGBColor, sight: [[f64; 3]; 3]) -> f64 {
        let rgb = [red, green, blue].map(linear);
        let seen = sight.map(|row| row.iter().zip(rgb).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0));
        let y = 0.2126 * seen[0] + 0.7152 * seen[1] + 0.0722 * seen[2];
        if y > 0.008856 { 116.0 * y.cbrt() - 16.0 } else { 903.3 * y }
    }

    #[test]
    fn lightness_rises_in_even_steps_for_every_eye() {
        for sight in SIGHTS {
            let of = |nth: i32| lightness(ColorScale::Unit.color(f64::from(nth) / 32.0), sight);
            for nth in 0..32 {
                let step = of(nth + 1) - of(nth);
                assert!((1.0..3.6).contains(&step), "{step} after {nth}");
            }
        }
    }

    #[test]
    fn differences_darken_evenly_to_both_sides_and_the_sides_have_their_own_hue() {
        let scale = ColorScale::Around(0.5);
        for sight in SIGHTS {
            for side in [-0.5, 0.5] {
                let of = |nth: i32| lightness(scale.color(side * f64::from(nth) / 16.0), sight);
                for nth in 0..16 {
                    let step = of(nth) - of(nth + 1);
                    assert!((2.0..6.0).contains(&step), "{side}: {step} after {nth}");
                }
            }
        }
        let (RGBColor(cold_red, _, cold_blue), RGBColor(warm_red, _, warm_blue)) = (scale.color(-0.4), scale.color(0.4));
        assert!(cold_blue > cold_red && warm_red > warm_blue);
    }

    #[test]
    fn a_number_is_legible_on_its_cell() {
        for scale in [ColorScale::Unit, ColorScale::Around(1.0)] {
            for nth in -20..=20 {
                let value = f64::from(nth) / 20.0;
                let [ground, ink] = [scale.color(value), scale.ink(value)].map(|RGBColor(r, g, b)| {
                    let [r, g, b] = [r, g, b].map(linear);
                    0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
                });
                assert!((ground / ink).max(ink / ground) >= 4.5, "{scale:?} at {value}");
            }
        }
    }

    #[test]
    fn ends_of_differences_are_round_and_what_is_outside_has_the_color_of_the_end() {
        assert_eq!(ColorScale::around([0.13, -0.17, f64::NAN].into_iter()), ColorScale::Around(0.2));
        assert_eq!(ColorScale::around([].into_iter()), ColorScale::Around(0.01));
        assert_eq!(ColorScale::around([1.2].into_iter()), ColorScale::Around(2.0));
        assert_eq!(ColorScale::Unit.color(-0.3), ColorScale::Unit.color(0.0));
        assert_eq!(ColorScale::Unit.color(1.001), ColorScale::Unit.color(1.0));
    }
}
