//! Labeled images: where they come from, how they are kept, how one is got.
//!
//! [`open`] finds out what a source is, lists it, and hands out two splits. Small images are decoded
//! once into a cache file that every worker maps; large ones are decoded whenever they are asked for.

pub mod augment;
mod bench;
mod builtin;
mod cache;
mod clean;
mod colors;
mod decode;
mod decoded;
pub mod fingerprint;
mod guard;
mod headers;
mod jpeg;
mod layout;
mod layouts;
pub mod loader;
mod locate;
mod loose;
pub mod mix;
mod passed;
mod prepare;
mod resizer;
mod sampling;
mod shapes;
mod sheet;
mod source;
mod split;
mod stamp;
pub mod subset;
mod survey;
mod tree;

use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::experiment::RunSpec;
use crate::experiment::settings::DataSettings;

pub use bench::{LoaderReport, bench};
pub use clean::{Cleaned, clean};
pub use decode::decode_given;
pub use decoded::{Decoded, cache_size, decoded};
pub use layout::Layout;
pub use loose::Loose;
pub use passed::{Passed, PassedOver, Reason};
pub use sheet::{kept_sheet, page_sheet, write_sheet};
pub use split::Split;
pub use stamp::hex;
pub use survey::{Counts, Survey, survey};

/// One decoded image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Columns, in pixels.
    pub width: usize,
    /// Rows, in pixels.
    pub height: usize,
    /// Red, green, blue from 0 to 255: [height, width, 3].
    pub pixels: Vec<u8>,
}

/// Which half of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitName {
    /// Training images.
    Train,
    /// Validation images.
    Val,
}

impl SplitName {
    /// The name in paths, settings and sentences.
    pub fn as_str(self) -> &'static str {
        match self {
            SplitName::Train => "train",
            SplitName::Val => "val",
        }
    }
}

/// What the images were before anything was resized, as far as they were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Images looked at: all of a cached set, a sample of a large one.
    pub seen: usize,
    /// Smallest width and smallest height, in pixels.
    pub min: [usize; 2],
    /// Largest width and largest height, in pixels.
    pub max: [usize; 2],
    /// Images that are stored turned, with a note of their camera; they are turned back.
    pub turned: usize,
}

impl Sizes {
    /// Takes one more image of `width` x `height` pixels into account.
    fn see(&mut self, [width, height]: [usize; 2], turned: bool) {
        self.turned += usize::from(turned);
        let first = self.seen == 0;
        for (axis, side) in [width, height].into_iter().enumerate() {
            self.min[axis] = if first { side } else { self.min[axis].min(side) };
            self.max[axis] = self.max[axis].max(side);
        }
        self.seen += 1;
    }
}

/// A data set, opened.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The source it was opened from.
    pub name: String,
    /// What the images are by their contents, as [`Survey::fingerprint`]; empty for those that Umbra makes itself.
    pub fingerprint: String,
    /// How the source is laid out.
    pub layout: Layout,
    /// Whether the images have labels; without, all are of one class.
    pub labeled: bool,
    /// Name of every class; a label is a place in this list.
    pub classes: Vec<String>,
    /// Training images.
    pub train: Split,
    /// Validation images.
    pub val: Split,
    /// Mean of red, green and blue over the pixels of `train`, from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue over the pixels of `train`, from 0 to 1.
    pub std: [f32; 3],
    /// Sizes of the images in the source.
    pub sizes: Sizes,
    /// What a user should know: skipped images with their paths, classes without images.
    pub warnings: Vec<String>,
}

impl Dataset {
    /// Refuses a run whose images these are not, though they lie where its images lay.
    ///
    /// # Errors
    /// Another fingerprint than the run's record has.
    pub fn check_for(&self, run: &RunSpec) -> anyhow::Result<()> {
        match run.inputs.get("data", "source") {
            Some(then) if then != self.fingerprint => bail!(
                "the images at `{}` are not those that this run was launched on (fingerprint {then}, now {}): put them back, or launch \
                 it again, which makes a run of its own",
                self.name,
                self.fingerprint
            ),
            _ => Ok(()),
        }
    }

    /// The split of that name.
    pub fn split(&self, name: SplitName) -> &Split {
        match name {
            SplitName::Train => &self.train,
            SplitName::Val => &self.val,
        }
    }
}

/// Opens the images that `settings` name, decoding small ones once into a cache file in `cache_dir`.
///
/// While images are decoded, `report(done, total)` is called now and then.
///
/// # Errors
/// One sentence naming the path or the setting at fault: a source that is missing, empty, truncated or of no known
/// layout, too many unreadable images, fewer images than asked for, or a cache that cannot be written.
pub fn open(settings: &DataSettings, cache_dir: &Path, report: &mut dyn FnMut(usize, usize)) -> anyhow::Result<Dataset> {
    open_as(settings, Keep::Small, cache_dir, report)
}

/// Which images are kept decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Those of data sets that are small when decoded.
    Small,
    /// None: each is decoded whenever it is wanted, as in a large data set.
    Nothing,
}

/// As [`open`], which keeps what is small; the built-in images are always in memory.
fn open_as(settings: &DataSettings, keep: Keep, cache_dir: &Path, report: &mut dyn FnMut(usize, usize)) -> anyhow::Result<Dataset> {
    if settings.source == "builtin" {
        return builtin::open(settings);
    }
    let listing = locate::locate(settings, cache_dir)?;
    let small = match keep {
        Keep::Small => prepare::SMALL,
        Keep::Nothing => 0,
    };
    prepare::open(listing, settings, small, cache_dir, report)
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;

#[cfg(test)]
mod downloads_tests;

#[cfg(test)]
#[path = "mutated_tests.rs"]
mod mutated;
