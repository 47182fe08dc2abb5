//! What the operations are tested with: inputs, and the same operations out of burn's own.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use super::super::{Factors, LinearWeights, NormWeights};
use super::{EPSILON, numbers, waves};

/// The inputs of every operation, sized for a batch of images.
pub struct Inputs {
    pub stream: Tensor<3>,
    pub mixed: Tensor<3>,
    pub gamma: Tensor<1>,
    pub beta: Tensor<1>,
    pub weight1: Tensor<2>,
    pub bias1: Tensor<1>,
    pub weight2: Tensor<2>,
    pub bias2: Tensor<1>,
    pub qkv: Tensor<3>,
    pub bias: Tensor<3>,
}

pub const HEADS: usize = 2;

impl Inputs {
    pub fn new(batch: usize, tokens: usize, device: &Device) -> Inputs {
        let (dim, hidden) = (6, 10);
        let leaf = device.is_autodiff();
        let mut a = 0.13;
        let mut next = || {
            a += 0.17;
            a
        };
        let inputs = Inputs {
            stream: waves([batch, tokens, dim], next(), device),
            mixed: waves([batch, tokens, hidden], next(), device),
            gamma: waves([dim], next(), device),
            beta: waves([dim], next(), device),
            weight1: waves([dim, hidden], next(), device),
            bias1: waves([hidden], next(), device),
            weight2: waves([hidden, dim], next(), device),
            bias2: waves([dim], next(), device),
            qkv: waves([batch, tokens, 3 * dim], next(), device),
            bias: waves([HEADS, tokens, tokens], next(), device),
        };
        if leaf { inputs.leaves() } else { inputs }
    }

    pub fn leaves(self) -> Inputs {
        Inputs {
            stream: self.stream.require_grad(),
            mixed: self.mixed.require_grad(),
            gamma: self.gamma.require_grad(),
            beta: self.beta.require_grad(),
            weight1: self.weight1.require_grad(),
            bias1: self.bias1.require_grad(),
            weight2: self.weight2.require_grad(),
            bias2: self.bias2.require_grad(),
            qkv: self.qkv.require_grad(),
            bias: self.bias.require_grad(),
        }
    }

    /// The same numbers in another precision.
    pub fn cast(self, precision: FloatDType) -> Inputs {
        Inputs {
            stream: self.stream.cast(precision),
            mixed: self.mixed.cast(precision),
            gamma: self.gamma.cast(precision),
            beta: self.beta.cast(precision),
            weight1: self.weight1.cast(precision),
            bias1: self.bias1.cast(precision),
            weight2: self.weight2.cast(precision),
            bias2: self.bias2.cast(precision),
            qkv: self.qkv.cast(precision),
            bias: self.bias.cast(precision),
        }
    }

    pub fn norm(&self) -> NormWeights {
        NormWeights {
            gamma: self.gamma.clone(),
            beta: self.beta.clone(),
            epsilon: EPSILON,
        }
    }

    pub fn fc1(&self) -> LinearWeights {
        LinearWeights {
            weight: self.weight1.clone(),
            bias: self.bias1.clone(),
        }
    }

    pub fn fc2(&self) -> LinearWeights {
        LinearWeights {
            weight: self.weight2.clone(),
            bias: self.bias2.clone(),
        }
    }

    /// The gradients of `loss` by name, only of what it reads.
    pub fn gradients(&self, loss: Tensor<1>) -> Vec<(&'static str, Vec<f32>)> {
        let grads = loss.backward();
        let mut found = Vec::new();
        let mut take = |name, gradient: Option<Vec<f32>>| found.extend(gradient.map(|gradient| (name, gradient)));
        take("stream", self.stream.grad(&grads).map(numbers));
        take("mixed", self.mixed.grad(&grads).map(numbers));
        take("gamma", self.gamma.grad(&grads).map(numbers));
        take("beta", self.beta.grad(&grads).map(numbers));
        take("weight1", self.weight1.grad(&grads).map(numbers));
        take("bias1", self.bias1.grad(&grads).map(numbers));
        take("weight2", self.weight2.grad(&grads).map(numbers));
        take("bias2", self.bias2.grad(&grads).map(numbers));
        take("qkv", self.qkv.grad(&grads).map(numbers));
        take("bias", self.bias.grad(&grads).map(numbers));
        found
    }
}

/// 0, 1.5, 0, 1.5 ... for the images.
pub fn factors(inputs: &Inputs) -> Factors {
    Factors::new((0..inputs.stream.dims()[0]).map(|i| 1.5 * (i % 2) as f32).collect())
}

pub fn factor_tensor(inputs: &Inputs) -> Tensor<3> {
    let factors = factors(inputs).as_slice().to_vec();
    let shape = [factors.len(), 1, 1];
    let factors: Tensor<3> = Tensor::from_data(TensorData::new(factors, shape), &inputs.stream.device());
    factors.cast(FloatDType::from(inputs.stream.dtype()))
}

pub fn gelu(x: Tensor<3>) -> Tensor<3> {
    let cdf = (x.clone() / std::f64::consts::SQRT_2).erf() + 1.0;
    x * cdf * 0.5
}

pub fn layer_norm(x: Tensor<3>, inputs: &Inputs) -> Tensor<3> {
    let centered = x.clone() - x.mean_dim(2);
    let variance = (centered.clone() * centered.clone()).mean_dim(2);
    centered / (variance + EPSILON).sqrt() * inputs.gamma.clone().unsqueeze() + inputs.beta.clone().unsqueeze()
}

pub fn batch_norm(x: Tensor<3>, inputs: &Inputs) -> Tensor<3> {
    let [batch, tokens, dim] = x.dims();
    let rows = x.reshape([batch * tokens, dim]);
    let centered = rows.clone() - rows.mean_dim(0);
    let variance = (centered.clone() * centered.clone()).mean_dim(0);
    let normed = centered / (variance + EPSILON).sqrt() * inputs.gamma.clone().unsqueeze() + inputs.beta.clone().unsqueeze();
    normed.reshape([batch, tokens, dim])
}

pub fn linear(x: Tensor<3>, layer: LinearWeights) -> Tensor<3> {
    x.matmul(layer.weight.unsqueeze()) + layer.bias.unsqueeze()
}

pub fn mlp(inputs: &Inputs) -> Tensor<3> {
    let hidden = linear(layer_norm(inputs.stream.clone(), inputs), inputs.fc1());
    linear(gelu(hidden), inputs.fc2())
}

pub fn attention(qkv: Tensor<3>, bias: Option<Tensor<3>>) -> Tensor<3> {
    let [batch, tokens, packed] = qkv.dims();
    let (dim, width) = (packed / 3, packed / 3 / HEADS);
    let parts = qkv.reshape([batch, tokens, 3, HEADS, width]).permute([2, 0, 3, 1, 4]);
    let [q, k, v] = [0, 1, 2].map(|part| parts.clone().narrow(0, part, 1).squeeze_dim::<4>(0));
    let scores = q.matmul(k.swap_dims(2, 3)) / (width as f64).sqrt();
    let scores = match bias {
        Some(bias) => scores + bias.unsqueeze(),
        None => scores,
    };
    softmax(scores, 3).matmul(v).swap_dims(1, 2).reshape([batch, tokens, dim])
}
