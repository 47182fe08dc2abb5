//! How an image is varied before the model sees it, and how it becomes numbers.
//!
//! The steps, their order and their random distributions are those of timm's training transform:
//! crop, flip, RandAugment or colors, conversion to normalized floats, erasing. Crop, flip and RandAugment, which
//! warps, are drawn from one generator of the view, everything after them from another, so that views can show the
//! same places and differ in the rest; a view depends on nothing else.

mod blur;
mod color;
mod crop;
mod erase;
mod geometry;
mod rand_augment;
mod tone;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

pub use self::color::Jitter;
pub use self::crop::Crop;
use super::Image;
use crate::experiment::ViewPlan;
use crate::experiment::choices::CropKind;
use crate::experiment::settings::AugmentSettings;
use crate::rng::{Purpose, stream};

/// Standard deviations of the blur, in pixels of the view (SimSiam).
const BLUR_SIGMA: std::ops::RangeInclusive<f32> = 0.1..=2.0;
/// Levels from here on are inverted when solarizing (BYOL).
const SOLARIZE_FROM: u16 = 128;

/// What may happen to one view. Every step but the crop has a chance in `[0, 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AugmentRecipe {
    /// Which part of the image is seen.
    pub crop: Crop,
    /// Chance of a left-right flip.
    pub hflip: f64,
    /// Magnitude of RandAugment, 0 to 10; 0 is off.
    pub rand_augment: f64,
    /// Chance of color jitter.
    pub color_jitter: f64,
    /// How far the jitter goes.
    pub strength: Jitter,
    /// Chance of turning gray.
    pub grayscale: f64,
    /// Chance of a Gaussian blur.
    pub blur: f64,
    /// Chance of solarizing.
    pub solarize: f64,
    /// Chance of erasing a rectangle.
    pub random_erasing: f64,
}

impl From<&AugmentSettings> for AugmentRecipe {
    fn from(settings: &AugmentSettings) -> AugmentRecipe {
        AugmentRecipe {
            crop: match settings.crop {
                CropKind::Resized => Crop::Resized {
                    min_area: settings.crop_scale_min,
                    max_area: settings.crop_scale_max,
                },
                CropKind::Pad => Crop::Padded,
                CropKind::None => Crop::Center,
            },
            hflip: settings.hflip,
            rand_augment: settings.rand_augment,
            color_jitter: settings.color_jitter,
            strength: Jitter {
                saturation: settings.color_jitter_saturation as f32,
                ..Jitter::SIMSIAM
            }
            .times(settings.color_jitter_strength as f32),
            grayscale: settings.grayscale,
            blur: settings.blur,
            solarize: settings.solarize,
            random_erasing: settings.random_erasing,
        }
    }
}

/// Makes the views of images.
#[derive(Clone, Debug)]
pub struct Augment {
    views: Vec<PlannedView>,
    image_size: usize,
    /// What a warped image shows beyond its border: the mean color of the data.
    fill: [u8; 3],
    /// The normalized value of each level of each channel.
    normalized: Vec<[f32; 256]>,
}

/// How one view is made.
#[derive(Clone, Debug)]
struct PlannedView {
    recipe: AugmentRecipe,
    side: usize,
    /// The view whose crop, flip and RandAugment it has, often itself.
    geometry: usize,
}

/// The generators of one view of one image.
#[derive(Clone, Debug)]
pub struct Draws {
    /// Of crop, flip and RandAugment.
    geometry: ChaCha8Rng,
    /// Of everything after them.
    color: ChaCha8Rng,
}

impl Augment {
    /// One view of the model's size. `mean` and `std` are those of the training images in `[0, 1]`.
    pub fn new(settings: &AugmentSettings, image_size: usize, mean: [f32; 3], std: [f32; 3]) -> Augment {
        let only = ViewPlan::new(settings.clone(), image_size);
        Augment::with_views(&[only], image_size, mean, std)
    }

    /// Several views; `image_size` is the model's, which evaluation sees.
    ///
    /// # Panics
    /// When a view shares the geometry of one that there is not, or that shares another's itself.
    pub fn with_views(plan: &[ViewPlan], image_size: usize, mean: [f32; 3], std: [f32; 3]) -> Augment {
        let table = |c: usize| std::array::from_fn(|level| (level as f32 / 255.0 - mean[c]) / std[c]);
        let view = |(nth, view): (usize, &ViewPlan)| {
            let geometry = view.geometry_of.unwrap_or(nth);
            assert!(
                geometry == nth || plan[geometry].geometry_of.is_none(),
                "view {geometry} shares its geometry itself"
            );
            PlannedView {
                recipe: AugmentRecipe::from(&view.augment),
                side: view.side,
                geometry,
            }
        };
        Augment {
            views: plan.iter().enumerate().map(view).collect(),
            image_size,
            fill: mean.map(|m| (m * 255.0).round() as u8),
            normalized: (0..3).map(table).collect(),
        }
    }

    /// Side of the model's square images, in pixels.
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// Side of every view, in pixels.
    pub fn sides(&self) -> Vec<usize> {
        self.views.iter().map(|view| view.side).collect()
    }

    /// The generators of view number `nth` of image number `index` in an epoch.
    pub fn draws(&self, seed: u64, epoch: u64, index: u32, nth: usize) -> Draws {
        let sample = |nth: usize| u64::from(index) * self.views.len() as u64 + nth as u64;
        Draws {
            geometry: stream(seed, Purpose::Augment, epoch, sample(self.views[nth].geometry)),
            color: stream(seed, Purpose::Color, epoch, sample(nth)),
        }
    }

    /// Writes view number `nth` of an image into `out`, `[3, side, side]`, normalized.
    ///
    /// # Panics
    /// When there is no such view or `out` has another length.
    pub fn view(&self, nth: usize, image: &Image, draws: &mut Draws, out: &mut [f32]) {
        let PlannedView { recipe, side, geometry } = &self.views[nth];
        let (shape, rng) = (&self.views[*geometry].recipe, &mut draws.geometry);
        let mut view = shape.crop.cut(image, *side, rng);
        if happens(shape.hflip, rng) {
            geometry::flip(&mut view);
        }
        if shape.rand_augment > 0.0 {
            rand_augment::rand_augment(&mut view, shape.rand_augment, self.fill, rng);
        }
        let rng = &mut draws.color;
        if happens(recipe.color_jitter, rng) {
            color::jitter(&mut view, &recipe.strength, rng);
        }
        if happens(recipe.grayscale, rng) {
            color::gray(&mut view);
        }
        if happens(recipe.blur, rng) {
            blur::gaussian(&mut view, rng.random_range(BLUR_SIGMA));
        }
        if happens(recipe.solarize, rng) {
            tone::solarize(&mut view, SOLARIZE_FROM);
        }
        self.normalize(&view, out);
        if happens(recipe.random_erasing, rng) {
            erase::erase(out, *side, rng);
        }
    }

    /// Writes an image as evaluation sees it into `out`, `[3, image_size, image_size]`, normalized: as it is
    /// if it has the model's size, else its short side resized to 256/224 of that and the center cut out.
    ///
    /// # Panics
    /// When `out` has another length.
    pub fn plain(&self, image: &Image, out: &mut [f32]) {
        if image.width == self.image_size && image.height == self.image_size {
            self.normalize(image, out);
        } else {
            self.normalize(&crop::center(image, self.image_size), out);
        }
    }

    /// `[height, width, 3]` bytes to `[3, height, width]` normalized floats.
    fn normalize(&self, view: &Image, out: &mut [f32]) {
        let plane = view.width * view.height;
        assert_eq!(out.len(), 3 * plane, "a view has three planes of its size");
        for (channel, (table, plane)) in self.normalized.iter().zip(out.chunks_exact_mut(plane)).enumerate() {
            for (value, pixel) in plane.iter_mut().zip(view.pixels.chunks_exact(3)) {
                *value = table[usize::from(pixel[channel])];
            }
        }
    }
}

/// Draws only if the answer is open, so that a step that is off leaves the stream as it is.
fn happens(chance: f64, rng: &mut ChaCha8Rng) -> bool {
    chance > 0.0 && rng.random_bool(chance)
}

#[cfg(test)]
pub(super) mod tests;
