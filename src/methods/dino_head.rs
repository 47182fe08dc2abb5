//! DINO's head (arXiv 2104.14294, section 3.2 and appendix C): an MLP down to a bottleneck, whose direction is scored
//! against as many prototypes as there are made-up classes.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::contrast::l2_normalize;
use super::heads::{Activation, FirstWeights, Head, HeadConfig, Norm};
use crate::rng::{Purpose, place, stream};
use crate::vit::uniform;

/// The smallest length a prototype is divided by, squared.
const SHORTEST: f64 = 1e-24;

/// Widths of a [`DinoHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DinoWidths {
    /// Width of the features.
    pub input: usize,
    /// Of both hidden layers.
    pub hidden: usize,
    /// Of what is compared with the prototypes.
    pub bottleneck: usize,
    /// Number of prototypes.
    pub prototypes: usize,
}

/// MLP and prototypes.
#[derive(Module, Debug)]
pub struct DinoHead {
    mlp: Head,
    last: Prototypes,
}

/// A linear layer without bias whose columns have length 1 before a gain.
#[derive(Module, Debug)]
struct Prototypes {
    /// `[bottleneck, prototypes]`
    directions: Param<Tensor<2>>,
    /// `[1, prototypes]`
    gains: Param<Tensor<2>>,
}

/// What a head gives.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Vectors of length 1, `[batch, bottleneck]`.
    pub directions: Tensor<2>,
    /// The score of every prototype, `[batch, prototypes]`.
    pub scores: Tensor<2>,
}

impl DinoHead {
    /// Makes a head. The prototypes' gains are 1 and learn only if `free_gains`.
    pub fn new(widths: DinoWidths, free_gains: bool, seed: u64, device: &Device) -> DinoHead {
        let config = HeadConfig {
            widths: vec![widths.input, widths.hidden, widths.hidden, widths.bottleneck],
            hidden_norm: Norm::None,
            activation: Activation::Gelu,
            bias: true,
            last_norm: false,
            first_weights: FirstWeights::Normal,
        };
        let (inputs, outputs) = (widths.bottleneck, widths.prototypes);
        let mut rng = stream(seed, Purpose::Init, place("head.last"), 0);
        let directions = uniform([inputs, outputs], (inputs as f64).powf(-0.5), &mut rng, device);
        DinoHead {
            mlp: Head::new("head.mlp", config, seed, device),
            last: Prototypes {
                directions: Param::from_tensor(directions),
                gains: Param::from_tensor(Tensor::ones([1, outputs], device)).set_require_grad(free_gains),
            },
        }
    }

    /// Directions and scores; with `hold` the prototypes get no gradient.
    ///
    /// # Shapes
    /// features: `[batch, input]`
    pub fn forward(&self, features: Tensor<2>, hold: bool) -> Scored {
        let directions = l2_normalize(self.mlp.forward(features));
        let last = self.last.weight();
        let last = if hold { last.inner() } else { last };
        Scored {
            scores: directions.clone().matmul(last),
            directions,
        }
    }
}

impl Prototypes {
    fn weight(&self) -> Tensor<2> {
        let directions = self.directions.val();
        let lengths = (directions.clone() * directions.clone()).sum_dim(0).clamp_min(SHORTEST).sqrt();
        directions / lengths * self.gains.val()
    }
}

#[cfg(test)]
mod tests {
    use super::super::contrast::tests::waves;
    use super::super::golden::{frozen, gradients};
    use super::*;
    use crate::weights::HostTensor;

    const WIDTHS: DinoWidths = DinoWidths {
        input: 6,
        hidden: 16,
        bottleneck: 5,
        prototypes: 12,
    };

    #[test]
    fn scores_are_cosines_with_the_prototypes() {
        let device = Device::flex();
        let head = DinoHead::new(WIDTHS, false, 1, &device);
        let scored = head.forward(waves([4, 6], 0.7, 0.3, &device), false);
        assert_eq!((scored.scores.dims(), scored.directions.dims()), ([4, 12], [4, 5]));
        let of = |x: &Tensor<2>| HostTensor::from_tensor(x).data;
        let (directions, scores, raw) = (of(&scored.directions), of(&scored.scores), of(&head.last.directions.val()));
        let column: Vec<f32> = (0..5).map(|row| raw[row * 12 + 7]).collect();
        let length = column.iter().map(|v| v * v).sum::<f32>().sqrt();
        let cosine: f32 = column.iter().zip(&directions[2 * 5..]).map(|(a, b)| a * b / length).sum();
        assert!((scores[2 * 12 + 7] - cosine).abs() < 1e-6);
        assert!(scores.iter().all(|score| score.abs() <= 1.0 + 1e-6));
    }

    #[test]
    fn held_prototypes_get_no_gradient_but_pass_it_on() {
        let device = Device::flex().autodiff();
        let head = DinoHead::new(WIDTHS, true, 1, &device);
        let reached = |hold: bool| {
            let scores = head.forward(waves([4, 6], 0.7, 0.3, &device), hold).scores;
            let loss = (scores * waves([4, 12], 0.9, 0.1, &device)).sum();
            gradients(&head, &loss.backward()).into_keys().collect::<Vec<_>>()
        };
        let last = |names: &[String]| names.iter().filter(|name| name.starts_with("last.")).count();
        let (held, free) = (reached(true), reached(false));
        assert_eq!((last(&held), last(&free), free.len() - held.len()), (0, 2, 2));
        assert_eq!(frozen(&DinoHead::new(WIDTHS, false, 1, &device)), ["last.gains"]);
    }
}
