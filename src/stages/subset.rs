//! What pretraining on few images adds: which it sees, how often, and what that means for a loss.

use anyhow::{Error, Result, ensure};

use crate::data::{Dataset, Split};
use crate::experiment::measure;
use crate::experiment::settings::{RepeatSettings, TrainSettings};
use crate::methods::{BatchNegatives, Method, masks_duplicates};
use crate::stages::{Work, image_list};
use crate::train::length::Length;

/// The images that pretraining sees, and how long.
pub struct Seen {
    /// The images, all of the training split or some.
    pub images: Split,
    /// How long.
    pub length: Length,
    /// Whether an epoch is anything but one pass over the images.
    repeats: bool,
    /// Images in a batch.
    batch_size: usize,
}

impl Seen {
    /// As the run's settings say.
    ///
    /// # Errors
    /// A choice that cannot be made, or an epoch that fills no step.
    pub fn of(work: &mut Work, dataset: &Dataset, train: &TrainSettings) -> Result<Seen> {
        let (few, repeat): (_, RepeatSettings) = (image_list::subset(work, dataset)?, work.section("repeat")?);
        let repeats = few.is_some() || repeat.epoch_samples > 0;
        let samples = match repeat.epoch_samples {
            0 => dataset.train.len(),
            samples => samples,
        };
        let length = if repeats {
            Length::repeated(train, samples)
        } else {
            Length::new(train, samples)
        };
        Ok(Seen {
            images: few.unwrap_or_else(|| dataset.train.clone()),
            length: length.map_err(Error::msg)?.ending(&repeat),
            repeats,
            batch_size: train.batch_size,
        })
    }

    /// What the loader is to know, [`crate::data::loader::LoaderPlan::repeated`].
    pub fn repeated(&self) -> Option<u64> {
        self.repeats.then_some(self.length.batches_per_epoch)
    }

    /// Reports how many images there were, of how many classes, and how often one was seen in all, unless the run was one
    /// of whole passes over everything.
    pub fn report(&self, work: &mut Work) -> Result<()> {
        if !self.repeats && self.length.end.share == 1.0 {
            return Ok(());
        }
        let seen = self.length.steps() * self.length.gradient_accumulation * self.batch_size as u64;
        for (measure, count) in [
            (measure::SUBSET_IMAGES, self.images.len() as u64),
            (measure::SUBSET_CLASSES, image_list::classes(&self.images) as u64),
            (measure::SUBSET_IMAGES_SEEN, seen),
        ] {
            work.session.reporter.summary(&measure, count as f64)?;
        }
        Ok(())
    }

    /// Says what it means that a batch holds an image more than once, where it means something.
    ///
    /// # Errors
    /// A loss without a single negative.
    pub fn warn_of_copies<M: Method>(&self, work: &mut Work, model: &M) -> Result<()> {
        let (images, batch_size) = (self.images.len(), self.batch_size);
        if images >= batch_size {
            return Ok(());
        }
        let copies = batch_size.div_ceil(images);
        let often = format!("{images} images fill batches of {batch_size}, each up to {copies} times");
        if model.negatives() != BatchNegatives::None {
            let masked = masks_duplicates(work.run).map_err(Error::msg)?;
            ensure!(
                images > 1 || !masked || model.negatives() == BatchNegatives::ImagesAndOwnTokens,
                "{often}: without other views of the same image the loss has no negatives; \
                 set repeat.mask_same_image_negatives to off, or subset.images to at least 2"
            );
            let what = if masked {
                "as negatives of each other they are left out"
            } else {
                "they are negatives of each other, which the loss then pushes apart"
            };
            let message = format!("{often}; {what} (repeat.mask_same_image_negatives)");
            work.session.reporter.warning(message)?;
        }
        if model.normalizes_batch() {
            let message = format!("{often}; the batch norms of the heads then take mean and deviation of near-duplicates");
            work.session.reporter.warning(message)?;
        }
        Ok(())
    }
}
