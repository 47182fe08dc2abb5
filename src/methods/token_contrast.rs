//! InfoNCE token by token: for every patch of every image, which token of the other view is its own?
//!
//! arXiv 2208.04164, Eq. 9 and 10, takes the loss at every patch and does not say what the other candidates are, so
//! they are a choice here.

use burn::tensor::{Int, Tensor, TensorData};
use rand::RngExt;

use super::contrast::{identity, l2_normalize, log_sum_exp, without, without_any};
use crate::rng::{Purpose, stream};

/// Which tokens of the other view stand beside a token's own one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negatives {
    /// The token at the same place of every other image: MoCo v3's loss at every patch. Chance is `ln batch`. Where only
    /// some patches are compared, the n-th of an image stands against the n-th of every other, wherever those are.
    SamePositionBatch,
    /// Every other token of the same image. Chance is `ln tokens`.
    SameImage,
    /// Every other token of every image. Chance is `ln (batch * tokens)`. Grows with the square of all tokens.
    AllTokens,
    /// `count` different tokens drawn anew in every step from all of the batch, the same for all queries; a token's
    /// own one is not counted twice. With `count = batch * tokens` it is [`Negatives::AllTokens`].
    Sampled {
        /// Tokens drawn; more than there are means all of them.
        count: usize,
        /// Seed of the run.
        seed: u64,
        /// Counter of batches.
        step: u64,
    },
    /// The mean of all tokens of every other image (DenseCL, arXiv 2011.09157). Chance is `ln batch`.
    PooledOtherImages,
}

/// Mean over all tokens of `-log softmax(cos(query, candidate) / temperature)` at the token's own key.
///
/// That is the key of the same image at the same place. Vectors are normalized here; keys should carry no gradients. Pairs
/// of images where `excluded` is 1 give each other no candidates.
///
/// # Shapes
/// queries, keys: `[batch, tokens, dim]`; excluded: `[batch, batch]`, 0 on its diagonal; output: `[1]`
pub fn token_info_nce(
    queries: Tensor<3>,
    keys: Tensor<3>,
    temperature: f64,
    negatives: Negatives,
    excluded: Option<Tensor<2>>,
) -> Tensor<1> {
    let [batch, tokens, dim] = queries.dims();
    let pooled = l2_normalize(keys.clone().mean_dim(1)).squeeze_dim::<2>(1); // The mean is of raw tokens.
    let (queries, keys) = (l2_normalize(queries), l2_normalize(keys));
    let positive = (queries.clone() * keys.clone()).sum_dim(2).div_scalar(temperature); // [B, N, 1]
    let all = |x: Tensor<3>| x.reshape([1, batch * tokens, dim]);
    let (sums, positive) = match negatives {
        Negatives::SamePositionBatch => {
            let (queries, keys) = (queries.swap_dims(0, 1), keys.swap_dims(0, 1)); // [N, B, D]
            let excluded = excluded.map(|pairs| pairs.unsqueeze::<3>().expand([tokens, batch, batch]));
            (softmax_sums(queries, keys, temperature, excluded), positive.swap_dims(0, 1))
        }
        Negatives::SameImage => (softmax_sums(queries, keys, temperature, None), positive),
        Negatives::AllTokens => {
            let of_tokens = |pairs: Tensor<2>| pairs.reshape([batch, 1, batch, 1]).expand([batch, tokens, batch, tokens]);
            let excluded = excluded.map(|pairs| of_tokens(pairs).reshape([1, batch * tokens, batch * tokens]));
            let sums = softmax_sums(all(queries), all(keys), temperature, excluded);
            (sums, positive.reshape([1, batch * tokens, 1]))
        }
        Negatives::Sampled { count, seed, step } => {
            let drawn = draw(batch * tokens, count, seed, step);
            let positive = positive.reshape([1, batch * tokens, 1]);
            let others = sampled(all(queries), all(keys), &drawn).div_scalar(temperature);
            let others = without_any(others, excluded.map(|pairs| of_drawn(pairs, &drawn, tokens)));
            (log_sum_exp(Tensor::cat(vec![positive.clone(), others], 2)), positive)
        }
        Negatives::PooledOtherImages => {
            let others = queries.matmul(pooled.transpose().unsqueeze::<3>()).div_scalar(temperature); // [B, N, B]
            let of_tokens = |pairs: Tensor<2>| pairs.unsqueeze_dim::<3>(1).expand([batch, tokens, batch]);
            let own = of_tokens(identity(batch, &others.device()));
            let others = without_any(without(others, own), excluded.map(of_tokens));
            (log_sum_exp(Tensor::cat(vec![positive.clone(), others], 2)), positive)
        }
    };
    (sums - positive).mean()
}

/// The logarithm of the denominator of every query's softmax over the keys of its group but the excluded ones,
/// `[groups, queries, 1]`.
fn softmax_sums(queries: Tensor<3>, keys: Tensor<3>, temperature: f64, excluded: Option<Tensor<3>>) -> Tensor<3> {
    let logits = queries.matmul(keys.swap_dims(1, 2)).div_scalar(temperature);
    log_sum_exp(without_any(logits, excluded))
}

/// Pairs of images as pairs of a token and a drawn one, `[1, batch * tokens, drawn]`.
fn of_drawn(pairs: Tensor<2>, drawn: &[i64], tokens: usize) -> Tensor<3> {
    let [batch, _] = pairs.dims();
    let images: Vec<i64> = drawn.iter().map(|token| token / tokens as i64).collect();
    let images = Tensor::<1, Int>::from_data(TensorData::new(images, [drawn.len()]), &pairs.device());
    let of_images = pairs.select(1, images).unsqueeze_dim::<3>(1); // [B, 1, drawn]
    of_images
        .expand([batch, tokens, drawn.len()])
        .reshape([1, batch * tokens, drawn.len()])
}

/// Cosines with the drawn keys, but for a token's own one: `[1, tokens, drawn]`.
fn sampled(queries: Tensor<3>, keys: Tensor<3>, drawn: &[i64]) -> Tensor<3> {
    let [_, tokens, _] = queries.dims();
    let device = keys.device().inner();
    let drawn_at = Tensor::<1, Int>::from_data(TensorData::new(drawn.to_vec(), [drawn.len()]), &device);
    let cosines = queries.matmul(keys.select(1, drawn_at.clone()).swap_dims(1, 2));
    let (rows, columns) = (Tensor::<1, Int>::arange(0..tokens as i64, &device), drawn_at);
    let own = rows
        .unsqueeze_dim::<2>(1)
        .expand([tokens, drawn.len()])
        .equal(columns.unsqueeze_dim::<2>(0).expand([tokens, drawn.len()]));
    without(cosines, own.float().unsqueeze::<3>())
}

/// `count` different numbers below `total`, or all of them.
fn draw(total: usize, count: usize, seed: u64, step: u64) -> Vec<i64> {
    let mut rng = stream(seed, Purpose::Negatives, step, 0);
    let mut numbers: Vec<i64> = (0..total as i64).collect();
    let count = count.min(total);
    // The first steps of Fisher and Yates, written out: a library's draws could change with its version.
    for place in 0..count {
        let other = place + (rng.random::<f64>() * (total - place) as f64) as usize;
        numbers.swap(place, other);
    }
    numbers.truncate(count);
    numbers
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::contrast::tests::{assert_is, waves};
    use super::super::contrast::{byol, info_nce};
    use super::*;
    use crate::weights::HostTensor;

    fn pair(device: &Device) -> (Tensor<3>, Tensor<3>) {
        (waves([3, 4, 8], 0.7, 0.3, device), waves([3, 4, 8], 1.1, 0.9, device))
    }

    fn loss(negatives: Negatives) -> Tensor<1> {
        let (q, k) = pair(&Device::flex());
        token_info_nce(q, k, 0.2, negatives, None)
    }

    fn sample(count: usize, step: u64) -> Negatives {
        Negatives::Sampled { count, seed: 7, step }
    }

    #[test]
    fn every_kind_of_negatives_is_the_reference_one() {
        assert_is(loss(Negatives::SamePositionBatch), 2.688_468_019_366_999_4);
        assert_is(loss(Negatives::SameImage), 2.716_454_102_400_102);
        assert_is(loss(Negatives::AllTokens), 4.163_042_307_076_167);
        assert_is(loss(Negatives::PooledOtherImages), 2.746_977_441_633_406);
    }

    #[test]
    fn pooled_images_and_byol_over_tokens_are_the_reference_ones() {
        let (q, k) = pair(&Device::flex());
        let pooled = |x: Tensor<3>| x.mean_dim(1).squeeze_dim::<2>(1);
        assert_is(info_nce(pooled(q.clone()), pooled(k.clone()), 0.2, None), 4.925_614_741_089_596);
        assert_is(byol(q, k), 1.961_270_213_288_556_7);
    }

    #[test]
    fn sampling_everything_is_all_tokens_and_a_step_draws_its_own() {
        assert_is(loss(sample(12, 3)), 4.163_042_307_076_167);
        assert_is(loss(sample(99, 3)), 4.163_042_307_076_167);
        let value = |step| loss(sample(5, step)).into_scalar::<f64>();
        assert_eq!(value(3), value(3));
        assert_ne!(value(3), value(4));
        assert!(value(3) < 4.163, "fewer candidates, less to mistake a token for");
    }

    #[test]
    fn tokens_that_are_drawn_are_different_and_all_are_drawn_equally_often() {
        let mut times = [0; 10];
        for step in 0..3000 {
            let mut drawn = draw(10, 4, 1, step);
            drawn.iter().for_each(|i| times[*i as usize] += 1);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 4);
        }
        // 3000 draws at 0.4: the standard deviation is 27.
        assert!(times.iter().all(|n: &i32| n.abs_diff(1200) < 140), "{times:?}");
    }

    #[test]
    fn another_view_of_the_same_image_is_no_candidate_of_any_kind() {
        let device = Device::flex();
        let (q, k) = pair(&device);
        let pairs = super::super::duplicates::duplicates(&[4, 8, 4], &device).unwrap();
        let loss = |k: &Tensor<3>, negatives, excluded| token_info_nce(q.clone(), k.clone(), 0.2, negatives, excluded).into_scalar::<f64>();
        for negatives in [
            Negatives::SamePositionBatch,
            Negatives::AllTokens,
            sample(12, 0),
            Negatives::PooledOtherImages,
        ] {
            let (all, fewer) = (loss(&k, negatives, None), loss(&k, negatives, Some(pairs.clone())));
            assert!(fewer < all - 1e-3, "{negatives:?}: {fewer} and {all}");
        }
        // Where images 0 and 2 are the same and only each other's candidates were, nothing is left to mistake them for.
        let two = |x: &Tensor<3>| Tensor::cat(vec![x.clone().slice([0..1, 0..4, 0..8]), x.clone().slice([2..3, 0..4, 0..8])], 0);
        let same = super::super::duplicates::duplicates(&[4, 4], &device);
        for negatives in [Negatives::SamePositionBatch, Negatives::PooledOtherImages] {
            let loss = token_info_nce(two(&q), two(&k), 0.2, negatives, same.clone()).into_scalar::<f64>();
            assert!(loss.abs() < 1e-6, "{negatives:?}: {loss}");
        }
        let one = token_info_nce(two(&q), two(&k), 0.2, Negatives::AllTokens, same).into_scalar::<f64>();
        let own = token_info_nce(two(&q), two(&k), 0.2, Negatives::SameImage, None).into_scalar::<f64>();
        assert!((one - own).abs() < 1e-5, "what is left are the tokens of the same view");
    }

    #[test]
    fn gradients_reach_the_queries_alone_when_keys_are_constants() {
        let device = Device::flex().autodiff();
        let all = [
            Negatives::SamePositionBatch,
            Negatives::SameImage,
            Negatives::AllTokens,
            sample(5, 0),
            Negatives::PooledOtherImages,
        ];
        for negatives in all {
            let (q, k) = pair(&device);
            let q = q.require_grad();
            let gradients = token_info_nce(q.clone(), k.inner(), 0.2, negatives, None).backward();
            let gradient = HostTensor::from_tensor(&q.grad(&gradients).unwrap());
            assert!(gradient.data.iter().all(|v| v.is_finite()) && gradient.data.iter().any(|v| *v != 0.0));
        }
    }
}
