//! Every operation as burn sees it against burn's own operations: values, every gradient, and tensors that are
//! shared, strided, constant or of another precision.

mod plain;

use burn::backend::Flex;
use burn::tensor::activation::relu;
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

use super::backend::Kernels;
use super::tensors::{F, MlpTensors, NormTensors};
use super::*;
use plain::{HEADS, Inputs, factors};

const EPSILON: f64 = 1e-6;

fn waves<const D: usize>(shape: [usize; D], a: f64, device: &Device) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|i| (a * i as f64 + 0.4).sin() as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn assert_close(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3, |most: f32, v| most.max(v.abs()));
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() <= 3e-5 * largest, "{what}: {a} is not {e}");
    }
}

/// An operation of ours and the same out of burn's own operations.
struct Pair {
    name: &'static str,
    ours: fn(&Inputs) -> Tensor<3>,
    burns: fn(&Inputs) -> Tensor<3>,
}

const PAIRS: &[Pair] = &[
    Pair {
        name: "gelu",
        ours: |i| gelu(i.stream.clone()),
        burns: |i| plain::gelu(i.stream.clone()),
    },
    Pair {
        name: "layer_norm",
        ours: |i| layer_norm(i.stream.clone(), i.norm()),
        burns: |i| plain::layer_norm(i.stream.clone(), i),
    },
    Pair {
        name: "batch_norm",
        ours: |i| batch_norm(i.stream.clone(), i.norm(), false),
        burns: |i| plain::batch_norm(i.stream.clone(), i),
    },
    Pair {
        name: "batch_norm with relu",
        ours: |i| batch_norm(i.stream.clone(), i.norm(), true),
        burns: |i| relu(plain::batch_norm(i.stream.clone(), i)),
    },
    Pair {
        name: "linear",
        ours: |i| linear(i.stream.clone(), i.fc1()),
        burns: |i| plain::linear(i.stream.clone(), i.fc1()),
    },
    Pair {
        name: "norm_linear",
        ours: |i| norm_linear(i.stream.clone(), i.norm(), i.fc1()),
        burns: |i| plain::linear(plain::layer_norm(i.stream.clone(), i), i.fc1()),
    },
    Pair {
        name: "linear_residual",
        ours: |i| linear_residual(i.mixed.clone(), i.fc2(), i.stream.clone(), Factors::default()),
        burns: |i| i.stream.clone() + plain::linear(i.mixed.clone(), i.fc2()),
    },
    Pair {
        name: "linear_residual with factors",
        ours: |i| linear_residual(i.mixed.clone(), i.fc2(), i.stream.clone(), factors(i)),
        burns: |i| i.stream.clone() + plain::linear(i.mixed.clone(), i.fc2()) * plain::factor_tensor(i),
    },
    Pair {
        name: "mlp_residual",
        ours: |i| mlp_residual(i.stream.clone(), i.norm(), i.fc1(), i.fc2(), Factors::default()),
        burns: |i| i.stream.clone() + plain::mlp(i),
    },
    Pair {
        name: "mlp_residual with factors",
        ours: |i| mlp_residual(i.stream.clone(), i.norm(), i.fc1(), i.fc2(), factors(i)),
        burns: |i| i.stream.clone() + plain::mlp(i) * plain::factor_tensor(i),
    },
    Pair {
        name: "attention",
        ours: |i| attention(i.qkv.clone(), HEADS),
        burns: |i| plain::attention(i.qkv.clone(), None),
    },
    Pair {
        name: "biased_attention",
        ours: |i| biased_attention(i.qkv.clone(), i.bias.clone(), HEADS),
        burns: |i| plain::attention(i.qkv.clone(), Some(i.bias.clone())),
    },
];

#[test]
fn a_recomputed_block_is_the_block() {
    let device = Device::flex().autodiff();
    let inputs = Inputs::new(4, 5, &device);
    let square = || inputs.weight1.clone().matmul(inputs.weight2.clone()); // [dim, dim]
    let weights = || BlockWeights {
        norm1: inputs.norm(),
        qkv: LinearWeights {
            weight: Tensor::cat(vec![square(), square() * 0.5, square() * 2.0], 1),
            bias: inputs.beta.clone().repeat_dim(0, 3),
        },
        proj: LinearWeights {
            weight: square(),
            bias: inputs.bias2.clone(),
        },
        norm2: inputs.norm(),
        fc1: inputs.fc1(),
        fc2: inputs.fc2(),
        heads: HEADS,
        bias: None,
    };
    let run = |block: fn(Tensor<3>, BlockWeights, Factors, Factors) -> Tensor<3>| {
        let y = block(inputs.stream.clone(), weights(), factors(&inputs), factors(&inputs));
        (numbers(y.clone()), inputs.gradients(loss(y)))
    };
    let (plain, recomputed) = (run(block), run(recomputed_block));
    assert_eq!(plain.0, recomputed.0);
    assert_eq!(plain.1.len(), 7);
    for ((name, plain), (_, recomputed)) in plain.1.iter().zip(&recomputed.1) {
        assert_close(recomputed, plain, name);
    }
}

/// A loss that weighs every number differently, and none negatively, so that sums do not cancel.
fn loss(y: Tensor<3>) -> Tensor<1> {
    let weights = waves(y.dims(), 0.77, &y.device()) + 1.0;
    (y * weights).sum()
}

#[test]
fn values_and_every_gradient_are_those_of_burns_own_operations() {
    let device = Device::flex().autodiff();
    for Pair { name, ours, burns } in PAIRS {
        for (batch, tokens) in [(1, 1), (3, 5), (2, 17), (40, 9)] {
            let what = format!("{name}, {batch} images of {tokens} tokens");
            let inputs = Inputs::new(batch, tokens, &device);
            let (actual, expected) = (ours(&inputs), burns(&inputs));
            assert_close(&numbers(actual.clone()), &numbers(expected.clone()), &what);
            let (actual, expected) = (inputs.gradients(loss(actual)), inputs.gradients(loss(expected)));
            assert_eq!(actual.len(), expected.len(), "{what}");
            for ((actual_name, actual), (expected_name, expected)) in actual.iter().zip(&expected) {
                assert_eq!(actual_name, expected_name, "{what}");
                assert_close(actual, expected, &format!("{what}, gradient of {actual_name}"));
            }
        }
    }
}

#[test]
fn without_gradients_the_values_are_the_same() {
    let (with, without) = (Inputs::new(3, 5, &Device::flex().autodiff()), Inputs::new(3, 5, &Device::flex()));
    for Pair { name, ours, .. } in PAIRS {
        assert_eq!(numbers(ours(&with)), numbers(ours(&without)), "{name}");
    }
}

#[test]
fn checkpointing_changes_nothing() {
    let (plain, saving) = (Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing());
    for Pair { name, ours, .. } in PAIRS {
        let [plain, saving] = [&plain, &saving].map(|device| {
            let inputs = Inputs::new(3, 5, device);
            inputs.gradients(loss(ours(&inputs)))
        });
        assert_eq!(plain, saving, "{name}");
    }
}

#[test]
fn shared_strided_and_constant_inputs_give_the_same_gradients() {
    let device = Device::flex().autodiff();
    for Pair { name, ours, burns } in PAIRS {
        // The stream is a strided view, what was mixed a constant, and the output is used twice.
        let inputs = Inputs::new(3, 5, &device);
        let changed = || Inputs {
            stream: inputs
                .stream
                .clone()
                .swap_dims(0, 1)
                .swap_dims(1, 0)
                .flip([0])
                .swap_dims(0, 1)
                .swap_dims(0, 1),
            qkv: inputs.qkv.clone().swap_dims(0, 1).reshape([5, 3, 18]).swap_dims(0, 1),
            mixed: inputs.mixed.clone().detach(),
            weight1: inputs.weight1.clone().transpose().mul_scalar(1.0).transpose(),
            gamma: inputs.gamma.clone(),
            beta: inputs.beta.clone(),
            bias1: inputs.bias1.clone(),
            weight2: inputs.weight2.clone(),
            bias2: inputs.bias2.clone(),
            bias: inputs.bias.clone().swap_dims(0, 1).mul_scalar(1.0).swap_dims(0, 1),
        };
        let [actual, expected] = [ours, burns].map(|op| {
            let y = op(&changed());
            let other = y.clone().mul_scalar(0.5);
            inputs.gradients(loss(y) + (other.clone() * other).sum())
        });
        assert!(actual.iter().all(|(leaf, _)| *leaf != "mixed"), "{name}");
        for ((leaf, actual), (_, expected)) in actual.iter().zip(&expected) {
            assert_close(actual, expected, &format!("{name}, gradient of {leaf}"));
        }
    }
}

#[test]
fn numbers_of_double_precision_stay_so() {
    let inputs = Inputs::new(3, 5, &Device::flex()).cast(FloatDType::F64);
    for Pair { name, ours, burns } in PAIRS {
        let (actual, expected) = (ours(&inputs), burns(&inputs));
        assert_eq!(actual.dtype(), DType::F64, "{name}");
        assert_close(&numbers(actual), &numbers(expected), name);
    }
}

#[test]
fn nothing_hides_a_nan() {
    for Pair { name, ours, .. } in PAIRS {
        let mut inputs = Inputs::new(2, 3, &Device::flex());
        let spoil = |tensor: Tensor<3>| {
            let [_, _, last] = tensor.dims();
            let bad = Tensor::<3>::full([1, 1, last], f32::NAN, &tensor.device());
            tensor.slice_assign([1..2, 1..2, 0..last], bad)
        };
        (inputs.stream, inputs.mixed, inputs.qkv) = (spoil(inputs.stream), spoil(inputs.mixed), spoil(inputs.qkv));
        let y = numbers(ours(&inputs));
        let half = y.len() / 2;
        // A norm over the batch joins its images.
        let alone = !name.starts_with("batch_norm");
        assert!(
            !alone || y[..half].iter().all(|v| v.is_finite()),
            "{name}: the first image is sound"
        );
        assert!(y[half..].iter().any(|v| v.is_nan()), "{name}: the second is not");
    }
}

#[test]
fn the_composition_for_other_backends_gives_the_same() {
    let inputs = Inputs::new(3, 5, &Device::flex());
    let flex = |tensor: Tensor<3>| -> F<Flex> { primitive(tensor) };
    let vector = |tensor: Tensor<1>| -> F<Flex> { primitive(tensor) };
    let matrix = |tensor: Tensor<2>| -> F<Flex> { primitive(tensor) };
    let norm = || NormTensors::<Flex> {
        gamma: vector(inputs.gamma.clone()),
        beta: vector(inputs.beta.clone()),
        epsilon: 1e-6,
    };
    let mlp = || MlpTensors::<Flex> {
        norm: norm(),
        weight1: matrix(inputs.weight1.clone()),
        bias1: vector(inputs.bias1.clone()),
        weight2: matrix(inputs.weight2.clone()),
        bias2: vector(inputs.bias2.clone()),
    };
    let g = || flex(waves([3, 5, 6], 0.41, &Device::flex()));
    let stream = || flex(inputs.stream.clone());
    let (y, hidden, statistics) = composed::mlp::<Flex>(stream(), mlp(), factors(&inputs));
    let (fused, fused_hidden, fused_statistics) = Flex::mlp_forward(stream(), mlp(), factors(&inputs));
    assert_close(&host(fused), &host(y), "mlp");
    let expected = composed::mlp_backward::<Flex>(stream(), mlp(), hidden, statistics, factors(&inputs), g());
    let actual = Flex::mlp_backward(stream(), mlp(), fused_hidden, fused_statistics, factors(&inputs), g());
    for (actual, expected) in actual.into_iter().zip(expected) {
        assert_close(&host(actual), &host(expected), "gradient of mlp");
    }
    for bias in [None, Some(inputs.bias.clone())] {
        let (qkv, bias) = (|| flex(inputs.qkv.clone()), || bias.clone().map(flex));
        let (y, logs) = composed::attention::<Flex>(qkv(), bias(), HEADS);
        let (fused, fused_logs) = Flex::attention_forward(qkv(), bias(), HEADS);
        assert_close(&host(fused), &host(y), "attention");
        let (expected, expected_bias) = composed::attention_backward::<Flex>(qkv(), bias(), logs, g(), HEADS);
        let (actual, actual_bias) = Flex::attention_backward(qkv(), bias(), fused_logs, g(), HEADS);
        assert_close(&host(actual), &host(expected), "gradient of attention");
        assert_eq!(actual_bias.is_some(), bias().is_some());
        for (actual, expected) in actual_bias.into_iter().zip(expected_bias) {
            assert_close(&host(actual), &host(expected), "gradient of the bias");
        }
    }
    let expected = composed::gelu_backward::<Flex>(stream(), g());
    assert_close(&host(Flex::exact_gelu_backward(stream(), g())), &host(expected), "gradient of gelu");
}

#[test]
fn a_batch_norm_for_other_backends_is_the_same() {
    let inputs = Inputs::new(3, 5, &Device::flex());
    let (x, g) = (
        || primitive(inputs.stream.clone()),
        || primitive(waves([3, 5, 6], 0.41, &Device::flex())),
    );
    let norm = || NormTensors::<Flex> {
        gamma: primitive(inputs.gamma.clone()),
        beta: primitive(inputs.beta.clone()),
        epsilon: 1e-6,
    };
    for relu in [false, true] {
        let (y, statistics) = composed::batch_norm::<Flex>(x(), norm(), relu);
        let (fused, fused_statistics) = Flex::batch_norm_forward(x(), norm(), relu);
        assert_close(&host(fused), &host(y), "batch norm");
        let expected = composed::batch_norm_backward::<Flex>(x(), norm(), statistics, g(), relu);
        let actual = Flex::batch_norm_backward(x(), norm(), fused_statistics, g(), relu);
        for (actual, expected) in actual.into_iter().zip(expected) {
            assert_close(&host(actual), &host(expected), "gradient of batch norm");
        }
    }
}

#[test]
fn adamw_and_the_sum_of_squares_are_those_of_burns_own_operations() {
    let device = Device::flex();
    let step = AdamWStep {
        beta1: 0.9,
        beta2: 0.95,
        keep: 0.999,
        rate: 0.01,
        scale: 1.3,
        epsilon: 1e-8,
    };
    let [p, g, m] = [0.7, 0.3, 0.9].map(|a| waves([50], a, &device));
    let v = m.clone() * m.clone();
    let kept = p.clone();
    let actual = adamw(step, p.clone(), g.clone(), m.clone(), v.clone());
    let (first, second) = (m * 0.9 + g.clone() * 0.1, v * 0.95 + g.clone() * g.clone() * 0.05);
    let param = p * 0.999 - first.clone() * 0.01 / (second.clone().sqrt() * 1.3 + 1e-8);
    for (actual, expected) in actual.into_iter().zip([param, first, second]) {
        assert_close(&numbers(actual), &numbers(expected), "adamw");
    }
    assert_eq!(
        numbers(kept),
        numbers(waves([50], 0.7, &device)),
        "a shared parameter is not written to"
    );
    let strided: Tensor<1> = waves([2, 25], 0.3, &device).transpose().reshape([50]);
    assert_close(&numbers(sum_of_squares(strided)), &numbers((g.clone() * g).sum()), "squares");
}

/// The backend's own tensor.
fn primitive<const D: usize>(tensor: Tensor<D>) -> F<Flex> {
    burn::backend::flex::FlexTensor::from_data(tensor.into_data())
}

fn host(tensor: F<Flex>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
