//! Changes of color: torchvision's color jitter, and gray.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::data::Image;

/// How far color jitter goes: factors are drawn from `1 - x ..= 1 + x`, the hue's turn from `-hue ..= hue`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter {
    /// Of the blend with black.
    pub brightness: f32,
    /// Of the blend with the image's mean gray.
    pub contrast: f32,
    /// Of the blend with the image in gray.
    pub saturation: f32,
    /// Fraction of a full turn of the color wheel, at most 0.5.
    pub hue: f32,
}

impl Jitter {
    /// SimSiam's, which the paper's C-MAE follows.
    pub const SIMSIAM: Jitter = Jitter {
        brightness: 0.4,
        contrast: 0.4,
        saturation: 0.4,
        hue: 0.1,
    };

    /// All of it by a factor; the hue turns no further than half a turn.
    pub(super) fn times(self, factor: f32) -> Jitter {
        Jitter {
            brightness: factor * self.brightness,
            contrast: factor * self.contrast,
            saturation: factor * self.saturation,
            hue: (factor * self.hue).min(0.5),
        }
    }
}

/// Brightness, contrast, saturation and hue, each by a random amount and in a random order.
pub(super) fn jitter(image: &mut Image, strength: &Jitter, rng: &mut ChaCha8Rng) {
    let mut order = [0, 1, 2, 3];
    order.shuffle(rng);
    let mut factor = |reach: f32| rng.random_range((1.0 - reach).max(0.0)..=1.0 + reach);
    let (by_brightness, by_contrast, by_saturation) = (factor(strength.brightness), factor(strength.contrast), factor(strength.saturation));
    let turn = rng.random_range(-strength.hue..=strength.hue);
    for step in order {
        match step {
            0 => brightness(image, by_brightness),
            1 => contrast(image, by_contrast),
            2 => saturation(image, by_saturation),
            _ => hue(image, turn),
        }
    }
}

/// 0 is black, 1 the image.
pub(super) fn brightness(image: &mut Image, factor: f32) {
    blend_all(image, 0, factor);
}

/// 0 is the mean gray everywhere, 1 the image.
pub(super) fn contrast(image: &mut Image, factor: f32) {
    let pixels = (image.width * image.height) as u64;
    let total: u64 = image.pixels.chunks_exact(3).map(|pixel| u64::from(luma(pixel))).sum();
    let mean = ((total + pixels / 2) / pixels) as u8;
    blend_all(image, mean, factor);
}

/// Blends every level with the same one.
fn blend_all(image: &mut Image, from: u8, factor: f32) {
    let table: [u8; 256] = std::array::from_fn(|level| blend(from, level as u8, factor));
    for level in &mut image.pixels {
        *level = table[usize::from(*level)];
    }
}

/// 0 is gray, 1 the image.
pub(super) fn saturation(image: &mut Image, factor: f32) {
    for pixel in image.pixels.chunks_exact_mut(3) {
        let gray = luma(pixel);
        for level in pixel {
            *level = blend(gray, *level, factor);
        }
    }
}

/// The luma in all three channels.
pub(super) fn gray(image: &mut Image) {
    for pixel in image.pixels.chunks_exact_mut(3) {
        let gray = luma(pixel);
        pixel.fill(gray);
    }
}

/// On the line from `from` (factor 0) through `to` (factor 1), cut to bytes by truncation as Pillow does.
pub(super) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    // `as` saturates at 0 and 255.
    (from + factor * (to - from)) as u8
}

/// Turns the color wheel by `turn` of a full turn; value and saturation stay.
fn hue(image: &mut Image, turn: f32) {
    for pixel in image.pixels.chunks_exact_mut(3) {
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
        let value = r.max(g).max(b);
        let chroma = value - r.min(g).min(b);
        if chroma == 0.0 {
            continue;
        }
        let sixth = if value == r {
            (g - b) / chroma
        } else if value == g {
            2.0 + (b - r) / chroma
        } else {
            4.0 + (r - g) / chroma
        };
        let sixth = (sixth + 6.0 * turn).rem_euclid(6.0);
        // How far each channel falls below the value, going round the hexagon from its own corner.
        for (level, offset) in pixel.iter_mut().zip([5.0, 3.0, 1.0]) {
            let k = (offset + sixth) % 6.0;
            *level = (value - chroma * k.min(4.0 - k).clamp(0.0, 1.0)).round() as u8;
        }
    }
}

/// ITU-R 601 luma, the weights of Pillow's and torchvision's gray.
fn luma(pixel: &[u8]) -> u8 {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    fn three() -> Image {
        Image {
            width: 3,
            height: 1,
            pixels: vec![200, 100, 50, 0, 0, 255, 90, 90, 90],
        }
    }

    fn after(change: impl Fn(&mut Image)) -> Vec<u8> {
        let mut image = three();
        change(&mut image);
        image.pixels
    }

    #[test]
    fn the_neutral_amounts_change_nothing() {
        assert_eq!(after(|p| brightness(p, 1.0)), three().pixels);
        assert_eq!(after(|p| contrast(p, 1.0)), three().pixels);
        assert_eq!(after(|p| saturation(p, 1.0)), three().pixels);
        assert_eq!(after(|p| hue(p, 0.0)), three().pixels);
        assert_eq!(after(|p| hue(p, 1.0)), three().pixels);
    }

    #[test]
    fn brightness_contrast_and_saturation_are_pillows() {
        // Pillow 13, ImageEnhance of the three pixels above at 0.3 and 1.7.
        assert_eq!(after(|p| brightness(p, 0.3)), PILLOW_BRIGHTNESS.0);
        assert_eq!(after(|p| brightness(p, 1.7)), PILLOW_BRIGHTNESS.1);
        assert_eq!(after(|p| contrast(p, 0.3)), PILLOW_CONTRAST.0);
        assert_eq!(after(|p| contrast(p, 1.7)), PILLOW_CONTRAST.1);
        assert_eq!(after(|p| saturation(p, 0.3)), PILLOW_COLOR.0);
        assert_eq!(after(|p| saturation(p, 1.7)), PILLOW_COLOR.1);
        assert_eq!(after(gray), PILLOW_GRAY);
    }

    const PILLOW_BRIGHTNESS: ([u8; 9], [u8; 9]) = ([60, 30, 15, 0, 0, 76, 27, 27, 27], [255, 170, 85, 0, 0, 255, 153, 153, 153]);
    const PILLOW_CONTRAST: ([u8; 9], [u8; 9]) = ([116, 86, 71, 56, 56, 133, 83, 83, 83], [255, 113, 28, 0, 0, 255, 96, 96, 96]);
    const PILLOW_COLOR: ([u8; 9], [u8; 9]) = ([146, 116, 101, 20, 20, 96, 90, 90, 90], [253, 83, 0, 0, 0, 255, 90, 90, 90]);
    const PILLOW_GRAY: [u8; 9] = [124, 124, 124, 29, 29, 29, 90, 90, 90];

    #[test]
    fn a_third_of_a_turn_moves_red_to_green_green_to_blue_and_blue_to_red() {
        let mut image = Image {
            width: 3,
            height: 1,
            pixels: vec![255, 0, 0, 10, 200, 10, 40, 40, 90],
        };
        hue(&mut image, 1.0 / 3.0);
        assert_eq!(image.pixels, [0, 255, 0, 10, 10, 200, 90, 40, 40]);
        assert_eq!(after(|p| hue(p, 0.5))[..6], [50, 150, 200, 255, 255, 0]);
    }

    #[test]
    fn hue_keeps_the_brightest_and_darkest_level_of_a_pixel() {
        for step in -10..=10 {
            let turned = after(|p| hue(p, step as f32 / 20.0));
            for (before, after) in three().pixels.chunks(3).zip(turned.chunks(3)) {
                assert_eq!((before.iter().max(), before.iter().min()), (after.iter().max(), after.iter().min()));
            }
        }
    }

    #[test]
    fn jitter_is_fixed_by_its_stream_and_varies_between_streams() {
        let drawn = |place| after(|p| jitter(p, &Jitter::SIMSIAM, &mut stream(1, Purpose::Augment, 0, place)));
        assert_eq!(drawn(3), drawn(3));
        assert_ne!(drawn(3), drawn(4));
        let still = Jitter {
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
        };
        assert_eq!(after(|p| jitter(p, &still, &mut stream(1, Purpose::Augment, 0, 0))), three().pixels);
    }
}
