//! The learning rate as a pure function of how far training is (MAE: linear warm-up, then half a cosine).

use std::f64::consts::PI;

use crate::experiment::renamed::growth_of;
use crate::experiment::settings::TrainSettings;

/// How fast one step moves the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The learning rate.
    pub lr: f64,
    /// That of the parameters that keep theirs.
    pub peak: f64,
    /// Factor on the weight decay.
    pub decay: f64,
}

impl Rates {
    /// One learning rate for all, and the weight decay as it is set.
    pub fn constant(lr: f64) -> Rates {
        Rates { lr, peak: lr, decay: 1.0 }
    }
}

/// Learning rate and weight decay over the epochs of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    peak: f64,
    min: f64,
    warmup_epochs: f64,
    epochs: f64,
    decay_growth: f64,
}

impl Schedule {
    /// The schedule of a run; the peak follows the linear scaling rule: `base_lr * images a step / 256`.
    pub fn new(train: &TrainSettings) -> Self {
        let images = (train.batch_size * train.gradient_accumulation) as f64;
        Schedule {
            peak: train.base_lr * images / 256.0,
            min: train.min_lr,
            warmup_epochs: train.warmup_epochs,
            epochs: train.epochs as f64,
            decay_growth: growth_of(train.weight_decay_end, train.weight_decay),
        }
    }

    /// Everything at `epoch`.
    pub fn rates(&self, epoch: f64) -> Rates {
        let progress = (epoch / self.epochs.max(f64::MIN_POSITIVE)).min(1.0);
        Rates {
            lr: self.rate(epoch),
            peak: self.peak,
            // DINO: half a cosine over the whole run, without a warm-up.
            decay: 1.0 + (self.decay_growth - 1.0) * 0.5 * (1.0 - (PI * progress).cos()),
        }
    }

    /// The learning rate at `epoch`, a fraction within the epoch included. The first step of a warm-up
    /// has the rate 0, as in MAE.
    pub fn rate(&self, epoch: f64) -> f64 {
        if epoch < self.warmup_epochs {
            return self.peak * epoch / self.warmup_epochs;
        }
        // A warm-up as long as the run leaves no room for the cosine.
        let progress = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs).max(f64::MIN_POSITIVE);
        self.min + (self.peak - self.min) * 0.5 * (1.0 + (PI * progress.min(1.0)).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule = Schedule {
        peak: 2.0,
        min: 0.5,
        warmup_epochs: 4.0,
        epochs: 12.0,
        decay_growth: 10.0,
    };

    #[test]
    fn the_rate_rises_linearly_from_zero_and_falls_on_a_half_cosine_to_the_minimum() {
        for (epoch, rate) in [(0.0, 0.0), (1.0, 0.5), (3.5, 1.75), (4.0, 2.0), (8.0, 1.25), (12.0, 0.5)] {
            assert!(
                (SCHEDULE.rate(epoch) - rate).abs() < 1e-12,
                "epoch {epoch}: {}",
                SCHEDULE.rate(epoch)
            );
        }
        let quarter = 0.5 + 1.5 * 0.5 * (1.0 + (PI / 4.0).cos());
        assert!((SCHEDULE.rate(6.0) - quarter).abs() < 1e-12);
    }

    #[test]
    fn the_weight_decay_grows_on_half_a_cosine_or_stays() {
        for (epoch, factor) in [(0.0, 1.0), (6.0, 5.5), (12.0, 10.0), (13.0, 10.0)] {
            assert!((SCHEDULE.rates(epoch).decay - factor).abs() < 1e-12, "epoch {epoch}");
        }
        let still = Schedule {
            decay_growth: 1.0,
            ..SCHEDULE
        };
        assert_eq!(still.rates(7.0).decay, 1.0);
        assert_eq!((still.rates(8.0).lr, still.rates(8.0).peak), (1.25, 2.0));
    }

    #[test]
    fn no_warm_up_starts_at_the_peak_and_a_warm_up_over_the_whole_run_never_falls() {
        assert_eq!(
            Schedule {
                warmup_epochs: 0.0,
                ..SCHEDULE
            }
            .rate(0.0),
            2.0
        );
        let all = Schedule {
            warmup_epochs: 12.0,
            ..SCHEDULE
        };
        assert!((all.rate(11.0) - 2.0 * 11.0 / 12.0).abs() < 1e-12);
        assert!(all.rate(12.0).is_finite());
    }
}
