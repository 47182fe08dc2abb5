//! What a method sees of each image, as plain data: the list of its views and how each is made.

use super::settings::AugmentSettings;

/// One view of every image.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewPlan {
    /// How the image is varied.
    pub augment: AugmentSettings,
    /// Side of the square view, in pixels.
    pub side: usize,
    /// The view whose crop, flip and RandAugment this one shares, as drawn and as set there; none draws its own.
    pub geometry_of: Option<usize>,
}

impl ViewPlan {
    /// A view with a crop, a flip and a RandAugment of its own.
    pub fn new(augment: AugmentSettings, side: usize) -> ViewPlan {
        let geometry_of = None;
        ViewPlan {
            augment,
            side,
            geometry_of,
        }
    }

    /// The same view of this one, which is the first, with its colors as they were and nothing erased: for what is to be
    /// predicted. RandAugment warps as well as it colors, so that it stays.
    pub fn without_colors(&self) -> ViewPlan {
        let plain = AugmentSettings {
            color_jitter: 0.0,
            grayscale: 0.0,
            blur: 0.0,
            solarize: 0.0,
            random_erasing: 0.0,
            ..self.augment.clone()
        };
        ViewPlan {
            augment: plain,
            geometry_of: Some(0),
            ..self.clone()
        }
    }
}
