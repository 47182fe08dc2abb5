//! Clusters of raw patches: k-means++ (Arthur and Vassilvitskii 2007), then Lloyd's rounds.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;

use super::super::mae::normalize_patches;
use super::nearest;
use crate::experiment::settings::TokenizerSettings;
use crate::rng::{Purpose, place, stream};
use crate::vit::truncated_normal;
use crate::weights::HostTensor;

/// Keeps the deviation of flat patches finite, as [`normalize_patches`] does.
const EPSILON: f64 = 1e-6;

/// The centers of the clusters.
#[derive(Module, Debug)]
pub struct KMeans {
    /// `[vocabulary, values]`
    centroids: Param<Tensor<2>>,
    normalize: bool,
}

impl KMeans {
    /// Centers before any clustering: random ones.
    pub fn new(settings: &TokenizerSettings, values: usize, seed: u64, device: &Device) -> KMeans {
        let mut rng = stream(seed, Purpose::Tokenizer, place("centroids"), 0);
        let centroids = truncated_normal([settings.vocabulary, values], 1.0, &mut rng, device);
        KMeans::of(centroids, settings.normalize)
    }

    /// Given centers, `[vocabulary, values]`.
    pub fn of(centroids: Tensor<2>, normalize: bool) -> KMeans {
        KMeans {
            centroids: Param::from_tensor(centroids).set_require_grad(false),
            normalize,
        }
    }

    /// Clusters.
    pub fn vocabulary(&self) -> usize {
        self.centroids.dims()[0]
    }

    /// # Shapes
    /// patches: `[batch, patches, values]`; output: `[batch, patches]`
    pub fn tokens(&self, patches: Tensor<3>) -> Tensor<2, Int> {
        let [batch, count, values] = patches.dims();
        let rows = clustered(patches, self.normalize).reshape([batch * count, values]);
        nearest(rows, self.centroids.val()).0.reshape([batch, count])
    }

    /// The center of each patch's cluster, with the patch's own mean and deviation where those were taken away.
    ///
    /// # Shapes
    /// patches and output: `[batch, patches, values]`
    pub fn reconstruct(&self, patches: Tensor<3>) -> Tensor<3> {
        let [batch, count, values] = patches.dims();
        let tokens = self.tokens(patches.clone()).reshape([batch * count]);
        let centers = self.centroids.val().select(0, tokens).reshape([batch, count, values]);
        if !self.normalize {
            return centers;
        }
        let (variance, mean) = patches.var_mean(2);
        centers * (variance + EPSILON).sqrt() + mean
    }
}

/// Patches as they are clustered.
///
/// # Shapes
/// patches and output: `[batch, patches, values]`
pub fn clustered(patches: Tensor<3>, normalize: bool) -> Tensor<3> {
    if normalize { normalize_patches(patches) } else { patches }
}

/// Patches being clustered.
#[derive(Debug)]
pub struct Clustering {
    /// `[count, values]`
    rows: Tensor<2>,
    /// The same on the host.
    numbers: Vec<f32>,
    centroids: Tensor<2>,
    places: Vec<i64>,
}

/// What one of Lloyd's rounds did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// Rows that changed their cluster.
    pub moved: usize,
    /// Mean squared distance of a row to its center, before the centers moved.
    pub error: f64,
}

impl Clustering {
    /// Chooses the first centers by k-means++: each with a chance proportional to its squared distance from those that
    /// there are.
    ///
    /// # Errors
    /// If there are fewer rows than clusters.
    pub fn begin(rows: Tensor<2>, vocabulary: usize, seed: u64) -> Result<Clustering, String> {
        let [count, _] = rows.dims();
        if count < vocabulary {
            return Err(format!(
                "tokenizer.vocabulary = {vocabulary} is not allowed: it must be at most the {count} patches that are clustered"
            ));
        }
        let mut rng = stream(seed, Purpose::Tokenizer, place("kmeans++"), 0);
        let mut chosen = vec![((rng.random::<f64>() * count as f64) as usize).min(count - 1)];
        let mut distances = vec![f64::INFINITY; count];
        while chosen.len() < vocabulary {
            let last = rows.clone().narrow(0, chosen[chosen.len() - 1], 1);
            let (_, fresh) = nearest(rows.clone(), last);
            for (distance, fresh) in distances.iter_mut().zip(fresh.into_data().iter::<f32>()) {
                *distance = distance.min(f64::from(fresh));
            }
            distances[chosen[chosen.len() - 1]] = 0.0;
            chosen.push(drawn(&distances, rng.random::<f64>()));
        }
        let chosen: Vec<i64> = chosen.into_iter().map(|row| row as i64).collect();
        let chosen = Tensor::<1, Int>::from_data(TensorData::new(chosen, [vocabulary]), &rows.device());
        Ok(Clustering {
            numbers: rows.clone().into_data().iter::<f32>().collect(),
            centroids: rows.clone().select(0, chosen),
            rows,
            places: Vec::new(),
        })
    }

    /// Goes on after a round that left such centers and put each row to the center at such a place; before the first round
    /// there are no places.
    ///
    /// # Errors
    /// Centers or places that are not of these rows.
    pub fn resume(rows: Tensor<2>, centroids: HostTensor, places: Vec<i64>) -> Result<Clustering, String> {
        let [count, values] = rows.dims();
        if centroids.shape.get(1) != Some(&values) || !(places.is_empty() || places.len() == count) {
            return Err(format!(
                "centers of shape {:?} are not of {count} patches of {values} values",
                centroids.shape
            ));
        }
        Ok(Clustering {
            numbers: rows.clone().into_data().iter::<f32>().collect(),
            centroids: Tensor::from_data(centroids.into_data(), &rows.device()),
            rows,
            places,
        })
    }

    /// Puts every row to its nearest center and every center to the mean of its rows. A center without rows goes to the
    /// row that is furthest from its own.
    pub fn round(&mut self) -> Round {
        let [count, values] = self.rows.dims();
        let [vocabulary, _] = self.centroids.dims();
        let (places, distances) = nearest(self.rows.clone(), self.centroids.clone());
        let places: Vec<i64> = places.into_data().iter::<i64>().collect();
        let distances: Vec<f32> = distances.into_data().iter::<f32>().collect();
        let moved = (0..count).filter(|&row| self.places.get(row) != Some(&places[row])).count();
        let (mut sums, mut sizes) = (vec![0.0f64; vocabulary * values], vec![0u64; vocabulary]);
        for (row, &place) in self.numbers.chunks_exact(values).zip(&places) {
            sizes[place as usize] += 1;
            let sum = &mut sums[place as usize * values..][..values];
            sum.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        let mut furthest = if sizes.contains(&0) {
            furthest_first(&distances)
        } else {
            Vec::new()
        }
        .into_iter();
        for (sum, size) in sums.chunks_exact_mut(values).zip(&mut sizes) {
            if *size == 0 {
                let row = furthest.next().expect("there are at least as many rows as centers");
                sum.iter_mut()
                    .zip(&self.numbers[row * values..])
                    .for_each(|(sum, v)| *sum = f64::from(*v));
                *size = 1;
            }
            sum.iter_mut().for_each(|sum| *sum /= *size as f64);
        }
        let centers: Vec<f32> = sums.into_iter().map(|v| v as f32).collect();
        self.centroids = Tensor::from_data(TensorData::new(centers, [vocabulary, values]), &self.rows.device());
        self.places = places;
        Round {
            moved,
            error: distances.iter().map(|d| f64::from(*d)).sum::<f64>() / count as f64,
        }
    }

    /// Which center each row was put to; nothing before the first round.
    pub fn places(&self) -> &[i64] {
        &self.places
    }

    /// The centers as they are now, `[vocabulary, values]`.
    pub fn centroids(&self) -> Tensor<2> {
        self.centroids.clone()
    }
}

fn furthest_first(distances: &[f32]) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..distances.len()).collect();
    rows.sort_by(|a, b| distances[*b].total_cmp(&distances[*a]).then(a.cmp(b)));
    rows
}

/// The place that a number from 0 to 1 falls on, where each place is as wide as its weight.
fn drawn(weights: &[f64], at: f64) -> usize {
    let mut rest = at * weights.iter().sum::<f64>();
    let found = weights.iter().position(|weight| {
        rest -= weight;
        rest < 0.0
    });
    // Rounding may leave nothing, and equal rows all weigh nothing.
    found.unwrap_or(weights.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three heaps far from each other, in turn.
    fn heaps() -> (Tensor<2>, Vec<i64>) {
        let centers = [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]];
        let rows: Vec<f32> = (0..60)
            .flat_map(|i| centers[i % 3].map(|v: f32| v + (i as f32 * 1.7).sin() * 0.5))
            .collect();
        let rows = Tensor::from_data(TensorData::new(rows, [60, 2]), &Device::flex());
        (rows, (0..60).map(|i| i % 3).collect())
    }

    #[test]
    fn heaps_are_found_and_each_round_comes_nearer() {
        let mut found = 0;
        for seed in 0..20 {
            let (rows, heap) = heaps();
            let mut clustering = Clustering::begin(rows, 3, seed).unwrap();
            let mut errors = Vec::new();
            loop {
                let round = clustering.round();
                errors.push(round.error);
                if round.moved == 0 {
                    break;
                }
                assert!(errors.len() < 20, "it does not end");
            }
            assert!(errors.is_sorted_by(|a, b| a >= b), "{errors:?}");
            let places = &clustering.places;
            let apart = (0..60).all(|i| (0..60).all(|j| (places[i] == places[j]) == (heap[i] == heap[j])));
            found += usize::from(apart);
        }
        // Two of the first centers may stand in one heap, and then the rounds do not part them.
        assert!(found >= 17, "found {found} times of 20");
    }

    #[test]
    fn equal_seeds_give_equal_centers_and_no_center_stays_without_rows() {
        let of = |seed| {
            let mut clustering = Clustering::begin(heaps().0, 7, seed).unwrap();
            for _ in 0..10 {
                clustering.round();
            }
            clustering
        };
        assert_eq!(of(1).centroids().into_data(), of(1).centroids().into_data());
        assert_ne!(of(1).centroids().into_data(), of(2).centroids().into_data());
        let used: std::collections::BTreeSet<i64> = of(1).places.into_iter().collect();
        assert_eq!(used.len(), 7);
    }

    #[test]
    fn rows_that_are_all_alike_do_not_stop_it_and_too_few_are_refused() {
        let rows = Tensor::<2>::ones([5, 2], &Device::flex());
        let mut clustering = Clustering::begin(rows.clone(), 3, 1).unwrap();
        assert!(clustering.round().error < 1e-6);
        assert!(clustering.centroids().into_data().iter::<f32>().all(|v| v == 1.0));
        let error = Clustering::begin(rows, 6, 1).unwrap_err();
        assert!(error.starts_with("tokenizer.vocabulary = 6") && error.contains("at most the 5 patches"));
    }

    #[test]
    fn a_patch_that_is_a_center_comes_back_as_it_was_also_normalized() {
        let device = Device::flex();
        let patches = Tensor::<3>::from_floats([[[1.0, 2.0, 3.0], [0.0, 4.0, 0.0]]], &device);
        for normalize in [false, true] {
            let centers = clustered(patches.clone(), normalize).reshape([2, 3]);
            let means = KMeans::of(centers, normalize);
            assert_eq!(means.tokens(patches.clone()).into_data().iter::<i64>().collect::<Vec<_>>(), [0, 1]);
            let back = means.reconstruct(patches.clone());
            let off = (back - patches.clone()).abs().max().into_scalar::<f32>();
            assert!(off < 1e-5, "{off}");
        }
    }
}
