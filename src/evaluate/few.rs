//! What pretraining on few pictures adds: which it sees, how often, and what that means for a loss.

use anyhow::{Error, Result, ensure};

use super::{Work, chosen};
use crate::data::{Dataset, Split};
use crate::experiment::settings::{RepeatSettings, TrainSettings};
use crate::methods::{Method, Rivals, masks_copies};
use crate::train::length::Length;

/// The pictures that pretraining sees, and how long.
pub struct Seen {
    /// The pictures, all of the training split or some.
    pub pictures: Split,
    /// How long.
    pub length: Length,
    /// Whether an epoch is anything but one pass over the pictures.
    repeats: bool,
    /// Pictures in a batch.
    batch_size: usize,
}

impl Seen {
    /// As the run's settings say.
    ///
    /// # Errors
    /// A choice that cannot be made, or an epoch that fills no step.
    pub fn of(work: &mut Work, dataset: &Dataset, train: &TrainSettings) -> Result<Seen> {
        let (few, repeat): (_, RepeatSettings) = (chosen::few(work, dataset)?, work.section("repeat")?);
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
            pictures: few.unwrap_or_else(|| dataset.train.clone()),
            length: length.map_err(Error::msg)?.ending(&repeat),
            repeats,
            batch_size: train.batch_size,
        })
    }

    /// What the loader is to know, [`crate::data::loader::LoaderPlan::repeated`].
    pub fn repeated(&self) -> Option<u64> {
        self.repeats.then_some(self.length.batches_per_epoch)
    }

    /// Reports how many pictures there were, of how many classes, and how often one was seen in all, unless the run was one
    /// of whole passes over everything.
    pub fn report(&self, work: &mut Work) -> Result<()> {
        if !self.repeats && self.length.end.share == 1.0 {
            return Ok(());
        }
        let seen = self.length.steps() * self.length.accumulation * self.batch_size as u64;
        for (name, count) in [
            ("few.pictures", self.pictures.len() as u64),
            ("few.classes", chosen::classes(&self.pictures) as u64),
            ("few.pictures_seen", seen),
        ] {
            work.session.reporter.summary(name, count as f64)?;
        }
        Ok(())
    }

    /// Says what it means that a batch holds a picture more than once, where it means something.
    ///
    /// # Errors
    /// A loss without a single negative.
    pub fn warn_of_copies<M: Method>(&self, work: &mut Work, model: &M) -> Result<()> {
        let (pictures, batch_size) = (self.pictures.len(), self.batch_size);
        if pictures >= batch_size {
            return Ok(());
        }
        let copies = batch_size.div_ceil(pictures);
        let often = format!("{pictures} pictures fill batches of {batch_size}, each up to {copies} times");
        if model.rivals() != Rivals::None {
            let masked = masks_copies(work.run).map_err(Error::msg)?;
            ensure!(
                pictures > 1 || !masked || model.rivals() == Rivals::PicturesAndOwnTokens,
                "{often}: without other views of the same picture the loss has no negatives; \
                 set repeat.mask_same_image_negatives to off, or few.images to at least 2"
            );
            let what = if masked {
                "as negatives of each other they are left out"
            } else {
                "they are negatives of each other, which the loss then pushes apart"
            };
            let message = format!("{often}; {what} (repeat.mask_same_image_negatives)");
            work.session.reporter.warning(message)?;
        }
        if model.normalises_batch() {
            let message = format!("{often}; the batch norms of the heads then take mean and deviation of near-duplicates");
            work.session.reporter.warning(message)?;
        }
        Ok(())
    }
}
