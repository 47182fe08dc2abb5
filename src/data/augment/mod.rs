//! How a picture is varied before the model sees it, and how it becomes numbers.
//!
//! The steps, their order and their random distributions are those of timm's training transform:
//! crop, flip, RandAugment or colours, conversion to normalised floats, erasing. All of it is drawn from
//! the generator of the picture (`rng::stream(seed, Augment, ..)`), so a view depends on nothing else.

mod blur;
mod colour;
mod crop;
mod erase;
mod geometry;
mod rand_augment;
mod tone;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

pub use self::colour::Jitter;
pub use self::crop::Crop;
use super::Picture;
use crate::experiment::settings::AugmentSettings;

/// Standard deviations of the blur, in pixels of the view (SimSiam).
const BLUR_SIGMA: std::ops::RangeInclusive<f32> = 0.1..=2.0;
/// Levels from here on are inverted when solarising (BYOL).
const SOLARISE_FROM: u16 = 128;

/// What may happen to one view. Every step but the crop has a chance in `[0, 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Which part of the picture is seen.
    pub crop: Crop,
    /// Chance of a left-right flip.
    pub flip: f64,
    /// Magnitude of RandAugment, 0 to 10; 0 is off.
    pub rand_augment: f64,
    /// Chance of colour jitter.
    pub jitter: f64,
    /// How far the jitter goes.
    pub strength: Jitter,
    /// Chance of turning grey.
    pub grey: f64,
    /// Chance of a Gaussian blur.
    pub blur: f64,
    /// Chance of solarising.
    pub solarise: f64,
    /// Chance of erasing a rectangle.
    pub erase: f64,
}

impl From<&AugmentSettings> for Recipe {
    fn from(settings: &AugmentSettings) -> Recipe {
        Recipe {
            crop: match settings.crop.as_str() {
                "resized" => Crop::Resized {
                    min_area: settings.crop_min,
                },
                "pad" => Crop::Padded,
                _ => Crop::Centre,
            },
            flip: settings.flip,
            rand_augment: settings.rand_augment,
            jitter: settings.jitter,
            strength: Jitter::SIMSIAM,
            grey: settings.grey,
            blur: settings.blur,
            solarise: settings.solarise,
            erase: settings.erase,
        }
    }
}

/// Makes the views of pictures.
#[derive(Clone, Debug)]
pub struct Augment {
    recipes: Vec<Recipe>,
    image_size: usize,
    /// What a warped picture shows beyond its border: the mean colour of the data.
    fill: [u8; 3],
    /// The normalised value of each level of each channel.
    normalised: Vec<[f32; 256]>,
}

impl Augment {
    /// The same recipe for every view. `mean` and `std` are those of the training pictures in `[0, 1]`.
    pub fn new(settings: &AugmentSettings, image_size: usize, mean: [f32; 3], std: [f32; 3]) -> Augment {
        Augment::with_recipes(vec![Recipe::from(settings)], image_size, mean, std)
    }

    /// A recipe for each view; a view past the last recipe begins again with the first.
    ///
    /// # Panics
    /// When there is no recipe.
    pub fn with_recipes(recipes: Vec<Recipe>, image_size: usize, mean: [f32; 3], std: [f32; 3]) -> Augment {
        assert!(!recipes.is_empty(), "an augmentation needs a recipe");
        let table = |c: usize| std::array::from_fn(|level| (level as f32 / 255.0 - mean[c]) / std[c]);
        Augment {
            recipes,
            image_size,
            fill: mean.map(|m| (m * 255.0).round() as u8),
            normalised: (0..3).map(table).collect(),
        }
    }

    /// Side of the square views, in pixels.
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// Writes view number `nth` of a picture into `out`, `[3, image_size, image_size]`, normalised.
    ///
    /// # Panics
    /// When `out` has another length.
    pub fn view(&self, nth: usize, picture: &Picture, rng: &mut ChaCha8Rng, out: &mut [f32]) {
        let recipe = &self.recipes[nth % self.recipes.len()];
        let mut view = recipe.crop.cut(picture, self.image_size, rng);
        if happens(recipe.flip, rng) {
            geometry::flip(&mut view);
        }
        if recipe.rand_augment > 0.0 {
            rand_augment::rand_augment(&mut view, recipe.rand_augment, self.fill, rng);
        }
        if happens(recipe.jitter, rng) {
            colour::jitter(&mut view, &recipe.strength, rng);
        }
        if happens(recipe.grey, rng) {
            colour::grey(&mut view);
        }
        if happens(recipe.blur, rng) {
            blur::gaussian(&mut view, rng.random_range(BLUR_SIGMA));
        }
        if happens(recipe.solarise, rng) {
            tone::solarise(&mut view, SOLARISE_FROM);
        }
        self.normalise(&view, out);
        if happens(recipe.erase, rng) {
            erase::erase(out, self.image_size, rng);
        }
    }

    /// Writes a picture as evaluation sees it into `out`, `[3, image_size, image_size]`, normalised: as it is
    /// if it has the model's size, else its short side resized to 256/224 of that and the centre cut out.
    ///
    /// # Panics
    /// When `out` has another length.
    pub fn plain(&self, picture: &Picture, out: &mut [f32]) {
        if picture.width == self.image_size && picture.height == self.image_size {
            self.normalise(picture, out);
        } else {
            self.normalise(&crop::centre(picture, self.image_size), out);
        }
    }

    /// `[height, width, 3]` bytes to `[3, height, width]` normalised floats.
    fn normalise(&self, view: &Picture, out: &mut [f32]) {
        let plane = self.image_size * self.image_size;
        assert_eq!(out.len(), 3 * plane, "a view has three planes of image_size x image_size");
        for (channel, (table, plane)) in self.normalised.iter().zip(out.chunks_exact_mut(plane)).enumerate() {
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
