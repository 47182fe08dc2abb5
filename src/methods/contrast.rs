//! Losses that compare two views of a batch of images, image by image.
//!
//! InfoNCE (arXiv 1807.03748) as MoCo v3 takes it (arXiv 2104.02057), NT-Xent (SimCLR, arXiv 2002.05709), and the
//! negative-free cosine losses of BYOL (arXiv 2006.07733) and SimSiam (arXiv 2011.10566). All are pure functions and
//! stop no gradients: whoever calls passes targets that carry none.

use burn::tensor::{Device, Tensor};

/// The smallest length a vector is divided by (torch's `normalize`).
const SHORTEST: f64 = 1e-12;

/// Vectors of length 1 along the last dimension.
///
/// # Shapes
/// x and output: `[.., dim]`
pub fn l2_normalize<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // The limit stands below the root, whose slope at zero is infinite.
    let length = (x.clone() * x.clone()).sum_dim(D - 1).clamp_min(SHORTEST * SHORTEST).sqrt();
    x / length
}

/// InfoNCE: mean over the batch of `-log softmax(cos(q_i, k_j) / temperature)` at `j = i`, all `k` of the batch being
/// candidates.
///
/// Those where `excluded` is 1 are none. MoCo v3 multiplies the loss by twice the temperature.
///
/// # Shapes
/// queries, keys: `[batch, dim]`; excluded: `[batch, batch]`, 0 on its diagonal; output: `[1]`
pub fn info_nce(queries: Tensor<2>, keys: Tensor<2>, temperature: f64, excluded: Option<Tensor<2>>) -> Tensor<1> {
    let (queries, keys) = (l2_normalize(queries), l2_normalize(keys));
    let positive = (queries.clone() * keys.clone()).sum_dim(1).div_scalar(temperature); // [B, 1]
    let logits = queries.matmul(keys.transpose()).div_scalar(temperature); // [B, B]
    (log_sum_exp(without_any(logits, excluded)) - positive).mean()
}

/// NT-Xent: InfoNCE over both views as one set of `2 * batch` vectors, each against all but itself; mean over all.
///
/// The official code gives twice this, the sum of the means over either view. Pairs of images where `excluded` is 1 are
/// no candidates of each other.
///
/// # Shapes
/// first, second: `[batch, dim]`; excluded: `[batch, batch]`, 0 on its diagonal; output: `[1]`
pub fn nt_xent(first: Tensor<2>, second: Tensor<2>, temperature: f64, excluded: Option<Tensor<2>>) -> Tensor<1> {
    let (first, second) = (l2_normalize(first), l2_normalize(second));
    let positive = (first.clone() * second.clone()).sum_dim(1).div_scalar(temperature); // [B, 1]
    let all = Tensor::cat(vec![first, second], 0); // [2B, dim]
    let [count, _] = all.dims();
    let logits = all.clone().matmul(all.transpose()).div_scalar(temperature);
    let logits = without(logits, identity(count, &positive.device()));
    let logits = without_any(logits, excluded.map(|pairs| pairs.repeat(&[2, 2])));
    log_sum_exp(logits).mean() - positive.mean()
}

/// BYOL's loss, mean of `2 - 2 cos` over everything but the last dimension.
///
/// # Shapes
/// predictions, targets: `[.., dim]`; output: `[1]`
pub fn byol<const D: usize>(predictions: Tensor<D>, targets: Tensor<D>) -> Tensor<1> {
    negative_cosine(predictions, targets).mul_scalar(2.0) + 2.0
}

/// SimSiam's loss, mean of `-cos` over everything but the last dimension.
///
/// # Shapes
/// predictions, targets: `[.., dim]`; output: `[1]`
pub fn negative_cosine<const D: usize>(predictions: Tensor<D>, targets: Tensor<D>) -> Tensor<1> {
    (l2_normalize(predictions) * l2_normalize(targets)).sum_dim(D - 1).mean().neg()
}

/// `log(sum(exp(x)))` over the last dimension, which stays with one element.
pub(super) fn log_sum_exp<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let largest = x.clone().detach().max_dim(D - 1);
    (x - largest.clone()).exp().sum_dim(D - 1).log() + largest
}

/// Logits without those where `excluded` is 1: they get no share of a softmax.
pub(super) fn without<const D: usize>(logits: Tensor<D>, excluded: Tensor<D>) -> Tensor<D> {
    logits.mask_fill(excluded.bool(), f32::NEG_INFINITY)
}

/// As [`without`]; nothing is excluded if there is nothing to exclude.
pub(super) fn without_any<const D: usize>(logits: Tensor<D>, excluded: Option<Tensor<D>>) -> Tensor<D> {
    match excluded {
        Some(excluded) => without(logits, excluded),
        None => logits,
    }
}

/// 1 on the diagonal, a constant of the graph, `[count, count]`.
pub(super) fn identity(count: usize, device: &Device) -> Tensor<2> {
    Tensor::eye(count, &device.clone().inner())
}

#[cfg(test)]
pub(super) mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::weights::HostTensor;

    /// `S(rows, columns, a, b)` of the golden values: `sin(a * index + b)`, in float64 before they are rounded.
    pub(in crate::methods) fn waves<const D: usize>(shape: [usize; D], a: f64, b: f64, device: &Device) -> Tensor<D> {
        let value = |i: usize| (a * i as f64 + b).sin() as f32;
        let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(value).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    #[track_caller]
    pub(in crate::methods) fn assert_is(loss: Tensor<1>, expected: f64) {
        let loss = loss.into_scalar::<f64>();
        assert!((loss / expected - 1.0).abs() < 1e-5, "{loss} is not {expected}");
    }

    fn pair() -> (Tensor<2>, Tensor<2>) {
        let device = Device::flex();
        (waves([6, 8], 0.7, 0.3, &device), waves([6, 8], 1.1, 0.9, &device))
    }

    #[test]
    fn every_loss_is_the_reference_one() {
        let (q, k) = pair();
        let contrast = info_nce(q.clone(), k.clone(), 0.2, None);
        assert_is(contrast.clone(), 3.192_593_329_947_426_7);
        assert_is(contrast.mul_scalar(2.0 * 0.2), 1.277_037_331_978_970_7);
        assert_is(nt_xent(q.clone(), k.clone(), 0.5, None), 2.749_207_974_494_762_4);
        assert_is(byol(q.clone(), k.clone()), 1.936_494_908_250_049_3);
        assert_is(negative_cosine(q, k), -0.031_752_545_874_975_294);
    }

    #[test]
    fn a_loss_of_equal_vectors_is_the_one_of_chance() {
        let same = Tensor::<2>::ones([5, 3], &Device::flex());
        assert_is(info_nce(same.clone(), same.clone(), 0.1, None), 5f64.ln());
        assert_is(nt_xent(same.clone(), same.clone(), 0.1, None), 9f64.ln());
        assert_is(negative_cosine(same.clone(), same), -1.0);
    }

    #[test]
    fn what_is_excluded_has_no_part_in_the_loss() {
        let images = [9, 1, 2, 9, 4, 5];
        let pairs = super::super::duplicates::duplicates(&images, &Device::flex());
        let (q, k) = pair();
        let rows = |x: &Tensor<2>| l2_normalize(x.clone()).into_data().iter::<f64>().collect::<Vec<_>>();
        let (queries, keys) = (rows(&q), rows(&k));
        let cosine = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        // By hand: every vector against its own counterpart and those of other images.
        let of = |from: &[f64], own: usize, candidates: &[f64], temperature: f64, counts: &dyn Fn(usize) -> bool| {
            let score = |j: usize| (cosine(from, &candidates[8 * j..8 * j + 8]) / temperature).exp();
            let all: f64 = (0..candidates.len() / 8).filter(|j| counts(*j)).map(score).sum();
            -(score(own) / all).ln()
        };
        let one_way = |i: usize| of(&queries[8 * i..8 * i + 8], i, &keys, 0.2, &|j| j == i || images[j] != images[i]);
        let expected = (0..6).map(one_way).sum::<f64>() / 6.0;
        assert_is(info_nce(q.clone(), k.clone(), 0.2, pairs.clone()), expected);
        let all = [queries, keys].concat();
        let both_ways = |i: usize| {
            let own = (i + 6) % 12;
            let counts = |j: usize| j == own || images[j % 6] != images[i % 6];
            of(&all[8 * i..8 * i + 8], own, &all, 0.5, &counts)
        };
        let expected = (0..12).map(both_ways).sum::<f64>() / 12.0;
        assert_is(nt_xent(q, k, 0.5, pairs), expected);
    }

    #[test]
    fn a_vector_of_zeros_has_a_finite_loss_and_finite_gradients() {
        let device = Device::flex().autodiff();
        let zeros = Tensor::<2>::zeros([4, 3], &device).require_grad();
        let keys = waves([4, 3], 0.7, 0.3, &device).inner();
        let contrast = info_nce(zeros.clone(), keys.clone(), 0.2, None) + nt_xent(zeros.clone(), keys.clone(), 0.2, None);
        let loss = contrast + byol(zeros.clone(), keys);
        assert!(loss.clone().into_scalar::<f64>().is_finite());
        let gradient = HostTensor::from_tensor(&zeros.grad(&loss.backward()).unwrap());
        assert!(gradient.data.iter().all(|v| v.is_finite()), "{gradient:?}");
    }
}
