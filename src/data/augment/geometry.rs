//! Moving pixels about: flips, shears, shifts and turns of a view.

use crate::data::Image;

/// Left becomes right.
pub(super) fn flip(image: &mut Image) {
    for row in image.pixels.chunks_exact_mut(image.width * 3) {
        row.as_chunks_mut::<3>().0.reverse();
    }
}

/// Slants the rows: each moves left by `amount` times its distance from the top.
pub(super) fn shear_x(image: &mut Image, amount: f32, fill: [u8; 3]) {
    warp(image, [1.0, amount, 0.0, 0.0, 1.0, 0.0], fill);
}

/// Slants the columns: each moves up by `amount` times its distance from the left.
pub(super) fn shear_y(image: &mut Image, amount: f32, fill: [u8; 3]) {
    warp(image, [1.0, 0.0, 0.0, amount, 1.0, 0.0], fill);
}

/// Moves left by a fraction of the width.
pub(super) fn translate_x(image: &mut Image, share: f32, fill: [u8; 3]) {
    warp(image, [1.0, 0.0, share * image.width as f32, 0.0, 1.0, 0.0], fill);
}

/// Moves up by a fraction of the height.
pub(super) fn translate_y(image: &mut Image, share: f32, fill: [u8; 3]) {
    warp(image, [1.0, 0.0, 0.0, 0.0, 1.0, share * image.height as f32], fill);
}

/// Turns anticlockwise about the center.
pub(super) fn rotate(image: &mut Image, degrees: f32, fill: [u8; 3]) {
    let (sin, cos) = (-degrees).to_radians().sin_cos();
    let (x, y) = (image.width as f32 / 2.0, image.height as f32 / 2.0);
    warp(image, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y], fill);
}

/// Draws at (x, y) what lies at (ax + by + c, dx + ey + f), bicubic; `fill` where that is outside.
fn warp(image: &mut Image, [a, b, c, d, e, f]: [f32; 6], fill: [u8; 3]) {
    let (width, height) = (image.width, image.height);
    let source = Bordered::of(image);
    for (row, line) in image.pixels.chunks_exact_mut(width * 3).enumerate() {
        for (column, pixel) in line.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            // Coordinates are of the pixels' centers.
            let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
            let (u, v) = (a * x + b * y + c, d * x + e * y + f);
            let outside = u < 0.0 || v < 0.0 || u >= width as f32 || v >= height as f32;
            *pixel = if outside { fill } else { source.sample(u - 0.5, v - 0.5) };
        }
    }
}

/// Pixels that the border is repeated outwards, so that a sample at the edge needs no case of its own.
const BORDER: usize = 2;

/// An image with its border repeated outwards; the fourth number of a pixel fills a vector register.
struct Bordered {
    stride: usize,
    pixels: Vec<[f32; 4]>,
}

impl Bordered {
    fn of(image: &Image) -> Bordered {
        let stride = image.width + 2 * BORDER;
        let inside = |place: usize, side: usize| place.saturating_sub(BORDER).min(side - 1);
        let mut pixels = Vec::with_capacity(stride * (image.height + 2 * BORDER));
        for y in 0..image.height + 2 * BORDER {
            let line = &image.pixels[inside(y, image.height) * image.width * 3..][..image.width * 3];
            let line = line.as_chunks::<3>().0;
            pixels.extend((0..stride).map(|x| {
                let [r, g, b] = line[inside(x, image.width)].map(f32::from);
                [r, g, b, 0.0]
            }));
        }
        Bordered { stride, pixels }
    }

    /// The color between pixels by Catmull-Rom weights; neither coordinate is further outside than half a pixel.
    fn sample(&self, x: f32, y: f32) -> [u8; 3] {
        let (left, top) = (floor(x), floor(y));
        let (across, down) = (weights(x - left as f32), weights(y - top as f32));
        // The first of the four pixels stands one before the floor.
        let corner = (top + BORDER as i32 - 1) as usize * self.stride + (left + BORDER as i32 - 1) as usize;
        let mut sum = [0.0f32; 4];
        for (row, row_weight) in down.into_iter().enumerate() {
            let pixels = &self.pixels[corner + row * self.stride..][..4];
            for (pixel, weight) in pixels.iter().zip(across) {
                let weight = row_weight * weight;
                sum = std::array::from_fn(|channel| sum[channel] + weight * pixel[channel]);
            }
        }
        [rounded(sum[0]), rounded(sum[1]), rounded(sum[2])]
    }
}

/// `x.floor()`, which is a call into a library on processors of the first 64-bit generation, for which we build.
fn floor(x: f32) -> i32 {
    let towards_zero = x as i32;
    towards_zero - i32::from(x < towards_zero as f32)
}

/// `level.round() as u8`, without that call.
fn rounded(level: f32) -> u8 {
    let whole = level as i32;
    (whole + i32::from(level - whole as f32 >= 0.5)).clamp(0, 255) as u8
}

/// The weights of the four pixels around a place that is `t` after the second.
fn weights(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [
        -0.5 * t + t2 - 0.5 * t3,
        1.0 - 2.5 * t2 + 1.5 * t3,
        0.5 * t + 2.0 * t2 - 1.5 * t3,
        -0.5 * t2 + 0.5 * t3,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILL: [u8; 3] = [9, 8, 7];

    fn numbered() -> Image {
        Image {
            width: 4,
            height: 4,
            pixels: (0..16u8).flat_map(|i| [i * 10, 100, 255 - i]).collect(),
        }
    }

    fn reds(change: impl Fn(&mut Image)) -> Vec<u8> {
        let mut image = numbered();
        change(&mut image);
        image.pixels.chunks(3).map(|p| p[0]).collect()
    }

    #[test]
    fn a_flip_mirrors_every_row_and_twice_is_nothing() {
        assert_eq!(reds(flip)[..8], [30, 20, 10, 0, 70, 60, 50, 40]);
        let mut twice = numbered();
        flip(&mut twice);
        flip(&mut twice);
        assert_eq!(twice, numbered());
    }

    #[test]
    fn moving_by_whole_pixels_copies_them_and_fills_the_rest() {
        assert_eq!(reds(|p| translate_x(p, 0.25, FILL))[..4], [10, 20, 30, 9]);
        assert_eq!(reds(|p| translate_y(p, -0.5, FILL))[4..12], [9, 9, 9, 9, 0, 10, 20, 30]);
    }

    #[test]
    fn half_a_turn_is_both_flips_and_no_turn_is_nothing() {
        let mut backwards = reds(|_| {});
        backwards.reverse();
        assert_eq!(reds(|p| rotate(p, 180.0, FILL)), backwards);
        assert_eq!(reds(|p| rotate(p, 0.0, FILL)), reds(|_| {}));
        assert_eq!(reds(|p| shear_x(p, 0.0, FILL)), reds(|_| {}));
    }

    #[test]
    fn a_quarter_turn_is_anticlockwise() {
        assert_eq!(reds(|p| rotate(p, 90.0, FILL))[..4], [30, 70, 110, 150]);
    }

    #[test]
    fn a_shear_moves_each_row_or_column_by_its_own_distance() {
        // Row y reads columns x + y + 0.5: its center is half a pixel below the top.
        let sheared = reds(|p| shear_x(p, 1.0, FILL));
        assert_eq!(sheared[12..], [9, 9, 9, 9]);
        assert_eq!(sheared[4..8].iter().filter(|v| **v == 9).count(), 2);
        let sheared = reds(|p| shear_y(p, 1.0, FILL));
        assert_eq!((sheared[3], sheared[7], sheared[15]), (9, 9, 9));
    }

    #[test]
    fn floor_and_rounded_are_those_of_the_library() {
        let edges = [
            0.49999997,
            0.5,
            0.50000006,
            254.49998,
            254.5,
            -0.0,
            -1e-9,
            -0.5,
            -0.50000006,
            8388607.5,
        ];
        let places = (-3000..3000).map(|i| i as f32 * 0.137).chain(edges);
        for x in places {
            assert_eq!(floor(x) as f32, x.floor(), "{x}");
            assert_eq!(rounded(x), x.round() as u8, "{x}");
        }
    }

    #[test]
    fn between_equal_pixels_lies_the_same_color() {
        let mut flat = Image {
            width: 4,
            height: 4,
            pixels: vec![77; 48],
        };
        rotate(&mut flat, 17.0, [77; 3]);
        assert_eq!(flat.pixels, vec![77; 48]);
        assert!((weights(0.3).iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
