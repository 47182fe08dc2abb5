//! Which part of an image a view shows.

use std::ops::RangeInclusive;

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::data::Image;
use crate::data::resizer::with_resizer;

/// Tries to place a random rectangle before the center is taken (torchvision, timm).
const TRIES: usize = 10;
/// Width over height of a resized crop (MAE, torchvision).
const ASPECT: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);

/// Which part of the image a view shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crop {
    /// A random rectangle, resized to the view.
    Resized {
        /// Smallest area of the rectangle, as a fraction of the image's.
        min_area: f64,
        /// Largest area, as the smallest.
        max_area: f64,
    },
    /// The whole, shifted by up to an eighth of its side over a black border.
    Padded,
    /// The middle, as in evaluation.
    Center,
}

impl Crop {
    /// The view of side `size`.
    pub(super) fn cut(self, image: &Image, size: usize, rng: &mut ChaCha8Rng) -> Image {
        match self {
            Crop::Resized { min_area, max_area } => {
                let window = random_window(image.width, image.height, min_area..=max_area, rng);
                resize(image, window, size, size)
            }
            Crop::Padded => {
                let pad = size / 8;
                let (left, top) = (rng.random_range(0..=2 * pad), rng.random_range(0..=2 * pad));
                shift(&fit(image, size, size), pad as isize - left as isize, pad as isize - top as isize)
            }
            Crop::Center if image.width == size && image.height == size => image.clone(),
            Crop::Center => center(image, size),
        }
    }
}

/// The evaluation's view: short side to 256/224 of `size` (MAE), then the center.
pub(super) fn center(image: &Image, size: usize) -> Image {
    fit(image, (size as f64 * 256.0 / 224.0).round() as usize, size)
}

/// A rectangle of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// Area uniform, aspect log-uniform, place uniform; the largest allowed center if no draw fits.
fn random_window(width: usize, height: usize, share: RangeInclusive<f64>, rng: &mut ChaCha8Rng) -> Window {
    let area = (width * height) as f64;
    for _ in 0..TRIES {
        let target = area * rng.random_range(share.clone());
        let aspect = rng.random_range(ASPECT.0.ln()..=ASPECT.1.ln()).exp();
        let w = (target * aspect).sqrt().round_ties_even() as usize;
        let h = (target / aspect).sqrt().round_ties_even() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let top = rng.random_range(0..=height - h);
            let left = rng.random_range(0..=width - w);
            return Window {
                left,
                top,
                width: w,
                height: h,
            };
        }
    }
    let aspect = (width as f64 / height as f64).clamp(ASPECT.0, ASPECT.1);
    let w = ((height as f64 * aspect).round_ties_even() as usize).clamp(1, width);
    let h = ((width as f64 / aspect).round_ties_even() as usize).clamp(1, height);
    Window {
        left: (width - w) / 2,
        top: (height - h) / 2,
        width: w,
        height: h,
    }
}

/// Short side to `short`, then the `size` x `size` center.
fn fit(image: &Image, short: usize, size: usize) -> Image {
    let (width, height) = (image.width, image.height);
    let long = |side: usize, other: usize| (short * side / other).max(short);
    let (w, h) = if width <= height {
        (short, long(height, width))
    } else {
        (long(width, height), short)
    };
    let whole = Window {
        left: 0,
        top: 0,
        width,
        height,
    };
    if (w, h) == (size, size) {
        return resize(image, whole, size, size);
    }
    let middle = |side: usize| ((side - size) as f64 / 2.0).round_ties_even() as usize;
    let window = Window {
        left: middle(w),
        top: middle(h),
        width: size,
        height: size,
    };
    resize(&resize(image, whole, w, h), window, size, size)
}

/// Bicubic with the filter widened when shrinking, as Pillow does; nothing outside the window is read.
fn resize(image: &Image, window: Window, width: usize, height: usize) -> Image {
    let source = TypedImageRef::<U8x3>::from_buffer(image.width as u32, image.height as u32, &image.pixels)
        .expect("an image holds width x height x 3 bytes");
    let source = TypedCroppedImage::new(
        source,
        window.left as u32,
        window.top as u32,
        window.width as u32,
        window.height as u32,
    )
    .expect("a window lies inside its image");
    let mut pixels = vec![0; width * height * 3];
    let mut target = TypedImage::<U8x3>::from_buffer(width as u32, height as u32, &mut pixels).expect("the buffer has the size asked for");
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    with_resizer(|resizer| resizer.resize_typed(&source, &mut target, &options)).expect("the window lies inside its image");
    Image { width, height, pixels }
}

/// Moves an image right and down; what comes in is black.
fn shift(image: &Image, right: isize, down: isize) -> Image {
    let (width, height) = (image.width, image.height);
    let mut pixels = vec![0; image.pixels.len()];
    let (from, to) = (right.min(0).unsigned_abs(), right.max(0) as usize);
    let kept = (width - right.unsigned_abs().min(width)) * 3;
    for y in 0..height {
        let Some(source) = y.checked_add_signed(-down).filter(|y| *y < height) else {
            continue;
        };
        let (source, target) = ((source * width + from) * 3, (y * width + to) * 3);
        pixels[target..target + kept].copy_from_slice(&image.pixels[source..source + kept]);
    }
    Image { width, height, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    fn rng(place: u64) -> ChaCha8Rng {
        stream(1, Purpose::Augment, 0, place)
    }

    fn ramp(width: usize, height: usize) -> Image {
        let pixels = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 7]))
            .collect();
        Image { width, height, pixels }
    }

    #[test]
    fn a_random_window_keeps_to_its_area_and_aspect_and_lies_inside() {
        let mut areas = Vec::new();
        for place in 0..2000 {
            let w = random_window(100, 80, 0.2..=1.0, &mut rng(place));
            assert!(w.left + w.width <= 100 && w.top + w.height <= 80);
            let (area, aspect) = ((w.width * w.height) as f64 / 8000.0, w.width as f64 / w.height as f64);
            assert!(area > 0.19 && area <= 1.0, "area {area}");
            assert!(aspect > 0.72 && aspect < 1.38, "aspect {aspect}");
            areas.push(area);
        }
        // Uniform on 0.2..1, less the draws that do not fit: somewhat under the middle, 0.6.
        let mean = areas.iter().sum::<f64>() / areas.len() as f64;
        assert!((0.5..0.6).contains(&mean), "mean {mean}");
    }

    #[test]
    fn a_image_too_narrow_for_any_window_gives_its_center() {
        assert_eq!(
            random_window(2, 90, 1.0..=1.0, &mut rng(0)),
            Window {
                left: 0,
                top: 43,
                width: 2,
                height: 3
            }
        );
        assert_eq!(
            random_window(90, 9, 1.0..=1.0, &mut rng(0)),
            Window {
                left: 39,
                top: 0,
                width: 12,
                height: 9
            }
        );
    }

    #[test]
    fn a_window_of_the_views_size_is_copied_and_nothing_around_it_is_read() {
        let image = ramp(9, 7);
        let window = Window {
            left: 2,
            top: 3,
            width: 4,
            height: 4,
        };
        let copy = resize(&image, window, 4, 4);
        assert_eq!(&copy.pixels[..6], &[2, 3, 7, 3, 3, 7]);
        let mut loud = image.clone();
        for y in 0..7 {
            for x in (0..9).filter(|x| !(2..6).contains(x) || !(3..7).contains(&y)) {
                loud.pixels[(y * 9 + x) * 3..][..3].fill(255);
            }
        }
        assert_eq!(resize(&image, window, 8, 8), resize(&loud, window, 8, 8));
    }

    #[test]
    fn resizing_is_pillows_bicubic() {
        // Its passes round between them in the other order, hence the tolerance of one level. Pillow 13: Image.resize((2, 2), BICUBIC) and ((8, 8), BICUBIC) of the 4 x 4 gray image below.
        let levels: [u8; 16] = [100, 110, 130, 120, 105, 150, 140, 125, 112, 118, 122, 128, 116, 96, 133, 140];
        let image = Image {
            width: 4,
            height: 4,
            pixels: levels.iter().flat_map(|v| [*v; 3]).collect(),
        };
        let whole = Window {
            left: 0,
            top: 0,
            width: 4,
            height: 4,
        };
        let gray = |p: &Image| p.pixels.chunks(3).map(|c| i32::from(c[0])).collect::<Vec<_>>();
        let near = |a: &[i32], b: &[i32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1);
        let small = gray(&resize(&image, whole, 2, 2));
        assert!(near(&small, &PILLOW_2), "{small:?}");
        let large = gray(&resize(&image, whole, 8, 8));
        assert!(near(&large[16..24], &PILLOW_8_ROW_2), "{large:?}");
    }

    const PILLOW_2: [i32; 4] = [118, 129, 114, 130];
    const PILLOW_8_ROW_2: [i32; 8] = [100, 111, 135, 145, 142, 135, 127, 123];

    #[test]
    fn the_center_of_a_large_image_is_its_middle_at_224_of_256() {
        let view = center(&ramp(64, 128), 32);
        // Short side 64 -> 37, long 128 -> 74; columns 2..34 and rows 21..53 are left, about 1.73 source pixels each.
        let at = |x: usize, y: usize| (view.pixels[(y * 32 + x) * 3], view.pixels[(y * 32 + x) * 3 + 1]);
        assert!(
            (i32::from(at(0, 0).0) - 4).abs() <= 1 && (i32::from(at(0, 0).1) - 37).abs() <= 1,
            "{:?}",
            at(0, 0)
        );
        assert!(
            (i32::from(at(31, 31).0) - 57).abs() <= 1 && (i32::from(at(31, 31).1) - 90).abs() <= 1,
            "{:?}",
            at(31, 31)
        );
    }

    #[test]
    fn a_padded_crop_shifts_by_at_most_an_eighth_and_shows_black_outside() {
        let white = Image {
            width: 32,
            height: 32,
            pixels: vec![255; 32 * 32 * 3],
        };
        let mut seen = std::collections::BTreeSet::new();
        for place in 0..500 {
            let view = Crop::Padded.cut(&white, 32, &mut rng(place));
            let columns = (0..32).filter(|x| view.pixels[(16 * 32 + x) * 3] == 255).count();
            let rows = (0..32).filter(|y| view.pixels[(y * 32 + 16) * 3] == 255).count();
            assert!(columns >= 28 && rows >= 28);
            assert_eq!(view.pixels.iter().filter(|v| **v == 255).count(), columns * rows * 3);
            seen.insert((columns, rows));
        }
        assert_eq!(seen.len(), 25, "every shift of 0 to 4 pixels is drawn");
        assert_eq!(shift(&ramp(4, 4), 1, -1).pixels[..6], [0, 0, 0, 0, 1, 7]);
    }
}
