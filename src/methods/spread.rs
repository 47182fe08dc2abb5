//! How far the projections of a batch lie apart: what shows that a method collapses, which its loss may not.

use burn::tensor::Tensor;

use super::Term;
use super::contrast::l2_normalize;
use crate::experiment::measure;
use crate::experiment::{Alarm, Side};

/// What the measures look like when all outputs become the same.
///
/// Below a tenth of what independent directions have, and below two directions, hardly anything of an image is left to
/// compare. Both limits are ours. In eight epochs of 2,000 images at `quick` the spread stayed above 0.7 and the rank above
/// 2.5 in every method, while SimSiam without its stop-gradient fell to a rank of 1.0 within the second epoch. Where a head
/// ends in a norm over the batch the spread hardly falls, and the rank tells alone. The features' own measures are curves
/// without a line: in the same runs BYOL's and SimSiam's rank went down to 1.4.
pub const COLLAPSE: &[Alarm] = &[
    Alarm {
        term: &measure::SPREAD,
        side: Side::Below,
        value: 0.1,
        sentence: "all images get nearly the same projection, so that nothing is learned; lower train.base_lr, or check the \
                   method's options against its paper",
    },
    Alarm {
        term: &measure::RANK,
        side: Side::Below,
        value: 2.0,
        sentence: "the projections vary along a single direction, so that hardly anything is learned; lower train.base_lr, or \
                   take a larger train.batch_size",
    },
];

/// Both measures of a batch of an encoder's features and of their projections, as terms of a loss. Nothing of it enters a
/// gradient.
///
/// Of several tokens an image, each is measured against the other images' at its place: tokens that tell their place and
/// nothing of the image are all one.
///
/// # Shapes
/// features: `[batch, .., dim]`; projections: `[batch, .., out]`
pub fn spread<const D: usize>(features: &Tensor<D>, projections: &Tensor<D>) -> Vec<Term> {
    let [features, projections] = [features, projections].map(|outputs| directions(outputs.clone().inner()));
    vec![
        (&measure::SPREAD, deviation(projections.clone())),
        (&measure::RANK, effective_rank(projections)),
        (&measure::FEATURE_SPREAD, deviation(features.clone())),
        (&measure::FEATURE_RANK, effective_rank(features)),
    ]
}

/// The outputs at length 1, less their mean over the batch.
///
/// # Shapes
/// outputs: `[batch, .., dim]`; output: `[rows, dim]`
fn directions<const D: usize>(outputs: Tensor<D>) -> Tensor<2> {
    let outputs = l2_normalize(outputs);
    (outputs.clone() - outputs.mean_dim(0)).flatten(0, D - 2)
}

/// The mean over dimensions of the deviation over the batch, times the root of the number of dimensions: 1 if directions
/// point everywhere, 0 if all are one (SimSiam, arXiv 2011.10566, section 4.1, whose curves are this before the product).
///
/// # Shapes
/// directions: `[rows, dim]`; output: `[1]`
fn deviation(directions: Tensor<2>) -> Tensor<1> {
    let [_, dim] = directions.dims();
    let variance = (directions.clone() * directions).mean_dim(0); // [1, dim]
    variance.sqrt().mean().mul_scalar((dim as f64).sqrt())
}

/// The participation ratio of the covariance's eigenvalues, `(tr C)^2 / tr C^2`: `k` if the directions spread equally over
/// `k`. At most the smaller of the dimensions and the rows less one.
///
/// # Shapes
/// directions: `[rows, dim]`; output: `[1]`
fn effective_rank(directions: Tensor<2>) -> Tensor<1> {
    let [count, dim] = directions.dims();
    // Both products have the same eigenvalues but for zeros; the smaller one is made.
    let product = if count < dim {
        directions.clone().matmul(directions.clone().transpose())
    } else {
        directions.clone().transpose().matmul(directions.clone())
    };
    let trace = (directions.clone() * directions).sum();
    // All directions being one, both are zero, and so is the rank.
    trace.clone() * trace / (product.clone() * product).sum().clamp_min(f64::from(f32::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::contrast::tests::waves;
    use super::*;

    fn measured(rows: Tensor<2>) -> [f64; 2] {
        [deviation, effective_rank].map(|of| of(directions(rows.clone())).into_scalar::<f64>())
    }

    #[test]
    fn corners_of_a_cross_spread_over_all_their_directions() {
        // The unit vectors of four dimensions and their opposites: variance 1/4 in each, four equal eigenvalues.
        let identity = Tensor::<2>::eye(4, &Device::flex());
        let cross = Tensor::cat(vec![identity.clone(), identity.neg()], 0);
        let [spread, rank] = measured(cross.clone().mul_scalar(7.0));
        assert!((spread - 1.0).abs() < 1e-5 && (rank - 4.0).abs() < 1e-4, "{spread} {rank}");
        // Seen in twelve dimensions, of which most are empty, they have the same rank.
        let wide = Tensor::cat(vec![cross, Tensor::zeros([8, 8], &Device::flex())], 1);
        assert!((measured(wide)[1] - 4.0).abs() < 1e-4);
    }

    #[test]
    fn vectors_on_a_line_have_rank_one_and_equal_ones_none_at_all() {
        let line = Tensor::<2>::from_floats([[1.0, 2.0], [-1.0, -2.0], [3.0, 6.0]], &Device::flex());
        assert!((measured(line)[1] - 1.0).abs() < 1e-4);
        let [spread, rank] = measured(Tensor::<2>::ones([6, 8], &Device::flex()));
        assert!(spread.abs() < 1e-5 && rank.is_finite() && spread.is_finite(), "{spread} {rank}");
    }

    #[test]
    fn tokens_that_tell_their_place_alone_are_all_one() {
        let device = Device::flex();
        let places = waves::<3>([1, 5, 8], 0.7, 0.3, &device).expand([6, 5, 8]);
        let by_place = |tokens: Tensor<3>| {
            let found = spread(&tokens.clone(), &tokens);
            [0, 1].map(|term| found[term].1.clone().into_scalar::<f64>())
        };
        let rows = places.clone().flatten::<2>(0, 1);
        assert!(spread(&rows, &rows)[0].1.clone().into_scalar::<f64>() > 0.3);
        let [spread, _] = by_place(places);
        assert!(spread < 1e-5, "{spread}");
        // One token an image is measured as ever.
        let images = waves::<2>([6, 8], 0.9, 0.1, &device);
        let [spread, rank] = by_place(images.clone().unsqueeze_dim(1));
        let [plain, plain_rank] = measured(images);
        assert!((spread - plain).abs() < 1e-6 && (rank - plain_rank).abs() < 1e-4);
    }

    #[test]
    fn fewer_rows_than_dimensions_give_the_rank_of_the_covariance() {
        let device = Device::flex();
        let few = waves::<2>([5, 9], 0.7, 0.3, &device);
        let rows = l2_normalize(few.clone());
        let centered = rows.clone() - rows.mean_dim(0);
        let covariance = centered.clone().transpose().matmul(centered);
        let trace: f64 = (covariance.clone() * Tensor::eye(9, &device)).sum().into_scalar();
        let expected = trace * trace / (covariance.clone() * covariance).sum().into_scalar::<f64>();
        assert!((measured(few)[1] / expected - 1.0).abs() < 1e-4);
    }
}
