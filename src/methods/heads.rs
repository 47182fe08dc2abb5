//! The small networks behind an encoder that only pretraining has: projectors and predictors.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use rand_chacha::ChaCha8Rng;

use crate::choice;
use crate::kernels::{self, NormWeights};
use crate::rng::{self, Purpose, stream};
use crate::vit::{TOKEN_STD, layer_norm, linear, normalize, truncated_normal, uniform};

/// Added to the variance of a batch (torch's batch norm).
const BATCH_EPSILON: f64 = 1e-5;
/// The narrowest hidden layer that [`width`] makes ("ours").
const NARROWEST: usize = 32;
/// The encoder from which on the published widths hold: ViT-S, the narrowest that MoCo v3 and DINO publish.
const PUBLISHED_DIM: usize = 384;

choice! {
    /// What stands between the linear layers of a head.
    Norm {
        /// Each number by its mean and deviation over the batch, then scaled and shifted.
        Batch = "bn",
        /// Each row by its own mean and deviation, then scaled and shifted.
        Layer = "ln",
        /// Nothing.
        None = "none",
    }
}

/// What follows the norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// GELU with the exact normal distribution.
    Gelu,
}

impl Activation {
    fn of(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Activation::Relu => relu(x),
            Activation::Gelu => kernels::gelu(x),
        }
    }
}

/// From which distribution the first weights come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstWeights {
    /// torch's default: weights and biases uniform up to the root of one over the inputs.
    Uniform,
    /// DINO's: weights normal with deviation 0.02, biases zero; ours are cut at two deviations.
    Normal,
}

/// Shape of a [`Head`].
#[derive(Clone, Debug, PartialEq)]
pub struct HeadConfig {
    /// Inputs, then the outputs of every linear layer.
    pub widths: Vec<usize>,
    /// After every linear layer but the last.
    pub hidden_norm: Norm,
    /// After that norm.
    pub activation: Activation,
    /// Whether linear layers have a bias. One that a batch norm follows never has: the norm would take it away.
    pub bias: bool,
    /// Whether the output is normalized over the batch, without scale and shift.
    pub last_norm: bool,
    /// First weights.
    pub first_weights: FirstWeights,
}

impl HeadConfig {
    /// The head of MoCo v3, BYOL and SimCLR: batch norm and ReLU between layers without biases.
    pub fn batch_normed(widths: Vec<usize>, last_norm: bool) -> HeadConfig {
        HeadConfig {
            widths,
            hidden_norm: Norm::Batch,
            activation: Activation::Relu,
            bias: false,
            last_norm,
            first_weights: FirstWeights::Uniform,
        }
    }

    /// The widths of `layers` linear layers: from `input` through `hidden` to `output`.
    pub fn widths(layers: usize, input: usize, hidden: usize, output: usize) -> Vec<usize> {
        let mut widths = vec![hidden; layers + 1];
        (widths[0], widths[layers]) = (input, output);
        widths
    }
}

/// A width as asked for; 0 is the published one, narrowed for an encoder narrower than ViT-S in proportion, to a
/// multiple of eight and no further than 32.
pub fn width(asked: usize, published: usize, dim: usize) -> usize {
    let narrowed = published * dim.min(PUBLISHED_DIM) / PUBLISHED_DIM / 8 * 8;
    if asked == 0 { narrowed.max(NARROWEST) } else { asked }
}

/// Linear layers with norms and activations between them. Batch norms always use the batch's own statistics: a head
/// exists in training alone, so it keeps none.
#[derive(Module, Debug)]
pub struct Head {
    layers: Vec<Linear>,
    batch_norms: Vec<BatchNorm>,
    layer_norms: Vec<LayerNorm>,
    #[module(skip)]
    config: HeadConfig,
}

impl Head {
    /// Whether it normalizes over the batch anywhere.
    pub fn normalizes_batch(&self) -> bool {
        self.config.last_norm || !self.batch_norms.is_empty()
    }

    /// Makes a head, whose first weights depend on its `name` and the seed alone.
    pub fn new(name: &str, config: HeadConfig, seed: u64, device: &Device) -> Head {
        let sizes: Vec<[usize; 2]> = config.widths.windows(2).map(|pair| [pair[0], pair[1]]).collect();
        let last = sizes.len() - 1;
        let hidden = || sizes[..last].iter().map(|[_, out]| *out);
        let layer = |(place, size): (usize, &[usize; 2])| {
            let normalized = if place == last {
                config.last_norm
            } else {
                config.hidden_norm == Norm::Batch
            };
            let rng = stream(seed, Purpose::Init, rng::place(&format!("{name}.{place}")), 0);
            first_layer(*size, config.bias && !normalized, config.first_weights, rng, device)
        };
        Head {
            layers: sizes.iter().enumerate().map(layer).collect(),
            batch_norms: match config.hidden_norm {
                Norm::Batch => hidden().map(|dim| BatchNorm::new(dim, device)).collect(),
                _ => Vec::new(),
            },
            layer_norms: match config.hidden_norm {
                Norm::Layer => hidden().map(|dim| layer_norm(dim, device)).collect(),
                _ => Vec::new(),
            },
            config,
        }
    }

    /// Every row goes through alone but for batch norms, whose batch are all rows.
    ///
    /// # Shapes
    /// x: `[.., in]`; output: `[.., out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        let rows = shape[..D - 1].iter().product();
        let mut x = x.reshape([rows, shape[D - 1]]);
        for (place, layer) in self.layers.iter().enumerate() {
            x = linear(layer, x);
            if place + 1 < self.layers.len() {
                x = self.between(place, x);
            }
        }
        if self.config.last_norm {
            x = standardized(x);
        }
        shape[D - 1] = x.dims()[1];
        x.reshape(shape)
    }

    fn between(&self, place: usize, x: Tensor<2>) -> Tensor<2> {
        let batch_norm = |x, relu| kernels::batch_norm(x, self.batch_norms[place].weights(), relu);
        match (self.config.hidden_norm, self.config.activation) {
            (Norm::Batch, Activation::Relu) => batch_norm(x, true),
            (Norm::Batch, activation) => activation.of(batch_norm(x, false)),
            (Norm::Layer, activation) => activation.of(normalize(&self.layer_norms[place], x)),
            (Norm::None, activation) => activation.of(x),
        }
    }
}

/// Scale and shift of a norm over the batch.
#[derive(Module, Debug)]
struct BatchNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
}

impl BatchNorm {
    fn new(dim: usize, device: &Device) -> BatchNorm {
        BatchNorm {
            gamma: Param::from_tensor(Tensor::ones([dim], device)),
            beta: Param::from_tensor(Tensor::zeros([dim], device)),
        }
    }

    fn weights(&self) -> NormWeights {
        NormWeights {
            gamma: self.gamma.val(),
            beta: self.beta.val(),
            epsilon: BATCH_EPSILON,
        }
    }
}

/// Every column less its mean, divided by its deviation.
///
/// # Shapes
/// x and output: `[rows, dim]`
fn standardized(x: Tensor<2>) -> Tensor<2> {
    let ([_, dim], device) = (x.dims(), x.device());
    let neither = NormWeights {
        gamma: Tensor::ones([dim], &device),
        beta: Tensor::zeros([dim], &device),
        epsilon: BATCH_EPSILON,
    };
    kernels::batch_norm(x, neither, false)
}

fn first_layer([inputs, outputs]: [usize; 2], bias: bool, first: FirstWeights, mut rng: ChaCha8Rng, device: &Device) -> Linear {
    let bound = (inputs as f64).powf(-0.5);
    let (weight, bias) = match first {
        FirstWeights::Uniform => (
            uniform([inputs, outputs], bound, &mut rng, device),
            bias.then(|| uniform([outputs], bound, &mut rng, device)),
        ),
        FirstWeights::Normal => (
            truncated_normal([inputs, outputs], TOKEN_STD, &mut rng, device),
            bias.then(|| Tensor::zeros([outputs], device)),
        ),
    };
    Linear {
        weight: Param::from_tensor(weight),
        bias: bias.map(Param::from_tensor),
    }
}

#[cfg(test)]
mod tests {
    use super::super::contrast::tests::waves;
    use super::super::golden::gradients;
    use super::*;
    use crate::weights::{HostTensor, collect, to_timm};

    /// MoCo v3's projector, small.
    fn config() -> HeadConfig {
        HeadConfig::batch_normed(HeadConfig::widths(3, 8, 16, 4), true)
    }

    fn columns(x: &Tensor<2>) -> Vec<(f64, f64)> {
        let [rows, dim] = x.dims();
        let data = HostTensor::from_tensor(x).data;
        let column = |c: usize| (0..rows).map(|r| f64::from(data[r * dim + c])).collect::<Vec<_>>();
        let moments = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / rows as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / rows as f64;
            (mean, variance)
        };
        (0..dim).map(|c| moments(column(c))).collect()
    }

    #[test]
    fn a_last_norm_gives_every_output_mean_zero_and_variance_one_over_the_batch() {
        let device = Device::flex();
        let x = waves([32, 8], 0.7, 0.3, &device);
        let out = Head::new("p", config(), 1, &device).forward(x.clone());
        assert_eq!(out.dims(), [32, 4]);
        assert!(columns(&out).iter().all(|(m, v)| m.abs() < 1e-5 && (v - 1.0).abs() < 1e-2));
        let raw = HeadConfig {
            last_norm: false,
            ..config()
        };
        let raw = columns(&Head::new("p", raw, 1, &device).forward(x));
        assert!(raw.iter().any(|(_, v)| (v - 1.0).abs() > 0.1), "{raw:?}");
    }

    #[test]
    fn a_batch_norm_uses_all_rows_whatever_their_shape_and_with_and_without_gradients() {
        let device = Device::flex().autodiff();
        let head = Head::new("p", config(), 1, &device);
        let x = waves([12, 8], 0.7, 0.3, &device);
        let rows = HostTensor::from_tensor(&head.forward(x.clone())).data;
        assert_eq!(HostTensor::from_tensor(&head.forward(x.clone().reshape([3, 4, 8]))).data, rows);
        assert_eq!(HostTensor::from_tensor(&head.valid().forward(x.inner())).data, rows);
    }

    #[test]
    fn two_layers_with_every_part_are_the_ones_worked_by_hand() {
        // ReLU(x W) V of one input: W = [1, -1], V = [2, 3]; then the same with a layer norm, whose two numbers are 1 and -1.
        let device = Device::flex();
        let set = |head: Head| {
            let mut weights = collect(&head);
            weights.get_mut("layers.0.weight").unwrap().data = vec![1.0, -1.0];
            weights.get_mut("layers.1.weight").unwrap().data = vec![2.0, 3.0];
            crate::weights::restore(head, &weights).unwrap()
        };
        let of = |hidden_norm, activation| HeadConfig {
            widths: vec![1, 2, 1],
            hidden_norm,
            activation,
            last_norm: false,
            ..config()
        };
        let run = |config| {
            let x = Tensor::<2>::from_floats([[0.5], [-4.0]], &device);
            HostTensor::from_tensor(&set(Head::new("p", config, 1, &device)).forward(x)).data
        };
        assert_eq!(run(of(Norm::None, Activation::Relu)), [1.0, 12.0]);
        let layered = run(of(Norm::Layer, Activation::Relu));
        assert!((layered[0] - 2.0).abs() < 1e-4 && (layered[1] - 3.0).abs() < 1e-4, "{layered:?}");
        // GELU(0.5) = 0.345731, GELU(-0.5) = -0.154269.
        let smooth = run(of(Norm::None, Activation::Gelu))[0];
        assert!((smooth - (2.0 * 0.345_731 - 3.0 * 0.154_269)).abs() < 1e-5, "{smooth}");
    }

    #[test]
    fn first_weights_depend_on_name_and_seed_and_have_the_stated_deviation() {
        let device = Device::flex();
        let wide = |first_weights| HeadConfig {
            widths: vec![64, 128, 8],
            bias: true,
            first_weights,
            ..config()
        };
        let made = |name: &str, seed, kind| to_timm(&Head::new(name, wide(kind), seed, &device))["layers.0.weight"].clone();
        let here = made("p", 1, FirstWeights::Uniform);
        assert_eq!(here, made("p", 1, FirstWeights::Uniform));
        assert_ne!(here, made("q", 1, FirstWeights::Uniform));
        assert_ne!(here, made("p", 2, FirstWeights::Uniform));
        for (kind, expected) in [
            (FirstWeights::Uniform, (1.0f64 / (3.0 * 64.0)).sqrt()),
            (FirstWeights::Normal, 0.02 * 0.8796),
        ] {
            let values = made("p", 1, kind).data;
            let found = (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
            assert!((found / expected - 1.0).abs() < 0.03, "{found} is not {expected}");
        }
    }

    #[test]
    fn gradients_reach_every_weight_and_are_those_of_differences() {
        let device = Device::flex().autodiff();
        let head = Head::new("p", config(), 1, &device);
        let x = waves([8, 8], 0.7, 0.3, &device);
        let target = waves([8, 4], 0.9, 0.1, &device);
        let loss = |head: &Head| (head.forward(x.clone()) * target.clone()).sum();
        let found = gradients(&head, &loss(&head).backward());
        assert_eq!(found.len(), 3 + 2 * 2);
        let name = "batch_norms.1.weight";
        let nudged = |by: f32| {
            let mut weights = to_timm(&head);
            weights.get_mut(name).unwrap().data[3] += by;
            loss(&crate::weights::from_timm(head.clone(), &weights).unwrap()).into_scalar::<f64>()
        };
        let slope = (nudged(1e-2) - nudged(-1e-2)) / 2e-2;
        let gradient = f64::from(found[name].data[3]);
        assert!((gradient - slope).abs() < 1e-2 * slope.abs().max(0.1), "{gradient} is not {slope}");
    }

    #[test]
    fn published_widths_hold_from_vit_s_on_and_shrink_below() {
        assert_eq!((width(0, 4096, 768), width(0, 4096, 384), width(0, 4096, 192)), (4096, 4096, 2048));
        assert_eq!((width(0, 4096, 64), width(0, 256, 16), width(100, 4096, 16)), (680, 32, 100));
    }
}
