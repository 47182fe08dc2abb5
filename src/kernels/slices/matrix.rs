//! Matrices inside slices, and their product.

use std::mem::MaybeUninit;

use gemm::Parallelism;

/// A matrix to read: element `(i, j)` is at `i * row_stride + j * col_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// All of `data`, in rows of `cols`.
    pub fn rows(data: &'a [f32], cols: usize) -> Self {
        Matrix::strided(data, data.len() / cols, cols, cols)
    }

    /// `rows` rows of `cols` numbers, one every `row_stride`, from the start of `data`.
    ///
    /// # Panics
    /// If `data` is too short.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(fits(data.len(), rows, cols, row_stride), "a matrix lies inside its slice");
        Matrix {
            data,
            rows,
            cols,
            row_stride,
            col_stride: 1,
        }
    }

    /// The same numbers with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Matrix {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// A matrix to write: rows of `cols` numbers, one every `row_stride`.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// All of `data`, in rows of `cols`.
    pub fn rows(data: &'a mut [f32], cols: usize) -> Self {
        let rows = data.len() / cols;
        MatrixMut::strided(data, rows, cols, cols)
    }

    /// `rows` rows of `cols` numbers, one every `row_stride`, from the start of `data`.
    ///
    /// # Panics
    /// If `data` is too short, or rows overlap.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(
            row_stride >= cols && fits(data.len(), rows, cols, row_stride),
            "a matrix lies inside its slice"
        );
        MatrixMut {
            data,
            rows,
            cols,
            row_stride,
        }
    }

    /// Becomes `a b`.
    pub fn set_product(self, a: Matrix, b: Matrix) {
        self.multiply(a, b, false);
    }

    /// Adds `a b`.
    pub fn add_product(self, a: Matrix, b: Matrix) {
        self.multiply(a, b, true);
    }

    fn multiply(self, a: Matrix, b: Matrix, add: bool) {
        check_sizes((self.rows, self.cols), &a, &b);
        #[expect(unsafe_code, reason = "calls the product on pointers whose bounds were checked")]
        // SAFETY: the constructor checked that the rows lie inside `data` and do not overlap; `data` is initialized.
        unsafe {
            gemm(self.data.as_mut_ptr(), self.row_stride, add, &a, &b);
        }
    }
}

/// Writes `a b` row by row to memory that nothing was written to; all of it is written.
pub(super) fn multiply_into_fresh(room: &mut [MaybeUninit<f32>], a: Matrix, b: Matrix) {
    check_sizes((a.rows, b.cols), &a, &b);
    assert_eq!(room.len(), a.rows * b.cols, "the product fills its slot");
    #[expect(unsafe_code, reason = "calls the product on pointers whose bounds were checked")]
    // SAFETY: `room` holds exactly the product's rows, and without `add` nothing of it is read.
    unsafe {
        gemm(room.as_mut_ptr().cast(), b.cols, false, &a, &b);
    }
}

fn fits(len: usize, rows: usize, cols: usize, row_stride: usize) -> bool {
    rows == 0 || cols == 0 || (rows - 1) * row_stride + cols <= len
}

fn check_sizes((rows, cols): (usize, usize), a: &Matrix, b: &Matrix) {
    assert!(
        a.rows == rows && b.cols == cols && a.cols == b.rows,
        "a product of {}x{} and {}x{} is not {rows}x{cols}",
        a.rows,
        a.cols,
        b.rows,
        b.cols
    );
}

/// On one thread: its callers share the rows out themselves, so that what follows finds them in the cache.
///
/// # Safety
/// `dst` must be valid for writes of `a.rows` rows of `b.cols` numbers, one every `row_stride >= b.cols`, not aliased,
/// and initialized if `add` is set; the sizes of `a` and `b` must agree.
#[expect(unsafe_code, reason = "the product takes pointers and strides")]
unsafe fn gemm(dst: *mut f32, row_stride: usize, add: bool, a: &Matrix, b: &Matrix) {
    if a.rows == 0 || b.cols == 0 {
        return;
    }
    // SAFETY: `Matrix` was checked against its slice when it was made; the caller vouches for `dst`.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            dst,
            1,
            row_stride as isize,
            add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::waves;
    use super::*;

    #[test]
    fn products_of_strided_and_transposed_matrices_are_right() {
        for (m, k, n) in [(1, 1, 1), (3, 5, 2), (17, 33, 19), (65, 16, 70)] {
            let (a, b) = (waves(k * (m + 2), 0.7), waves(k * n, 0.3));
            let mut dst = waves(m * (n + 3), 0.9);
            let before = dst.clone();
            // `a` is stored transposed with rows of m + 2, of which m are used.
            let a_view = Matrix::strided(&a, k, m, m + 2).transposed();
            MatrixMut::strided(&mut dst, m, n, n + 3).add_product(a_view, Matrix::rows(&b, n));
            for i in 0..m {
                for j in 0..n + 3 {
                    let sum: f64 = (0..k)
                        .map(|p| f64::from(a[p * (m + 2) + i]) * if j < n { f64::from(b[p * n + j]) } else { 0.0 })
                        .sum();
                    let expected = f64::from(before[i * (n + 3) + j]) + sum;
                    assert!((f64::from(dst[i * (n + 3) + j]) - expected).abs() < 1e-4, "{m} {k} {n}: {i} {j}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a matrix lies inside its slice")]
    fn a_matrix_that_leaves_its_slice_is_refused() {
        Matrix::strided(&[0.0; 5], 2, 3, 3);
    }

    #[test]
    #[should_panic(expected = "a product of 1x2 and 3x1 is not 1x1")]
    fn sizes_that_do_not_agree_are_refused() {
        MatrixMut::rows(&mut [0.0], 1).set_product(Matrix::rows(&[0.0; 2], 2), Matrix::rows(&[0.0; 3], 1));
    }
}
