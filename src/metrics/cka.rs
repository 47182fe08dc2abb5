//! Centered kernel alignment: how alike two sets of features of the same images are, whatever their widths.
//!
//! The minibatch estimator of Nguyen, Raghu and Kornblith (arXiv 2010.15327) with the unbiased HSIC of Song et al. (JMLR
//! 13, 2012): sums over batches first, one division at the end. The biased one is near 1 for independent features that
//! are wider than the batch.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use rayon::prelude::*;

use crate::experiment::settings::CkaSettings;

/// Fewest images of a batch: the estimator divides by `n - 3`.
pub const FEWEST: usize = CkaSettings::FEWEST;
/// Images in a tile of a product. The tiles above the diagonal are those below it.
const TILE: usize = 64;
/// Numbers of an image that are multiplied in float32 before the sum goes on in float64.
const STRIP: usize = 512;

/// How alike the images of a batch are to each other, in one set of features: a linear kernel, U-centered.
#[derive(Clone, Debug)]
pub struct Gram {
    images: usize,
    /// `[images, images]`, 0 on the diagonal.
    values: Vec<f64>,
    /// The HSIC with itself.
    own: f64,
}

impl Gram {
    /// Of features `[images, dim]`, row by row, everything in float64.
    ///
    /// # Panics
    /// For fewer than [`FEWEST`] images.
    pub fn exact(features: &[f64], images: usize) -> Gram {
        let dim = features.len() / images;
        Gram::centered(
            product(&without_mean(features, images), images, dim.max(1), FloatDType::F64),
            images,
        )
    }

    /// As [`Gram::exact`] with products in float32 that are summed in float64. The mean over the images, which the
    /// result does not depend on, is taken off before, so that what is rounded is not larger than what counts.
    ///
    /// # Panics
    /// For fewer than [`FEWEST`] images.
    pub fn of(features: &[f32], images: usize) -> Gram {
        let wide: Vec<f64> = features.iter().map(|value| f64::from(*value)).collect();
        Gram::centered(product(&without_mean(&wide, images), images, STRIP, FloatDType::F32), images)
    }

    /// U-centers a kernel `[images, images]`.
    fn centered(mut values: Vec<f64>, images: usize) -> Gram {
        assert!(images >= FEWEST, "{images} images are too few for an unbiased estimate");
        let n = images as f64;
        (0..images).for_each(|i| values[i * images + i] = 0.0);
        let means: Vec<f64> = values.chunks(images).map(|row| row.iter().sum::<f64>() / (n - 2.0)).collect();
        let half = means.iter().sum::<f64>() / (2.0 * (n - 1.0));
        for (i, row) in values.chunks_mut(images).enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = if i == j {
                    0.0
                } else {
                    *value - (means[i] - half) - (means[j] - half)
                };
            }
        }
        let own = hsic(&values, &values, images);
        Gram { images, values, own }
    }

    /// The unbiased HSIC of two sets of features of the same images. It may be a little below zero.
    ///
    /// # Panics
    /// If the numbers of images differ.
    pub fn hsic(&self, other: &Gram) -> f64 {
        assert_eq!(self.images, other.images, "both are of the same images");
        hsic(&self.values, &other.values, self.images)
    }
}

fn hsic(first: &[f64], second: &[f64], images: usize) -> f64 {
    let n = images as f64;
    first.iter().zip(second).map(|(a, b)| a * b).sum::<f64>() / (n * (n - 3.0))
}

/// The features with the mean over the images taken off.
fn without_mean(features: &[f64], images: usize) -> Vec<f64> {
    let dim = features.len() / images;
    let mut mean = vec![0.0; dim];
    for row in features.chunks(dim) {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / images as f64);
    }
    let row = |row: &[f64]| row.iter().zip(&mean).map(|(value, mean)| value - mean).collect::<Vec<f64>>();
    features.chunks(dim).flat_map(row).collect()
}

/// `X Xᵀ`, of which each tile on and below the diagonal is multiplied: strips of columns as `dtype`, summed in float64.
fn product(features: &[f64], images: usize, strip: usize, dtype: FloatDType) -> Vec<f64> {
    let dim = features.len() / images;
    let mut values = vec![0.0; images * images];
    for from in (0..dim).step_by(strip) {
        let width = strip.min(dim - from);
        let part: Vec<f64> = features.chunks(dim).flat_map(|row| &row[from..from + width]).copied().collect();
        let part = TensorData::new(part, [images, width]).convert_dtype(dtype.into());
        let part = Tensor::<2>::from_data(part, (&Device::flex(), dtype.into()));
        let tiles: Vec<Tensor<2>> = (0..images)
            .step_by(TILE)
            .map(|first| part.clone().narrow(0, first, TILE.min(images - first)))
            .collect();
        for (i, rows) in tiles.iter().enumerate() {
            for (j, columns) in tiles[..=i].iter().enumerate() {
                let [_, count] = [rows.dims()[0], columns.dims()[0]];
                let tile: Vec<f64> = rows.clone().matmul(columns.clone().transpose()).into_data().iter::<f64>().collect();
                for (place, value) in tile.into_iter().enumerate() {
                    let (row, column) = (i * TILE + place / count, j * TILE + place % count);
                    values[row * images + column] += value;
                    if i != j {
                        values[column * images + row] += value;
                    }
                }
            }
        }
    }
    values
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
        self.first += first.own;
        self.second += second.own;
    }

    /// The alignment: 1 for features equal up to rotation and scale, about 0 for independent ones, and undefined where
    /// either set does not vary. It may leave the range from 0 to 1 by a little.
    pub fn value(&self) -> Option<f64> {
        (self.first > 0.0 && self.second > 0.0).then(|| self.cross / (self.first * self.second).sqrt())
    }
}

impl From<Cka> for [f64; 3] {
    fn from(sums: Cka) -> Self {
        [sums.cross, sums.first, sums.second]
    }
}

impl From<[f64; 3]> for Cka {
    fn from([cross, first, second]: [f64; 3]) -> Self {
        Cka { cross, first, second }
    }
}

/// Sums for every cell of a matrix, of several draws of masks each.
#[derive(Clone, Debug)]
pub struct CkaMatrix(Vec<Vec<Vec<Cka>>>);

impl CkaMatrix {
    /// Nothing yet.
    pub fn new(rows: usize, columns: usize, draws: usize) -> CkaMatrix {
        CkaMatrix(vec![vec![vec![Cka::default(); draws]; columns]; rows])
    }

    /// One cell's sums of one draw.
    pub fn at(&mut self, row: usize, column: usize, draw: usize) -> &mut Cka {
        &mut self.0[row][column][draw]
    }

    /// All sums in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Cka> {
        self.0.iter().flatten().flatten()
    }

    /// As [`CkaMatrix::iter`].
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Cka> {
        self.0.iter_mut().flatten().flatten()
    }

    /// The alignments, by row, column and draw.
    pub fn values(&self) -> Vec<Vec<Vec<Option<f64>>>> {
        let row = |row: &Vec<Vec<Cka>>| row.iter().map(|draws| draws.iter().map(Cka::value).collect()).collect();
        self.0.iter().map(row).collect()
    }
}

/// Batches of about equal size of `wanted` images (0 is all), chosen evenly over the `all` of a split, each batch from
/// everywhere in it. None is smaller than [`FEWEST`] if there are so many images at all.
pub(crate) fn dealt(all: usize, wanted: usize, batch_size: usize) -> Vec<Vec<u32>> {
    let count = if wanted == 0 { all } else { wanted.min(all) };
    let batches = count.div_ceil(batch_size).min(count / FEWEST).max(1);
    let image = |nth: usize| (nth * all / count.max(1)) as u32;
    (0..batches)
        .map(|batch| (batch..count).step_by(batches).map(image).collect())
        .collect()
}

/// A kernel for every block, on all processors.
pub(crate) fn grams_of(rows: Vec<Vec<f32>>, images: usize) -> Vec<Gram> {
    rows.into_par_iter().map(|rows| Gram::of(&rows, images)).collect()
}

#[cfg(test)]
mod tests {
    use crate::metrics::cka::*;

    /// `sin(a * index + b)`, in float64.
    fn waves(rows: usize, columns: usize, a: f64, b: f64) -> Vec<Vec<f64>> {
        let value = |row: usize, column: usize| (a * (row * columns + column) as f64 + b).sin();
        (0..rows)
            .map(|row| (0..columns).map(|column| value(row, column)).collect())
            .collect()
    }

    fn gram(rows: &[Vec<f64>]) -> Gram {
        Gram::exact(&rows.concat(), rows.len())
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

    /// The estimate as its definition has it, with traces of zero-diagonal kernels: `[images][dim]`.
    fn by_definition(x: &[Vec<f64>], y: &[Vec<f64>]) -> f64 {
        let n = x.len();
        let kernel = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let dot = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            (0..n)
                .map(|i| (0..n).map(|j| if i == j { 0.0 } else { dot(&rows[i], &rows[j]) }).collect())
                .collect()
        };
        let (k, l) = (kernel(x), kernel(y));
        let sum = |m: &Vec<Vec<f64>>| m.iter().flatten().sum::<f64>();
        let trace: f64 = (0..n).map(|i| (0..n).map(|j| k[i][j] * l[j][i]).sum::<f64>()).sum();
        let mixed: f64 = (0..n)
            .map(|j| k.iter().map(|row| row[j]).sum::<f64>() * l[j].iter().sum::<f64>())
            .sum();
        let n = n as f64;
        (trace + sum(&k) * sum(&l) / ((n - 1.0) * (n - 2.0)) - 2.0 / (n - 2.0) * mixed) / (n * (n - 3.0))
    }

    #[test]
    fn several_tiles_with_a_short_one_give_what_the_definition_gives() {
        let (x, y) = (waves(TILE * 2 + 9, 6, 0.7, 0.3), waves(TILE * 2 + 9, 4, 1.3, 0.6));
        let (first, second) = (gram(&x), gram(&y));
        assert!((first.hsic(&second) - by_definition(&x, &y)).abs() < 1e-12 * first.own);
        assert_is(first.own, by_definition(&x, &x));
    }

    #[test]
    fn products_in_float32_are_near_those_in_float64_for_wide_features_far_from_zero() {
        // Wider than a strip, and a common part a hundred times what tells the images apart, as residual streams have.
        let (rows, dim) = (96, STRIP + 70);
        let noise = |i: usize| (i as f64 * 12.9898).sin() * 43_758.545_3 % 1.0;
        let features = |factors: usize| -> Vec<Vec<f64>> {
            let value = |row: usize, i: usize| noise(row * 40 + i % factors) + 0.2 * noise(row * dim + i + 5000 * factors);
            (0..rows)
                .map(|row| (0..dim).map(|i| f64::from((100.0 + value(row, i)) as f32)).collect())
                .collect()
        };
        let (x, y) = (features(12), features(7));
        let quick = |rows: &[Vec<f64>]| Gram::of(&rows.concat().iter().map(|v| *v as f32).collect::<Vec<f32>>(), rows.len());
        let (mut exact, mut near) = (Cka::default(), Cka::default());
        exact.add(&gram(&x), &gram(&y));
        near.add(&quick(&x), &quick(&y));
        let (exact, near) = (exact.value().unwrap(), near.value().unwrap());
        assert!((exact - near).abs() < 1e-8, "{near} is not {exact}");
        assert!((0.3..0.95).contains(&exact), "{exact} says nothing");
    }
}
