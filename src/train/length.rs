//! How long training is, in batches, steps and epochs.

use anyhow::{Result, ensure};

use crate::experiment::choices::StoppedSchedule;
use crate::experiment::settings::{RepeatSettings, TrainSettings};

/// How many batches make a step, and how many of them an epoch.
///
/// A batch is one pass; a step is one update of the weights, after `gradient_accumulation` passes. With a number of
/// batches that is no multiple of `gradient_accumulation`, a step goes over the end of an epoch, and batches that fill no
/// step at the very end are not used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Length {
    /// Passes over the data.
    pub epochs: u64,
    /// Whole batches in one of them.
    pub batches_per_epoch: u64,
    /// Batches in a step.
    pub gradient_accumulation: u64,
    /// Where it ends.
    pub end: End,
}

/// Where a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// Fraction of its steps that is done.
    pub share: f64,
    /// Whether its schedules end there too, or are those of a run that is done in full.
    pub rescaled: bool,
}

impl End {
    /// The run is done in full.
    pub const FULL: End = End {
        share: 1.0,
        rescaled: false,
    };
}

impl Length {
    /// The length of a run on a training split of `images`.
    ///
    /// # Errors
    /// One sentence if the data does not fill a single step.
    pub fn new(train: &TrainSettings, images: usize) -> Result<Length> {
        let batches_per_epoch = (images / train.batch_size) as u64;
        ensure!(
            batches_per_epoch > 0,
            "train.batch_size = {} is larger than the data: it must be at most {images}, the number of training images",
            train.batch_size
        );
        Length::of(train, batches_per_epoch)
    }

    /// The length of a run whose epochs are `samples` images each, however few different ones there are.
    ///
    /// # Errors
    /// As [`Length::new`].
    pub fn repeated(train: &TrainSettings, samples: usize) -> Result<Length> {
        let batches_per_epoch = (samples / train.batch_size) as u64;
        ensure!(
            batches_per_epoch > 0,
            "train.batch_size = {} is larger than an epoch: it must be at most {samples}, the images of an epoch \
             (repeat.epoch_samples)",
            train.batch_size
        );
        Length::of(train, batches_per_epoch)
    }

    /// The same, ending where `repeat` says.
    pub fn ending(self, repeat: &RepeatSettings) -> Length {
        let end = End {
            share: repeat.stop,
            rescaled: repeat.schedule == StoppedSchedule::Rescaled,
        };
        Length { end, ..self }
    }

    fn of(train: &TrainSettings, batches_per_epoch: u64) -> Result<Length> {
        let gradient_accumulation = train.gradient_accumulation as u64;
        ensure!(
            gradient_accumulation <= batches_per_epoch,
            "train.gradient_accumulation = {gradient_accumulation} would never make a step: it must be at most {batches_per_epoch}, the batches of an epoch"
        );
        Ok(Length {
            epochs: train.epochs,
            batches_per_epoch,
            gradient_accumulation,
            end: End::FULL,
        })
    }

    /// Batches over which schedules stretch: those of the whole run, also where it ends before, unless they end with it.
    pub fn batches(&self) -> u64 {
        if self.end.rescaled {
            self.steps() * self.gradient_accumulation
        } else {
            self.epochs * self.batches_per_epoch
        }
    }

    /// Steps until the end, one at least of a run that has any.
    pub fn steps(&self) -> u64 {
        let full = self.full_steps();
        ((full as f64 * self.end.share).round() as u64).clamp(full.min(1), full)
    }

    fn full_steps(&self) -> u64 {
        self.epochs * self.batches_per_epoch / self.gradient_accumulation
    }

    /// Epochs behind the run after `step` steps, a fraction included.
    pub fn epoch(&self, step: u64) -> f64 {
        (step * self.gradient_accumulation) as f64 / self.batches_per_epoch as f64
    }

    /// The epoch at which the schedule stands after `step` steps.
    pub fn scheduled(&self, step: u64) -> f64 {
        let stretch = if self.end.rescaled {
            self.full_steps() as f64 / self.steps().max(1) as f64
        } else {
            1.0
        };
        self.epoch(step) * stretch
    }

    /// The number of epochs that step `step` (counted from 1) has completed, if it completed one.
    pub fn completed(&self, step: u64) -> Option<u64> {
        let whole = |step: u64| step * self.gradient_accumulation / self.batches_per_epoch;
        (step > 0 && whole(step) > whole(step - 1)).then(|| whole(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::choices::SameImageNegatives;

    #[test]
    fn steps_are_counted_over_the_ends_of_epochs() {
        let length = Length {
            epochs: 3,
            batches_per_epoch: 5,
            gradient_accumulation: 2,
            end: End::FULL,
        };
        assert_eq!((length.batches(), length.steps()), (15, 7));
        let completed: Vec<_> = (0..=7).map(|step| length.completed(step)).collect();
        assert_eq!(completed, [None, None, None, Some(1), None, Some(2), None, None]);
        assert_eq!(length.epoch(5), 2.0);
    }

    #[test]
    fn a_run_that_ends_early_keeps_its_schedule_or_squeezes_it() {
        let of = |share: f64, rescaled| Length {
            epochs: 100,
            batches_per_epoch: 7,
            gradient_accumulation: 1,
            end: End { share, rescaled },
        };
        let stopped = of(0.05, false);
        assert_eq!((stopped.steps(), stopped.batches()), (35, 700));
        assert_eq!((stopped.epoch(35), stopped.scheduled(35)), (5.0, 5.0));
        let squeezed = of(0.05, true);
        assert_eq!((squeezed.steps(), squeezed.batches()), (35, 35));
        assert_eq!((squeezed.epoch(35), squeezed.scheduled(35)), (5.0, 100.0));
        assert_eq!(squeezed.completed(7), Some(1), "an epoch is as many images as before");
        assert_eq!(of(1e-6, false).steps(), 1, "a run that has steps does one");
        assert_eq!(of(1.0, false).steps(), 700);
        let none = Length {
            epochs: 0,
            ..of(0.5, false)
        };
        assert_eq!((none.steps(), none.scheduled(0)), (0, 0.0));
    }

    #[test]
    fn an_epoch_of_few_images_is_as_long_as_asked_for_or_refused() {
        let mut train = crate::train::tests::settings();
        (train.batch_size, train.epochs) = (16, 2);
        let repeat = |stop| RepeatSettings {
            epoch_samples: 0,
            stop,
            schedule: StoppedSchedule::Stopped,
            mask_same_image_negatives: SameImageNegatives::Auto,
        };
        let whole = Length::repeated(&train, 100).unwrap();
        assert_eq!((whole.ending(&repeat(1.0)).steps(), whole.ending(&repeat(0.25)).steps()), (12, 3));
        assert!(
            Length::repeated(&train, 15)
                .unwrap_err()
                .to_string()
                .contains("repeat.epoch_samples")
        );
        train.gradient_accumulation = 7;
        assert!(Length::repeated(&train, 100).unwrap_err().to_string().contains("must be at most 6"));
    }

    #[test]
    fn data_that_fills_no_step_is_refused_with_what_is_allowed() {
        let mut train = crate::train::tests::settings();
        (train.batch_size, train.gradient_accumulation) = (16, 4);
        assert!(Length::new(&train, 15).unwrap_err().to_string().contains("must be at most 15"));
        assert!(
            Length::new(&train, 63)
                .unwrap_err()
                .to_string()
                .contains("must be at most 3, the batches of an epoch")
        );
        assert_eq!(Length::new(&train, 64).unwrap().steps(), train.epochs);
    }
}
