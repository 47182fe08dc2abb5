//! Many images as points on a plane: what is asked and answered for the embedding of a run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::experiment::RunId;

/// Which map is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The run whose encoder makes the features, of its own validation images.
    pub run: RunId,
    /// When its model was written, in nanoseconds since 1970.
    pub written: u64,
    /// What of the encoder's output.
    pub feature: Feature,
    /// How features become points.
    pub way: Way,
}

/// What stands for an image, after the final norm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// The mean of its patches.
    #[default]
    MeanPatch,
    /// The class token.
    Cls,
}

/// How many dimensions become two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The two directions in which features vary most.
    #[default]
    Pca,
    /// t-SNE (van der Maaten and Hinton, JMLR 9, 2008), from the principal components on.
    Tsne,
}

macro_rules! named {
    ($of:ty, $($value:path = $name:literal),+) => {
        impl $of {
            /// The name in addresses.
            pub fn name(self) -> &'static str {
                match self { $($value => $name),+ }
            }
        }

        impl fmt::Display for $of {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $of {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($name => Ok($value),)+
                    _ => Err(format!("{} is not allowed: it must be one of {}", text, [$($name),+].join(", "))),
                }
            }
        }
    };
}

named!(Feature, Feature::MeanPatch = "mean_patch", Feature::Cls = "cls");
named!(Way, Way::Pca = "pca", Way::Tsne = "tsne");

/// The map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// Some validation images, spread evenly over the split.
    pub points: Vec<Point>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Images in the split.
    pub images: usize,
    /// Share of the features' variance along each axis, for [`Way::Pca`].
    pub explained: Option<[f64; 2]>,
    /// Milliseconds that the work took.
    pub milliseconds: f64,
}

/// One image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its place in the validation split.
    pub index: usize,
    /// Its class, a place in [`Map::classes`].
    pub label: usize,
    /// To the right; axes have one scale and no unit.
    pub x: f64,
    /// Up.
    pub y: f64,
}
