//! What the playground asks about a model and an image, and what it is answered, as plain data.
//!
//! The server asks, `umbra inspect-server` answers, each message a [`frame`]. Neither knows how the other works: the server never
//! loads a model, and whoever loads them never hears of HTTP.

pub mod frame;
mod map;
mod patches;
mod png;

use serde::{Deserialize, Serialize};

use crate::experiment::RunId;
use crate::experiment::choices::PatchStatistics;

pub use map::{Feature, Map, Mapping, Point, Way};
pub use patches::Patches;
pub use png::Png;

/// Largest file of an image that somebody may hand in, in bytes.
pub const LARGEST_FILE: usize = 8 << 20;
/// Most pixels that such an image may have.
pub const MOST_PIXELS: u64 = 40_000_000;

/// Anything that `umbra inspect-server` can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// What a model makes of an image.
    Look(Question),
    /// Validation images as points on a plane.
    Map(Mapping),
    /// A validation image of a run, as its models see it.
    Image {
        /// The run.
        of: RunId,
        /// Its place in the split.
        index: usize,
    },
}

/// What a model is to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The run whose model looks.
    pub run: RunId,
    /// When its model was written, in nanoseconds since 1970: a run that restarted has another model.
    pub written: u64,
    /// The image.
    pub image: Chosen,
    /// What is hidden from the model.
    pub mask: Mask,
    /// How predictions of normalized pixels become pixels, as `psnr.denorm`.
    pub denorm: PatchStatistics,
}

/// Which image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// One of the validation split of a run, which may be another than the one that looks.
    Validation {
        /// The run whose images they are.
        of: RunId,
        /// Its place in the split.
        index: usize,
    },
    /// A file whose bytes follow the question.
    Given {
        /// A hash of those bytes.
        hash: String,
    },
}

/// What is hidden, on a grid of patches. A model with another grid has hidden what covers the middles of its patches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mask {
    /// Patches along one side.
    pub grid: usize,
    /// Which of them.
    pub hidden: Hidden,
}

/// Which patches are masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// As many as a ratio says, drawn as the stage `psnr` draws them for the image's number.
    Drawn {
        /// Share hidden.
        ratio: f64,
        /// Seed of the draw.
        seed: u64,
    },
    /// Exactly these.
    Given(Patches),
}

/// What a model made of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Patches along one side of the model's image.
    pub grid: usize,
    /// What was hidden, on that grid.
    pub hidden: Patches,
    /// The class of a validation image.
    pub class: Option<String>,
    /// Images in the validation split, where the image is one of them.
    pub images: Option<usize>,
    /// The image as the model sees it, and that with gray in the place of masked patches.
    pub original: Png,
    /// The same, masked patches gray.
    pub masked: Png,
    /// What it predicts, if its method predicts pixels.
    pub reconstruction: Option<Reconstruction>,
    /// What the class token attends to, `[block][head]`.
    pub attention: Vec<Vec<Head>>,
    /// How alike the visible patches are to themselves in the full image, block by block; undefined for too few.
    pub cka: Vec<Option<f64>>,
    /// Milliseconds that the work took, with the reading of model and image if they were not at hand.
    pub milliseconds: f64,
}

/// One head of one block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The image in gray under a heat of attention; brightest is the most attended patch of this head.
    pub map: Png,
    /// The share of the attention that stays on the class token itself.
    pub itself: f64,
    /// The largest share of a single patch.
    pub largest: f64,
}

/// Predicted pixels and how good they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reconstruction {
    /// The prediction everywhere.
    pub prediction: Png,
    /// The prediction in masked patches, the image in the others.
    pub composite: Png,
    /// The error of the composite, pixel by pixel.
    pub error: Png,
    /// Whether the model predicts patches normalized by their own mean and deviation, so that [`Question::denorm`] matters.
    pub normalized: bool,
    /// Where nothing is hidden there is nothing to score.
    pub scores: Option<Scores>,
}

/// Peak signal-to-noise ratios, in decibels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Of the model.
    pub model: Decibels,
    /// Of a model that predicts zero: under the statistics of the true patch, every patch's mean.
    pub zero: Decibels,
    /// Of the mean color of the visible patches.
    pub visible_mean: Decibels,
}

/// A ratio over two regions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decibels {
    /// Over masked patches alone.
    pub masked: f64,
    /// Over the full image, where visible patches are exact.
    pub composite: f64,
}

/// What `umbra inspect-server` says to a request: news while it works, then one last word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// What it is doing.
    Working(String),
    /// What a model made of an image.
    Answer(Box<Answer>),
    /// The map.
    Map(Box<Map>),
    /// The image.
    Image(Png),
    /// Why there is none, in one sentence.
    Refused(String),
}
