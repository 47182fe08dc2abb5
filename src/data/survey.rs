//! What a source has, found out without decoding an image: before a run is launched on it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::fingerprint::fingerprint;
use super::layout::Layout;
use super::passed::PassedOver;
use super::source::{Item, Listing, Pools};
use super::{builtin, locate};
use crate::experiment::absolute;
use crate::experiment::settings::DataSettings;

/// What a source has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The source, as an absolute path.
    pub source: String,
    /// The column of the labels, where one was named.
    pub label_column: String,
    /// What stands in the key of a run that reads these images.
    pub fingerprint: String,
    /// How the source is laid out.
    pub layout: Layout,
    /// Whether the images have labels.
    pub labeled: bool,
    /// Class names, in the order of their labels.
    pub classes: Vec<String>,
    /// How many images there are.
    pub counts: Counts,
    /// Bytes of all images as they stand in the source.
    pub bytes: u64,
    /// Validation images that are training images, too; of an undivided source, images that are there twice.
    pub duplicates: usize,
    /// Files that are not read.
    pub passed: PassedOver,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

/// Images of each class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// The source says which images are for what.
    Divided {
        /// Training images.
        train: Vec<usize>,
        /// Validation images.
        val: Vec<usize>,
    },
    /// One pool, of which a share becomes the validation split.
    Whole(Vec<usize>),
}

impl Survey {
    /// What the images have that Umbra makes itself.
    pub fn built_in() -> Survey {
        let classes = builtin::classes();
        let [train, val] = builtin::DEFAULT.map(|count| vec![count / classes.len(); classes.len()]);
        Survey {
            source: "builtin".to_owned(),
            label_column: String::new(),
            fingerprint: String::new(),
            layout: Layout::BuiltIn,
            labeled: true,
            classes,
            counts: Counts::Divided { train, val },
            bytes: 0,
            duplicates: 0,
            passed: PassedOver::default(),
            warnings: Vec::new(),
        }
    }

    /// How many images of each class are for training and for validation; of an undivided source, how many there are.
    pub fn per_class(&self) -> impl Iterator<Item = (&str, usize, Option<[usize; 2]>)> {
        self.classes.iter().enumerate().map(|(label, class)| match &self.counts {
            Counts::Divided { train, val } => (class.as_str(), train[label] + val[label], Some([train[label], val[label]])),
            Counts::Whole(of) => (class.as_str(), of[label], None),
        })
    }
}

impl Counts {
    /// How many images are for training and for validation.
    pub fn splits(&self, val_fraction: f64) -> [usize; 2] {
        match self {
            Counts::Divided { train, val } => [train.iter().sum(), val.iter().sum()],
            Counts::Whole(of) => {
                let all: usize = of.iter().sum();
                // As `sampling::divide` does it; a single image cannot be divided.
                let val = ((all as f64 * val_fraction).round() as usize).clamp(1, all.saturating_sub(1).max(1));
                [all.saturating_sub(val), val]
            }
        }
    }
}

/// Finds out what `settings.source` has. What is kept of it goes into `cache_dir`; while files are read, `report(done, total)` is
/// called now and then.
///
/// # Errors
/// One sentence naming the path at fault: a source that is missing, empty, truncated or of no known layout.
pub fn survey(settings: &DataSettings, cache_dir: &Path, report: &mut dyn FnMut(usize, usize)) -> anyhow::Result<Survey> {
    if settings.source == "builtin" {
        return Ok(Survey::built_in());
    }
    let listing = locate::locate(settings, cache_dir)?;
    let print = fingerprint(&listing, cache_dir, report)?;
    let mut warnings = listing.warnings.clone();
    warnings.extend(duplicates(&listing, print.duplicates, print.duplicate.as_deref()));
    Ok(Survey {
        source: absolute(&settings.source),
        label_column: settings.label_column.clone(),
        fingerprint: print.digits,
        layout: listing.layout,
        labeled: listing.is_labeled(),
        counts: counts(&listing),
        classes: listing.classes,
        bytes: print.bytes,
        duplicates: print.duplicates,
        passed: listing.passed,
        warnings,
    })
}

/// A sentence about images that are there twice, if any are.
pub(super) fn duplicates(listing: &Listing, count: usize, first: Option<&str>) -> Option<String> {
    let first = first?;
    Some(match listing.pools {
        Pools::Divided { .. } => format!("{count} validation images are training images, too, by their content, such as `{first}`"),
        Pools::Whole(_) => {
            format!(
                "{count} images are there more than once by their content, such as `{first}`: one copy may be trained on and another validated on"
            )
        }
    })
}

fn counts(listing: &Listing) -> Counts {
    let of = |items: &[Item]| {
        let mut counts = vec![0; listing.classes.len()];
        items.iter().for_each(|item| counts[item.label as usize] += 1);
        counts
    };
    match &listing.pools {
        Pools::Divided { train, val } => Counts::Divided {
            train: of(train),
            val: of(val),
        },
        Pools::Whole(items) => Counts::Whole(of(items)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pool_is_counted_as_it_will_be_divided() {
        for (all, share, splits) in [(10, 0.2, [8, 2]), (3, 0.1, [2, 1]), (2, 0.9, [1, 1]), (1, 0.2, [0, 1])] {
            assert_eq!(Counts::Whole(vec![all]).splits(share), splits);
        }
    }
}
