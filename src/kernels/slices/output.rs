//! Buffers that are allocated without being cleared, and come out only when every number was written.
//!
//! Clearing a buffer that is overwritten at once costs as much as the work on it. An [`Output`] hands out its parts as
//! [`Slot`]s; a slot is used up by the one call that writes all of it, and counts what it wrote. When the count
//! is complete, so is the buffer.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::matrix::{Matrix, multiply_into_fresh};

/// A buffer being written.
#[derive(Debug)]
pub struct Output {
    buffer: Vec<f32>,
    len: usize,
    written: AtomicUsize,
}

impl Output {
    /// Room for `len` numbers.
    pub fn new(len: usize) -> Output {
        Output {
            buffer: Vec::with_capacity(len),
            len,
            written: AtomicUsize::new(0),
        }
    }

    /// Its parts of `size` numbers, the last one perhaps shorter, for several threads.
    pub fn slots(&mut self, size: usize) -> impl IndexedParallelIterator<Item = Slot<'_>> {
        let written = &self.written;
        let room = &mut self.buffer.spare_capacity_mut()[..self.len];
        room.par_chunks_mut(size).map(move |room| Slot { room, written })
    }

    /// The numbers.
    ///
    /// # Panics
    /// If a part was not written.
    pub fn finish(self) -> Vec<f32> {
        let Output { mut buffer, len, written } = self;
        assert_eq!(written.into_inner(), len, "a part of the output was not written");
        #[expect(unsafe_code, reason = "takes memory as initialized that was counted as written")]
        // SAFETY: the capacity is at least `len`. Slots are disjoint parts of the first `len` numbers; each is used
        // up by the one call that writes all of it and adds its length to the count, and the count is `len`.
        unsafe {
            buffer.set_len(len);
        }
        buffer
    }
}

/// A part of an [`Output`] that nothing has been written to. Every way to write it writes all of it.
#[derive(Debug)]
pub struct Slot<'a> {
    room: &'a mut [MaybeUninit<f32>],
    written: &'a AtomicUsize,
}

impl<'a> Slot<'a> {
    /// Numbers that it holds.
    pub fn len(&self) -> usize {
        self.room.len()
    }

    /// Its parts of `size` numbers, the last one perhaps shorter.
    pub fn split(self, size: usize) -> impl Iterator<Item = Slot<'a>> {
        let written = self.written;
        self.room.chunks_mut(size).map(move |room| Slot { room, written })
    }

    /// Writes `source`, which is as long.
    pub fn copy(self, source: &[f32]) -> &'a mut [f32] {
        let filled = self.room.write_copy_of_slice(source);
        self.written.fetch_add(filled.len(), Ordering::Relaxed);
        filled
    }

    /// Writes `row` again and again; its length divides the slot's.
    pub fn repeat(self, row: &[f32]) -> &'a mut [f32] {
        assert!(self.room.len().is_multiple_of(row.len()), "a whole number of rows fills a slot");
        for part in self.room.chunks_exact_mut(row.len()) {
            part.write_copy_of_slice(row);
        }
        self.all_written()
    }

    /// Writes zeros.
    pub fn zeros(self) -> &'a mut [f32] {
        for place in &mut *self.room {
            place.write(0.0);
        }
        self.all_written()
    }

    /// Writes the product `a b`, row by row.
    pub fn product(self, a: Matrix, b: Matrix) -> &'a mut [f32] {
        multiply_into_fresh(self.room, a, b);
        self.all_written()
    }

    /// Call when every place was written.
    fn all_written(self) -> &'a mut [f32] {
        self.written.fetch_add(self.room.len(), Ordering::Relaxed);
        #[expect(unsafe_code, reason = "takes memory as initialized that its caller has just written")]
        // SAFETY: private, and each caller has written every place of `room`.
        unsafe {
            self.room.assume_init_mut()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_slot_fills_it() {
        let mut output = Output::new(14);
        output.slots(4).enumerate().for_each(|(place, slot)| match place {
            0 => assert_eq!(slot.copy(&[1.0, 2.0, 3.0, 4.0]).len(), 4),
            1 => assert_eq!(slot.repeat(&[5.0, 6.0]).len(), 4),
            2 => assert_eq!(slot.product(Matrix::rows(&[1.0, 2.0], 1), Matrix::rows(&[3.0, 4.0], 2)).len(), 4),
            _ => slot.split(1).for_each(|slot| assert_eq!(slot.zeros().len(), 1)),
        });
        assert_eq!(output.finish(), [1., 2., 3., 4., 5., 6., 5., 6., 3., 4., 6., 8., 0., 0.]);
    }

    #[test]
    #[should_panic(expected = "a part of the output was not written")]
    fn a_buffer_with_a_hole_does_not_come_out() {
        let mut output = Output::new(8);
        output.slots(4).enumerate().for_each(|(place, slot)| {
            if place == 0 {
                slot.zeros();
            }
        });
        output.finish();
    }
}
