//! Centred kernel alignment: how alike two sets of features of the same pictures are, whatever their widths.
//!
//! The minibatch estimator of Nguyen, Raghu and Kornblith (arXiv 2010.15327) with the unbiased HSIC of Song et al. (JMLR
//! 13, 2012): sums over batches first, one division at the end. The biased one is near 1 for independent features that
//! are wider than the batch. Everything is in float64.

use burn::tensor::{DType, Device, FloatDType, Tensor};

/// Fewest pictures of a batch: the estimator divides by `n - 3`.
pub const FEWEST: usize = 4;

/// How alike the pictures of a batch are to each other, in one set of features: a linear kernel, U-centred.
#[derive(Clone, Debug)]
pub struct Gram(Tensor<2>);

impl Gram {
    /// Of features on any device.
    ///
    /// # Panics
    /// For fewer than [`FEWEST`] pictures.
    ///
    /// # Shapes
    /// features: `[pictures, dim]`
    pub fn of(features: Tensor<2>) -> Gram {
        let data = features.inner().into_data().convert_dtype(DType::F64);
        let features = Tensor::<2>::from_data(data, (&Device::flex(), FloatDType::F64.into()));
        let [pictures, _] = features.dims();
        assert!(pictures >= FEWEST, "{pictures} pictures are too few for an unbiased estimate");
        let n = pictures as f64;
        let off = Tensor::<2>::eye(pictures, &features.device()).cast(FloatDType::F64).neg() + 1.0;
        let kernel = features.clone().matmul(features.transpose()) * off.clone();
        let means = kernel.clone().sum_dim(0).div_scalar(n - 2.0); // [1, n]
        let half = means.clone().sum().div_scalar(2.0 * (n - 1.0));
        let means = means - half.unsqueeze();
        Gram((kernel - means.clone() - means.transpose()) * off)
    }

    /// The unbiased HSIC of two sets of features of the same pictures. It may be a little below zero.
    pub fn hsic(&self, other: &Gram) -> f64 {
        let n = self.0.dims()[0] as f64;
        (self.0.clone() * other.0.clone()).sum().into_scalar::<f64>() / (n * (n - 3.0))
    }
}

/// Sums over batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cka {
    cross: f64,
    first: f64,
    second: f64,
}

impl Cka {
    /// Takes in a batch.
    pub fn add(&mut self, first: &Gram, second: &Gram) {
        self.cross += first.hsic(second);
        self.first += first.hsic(first);
        self.second += second.hsic(second);
    }

    /// The alignment: 1 for features equal up to rotation and scale, about 0 for independent ones, and undefined where
    /// either set does not vary. It may leave the range from 0 to 1 by a little.
    pub fn value(&self) -> Option<f64> {
        (self.first > 0.0 && self.second > 0.0).then(|| self.cross / (self.first * self.second).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    /// `sin(a * index + b)`, in float64.
    fn waves(rows: usize, columns: usize, a: f64, b: f64) -> Vec<Vec<f64>> {
        let value = |row: usize, column: usize| (a * (row * columns + column) as f64 + b).sin();
        (0..rows)
            .map(|row| (0..columns).map(|column| value(row, column)).collect())
            .collect()
    }

    fn gram(rows: &[Vec<f64>]) -> Gram {
        let data = TensorData::new(rows.concat(), [rows.len(), rows[0].len()]);
        Gram::of(Tensor::from_data(data, (&Device::flex(), FloatDType::F64.into())))
    }

    #[track_caller]
    fn assert_is(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 1e-9, "{value} is not {expected}");
    }

    #[test]
    fn hsic_is_the_reference_one() {
        let (x, y) = (gram(&waves(8, 5, 0.7, 0.3)), gram(&waves(8, 7, 1.3, 0.6)));
        assert_is(x.hsic(&y), 5.032_201_486_538_417);
        assert_is(x.hsic(&x), 3.715_215_376_101_805);
        assert_is(y.hsic(&y), 6.895_837_465_847_262);
        let mut cka = Cka::default();
        cka.add(&x, &y);
        assert_is(cka.value().unwrap(), 0.994_197_154_089_865_5);
    }

    #[test]
    fn batches_are_summed_before_they_are_divided() {
        let (x, mut y) = (waves(16, 5, 0.7, 0.3), waves(16, 7, 1.3, 0.6));
        for (y, x) in y.iter_mut().zip(&x) {
            for (value, added) in y.iter_mut().zip(x.iter().chain(&x[..2])) {
                *value += 0.5 * added;
            }
        }
        let mut cka = Cka::default();
        for part in [0..8, 8..16] {
            cka.add(&gram(&x[part.clone()]), &gram(&y[part]));
        }
        assert_is(cka.value().unwrap(), 0.877_600_009_492_403_9);
    }

    #[test]
    fn scaled_and_rotated_features_are_the_same_and_constant_ones_have_no_alignment() {
        let x = waves(12, 3, 0.7, 0.3);
        let turned: Vec<Vec<f64>> = x.iter().map(|row| vec![-2.0 * row[1], 2.0 * row[2], 2.0 * row[0]]).collect();
        let mut cka = Cka::default();
        cka.add(&gram(&x), &gram(&turned));
        assert_is(cka.value().unwrap(), 1.0);
        let mut flat = Cka::default();
        flat.add(&gram(&x), &gram(&vec![vec![1.0, 2.0]; 12]));
        assert_eq!(flat.value(), None);
    }
}
