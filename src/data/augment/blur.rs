//! Smoothing and sharpening: small filters over neighboring pixels.

use super::color::blend;
use crate::data::Image;

/// A Gaussian of standard deviation `sigma` pixels, cut at three of them; the border is repeated outwards.
pub(super) fn gaussian(image: &mut Image, sigma: f32) {
    let reach = (3.0 * sigma).ceil() as usize;
    let weight = |offset: usize| (-0.5 * (offset as f32 - reach as f32).powi(2) / (sigma * sigma)).exp();
    let kernel: Vec<f32> = (0..=2 * reach).map(weight).collect();
    let total: f32 = kernel.iter().sum();
    let kernel: Vec<f32> = kernel.into_iter().map(|w| w / total).collect();

    let source: Vec<f32> = image.pixels.iter().map(|level| f32::from(*level)).collect();
    let (width, height) = (image.width, image.height);
    let mut rows = vec![0.0; source.len()];
    for y in 0..height {
        smooth(
            &source[y * width * 3..][..width * 3],
            &mut rows[y * width * 3..][..width * 3],
            3,
            &kernel,
        );
    }
    // Down the columns it is the same, with whole rows as the items.
    let mut both = vec![0.0; source.len()];
    smooth(&rows, &mut both, width * 3, &kernel);
    for (level, value) in image.pixels.iter_mut().zip(both) {
        *level = value.round() as u8;
    }
}

/// 0 is a smoothed image, 1 the image, 2 a sharper one; the outermost pixels stay.
pub(super) fn sharpness(image: &mut Image, factor: f32) {
    let (width, height) = (image.width, image.height);
    let row = width * 3;
    let source = image.pixels.clone();
    for y in 1..height.saturating_sub(1) {
        for i in y * row + 3..(y + 1) * row - 3 {
            // Pillow's SMOOTH: the pixel five times, its eight neighbors once.
            let three = |i: usize| u32::from(source[i - 3]) + u32::from(source[i]) + u32::from(source[i + 3]);
            let sum = three(i - row) + three(i) + three(i + row) + 4 * u32::from(source[i]);
            image.pixels[i] = blend(((sum + 6) / 13) as u8, source[i], factor);
        }
    }
}

/// Convolves along one axis of items of `stride` values each, repeating the first and last item outwards.
fn smooth(source: &[f32], target: &mut [f32], stride: usize, kernel: &[f32]) {
    let (items, reach) = (source.len() / stride, kernel.len() / 2);
    for (at, target) in target.chunks_exact_mut(stride).enumerate() {
        for (offset, weight) in kernel.iter().enumerate() {
            let from = (at + offset).saturating_sub(reach).min(items - 1);
            for (value, source) in target.iter_mut().zip(&source[from * stride..]) {
                *value += weight * source;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(width: usize, height: usize, level: u8) -> Image {
        let mut image = Image {
            width,
            height,
            pixels: vec![0; width * height * 3],
        };
        image.pixels[(height / 2 * width + width / 2) * 3..][..3].fill(level);
        image
    }

    #[test]
    fn a_blurred_dot_is_the_gaussian_itself() {
        let mut image = dot(15, 15, 255);
        gaussian(&mut image, 1.0);
        // 255 x 0.3989 x 0.3989, then falling by exp(-r^2 / 2).
        let at = |x: usize, y: usize| image.pixels[(y * 15 + x) * 3];
        assert_eq!([at(7, 7), at(8, 7), at(7, 8), at(8, 8), at(9, 7), at(0, 7)], [41, 25, 25, 15, 5, 0]);
    }

    #[test]
    fn blur_keeps_a_flat_image_and_hardly_touches_any_at_the_smallest_sigma() {
        let mut flat = Image {
            width: 5,
            height: 3,
            pixels: vec![200; 45],
        };
        gaussian(&mut flat, 2.0);
        assert_eq!(flat.pixels, vec![200; 45]);
        let mut sharp = dot(5, 5, 255);
        gaussian(&mut sharp, 0.1);
        assert_eq!(sharp, dot(5, 5, 255));
    }

    #[test]
    fn sharpness_is_pillows() {
        // A dot of 130 smooths to 50 in the middle and 10 around it; factor 1.9 doubles the difference, nearly.
        let mut soft = dot(5, 5, 130);
        sharpness(&mut soft, 0.0);
        let middle = |p: &Image| p.pixels[(2 * 5 + 1) * 3..][..9].iter().step_by(3).copied().collect::<Vec<_>>();
        assert_eq!(middle(&soft), [10, 50, 10]);
        assert_eq!(soft.pixels[..15], [0; 15]);
        let mut same = dot(5, 5, 130);
        sharpness(&mut same, 1.0);
        assert_eq!(same, dot(5, 5, 130));
        let mut sharp = dot(5, 5, 130);
        sharpness(&mut sharp, 1.9);
        assert_eq!(middle(&sharp), [0, 202, 0]);
    }
}
