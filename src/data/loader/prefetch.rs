//! Numbered items made ahead by threads and taken in their order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::anyhow;

use super::meter::Meter;

/// An iterator over `make(n)` for a range of `n`; the first error is its last item.
#[derive(Debug)]
pub(super) struct Prefetch<T> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
    end: u64,
    meter: Meter,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Set when nobody will take another item; `make` looks at it to give up early.
    stop: AtomicBool,
}

#[derive(Debug)]
struct State<T> {
    /// The next item that a thread begins.
    to_make: u64,
    /// The next item that is taken.
    to_take: u64,
    made: BTreeMap<u64, anyhow::Result<T>>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts the threads. Never more than `ahead` items are begun and not yet taken.
    pub(super) fn new<F>(items: Range<u64>, threads: usize, ahead: usize, make: F) -> Prefetch<T>
    where
        F: Fn(u64, &AtomicBool) -> anyhow::Result<T> + Send + Sync + 'static,
    {
        let state = State {
            to_make: items.start,
            to_take: items.start,
            made: BTreeMap::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let ahead = ahead.max(1);
        let threads = threads.clamp(1, ahead);
        let (make, meter) = (Arc::new(make), Meter::new(threads));
        let start = |_| {
            let (shared, make, meter) = (shared.clone(), make.clone(), meter.clone());
            thread::spawn(move || {
                while let Some(n) = shared.begin(items.end, ahead as u64) {
                    let began = Instant::now();
                    let made = catch_unwind(AssertUnwindSafe(|| make(n, &shared.stop)));
                    let made = made.unwrap_or_else(|_| Err(anyhow!("a loader thread panicked while it made batch {n}")));
                    meter.count(began.elapsed());
                    shared.lock().made.insert(n, made);
                    shared.changed.notify_all();
                }
            })
        };
        let threads = (0..threads).map(start).collect();
        Prefetch {
            shared,
            threads,
            end: items.end,
            meter,
        }
    }

    /// What the threads have done.
    pub(super) fn meter(&self) -> Meter {
        self.meter.clone()
    }
}

impl<T> Iterator for Prefetch<T> {
    type Item = anyhow::Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.lock();
        let n = state.to_take;
        if n >= self.end || self.shared.stop.load(Ordering::Relaxed) {
            return None;
        }
        loop {
            if let Some(made) = state.made.remove(&n) {
                state.to_take += 1;
                if made.is_err() {
                    self.shared.stop.store(true, Ordering::Relaxed);
                }
                self.shared.changed.notify_all();
                return Some(made);
            }
            state = self.shared.wait(state);
        }
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        {
            // Under the lock, so that no thread is between looking at it and going to sleep.
            let _state = self.shared.lock();
            self.shared.stop.store(true, Ordering::Relaxed);
            self.shared.changed.notify_all();
        }
        for thread in self.threads.drain(..) {
            // A panic inside was already turned into an item.
            let _ = thread.join();
        }
    }
}

impl<T> Shared<T> {
    /// Waits for room and claims the next item; none when all are begun or nobody wants more.
    fn begin(&self, end: u64, ahead: u64) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if self.stop.load(Ordering::Relaxed) || state.to_make >= end {
                return None;
            }
            if state.to_make < state.to_take + ahead {
                state.to_make += 1;
                return Some(state.to_make - 1);
            }
            state = self.wait(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // The state is whole between any two statements, so a poisoned lock is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    #[test]
    fn items_come_in_order_however_long_each_takes() {
        for threads in [1, 4] {
            let slow_first = |n: u64, _: &AtomicBool| {
                thread::sleep(Duration::from_millis(8 - n % 4 * 2));
                Ok(n)
            };
            let items: Vec<u64> = Prefetch::new(3..23, threads, 5, slow_first).map(Result::unwrap).collect();
            assert!(items.into_iter().eq(3..23));
        }
    }

    #[test]
    fn no_more_than_the_allowed_number_is_made_ahead() {
        let (begun, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (count, asked) = (begun.clone(), taken.clone());
        let mut items = Prefetch::new(0..100, 4, 3, move |n, _| {
            // Whoever takes an item says so before, so that none can be made too early and pass.
            let ahead = count.fetch_add(1, Ordering::SeqCst) + 1 - asked.load(Ordering::SeqCst);
            if ahead > 3 { Err(anyhow!("{ahead} ahead")) } else { Ok(n) }
        });
        while begun.load(Ordering::SeqCst) < 3 {
            thread::yield_now();
        }
        for expected in 0..100 {
            taken.fetch_add(1, Ordering::SeqCst);
            assert_eq!(items.next().unwrap().unwrap(), expected);
        }
    }

    #[test]
    fn an_error_comes_in_its_place_and_is_the_last_item() {
        let fail = |n: u64, _: &AtomicBool| if n == 2 { Err(anyhow!("broken: a/b.png")) } else { Ok(n) };
        let items: Vec<_> = Prefetch::new(0..9, 3, 3, fail)
            .map(|item| item.map_err(|e| e.to_string()))
            .collect();
        assert_eq!(items, [Ok(0), Ok(1), Err("broken: a/b.png".to_string())]);
    }

    #[test]
    fn a_panic_is_an_error_and_not_a_wait_for_ever() {
        let mut items = Prefetch::new(0..9, 1, 1, |n, _: &AtomicBool| -> anyhow::Result<u64> { panic!("no {n}") });
        assert!(
            items
                .next()
                .unwrap()
                .unwrap_err()
                .to_string()
                .contains("panicked while it made batch 0")
        );
        assert!(items.next().is_none());
    }

    #[test]
    fn dropping_it_ends_threads_that_wait_and_threads_that_work() {
        drop(Prefetch::new(0..100, 3, 3, |n, _: &AtomicBool| Ok(n)));
        drop(Prefetch::new(0..100, 3, 3, |_, stop: &AtomicBool| {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        }));
    }

    #[test]
    fn an_empty_range_ends_at_once() {
        assert!(Prefetch::new(5..5, 2, 2, |n, _: &AtomicBool| Ok(n)).next().is_none());
    }
}
