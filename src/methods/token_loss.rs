//! Predicting tokens: cross entropy at the masked patches, and what is worth a curve beside it.
//!
//! Shared by BEiT and CAE.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use super::Term;
use crate::experiment::measure;
use crate::experiment::{Alarm, Side};

/// With hardly more than one token in use there is nothing to predict ("ours": a healthy codebook stays far above).
pub const ALARMS: &[Alarm] = &[Alarm {
    term: &measure::TARGET_PERPLEXITY,
    side: Side::Below,
    value: 2.0,
    sentence: "nearly all masked patches have the same token, so that there is nothing to predict; train the tokenizer longer, \
               with a larger tokenizer.vocabulary, or as another tokenizer.kind",
}];

/// The loss and the curves of some predictions, each `[1]`.
#[derive(Clone, Debug)]
pub struct TokenLoss {
    /// Mean over all masked patches of the batch.
    pub loss: Tensor<1>,
    /// Ratio of the patches whose most likely token is the right one.
    pub accuracy: Tensor<1>,
    /// Share of the vocabulary that the batch's targets use.
    pub usage: Tensor<1>,
    /// The exponential of the entropy of the batch's targets.
    pub perplexity: Tensor<1>,
}

impl TokenLoss {
    /// # Shapes
    /// logits: `[hidden, vocabulary]`; targets: `[hidden]`
    pub fn of(logits: Tensor<2>, targets: Tensor<1, Int>) -> TokenLoss {
        let [hidden, vocabulary] = logits.dims();
        let guesses = logits.clone().without_autodiff().argmax(1).squeeze_dim::<1>(1);
        let accuracy = guesses.equal(targets.clone()).float().mean();
        let counts = Tensor::<1>::zeros([vocabulary], &targets.device());
        let counts = counts.select_assign(0, targets.clone(), Tensor::ones([hidden], &targets.device()), IndexingUpdateOp::Add);
        let shares = counts.clone() / hidden as f64;
        // A share of nothing has no part in the entropy: 0 times the logarithm of the least float is 0.
        let entropy = (shares.clone() * shares.clamp_min(f32::MIN_POSITIVE).log()).sum().neg();
        let likelihood = log_softmax(logits, 1).gather(1, targets.unsqueeze_dim::<2>(1));
        TokenLoss {
            loss: likelihood.mean().neg(),
            accuracy,
            usage: counts.greater_elem(0.0).float().mean(),
            perplexity: entropy.exp(),
        }
    }

    /// The curves beside the loss.
    pub fn terms(self) -> Vec<Term> {
        vec![
            (&measure::TOKEN_ACCURACY, self.accuracy),
            (&measure::TARGET_USAGE, self.usage),
            (&measure::TARGET_PERPLEXITY, self.perplexity),
        ]
    }
}

/// The rows of the masked patches among those of all patches of the batch, `[hidden]`.
pub fn hidden_rows(masked: &[Vec<bool>], device: &Device) -> Tensor<1, Int> {
    let hidden = masked.iter().flatten().enumerate().filter(|(_, hidden)| **hidden);
    let rows: Vec<i64> = hidden.map(|(row, _)| row as i64).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), &device.clone().inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_and_the_curves_are_those_worked_by_hand() {
        let device = Device::flex();
        // Chances 1/4 3/4 0-ish; the second row is even between the first two.
        let logits = Tensor::<2>::from_floats([[0.0, 3f32.ln(), -50.0], [0.0, 0.0, -50.0], [0.0, -50.0, -50.0]], &device);
        let loss = TokenLoss::of(logits, Tensor::from_data([1, 1, 0], &device));
        let value = |tensor: Tensor<1>| tensor.into_scalar::<f64>();
        let expected = -(0.75f64.ln() + 0.5f64.ln()) / 3.0;
        assert!((value(loss.loss) - expected).abs() < 1e-6);
        // The first of two equal scores is guessed.
        assert!((value(loss.accuracy) - 2.0 / 3.0).abs() < 1e-6);
        assert!((value(loss.usage) - 2.0 / 3.0).abs() < 1e-6);
        let entropy = -(2.0 / 3.0 * (2.0f64 / 3.0).ln() + 1.0 / 3.0 * (1.0f64 / 3.0).ln());
        assert!((value(loss.perplexity) - entropy.exp()).abs() < 1e-5);
    }

    #[test]
    fn hidden_rows_are_counted_through_the_batch() {
        let masked = [vec![false, true, true], vec![true, false, false]];
        let rows = hidden_rows(&masked, &Device::flex());
        assert_eq!(rows.into_data().iter::<i64>().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
