//! Tokenizers: each makes one token of every patch, for methods that predict tokens (BEiT, arXiv 2106.08254; CAE,
//! arXiv 2202.03026).
//!
//! BEiT's own was trained on 250 million other images. These are trained on the run's own training split, so that
//! every method has seen the same; results with them are "BEiT-style" and no reproduction.

pub mod dvae;
pub mod kmeans;
mod patch_mlp;
pub mod vq;

use burn::tensor::{Device, Int, Tensor};

use crate::experiment::RunSpec;
use crate::experiment::choices::TokenizerKind;
use crate::experiment::settings::TokenizerSettings;
use crate::vit::patchify;
use crate::weights::{Weights, from_timm, to_timm};

pub use dvae::Dvae;
pub use kmeans::{Clustering, KMeans};
pub use vq::Vq;

/// A tokenizer of any kind.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Clusters of raw patches.
    KMeans(KMeans),
    /// A VQ-VAE.
    Vq(Vq),
    /// A discrete VAE.
    Dvae(Dvae),
}

/// A tokenizer that records no gradients.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    kind: Kind,
    patch_size: usize,
}

impl Tokenizer {
    /// A tokenizer as it begins, with the settings of a run that has the section `tokenizer`.
    ///
    /// # Errors
    /// Names the setting that is missing.
    pub fn new(run: &RunSpec, device: &Device) -> Result<Tokenizer, String> {
        let settings: TokenizerSettings = run.section("tokenizer")?;
        let patch_size = patch_size(run)?;
        let device = device.clone().inner();
        let kind = match settings.kind {
            TokenizerKind::Vq => Kind::Vq(Vq::new(&settings, patch_size, run.seed, &device)),
            TokenizerKind::Dvae => Kind::Dvae(Dvae::new(&settings, patch_size, run.seed, &device)),
            TokenizerKind::KMeans => Kind::KMeans(KMeans::new(&settings, patch_size * patch_size * 3, run.seed, &device)),
        };
        Ok(Tokenizer { kind, patch_size })
    }

    /// The same with the weights of a trained one.
    ///
    /// # Errors
    /// Names the tensor that does not fit.
    pub fn with_weights(self, weights: &Weights) -> Result<Tokenizer, String> {
        let kind = match self.kind {
            Kind::KMeans(means) => Kind::KMeans(from_timm(means, weights)?),
            Kind::Vq(vq) => Kind::Vq(from_timm(vq, weights)?),
            Kind::Dvae(dvae) => Kind::Dvae(from_timm(dvae, weights)?),
        };
        Ok(Tokenizer { kind, ..self })
    }

    /// Its weights.
    pub fn weights(&self) -> Weights {
        match &self.kind {
            Kind::KMeans(means) => to_timm(means),
            Kind::Vq(vq) => to_timm(vq),
            Kind::Dvae(dvae) => to_timm(dvae),
        }
    }

    /// Tokens that there are.
    pub fn vocabulary(&self) -> usize {
        match &self.kind {
            Kind::KMeans(means) => means.vocabulary(),
            Kind::Vq(vq) => vq.vocabulary(),
            Kind::Dvae(dvae) => dvae.vocabulary(),
        }
    }

    /// The token of every patch.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; output: `[batch, patches]`
    pub fn tokens(&self, images: Tensor<4>) -> Tensor<2, Int> {
        let patches = patchify(images, self.patch_size);
        let [batch, count, values] = patches.dims();
        let rows = patches.clone().reshape([batch * count, values]);
        match &self.kind {
            Kind::KMeans(means) => means.tokens(patches),
            Kind::Vq(vq) => vq.tokens(rows).reshape([batch, count]),
            Kind::Dvae(dvae) => dvae.tokens(rows).reshape([batch, count]),
        }
    }

    /// The patches that the tokens of `images` stand for.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; output: `[batch, patches, p*p*3]`
    pub fn reconstruct(&self, images: Tensor<4>) -> Tensor<3> {
        let patches = patchify(images, self.patch_size);
        let [batch, count, values] = patches.dims();
        let rows = patches.clone().reshape([batch * count, values]);
        match &self.kind {
            Kind::KMeans(means) => means.reconstruct(patches),
            Kind::Vq(vq) => vq.reconstruct(rows).reshape([batch, count, values]),
            Kind::Dvae(dvae) => dvae.reconstruct(rows).reshape([batch, count, values]),
        }
    }
}

/// The side of a patch; a tokenizer's run has no other size of a model.
///
/// # Errors
/// If the run's record has none.
pub fn patch_size(run: &RunSpec) -> Result<usize, String> {
    let value = run.value("model", "patch_size").and_then(|value| value.to_string().parse().ok());
    value.ok_or_else(|| format!("run {}: section [model]: there is no patch_size", run.id))
}

/// Rows whose distances to every code are in memory at once.
const ROWS: usize = 8192;

/// The nearest of `codes` to each of `rows`, the first of equals, and its squared distance.
///
/// # Shapes
/// rows: `[count, values]`; codes: `[vocabulary, values]`; output: `[count]` each
pub fn nearest(rows: Tensor<2>, codes: Tensor<2>) -> (Tensor<1, Int>, Tensor<1>) {
    let [count, _] = rows.dims();
    let turned = codes.clone().transpose(); // [values, V]
    let lengths = (codes.clone() * codes).sum_dim(1).transpose(); // [1, V]
    let (mut places, mut distances) = (Vec::new(), Vec::new());
    for start in (0..count).step_by(ROWS) {
        let rows = rows.clone().narrow(0, start, ROWS.min(count - start));
        let own = (rows.clone() * rows.clone()).sum_dim(1); // [R, 1]
        let scores = lengths.clone() - rows.matmul(turned.clone()) * 2.0;
        let (least, place) = scores.min_dim_with_indices(1);
        places.push(place.squeeze_dim::<1>(1));
        distances.push((least + own).clamp_min(0.0).squeeze_dim::<1>(1));
    }
    (Tensor::cat(places, 0), Tensor::cat(distances, 0))
}

/// How evenly the tokens of some images are used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    counts: Vec<u64>,
}

impl Usage {
    /// No tokens yet.
    pub fn of(vocabulary: usize) -> Usage {
        Usage {
            counts: vec![0; vocabulary],
        }
    }

    /// Tokens that occurred so often.
    pub fn counted(counts: Vec<u64>) -> Usage {
        Usage { counts }
    }

    /// How often each token occurred.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Takes in tokens.
    pub fn add(&mut self, tokens: &Tensor<2, Int>) {
        for token in tokens.clone().into_data().iter::<i64>() {
            self.counts[token as usize] += 1;
        }
    }

    /// Share of the vocabulary that occurs, 0 to 1.
    pub fn share(&self) -> f64 {
        self.counts.iter().filter(|count| **count > 0).count() as f64 / self.counts.len() as f64
    }

    /// The exponential of the entropy: as many tokens, used equally often, would be as hard to guess.
    pub fn perplexity(&self) -> f64 {
        let total = self.counts.iter().sum::<u64>().max(1) as f64;
        let shares = self.counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / total);
        shares.map(|share| -share * share.ln()).sum::<f64>().exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small settings of one kind.
    pub(super) fn settings(kind: TokenizerKind) -> TokenizerSettings {
        TokenizerSettings {
            kind,
            vocabulary: 8,
            normalize: false,
            sample: 100,
            rounds: 5,
            epochs: 1,
            batch_size: 4,
            lr: 1e-3,
            width: 16,
            code_dim: 4,
            commitment: 0.25,
            decay: 0.9,
            restart: 0.1,
            temperature: 0.0625,
            divergence: 0.0,
        }
    }

    #[test]
    fn the_nearest_code_is_the_one_at_the_least_distance_and_the_first_of_equals() {
        let device = Device::flex();
        let rows = Tensor::from_floats([[0.0, 0.0], [1.0, 1.0], [4.0, 0.0]], &device);
        let codes = Tensor::from_floats([[0.0, 1.0], [0.0, -1.0], [3.0, 0.0]], &device);
        let (places, distances) = nearest(rows, codes);
        assert_eq!(places.into_data().iter::<i64>().collect::<Vec<_>>(), [0, 0, 2]);
        assert_eq!(distances.into_data().iter::<f32>().collect::<Vec<_>>(), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn more_rows_than_fit_at_once_are_all_answered() {
        let device = Device::flex();
        let count = ROWS + 3;
        let rows = Tensor::<1, Int>::arange(0..count as i64, &device).float().reshape([count, 1]);
        let (places, _) = nearest(rows, Tensor::from_floats([[0.0], [ROWS as f32]], &device));
        let places: Vec<i64> = places.into_data().iter::<i64>().collect();
        assert_eq!((places.len(), places[0], places[count - 1]), (count, 0, 1));
        assert_eq!(places.iter().sum::<i64>(), (count - ROWS / 2 - 1) as i64);
    }

    #[test]
    fn usage_and_perplexity_are_those_worked_by_hand() {
        let mut usage = Usage::of(4);
        usage.add(&Tensor::from_data([[0, 0], [3, 3]], &Device::flex()));
        assert!((usage.share() - 0.5).abs() < 1e-12 && (usage.perplexity() - 2.0).abs() < 1e-12);
        usage.add(&Tensor::from_data([[1, 1], [2, 2]], &Device::flex()));
        assert!((usage.share() - 1.0).abs() < 1e-12 && (usage.perplexity() - 4.0).abs() < 1e-12);
    }
}
