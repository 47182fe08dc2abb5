//! How rows are shared out: groups, one task each, and panels inside a group, each small enough for the cache.

use std::cell::Cell;

/// Numbers that a panel and what is computed from it may take: 640 KiB, most of a core's second-level cache.
const CACHE: usize = 160 * 1024;
/// Fewer rows make the products slow, more do not make them faster (measured on AVX-512).
const ROWS: std::ops::RangeInclusive<usize> = 64..=256;
/// Groups for each thread, so that one that is held up does not hold up all.
const GROUPS_PER_THREAD: usize = 2;
/// Numbers that the groups' own sums of weight gradients may take together: 256 MiB.
const SUMS: usize = 64 * 1024 * 1024;

/// Rows in a panel, if each row and what is computed from it takes `width` numbers.
pub fn panel_rows(width: usize) -> usize {
    (CACHE / width.max(1)).clamp(*ROWS.start(), *ROWS.end()) / 32 * 32
}

/// Rows in a task that only writes rows: a panel, or fewer if there would be too few tasks.
pub fn task_rows(rows: usize, width: usize) -> usize {
    rows.div_ceil(GROUPS_PER_THREAD * rayon::current_num_threads())
        .clamp(1, panel_rows(width))
}

/// Rows in a task that also sums the gradients of `weights` weights over its rows.
pub fn group_rows(rows: usize, weights: usize) -> usize {
    let most = (SUMS / weights.max(1)).max(1);
    rows.div_ceil((GROUPS_PER_THREAD * rayon::current_num_threads()).min(most)).max(1)
}

thread_local! {
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Lends `len` numbers of this thread, with whatever they were left at.
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    // Taken and not borrowed, so that work stolen by this thread in the middle finds an empty one.
    let mut scratch = SCRATCH.take();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let result = work(&mut scratch[..len]);
    SCRATCH.set(scratch);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_fit_the_cache_and_are_never_tiny() {
        assert_eq!(panel_rows(1), 256);
        assert_eq!(panel_rows(100_000), 64);
        assert!(panel_rows(1920) * 1920 <= CACHE);
    }

    #[test]
    fn sums_of_large_weights_do_not_fill_the_memory() {
        assert_eq!(group_rows(1000, SUMS), 1000);
        assert!(group_rows(1000, 1000) < 1000);
        assert_eq!(group_rows(0, 10), 1);
    }

    #[test]
    fn scratch_can_be_taken_inside_scratch() {
        let sum = with_scratch(3, |outer| {
            outer.fill(1.0);
            with_scratch(4, |inner| inner.fill(2.0));
            outer.iter().sum::<f32>()
        });
        assert_eq!(sum, 3.0);
    }
}
