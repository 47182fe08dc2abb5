//! In which order the images of a pass come.

use std::sync::{Arc, Mutex, PoisonError};

use rand::seq::SliceRandom;

use crate::rng::{Purpose, stream};

/// Passes kept shuffled: near the end of one, some threads are already in the next.
const KEPT: usize = 2;

/// A permutation for each pass, shared by the threads of a loader.
#[derive(Debug)]
pub(super) struct BatchOrder {
    seed: u64,
    len: usize,
    recent: Mutex<Vec<(u64, Arc<Vec<u32>>)>>,
}

impl BatchOrder {
    pub(super) fn new(seed: u64, len: usize) -> BatchOrder {
        BatchOrder {
            seed,
            len,
            recent: Mutex::default(),
        }
    }

    /// The permutation of a pass.
    pub(super) fn of(&self, epoch: u64) -> Arc<Vec<u32>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = recent.iter().find(|(e, _)| *e == epoch) {
            return order.clone();
        }
        let mut order: Vec<u32> = (0..self.len as u32).collect();
        order.shuffle(&mut stream(self.seed, Purpose::Shuffle, epoch, 0));
        let order = Arc::new(order);
        if recent.len() == KEPT {
            recent.remove(0);
        }
        recent.push((epoch, order.clone()));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_a_permutation_of_its_own_and_the_same_whenever_it_is_asked_for() {
        let order = BatchOrder::new(5, 100);
        let first = order.of(0);
        let mut sorted = first.to_vec();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100));
        for epoch in 1..5 {
            assert_ne!(order.of(epoch), first);
        }
        assert_eq!(order.of(0), first);
        assert_eq!(BatchOrder::new(5, 100).of(0), first);
        assert_ne!(BatchOrder::new(6, 100).of(0), first);
    }
}
