//! The learning rate as a pure function of how far training is (MAE: linear warm-up, then half a cosine).

use std::f64::consts::PI;

use crate::experiment::settings::TrainSettings;

/// Learning rate over the epochs of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    peak: f64,
    min: f64,
    warmup_epochs: f64,
    epochs: f64,
}

impl Schedule {
    /// The schedule of a run; the peak follows the linear scaling rule: `base_lr * pictures a step / 256`.
    pub fn new(train: &TrainSettings) -> Self {
        let pictures = (train.batch_size * train.accumulation) as f64;
        Schedule {
            peak: train.base_lr * pictures / 256.0,
            min: train.min_lr,
            warmup_epochs: train.warmup_epochs,
            epochs: train.epochs as f64,
        }
    }

    /// The largest learning rate.
    pub fn peak(&self) -> f64 {
        self.peak
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
