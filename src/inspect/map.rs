//! Features of validation images, and the two planes they are shown on.

use std::sync::mpsc;
use std::thread;

use anyhow::{Result, bail};
use burn::tensor::{Tensor, TensorData};
use nalgebra::DMatrix;

use crate::data::Dataset;
use crate::inspect::model::Model;
use crate::playground::Feature;
use crate::weights::HostTensor;

/// Images on a map, at most: more points cover each other, and t-SNE takes the square of them.
const POINTS: usize = 500;
/// Fewest images that make a map.
const FEWEST: usize = 4;
/// Images in one pass.
const BATCH: usize = 20;
/// Rounds of t-SNE, as usual.
pub(super) const ROUNDS: usize = 1000;
/// Neighbors that a point of t-SNE has, about; fewer where there are few points.
const PERPLEXITY: f64 = 30.0;
/// Standard deviation that t-SNE begins with along the first axis (Kobak and Berens, Nature Communications 10, 2019).
const BEGINNING: f64 = 1e-4;

/// Some images of a validation split, spread evenly.
pub(super) struct Features {
    /// Their places in the split.
    pub(super) indices: Vec<usize>,
    /// What the encoder makes of each.
    pub(super) rows: Vec<Vec<f32>>,
}

impl Features {
    /// Size in memory.
    pub(super) fn bytes(&self) -> usize {
        self.rows.iter().map(|row| 4 * row.len()).sum()
    }
}

/// Makes features of validation images.
///
/// # Errors
/// Fewer than four images, or one that cannot be read.
pub(super) fn features(model: &Model, dataset: &Dataset, feature: Feature, report: &mut dyn FnMut(&str)) -> Result<Features> {
    let (images, side) = (dataset.val.len(), model.augment.image_size());
    if images < FEWEST {
        bail!("the validation split has {images} images: a map needs at least {FEWEST}");
    }
    let count = images.min(POINTS);
    let indices: Vec<usize> = (0..count).map(|nth| nth * images / count).collect();
    let mut rows: Vec<Vec<f32>> = Vec::with_capacity(count);
    for batch in indices.chunks(BATCH) {
        report(&format!("making features, {} %", 100 * rows.len() / count));
        let mut views = vec![0.0; batch.len() * 3 * side * side];
        for (index, view) in batch.iter().zip(views.chunks_exact_mut(3 * side * side)) {
            model.augment.plain(&dataset.val.image(*index)?, view);
        }
        let images = Tensor::from_data(TensorData::new(views, [batch.len(), 3, side, side]), &model.device);
        let tokens = model.encoder.encode(model.encoder.embed(images), None); // [B, 1+N, D]
        let [_, tokens_and_class, dim] = tokens.dims();
        let of_image = match feature {
            Feature::Cls => tokens.narrow(1, 0, 1),
            Feature::MeanPatch => tokens.narrow(1, 1, tokens_and_class - 1).mean_dim(1),
        };
        let values = HostTensor::from_tensor(&of_image).data;
        rows.extend(values.chunks_exact(dim).map(<[f32]>::to_vec));
    }
    Ok(Features { indices, rows })
}

/// A plane through features.
pub(super) struct Plane {
    /// Of every image, along the two axes.
    pub(super) places: Vec<[f64; 2]>,
    /// Share of the variance along each axis.
    pub(super) explained: [f64; 2],
}

/// The plane in which features vary most. The signs of its axes are such that the farthest point is on the positive side.
pub(super) fn principal(features: &[Vec<f32>]) -> Plane {
    let (images, dim) = (features.len(), features[0].len());
    let mut centered = DMatrix::from_fn(images, dim, |row, column| f64::from(features[row][column]));
    for mut column in centered.column_iter_mut() {
        let mean = column.mean();
        column.add_scalar_mut(-mean);
    }
    // The covariances of features and the likenesses of images have the same eigenvalues: the smaller of the two is solved.
    let wide = dim > images;
    let products = if wide {
        &centered * centered.transpose()
    } else {
        centered.tr_mul(&centered)
    };
    let eigen = products.symmetric_eigen();
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let total: f64 = eigen.eigenvalues.iter().map(|value| value.max(0.0)).sum();
    let mut plane = Plane {
        places: vec![[0.0; 2]; images],
        explained: [0.0; 2],
    };
    for (axis, &at) in order.iter().take(2).enumerate() {
        let (value, vector) = (eigen.eigenvalues[at].max(0.0), eigen.eigenvectors.column(at));
        let along = if wide { vector * value.sqrt() } else { &centered * vector };
        let farthest = along
            .iter()
            .fold(0.0f64, |far, place| if place.abs() > far.abs() { *place } else { far });
        let sign = if farthest < 0.0 { -1.0 } else { 1.0 };
        plane
            .places
            .iter_mut()
            .zip(along.iter())
            .for_each(|(place, along)| place[axis] = sign * along);
        plane.explained[axis] = if total > 0.0 { value / total } else { 0.0 };
    }
    plane
}

/// t-SNE of features, which keeps neighbors together. It begins at the places of [`principal`] and works in one thread, so
/// that the same features give the same map.
pub(super) fn neighbors(features: &[Vec<f32>], plane: &[[f64; 2]], rounds: usize, report: &mut dyn FnMut(&str)) -> Vec<[f64; 2]> {
    let spread = (plane.iter().map(|place| place[0] * place[0]).sum::<f64>() / plane.len() as f64).sqrt();
    let scale = BEGINNING / spread.max(f64::MIN_POSITIVE);
    let start: Vec<f32> = plane.iter().flatten().map(|value| (value * scale) as f32).collect();
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread can be started");
    let (tell, told) = mpsc::channel();
    let places = thread::scope(|scope| {
        // Sums of several threads would come in another order each time.
        let drawn = scope.spawn(|| one.install(move || draw(features, start, rounds, &tell)));
        for round in told {
            report(&format!("drawing the map, {} %", 100 * round / rounds.max(1)));
        }
        drawn.join().expect("the map is drawn")
    });
    places
        .chunks_exact(2)
        .map(|place| [f64::from(place[0]), f64::from(place[1])])
        .collect()
}

/// Every fiftieth round is told.
fn draw(features: &[Vec<f32>], start: Vec<f32>, rounds: usize, tell: &mpsc::Sender<usize>) -> Vec<f32> {
    let rows: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
    let mut map = bhtsne::tSNE::<f32, &[f32]>::new(&rows);
    map.epochs(rounds)
        .perplexity((PERPLEXITY as f32).min((features.len() - 1) as f32 / 3.0))
        .initial_embedding(start)
        .epoch_callback(|round, _| {
            if round % 50 == 0 {
                // Whoever listens does so until the end.
                let _ = tell.send(round);
            }
        })
        .exact(|one, other| one.iter().zip(*other).map(|(a, b)| (a - b) * (a - b)).sum());
    map.embedding()
}

#[cfg(test)]
mod tests {
    use crate::inspect::map::*;

    /// Three groups of points in eight dimensions, far from each other.
    fn groups(each: usize) -> Vec<Vec<f32>> {
        let point = |at: usize| {
            let (group, nth) = (at / each, at % each);
            let place = |dim: usize| ((nth * 8 + dim) as f32 * 1.7).sin() * 0.1 + if dim == group { 5.0 } else { 0.0 };
            (0..8).map(place).collect()
        };
        (0..3 * each).map(point).collect()
    }

    #[test]
    fn the_principal_plane_of_a_line_is_the_line() {
        // Points on (1, 2, 2) / 3: the first axis has their distances, the second nothing.
        let along = [-3.0f32, -1.0, 0.0, 4.0];
        let features: Vec<Vec<f32>> = along
            .iter()
            .map(|t| vec![t / 3.0 + 7.0, 2.0 * t / 3.0, 2.0 * t / 3.0 - 1.0])
            .collect();
        let plane = principal(&features);
        for (place, along) in plane.places.iter().zip(along) {
            assert!((place[0] - f64::from(along)).abs() < 1e-5 && place[1].abs() < 1e-5, "{place:?}");
        }
        assert!((plane.explained[0] - 1.0).abs() < 1e-9 && plane.explained[1].abs() < 1e-9);
    }

    #[test]
    fn more_dimensions_than_images_give_the_same_plane() {
        let narrow = groups(4);
        // The same points in forty dimensions, of which most are empty.
        let wide: Vec<Vec<f32>> = narrow.iter().map(|point| [&point[..], &[0.0; 32]].concat()).collect();
        let (narrow, wide) = (principal(&narrow), principal(&wide));
        for (a, b) in narrow.places.iter().flatten().zip(wide.places.iter().flatten()) {
            assert!((a - b).abs() < 1e-8, "{a} {b}");
        }
        assert!((narrow.explained[0] - wide.explained[0]).abs() < 1e-9);
    }

    #[test]
    fn features_that_do_not_vary_are_one_point() {
        let plane = principal(&vec![vec![2.0; 3]; 5]);
        assert_eq!((plane.places, plane.explained), (vec![[0.0; 2]; 5], [0.0; 2]));
    }

    #[test]
    fn neighbors_stay_together_and_the_map_is_the_same_again() {
        let (features, each) = (groups(8), 8);
        let plane = principal(&features).places;
        let draw = || neighbors(&features, &plane, 300, &mut |_| ());
        let map = draw();
        assert_eq!(map, draw());
        let distance = |a: usize, b: usize| (map[a][0] - map[b][0]).hypot(map[a][1] - map[b][1]);
        for point in 0..map.len() {
            let nearest = (0..map.len())
                .filter(|other| *other != point)
                .min_by(|a, b| distance(point, *a).total_cmp(&distance(point, *b)));
            assert_eq!(nearest.unwrap() / each, point / each, "{map:?}");
        }
    }
}
