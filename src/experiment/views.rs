//! What a method sees of each picture, as plain data: the list of its views and how each is made.

use super::settings::AugmentSettings;

/// One view of every picture.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewPlan {
    /// How the picture is varied.
    pub augment: AugmentSettings,
    /// Side of the square view, in pixels.
    pub side: usize,
    /// The view whose crop and flip this one shares, as drawn and as set there; none draws its own.
    pub geometry_of: Option<usize>,
}

impl ViewPlan {
    /// A view with a crop and a flip of its own.
    pub fn new(augment: AugmentSettings, side: usize) -> ViewPlan {
        let geometry_of = None;
        ViewPlan {
            augment,
            side,
            geometry_of,
        }
    }
}
