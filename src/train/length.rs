//! How long training is, in batches, steps and epochs.

use crate::experiment::settings::TrainSettings;

/// How many batches make a step, and how many of them an epoch.
///
/// A batch is one pass; a step is one update of the weights, after `accumulation` passes. With a number of
/// batches that is no multiple of `accumulation`, a step goes over the end of an epoch, and batches that fill no
/// step at the very end are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Passes over the data.
    pub epochs: u64,
    /// Whole batches in one of them.
    pub batches_per_epoch: u64,
    /// Batches in a step.
    pub accumulation: u64,
}

impl Length {
    /// The length of a run on a training split of `pictures`.
    ///
    /// # Errors
    /// One sentence if the data does not fill a single step.
    pub fn new(train: &TrainSettings, pictures: usize) -> Result<Length, String> {
        let batches_per_epoch = (pictures / train.batch_size) as u64;
        if batches_per_epoch == 0 {
            return Err(format!(
                "train.batch_size = {} is larger than the data: it must be at most {pictures}, the number of training pictures",
                train.batch_size
            ));
        }
        let accumulation = train.accumulation as u64;
        if accumulation > batches_per_epoch {
            return Err(format!(
                "train.accumulation = {accumulation} would never make a step: it must be at most {batches_per_epoch}, the batches of an epoch"
            ));
        }
        Ok(Length {
            epochs: train.epochs,
            batches_per_epoch,
            accumulation,
        })
    }

    /// Batches of the whole run.
    pub fn batches(&self) -> u64 {
        self.epochs * self.batches_per_epoch
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> u64 {
        self.batches() / self.accumulation
    }

    /// Epochs behind the run after `step` steps, a fraction included.
    pub fn epoch(&self, step: u64) -> f64 {
        (step * self.accumulation) as f64 / self.batches_per_epoch as f64
    }

    /// The number of epochs that step `step` (counted from 1) has completed, if it completed one.
    pub fn completed(&self, step: u64) -> Option<u64> {
        let whole = |step: u64| step * self.accumulation / self.batches_per_epoch;
        (step > 0 && whole(step) > whole(step - 1)).then(|| whole(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_over_the_ends_of_epochs() {
        let length = Length {
            epochs: 3,
            batches_per_epoch: 5,
            accumulation: 2,
        };
        assert_eq!((length.batches(), length.steps()), (15, 7));
        let completed: Vec<_> = (0..=7).map(|step| length.completed(step)).collect();
        assert_eq!(completed, [None, None, None, Some(1), None, Some(2), None, None]);
        assert_eq!(length.epoch(5), 2.0);
    }

    #[test]
    fn data_that_fills_no_step_is_refused_with_what_is_allowed() {
        let mut train = crate::train::tests::settings();
        (train.batch_size, train.accumulation) = (16, 4);
        assert!(Length::new(&train, 15).unwrap_err().contains("must be at most 15"));
        assert!(
            Length::new(&train, 63)
                .unwrap_err()
                .contains("must be at most 3, the batches of an epoch")
        );
        assert_eq!(Length::new(&train, 64).unwrap().steps(), train.epochs);
    }
}
