//! Whether images come fast enough: the loader's rate, the trainer's, and the fraction of time spent waiting.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::report::Reporter;
use super::{At, Opened};
use crate::data::loader::{Batch, Made, Meter};
use crate::experiment::measure;

/// Shortest time over which rates are told ("ours": evens out single steps).
const STRETCH: Duration = Duration::from_secs(5);
/// Fraction of the time spent waiting from which the loader is in the way ("ours").
const MUCH_WAITING: f64 = 0.1;
/// Fraction of their time that the loader's threads work when nothing but themselves holds them up. A GPU computes while its
/// host waits for images, so that waiting alone does not say that images are what is missing.
const BUSY: f64 = 0.9;

/// The batches of a run, and the time they take.
pub(super) struct Supply {
    batches: Box<dyn Iterator<Item = Result<Batch>>>,
    meter: Meter,
    /// Images in a batch.
    images: usize,
    stretch: Stretch,
    /// What the loader had done when the stretch began.
    made_before: Made,
    told: Told,
    /// Shortest stretch.
    least: Duration,
}

/// What was already said.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    rates: bool,
    warning: bool,
}

/// What the trainer did since the rates were told last. Evaluations and checkpoints are not in it.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    batches: u64,
    waited: Duration,
    /// Waiting and working.
    elapsed: Duration,
}

/// Speeds over a stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
struct SupplyRates {
    /// Images a second that all loader threads would make if they never had to wait for room.
    loader: f64,
    /// Images a second that training would take if it never had to wait for images.
    trainer: f64,
    /// Fraction of the trainer's time spent waiting for images.
    wait_share: f64,
    /// Fraction of the loader's time spent working; above 1 if it worked during an evaluation, too.
    busy_share: f64,
}

impl Supply {
    /// Batches of so many images.
    pub(super) fn new((batches, meter): Opened, images: usize) -> Supply {
        Supply {
            batches,
            made_before: meter.read(),
            meter,
            images,
            stretch: Stretch::default(),
            told: Told::default(),
            least: STRETCH,
        }
    }

    /// Forgets the time so far, in which something other than training was done.
    pub(super) fn begin(&mut self) {
        (self.stretch, self.made_before) = (Stretch::default(), self.meter.read());
    }

    /// The next batch, waited for if need be.
    ///
    /// # Errors
    /// An image that cannot be read, or no batch left.
    pub(super) fn next(&mut self) -> Result<Batch> {
        let began = Instant::now();
        let batch = self.batches.next().context("the images ended before the run did")??;
        self.stretch.batches += 1;
        self.stretch.waited += began.elapsed();
        Ok(batch)
    }

    /// Says how long a step took, waiting for its images included.
    pub(super) fn worked(&mut self, elapsed: Duration) {
        self.stretch.elapsed += elapsed;
    }

    /// Adds points to the curves `speed/…` where curves have points and a stretch is over, and warns once if the loader is
    /// in the way. A run too short for a stretch says its rates at the end.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(super) fn tell(&mut self, at: &At, reporter: &mut Reporter) -> Result<()> {
        let long = self.stretch.elapsed >= self.least;
        if !at.on_curve() || !(long || at.last() && !self.told.rates) {
            return Ok(());
        }
        let made = self.meter.read();
        let Some(rates) = self.stretch.rates(made.since(&self.made_before), self.meter.threads(), self.images) else {
            return Ok(());
        };
        reporter.metric(&measure::SPEED_LOADER, at.step, rates.loader)?;
        reporter.metric(&measure::SPEED_TRAINER, at.step, rates.trainer)?;
        reporter.metric(&measure::SPEED_WAIT_SHARE, at.step, rates.wait_share)?;
        if long && rates.starving() && !self.told.warning {
            self.told.warning = true;
            reporter.warning(rates.warning(self.stretch.elapsed))?;
        }
        self.told.rates = true;
        (self.stretch, self.made_before) = (Stretch::default(), made);
        Ok(())
    }
}

impl Stretch {
    /// The rates, if both sides did something.
    fn rates(&self, made: Made, threads: usize, images: usize) -> Option<SupplyRates> {
        let worked = self.elapsed.saturating_sub(self.waited);
        if made.busy.is_zero() || worked.is_zero() {
            return None;
        }
        let per_second = |batches: u64, time: Duration| (batches * images as u64) as f64 / time.as_secs_f64();
        Some(SupplyRates {
            loader: per_second(made.batches, made.busy) * threads as f64,
            trainer: per_second(self.batches, worked),
            wait_share: self.waited.as_secs_f64() / self.elapsed.as_secs_f64(),
            busy_share: made.busy.as_secs_f64() / (self.elapsed.as_secs_f64() * threads as f64),
        })
    }
}

impl SupplyRates {
    /// Whether training is slower than it could be because images are missing.
    fn starving(&self) -> bool {
        self.wait_share > MUCH_WAITING && self.busy_share > BUSY
    }

    fn warning(&self, elapsed: Duration) -> String {
        format!(
            "the loader is the bottleneck: training waited for images {:.0} % of the last {:.0} s (the loader makes {:.0} images/s, \
             training could take {:.0}); give the worker more threads, choose lighter augmentation, or store the images at \
             twice data.image_size",
            100.0 * self.wait_share,
            elapsed.as_secs_f64(),
            self.loader,
            self.trainer
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;
    use crate::data::augment::Augment;
    use crate::data::loader::{LoaderPlan, TrainLoader};
    use crate::experiment::choices::CropKind;
    use crate::experiment::settings::AugmentSettings;
    use crate::run_dir::{EventKind, EventLog, EventReader, LogPosition, RunDir};

    fn made(batches: u64, millis: u64) -> Made {
        let busy = Duration::from_millis(millis);
        Made { batches, busy }
    }

    fn stretch(batches: u64, waited: u64, elapsed: u64) -> Stretch {
        let waited = Duration::from_millis(waited);
        let elapsed = Duration::from_millis(elapsed);
        Stretch { batches, waited, elapsed }
    }

    #[test]
    fn rates_are_those_of_either_side_without_the_other() {
        // Ten batches of 32: the trainer worked 8 s of 10, two threads worked 4 s between them.
        let rates = stretch(10, 2000, 10_000).rates(made(10, 4000), 2, 32).unwrap();
        let expected = SupplyRates {
            loader: 160.0,
            trainer: 40.0,
            wait_share: 0.2,
            busy_share: 0.2,
        };
        assert_eq!(rates, expected);
        assert_eq!(stretch(3, 0, 0).rates(made(3, 10), 1, 32), None, "nothing was done");
        assert_eq!(stretch(3, 1, 10).rates(made(0, 0), 1, 32), None, "nothing was made");
    }

    #[test]
    fn a_loader_is_in_the_way_only_if_training_waits_and_its_threads_do_not() {
        let starving = |waited, busy| stretch(10, waited, 10_000).rates(made(10, busy), 2, 32).unwrap().starving();
        assert!(starving(2000, 19_900));
        assert!(!starving(900, 19_900), "a little waiting is none");
        assert!(!starving(9000, 12_000), "a GPU at work, whose loader waits for room");
    }

    /// Takes the twelve batches of a real loader, whose stretches are at least so long, and returns what was reported.
    fn reported(least: Duration, step_takes: Duration) -> Vec<EventKind> {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::at(root.path());
        let mut reporter = Reporter::new(EventLog::open(&dir.events_file()).unwrap(), &dir);
        // Images so large that a batch takes milliseconds.
        let split = Split::in_memory(256, 256, vec![77; 4 * 256 * 256 * 3], vec![0; 4]);
        let augment = Augment::new(&augmentation(), 128, [0.5; 3], [0.25; 3]);
        let plan = LoaderPlan {
            seed: 1,
            batch_size: 4,
            epochs: 12,
            repeated: None,
            first_batch: 0,
            threads: 1,
            ahead: 1,
        };
        let loader = TrainLoader::new(split, augment, None, plan);
        let meter = loader.meter();
        let mut supply = Supply::new((Box::new(loader), meter), 4);
        supply.least = least;
        for step in 1..=12 {
            let began = Instant::now();
            supply.next().unwrap();
            supply.worked(began.elapsed() + step_takes);
            let (steps, epoch) = (12, None);
            supply.tell(&At { step, steps, epoch }, &mut reporter).unwrap();
        }
        assert!(supply.next().unwrap_err().to_string().contains("the images ended"));
        let events = EventReader::new(&dir.events_file()).read(&LogPosition::default()).unwrap().events;
        events.into_iter().map(|event| event.kind).collect()
    }

    fn augmentation() -> AugmentSettings {
        AugmentSettings {
            crop: CropKind::Resized,
            crop_scale_min: 0.9,
            crop_scale_max: 1.0,
            hflip: 0.5,
            color_jitter: 1.0,
            color_jitter_saturation: 0.4,
            color_jitter_strength: 1.0,
            grayscale: 0.0,
            blur: 1.0,
            solarize: 0.0,
            rand_augment: 9.0,
            random_erasing: 0.0,
        }
    }

    fn count(events: &[EventKind], wanted: &str) -> usize {
        let is_wanted = |event: &&EventKind| match event {
            EventKind::Metric { name, .. } => name == wanted,
            EventKind::Warning { message } => message.starts_with(wanted),
            _ => false,
        };
        events.iter().filter(is_wanted).count()
    }

    #[test]
    fn a_trainer_that_waits_says_so_once_and_one_that_does_not_wait_says_its_rates_alone() {
        let events = reported(Duration::ZERO, Duration::from_micros(1));
        assert_eq!(
            count(&events, "the loader is the bottleneck: training waited for images"),
            1,
            "{events:?}"
        );
        assert!(count(&events, "speed/wait_share") > 6, "{events:?}");
        let events = reported(Duration::from_secs(40), Duration::from_secs(10));
        assert_eq!(count(&events, "the loader"), 0, "{events:?}");
        for name in ["speed/loader", "speed/trainer", "speed/wait_share"] {
            assert_eq!(count(&events, name), 3, "every fourth step ends a stretch");
        }
    }

    #[test]
    fn a_run_shorter_than_a_stretch_says_its_rates_at_the_end() {
        let events = reported(Duration::from_secs(3600), Duration::from_millis(1));
        assert_eq!(events.len(), 3, "{events:?}");
        assert!(
            events
                .iter()
                .all(|event| matches!(event, EventKind::Metric { step: 12, value, .. } if *value > 0.0))
        );
    }
}
