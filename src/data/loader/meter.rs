//! How fast a loader is, whoever takes its batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts the work of a loader's threads; clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    threads: usize,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    batches: AtomicU64,
    /// Time in which a thread was at work, in nanoseconds, summed over the threads.
    busy: AtomicU64,
}

/// What a loader did up to a moment, or between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Batches made.
    pub batches: u64,
    /// Time in which a thread was at work, summed over the threads; waiting for room is not in it.
    pub busy: Duration,
}

impl Meter {
    pub(super) fn new(threads: usize) -> Meter {
        Meter {
            threads,
            counts: Arc::default(),
        }
    }

    /// A batch took a thread so long.
    pub(super) fn count(&self, busy: Duration) {
        self.counts.batches.fetch_add(1, Ordering::Relaxed);
        self.counts.busy.fetch_add(busy.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Threads that make batches.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// What was done so far.
    pub fn read(&self) -> Made {
        Made {
            batches: self.counts.batches.load(Ordering::Relaxed),
            busy: Duration::from_nanos(self.counts.busy.load(Ordering::Relaxed)),
        }
    }
}

impl Made {
    /// What was done after `earlier`.
    pub fn since(&self, earlier: &Made) -> Made {
        Made {
            batches: self.batches.saturating_sub(earlier.batches),
            busy: self.busy.saturating_sub(earlier.busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together_and_a_difference_is_what_came_after() {
        let meter = Meter::new(2);
        meter.count(Duration::from_millis(30));
        let before = meter.read();
        meter.clone().count(Duration::from_millis(20));
        let expected = |batches, millis| Made {
            batches,
            busy: Duration::from_millis(millis),
        };
        assert_eq!(meter.read(), expected(2, 50));
        assert_eq!(meter.read().since(&before), expected(1, 20));
        assert_eq!(meter.threads(), 2);
    }
}
