//! The discrete VAE of DALL·E (arXiv 2102.12092, section 2.1), from which BEiT has its tokens.
//!
//! DALL·E's networks are convolutions over full images. Ours read and write each patch alone, so that a token knows
//! nothing of its neighbors.
//!
//! A reader scores every code of a patch, noise and a softmax draw one softly (Gumbel, arXiv 1611.01144), and a writer
//! makes the patch of the codes so mixed. The softmax hardens while it learns.

use burn::module::{Module, Param};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;

use super::super::{Inputs, Losses, StepInfo, Trainable};
use super::patch_mlp::PatchMlp;
use super::vq::{mean_square, rows_of};
use crate::experiment::measure;
use crate::experiment::settings::TokenizerSettings;
use crate::rng::{Purpose, place, stream};
use crate::vit::{initialize, truncated_normal};

/// Reader, codes and writer.
#[derive(Module, Debug)]
pub struct Dvae {
    reader: PatchMlp,
    writer: PatchMlp,
    /// `[vocabulary, code_dim]`
    codebook: Param<Tensor<2>>,
    #[module(skip)]
    settings: TokenizerSettings,
    patch_size: usize,
}

impl Dvae {
    /// Makes it with random codes.
    pub fn new(settings: &TokenizerSettings, patch_size: usize, seed: u64, device: &Device) -> Dvae {
        let values = patch_size * patch_size * 3;
        let (vocabulary, width, dim) = (settings.vocabulary, settings.width, settings.code_dim);
        let mut rng = stream(seed, Purpose::Tokenizer, place("codebook"), 0);
        let dvae = Dvae {
            reader: PatchMlp::new(values, width, vocabulary, device),
            writer: PatchMlp::new(dim, width, values, device),
            codebook: Param::from_tensor(truncated_normal([vocabulary, dim], 1.0, &mut rng, device)),
            settings: settings.clone(),
            patch_size,
        };
        initialize(dvae, seed)
    }

    /// Codes.
    pub fn vocabulary(&self) -> usize {
        self.settings.vocabulary
    }

    /// The most likely code, without noise.
    ///
    /// # Shapes
    /// patches: `[rows, values]`; output: `[rows]`
    pub fn tokens(&self, patches: Tensor<2>) -> Tensor<1, Int> {
        self.reader.forward(patches).argmax(1).squeeze_dim::<1>(1)
    }

    /// # Shapes
    /// patches and output: `[rows, values]`
    pub fn reconstruct(&self, patches: Tensor<2>) -> Tensor<2> {
        let tokens = self.tokens(patches);
        self.writer.forward(self.codebook.val().select(0, tokens))
    }

    /// How soft the draw is: from 1 down to the last temperature, by the same factor in every step.
    fn temperature(&self, step: &StepInfo) -> f64 {
        self.settings.temperature.powf(step.step as f64 / step.steps.max(1) as f64)
    }
}

impl Trainable for Dvae {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let patches = rows_of(inputs.views[0].clone(), self.patch_size);
        let scores = self.reader.forward(patches.clone()); // [M, V]
        let noise = gumbel(scores.dims(), step, &scores.device());
        let temperature = self.temperature(step);
        let mixed = softmax((scores.clone() + noise) / temperature, 1).matmul(self.codebook.val()); // [M, C]
        let error = mean_square(self.writer.forward(mixed) - patches);
        let divergence = from_uniform(scores);
        let total = error.clone() + divergence.clone() * self.settings.divergence;
        Losses::new(total, vec![(&measure::MSE, error), (&measure::DIVERGENCE, divergence)])
    }

    fn depth(&self) -> usize {
        0
    }
}

/// The divergence of each row's distribution from the uniform one, mean over the rows, `[1]`.
fn from_uniform(scores: Tensor<2>) -> Tensor<1> {
    let [rows, vocabulary] = scores.dims();
    let logs = log_softmax(scores, 1);
    (logs.clone().exp() * (logs + (vocabulary as f64).ln())).sum() / rows as f64
}

/// `-ln(-ln(u))` of uniform numbers: the largest of scores with it is a draw from their softmax.
fn gumbel(shape: [usize; 2], step: &StepInfo, device: &Device) -> Tensor<2> {
    let mut rng = stream(step.seed, Purpose::Tokenizer, place("gumbel"), step.step);
    let mut draw = || {
        let uniform = rng.random::<f64>().max(f64::MIN_POSITIVE);
        -(-uniform.ln()).max(f64::MIN_POSITIVE).ln() as f32
    };
    let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| draw()).collect();
    Tensor::from_data(TensorData::new(values, shape), &device.clone().inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: u64) -> StepInfo {
        StepInfo {
            seed: 1,
            step,
            steps: 100,
            indices: vec![],
        }
    }

    #[test]
    fn the_temperature_falls_by_the_same_factor_from_one_to_its_end() {
        let settings = TokenizerSettings {
            temperature: 1.0 / 16.0,
            ..super::super::tests::settings(crate::experiment::choices::TokenizerKind::Dvae)
        };
        let dvae = Dvae::new(&settings, 1, 1, &Device::flex());
        for (step, temperature) in [(0, 1.0), (25, 0.5), (50, 0.25), (100, 0.0625)] {
            assert!((dvae.temperature(&at(step)) - temperature).abs() < 1e-12);
        }
    }

    #[test]
    fn the_largest_noisy_score_is_a_draw_from_the_softmax() {
        let chances = [0.5f32, 0.3, 0.2];
        let scores = Tensor::<1>::from_floats(chances, &Device::flex())
            .log()
            .unsqueeze::<2>()
            .repeat_dim(0, 20_000);
        let noise = gumbel([20_000, 3], &at(3), &Device::flex());
        let drawn: Vec<i64> = (scores + noise).argmax(1).into_data().iter::<i64>().collect();
        for (code, chance) in chances.iter().enumerate() {
            let share = drawn.iter().filter(|d| **d == code as i64).count() as f32 / 20_000.0;
            // The standard deviation is at most 0.0036.
            assert!((share - chance).abs() < 0.015, "{code}: {share}");
        }
    }

    #[test]
    fn the_divergence_is_nothing_for_equal_scores_and_the_logarithm_of_the_codes_for_one_sure_code() {
        let device = Device::flex();
        let value = |scores| from_uniform(scores).into_scalar::<f64>();
        assert!(value(Tensor::zeros([3, 4], &device)).abs() < 1e-6);
        let sure = Tensor::from_floats([[80.0, 0.0, 0.0, 0.0], [0.0, 0.0, 80.0, 0.0]], &device);
        assert!((value(sure) - 4f64.ln()).abs() < 1e-5);
    }
}
