//! How much arithmetic was done on the CPU and how fast this machine can do it, so that a time can be told from what
//! it could be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSliceMut;

use super::slices::matrix::{Matrix, MatrixMut};

static MULTIPLICATIONS: AtomicU64 = AtomicU64::new(0);

/// Notes multiplications of matrix products that are about to be made.
pub(super) fn count(multiplications: usize) {
    MULTIPLICATIONS.fetch_add(multiplications as u64, Ordering::Relaxed);
}

/// Multiplications and additions of all matrix products of the fused operations so far in this process.
pub fn operations() -> u64 {
    2 * MULTIPLICATIONS.load(Ordering::Relaxed)
}

/// Operations a second that this machine's matrix products reach at best with all threads: the median of half a
/// second of products of a size that suits them, `[256, 384] [384, 384]` in every task.
pub fn matrix_rate() -> f64 {
    const ROWS: usize = 256;
    const WIDTH: usize = 384;
    let tasks = 8 * rayon::current_num_threads();
    let (a, b) = (vec![0.5_f32; ROWS * WIDTH], vec![0.25_f32; WIDTH * WIDTH]);
    let mut out = vec![0.0; tasks * ROWS * WIDTH];
    let operations = (2 * tasks * ROWS * WIDTH * WIDTH) as f64;
    let (began, mut rates) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_millis(500) || rates.len() < 3 {
        let start = Instant::now();
        out.par_chunks_mut(ROWS * WIDTH)
            .for_each(|out| MatrixMut::rows(out, WIDTH).set_product(Matrix::rows(&a, WIDTH), Matrix::rows(&b, WIDTH)));
        rates.push(operations / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_multiplies_more_than_a_million_times_a_second() {
        assert!(matrix_rate() > 1e6);
    }
}
