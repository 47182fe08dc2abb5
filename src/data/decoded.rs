//! What the caches say of images that were decoded before, without opening them as a run does.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cache::{self, Contents};
use super::{Dataset, Sizes, prepare};
use crate::experiment::settings::DataSettings;

/// Images as some settings read them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decoded {
    /// The image size that they were made ready for, in pixels.
    pub image_size: usize,
    /// Training images.
    pub train: usize,
    /// Validation images.
    pub val: usize,
    /// Sizes of the images in the source.
    pub sizes: Sizes,
    /// Width and height in the cache; none if images are decoded on demand.
    pub kept: Option<[usize; 2]>,
    /// Mean of red, green and blue over the training images, from 0 to 1.
    pub mean: [f32; 3],
    /// Their standard deviation.
    pub std: [f32; 3],
    /// Bytes of the cache file; 0 without one.
    pub cache_bytes: u64,
}

impl Decoded {
    /// What is known of a data set that is open.
    pub fn of(dataset: &Dataset, settings: &DataSettings, cache_dir: &Path) -> Decoded {
        Decoded {
            image_size: settings.image_size,
            train: dataset.train.len(),
            val: dataset.val.len(),
            sizes: dataset.sizes,
            kept: dataset.train.kept_size(),
            mean: dataset.mean,
            std: dataset.std,
            cache_bytes: cache_size(settings, &dataset.fingerprint, cache_dir),
        }
    }
}

/// What is known of the images of that fingerprint as these settings read them, if their cache is there.
pub fn decoded(settings: &DataSettings, fingerprint: &str, cache_dir: &Path) -> Option<Decoded> {
    let (description, cache_bytes) = cache::describe(&path_of(settings, fingerprint, cache_dir))?;
    Some(Decoded {
        image_size: settings.image_size,
        train: description.train.len(),
        val: description.val.len(),
        sizes: description.sizes,
        kept: match description.contents {
            Contents::Images { width, height } => Some([width, height]),
            Contents::Places { .. } => None,
        },
        mean: description.mean,
        std: description.std,
        cache_bytes,
    })
}

/// Bytes of the cache of these images as these settings read them; 0 if there is none.
pub fn cache_size(settings: &DataSettings, fingerprint: &str, cache_dir: &Path) -> u64 {
    path_of(settings, fingerprint, cache_dir).metadata().map_or(0, |file| file.len())
}

fn path_of(settings: &DataSettings, fingerprint: &str, cache_dir: &Path) -> PathBuf {
    cache_dir.join(cache::file_name(&prepare::key(fingerprint, settings, prepare::SMALL)))
}
