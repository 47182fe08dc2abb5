//! The built-in data set: ten shapes over cluttered backgrounds, made in memory, always the same.
//!
//! An image's class is its largest shape. Smaller shapes of other classes, strips across the main one, textures,
//! low contrast and noise stand in the way, so that a model must learn something and a person can still tell.
//! Images are made one by one from their own numbers: asking for more never changes the ones before.

use anyhow::bail;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::colors::Colors;
use super::shapes::{Color, Fill, SHAPES, Shape, ShapeCanvas, ShapeLayer};
use super::{Dataset, Layout, Sizes, Split, SplitName};
use crate::experiment::settings::DataSettings;
use crate::rng::{Purpose, stream};

/// The seed of the set (ours). Another one would be another data set; runs' seeds never reach it.
const SEED: u64 = 0;
/// Images made when the settings name no number.
pub(super) const DEFAULT: [usize; 2] = [10_000, 2_000];
/// Images a split may have: at 64 pixels these take 12 GB.
const MOST: usize = 1_000_000;

/// Makes the set at 32 pixels for models that see at most that, else at 64.
pub(super) fn open(settings: &DataSettings) -> anyhow::Result<Dataset> {
    let side = if settings.image_size <= 32 { 32 } else { 64 };
    let (train, colors) = split(SplitName::Train, settings.train_images, side)?;
    let (val, _) = split(SplitName::Val, settings.val_images, side)?;
    let sizes = Sizes {
        seen: train.len() + val.len(),
        min: [side; 2],
        max: [side; 2],
        turned: 0,
    };
    Ok(Dataset {
        fingerprint: String::new(),
        layout: Layout::BuiltIn,
        labeled: true,
        name: "builtin".to_owned(),
        classes: classes(),
        train,
        val,
        mean: colors.mean(),
        std: colors.std(),
        sizes,
        warnings: Vec::new(),
    })
}

/// The names of the classes.
pub(super) fn classes() -> Vec<String> {
    SHAPES.iter().map(|shape| shape.name()).collect()
}

/// Makes one split and sums up its colors.
fn split(name: SplitName, wanted: usize, side: usize) -> anyhow::Result<(Split, Colors)> {
    let count = if wanted == 0 { DEFAULT[name as usize] } else { wanted };
    if count > MOST {
        bail!(
            "data.{}_images is {count}, but the built-in data has at most {MOST} images for it",
            name.as_str()
        );
    }
    let mut pixels = vec![0; count * side * side * 3];
    let colors = pixels
        .par_chunks_exact_mut(side * side * 3)
        .enumerate()
        .map(|(index, pixels)| {
            paint(name, index, side, pixels);
            Colors::of(pixels)
        })
        .reduce(Colors::default, Colors::with);
    let labels = (0..count).map(|index| (index % SHAPES.len()) as u32).collect();
    Ok((Split::in_memory(side, side, pixels, labels), colors))
}

/// Paints the `index`th image of a split into `pixels`, [side, side, 3]. All numbers here are ours.
///
/// Each image has a hardness of its own. At 0 the shape is large, upright, in the middle and plain to see, which
/// gives a model something to begin with; at 1 it may be small, turned, anywhere, faint and half hidden.
fn paint(name: SplitName, index: usize, side: usize, pixels: &mut [u8]) {
    let mut rng = stream(SEED, Purpose::Builtin, name as u64, index as u64);
    let rng = &mut rng;
    let hardness: f32 = rng.random_range(0.0..1.0);
    let first = surroundings(index % SHAPES.len(), rng);
    let second = away_from(first, rng.random_range(0.1..0.3 + 0.6 * hardness), rng);
    let mut canvas = ShapeCanvas::new(side, &Fill::random([first, second], rng.random_range(2.0..7.0), rng));
    let main = SHAPES[index % SHAPES.len()];
    let radius = 0.42 - 0.18 * hardness * rng.random_range(0.0..1.0);
    let away = (0.5 - 0.75 * radius) * hardness;
    let center = [0.5 + away * rng.random_range(-1.0..1.0), 0.5 + away * rng.random_range(-1.0..1.0)];
    for _ in 0..1 + rng.random_range(0..1 + (4.0 * hardness) as usize) {
        canvas.draw(&distractor(radius, rng));
    }
    let contrast = 0.85 - 0.55 * hardness * rng.random_range(0.0..1.0);
    let shade = away_from(canvas.mean_around(center, radius), contrast, rng);
    let other = away_from(shade, 0.3 * hardness * rng.random_range(0.0..1.0), rng);
    canvas.draw(&ShapeLayer {
        shape: main,
        center,
        radius,
        angle: std::f32::consts::PI * hardness * rng.random_range(-1.0..1.0),
        stretch: 1.0 + hardness * rng.random_range(-0.25..0.33),
        fill: Fill::random([shade, other], rng.random_range(0.7..2.5), rng),
        opacity: rng.random_range(0.8..1.0),
    });
    for _ in 0..rng.random_range(0..1 + (2.9 * hardness) as usize) {
        canvas.draw(&occluder(center, radius, rng));
    }
    let noise = 0.06 * hardness;
    let (gain, lift) = (rng.random_range(0.75..1.15), rng.random_range(-0.1..0.1));
    let bytes = canvas.finish(|value| {
        let grain: f32 = StandardNormal.sample(rng);
        (value - 0.5) * gain + 0.5 + lift + noise * grain
    });
    pixels.iter_mut().zip(bytes).for_each(|(pixel, byte)| *pixel = byte);
}

/// The color around the shape. Seven images in ten have a hue from their class's own range, as things in real
/// images have surroundings of theirs; ranges overlap. It lets a small model learn something within minutes.
fn surroundings(class: usize, rng: &mut ChaCha8Rng) -> Color {
    if rng.random_range(0.0..1.0) < 0.3 {
        return color(rng);
    }
    let spread: f32 = StandardNormal.sample(rng);
    let hue = (class as f32 / SHAPES.len() as f32 + 0.06 * spread).rem_euclid(1.0);
    let (saturation, value) = (rng.random_range(0.35..0.95), rng.random_range(0.35..1.0));
    from_hsv(hue, saturation, value)
}

/// Red, green and blue of a hue, saturation and value, each from 0 to 1.
fn from_hsv(hue: f32, saturation: f32, value: f32) -> Color {
    [5.0, 3.0, 1.0].map(|offset| {
        let place: f32 = (offset + 6.0 * hue) % 6.0;
        value - value * saturation * place.min(4.0 - place).clamp(0.0, 1.0)
    })
}

/// A shape of any class, at most 0.55 times as large as the main one, anywhere.
fn distractor(main_radius: f32, rng: &mut ChaCha8Rng) -> ShapeLayer {
    ShapeLayer {
        shape: *SHAPES.choose(rng).expect("there are ten shapes"),
        center: [rng.random_range(0.0..1.0), rng.random_range(0.0..1.0)],
        radius: main_radius * rng.random_range(0.25..0.55),
        angle: angle(rng),
        stretch: rng.random_range(0.75..1.33),
        fill: Fill::random([color(rng), color(rng)], 2.0, rng),
        opacity: rng.random_range(0.6..1.0),
    }
}

/// A strip or a spot over part of the main shape.
fn occluder(center: [f32; 2], radius: f32, rng: &mut ChaCha8Rng) -> ShapeLayer {
    let strip = rng.random_bool(0.6);
    let near = |place: f32, rng: &mut ChaCha8Rng| place + radius * rng.random_range(-0.8..0.8);
    ShapeLayer {
        shape: if strip { Shape::Strip } else { Shape::Disc },
        center: [near(center[0], rng), near(center[1], rng)],
        radius: radius
            * if strip {
                rng.random_range(0.6..1.4)
            } else {
                rng.random_range(0.15..0.35)
            },
        angle: angle(rng),
        stretch: 1.0,
        fill: Fill::random([color(rng), color(rng)], 2.0, rng),
        opacity: 1.0,
    }
}

/// Any direction, in radians.
fn angle(rng: &mut ChaCha8Rng) -> f32 {
    rng.random_range(0.0..std::f32::consts::TAU)
}

/// Any color.
fn color(rng: &mut ChaCha8Rng) -> Color {
    std::array::from_fn(|_| rng.random_range(0.0..1.0))
}

/// A color about `distance` from `from`, in a random direction that stays among the colors.
fn away_from(from: Color, distance: f32, rng: &mut ChaCha8Rng) -> Color {
    let direction: Color = std::array::from_fn(|_| rng.random_range(-1.0..1.0));
    let length = direction.iter().map(|part| part * part).sum::<f32>().sqrt().max(1e-3);
    std::array::from_fn(|c| {
        let step = direction[c] / length * distance;
        let inside = |value: f32| (0.0..=1.0).contains(&value);
        // A step that would leave the range goes the other way.
        if inside(from[c] + step) {
            from[c] + step
        } else {
            (from[c] - step).clamp(0.0, 1.0)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(image_size: usize, train_images: usize, val_images: usize) -> DataSettings {
        DataSettings {
            source: "builtin".to_owned(),
            image_size,
            train_images,
            val_images,
            val_fraction: 0.2,
            max_broken: 0.0,
            label_column: String::new(),
        }
    }

    #[test]
    fn the_set_is_always_the_same_and_larger_sets_begin_with_smaller_ones() {
        let (small, large) = (open(&settings(32, 20, 10)).unwrap(), open(&settings(32, 30, 10)).unwrap());
        (0..20).for_each(|i| assert_eq!(small.train.image(i).unwrap(), large.train.image(i).unwrap()));
        assert_ne!(small.train.image(0).unwrap(), small.val.image(0).unwrap());
        assert_ne!(small.train.image(0).unwrap(), small.train.image(10).unwrap());
    }

    #[test]
    fn the_set_is_balanced_and_has_the_size_the_model_wants() {
        for (image_size, side) in [(16, 32), (32, 32), (48, 64), (64, 64), (224, 64)] {
            let set = open(&settings(image_size, 40, 20)).unwrap();
            assert_eq!(set.train.kept_size(), Some([side, side]));
            assert_eq!((set.train.len(), set.val.len(), set.classes.len()), (40, 20, 10));
            assert!((0..10).all(|class| set.train.labels().iter().filter(|label| **label == class).count() == 4));
        }
    }

    #[test]
    fn hues_go_around_the_circle() {
        let close = |hue, want: Color| assert!(from_hsv(hue, 1.0, 1.0).iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5));
        close(0.0, [1.0, 0.0, 0.0]);
        close(1.0 / 3.0, [0.0, 1.0, 0.0]);
        close(2.0 / 3.0, [0.0, 0.0, 1.0]);
        assert_eq!(from_hsv(0.4, 0.0, 0.5), [0.5; 3]);
    }

    #[test]
    fn the_images_have_varied_colors() {
        let set = open(&settings(32, 500, 10)).unwrap();
        assert!(set.mean.iter().all(|mean| (0.35..0.65).contains(mean)), "{:?}", set.mean);
        assert!(set.std.iter().all(|std| (0.15..0.35).contains(std)), "{:?}", set.std);
    }

    #[test]
    fn more_images_than_fit_in_memory_are_refused() {
        let sentence = open(&settings(32, MOST + 1, 10)).unwrap_err().to_string();
        assert_eq!(
            sentence,
            "data.train_images is 1000001, but the built-in data has at most 1000000 images for it"
        );
    }
}
