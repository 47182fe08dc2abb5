//! The operations on burn's CPU backend: `f32` tensors go to `slices`, everything else is composed.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape, TensorData};

use super::backend::Kernels;
use super::slices::adamw::Step;
use super::slices::attention::Shape as AttentionShape;
use super::slices::layer_norm::Norm;
use super::slices::linear::{Layer, Residual};
use super::slices::mlp::Mlp;
use super::tensors::{Factors, LinearGradients, MlpTensors, NormTensors, Statistics};
use super::{composed, slices, work};

impl Kernels for Flex {
    fn exact_gelu_forward(x: FlexTensor) -> FlexTensor {
        if !single_precision(&[&x]) {
            return composed::gelu::<Self>(x);
        }
        let x = dense(x);
        tensor(slices::gelu::forward(numbers(&x)), x.shape())
    }

    fn exact_gelu_backward(x: FlexTensor, g: FlexTensor) -> FlexTensor {
        if !single_precision(&[&x, &g]) {
            return composed::gelu_backward::<Self>(x, g);
        }
        let x = dense(x);
        in_place(g, |g| slices::gelu::backward(numbers(&x), g)).0
    }

    fn layer_norm_forward(x: FlexTensor, norm: NormTensors<Self>) -> (FlexTensor, Statistics<Self>) {
        if !single_precision(&[&x, &norm.gamma, &norm.beta]) {
            return composed::layer_norm::<Self>(x, norm);
        }
        let (x, norm) = (dense(x), dense_norm(norm));
        let normed = slices::layer_norm::forward(numbers(&x), norm_slices(&norm));
        (tensor(normed.y, x.shape()), statistics(normed.mean, normed.rstd))
    }

    fn layer_norm_backward(x: FlexTensor, gamma: FlexTensor, statistics: Statistics<Self>, g: FlexTensor) -> [FlexTensor; 3] {
        if !single_precision(&[&x, &gamma, &g]) {
            return composed::layer_norm_backward::<Self>(x, gamma, statistics, g);
        }
        let (x, gamma) = (dense(x), dense(gamma));
        let (mean, rstd) = (numbers(&statistics.mean), numbers(&statistics.rstd));
        let (dx, (dgamma, dbeta)) = in_place(g, |g| slices::layer_norm::backward(numbers(&x), numbers(&gamma), mean, rstd, g));
        [dx, vector(dgamma), vector(dbeta)]
    }

    fn batch_norm_forward(x: FlexTensor, norm: NormTensors<Self>, relu: bool) -> (FlexTensor, Statistics<Self>) {
        if !single_precision(&[&x, &norm.gamma, &norm.beta]) {
            return composed::batch_norm::<Self>(x, norm, relu);
        }
        let (x, norm) = (dense(x), dense_norm(norm));
        let normed = slices::batch_norm::forward(numbers(&x), norm_slices(&norm), relu);
        (tensor(normed.y, x.shape()), statistics(normed.mean, normed.rstd))
    }

    fn batch_norm_backward(
        x: FlexTensor,
        norm: NormTensors<Self>,
        statistics: Statistics<Self>,
        g: FlexTensor,
        relu: bool,
    ) -> [FlexTensor; 3] {
        if !single_precision(&[&x, &norm.gamma, &norm.beta, &g]) {
            return composed::batch_norm_backward::<Self>(x, norm, statistics, g, relu);
        }
        let (x, norm) = (dense(x), dense_norm(norm));
        let (mean, rstd) = (numbers(&statistics.mean), numbers(&statistics.rstd));
        let work = |g: &mut [f32]| slices::batch_norm::backward(numbers(&x), norm_slices(&norm), mean, rstd, relu, g);
        let (dx, (dgamma, dbeta)) = in_place(g, work);
        [dx, vector(dgamma), vector(dbeta)]
    }

    fn linear_forward(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, residual: Option<(FlexTensor, Factors)>) -> FlexTensor {
        let stream = residual.as_ref().map_or(&x, |(stream, _)| stream);
        if !single_precision(&[&x, &weight, &bias, stream]) {
            return composed::linear::<Self>(x, weight, bias, residual);
        }
        let (x, weight, bias) = (dense(x), dense(weight), dense(bias));
        let residual = residual.map(|(stream, factors)| (dense(stream), factors));
        let residual = residual.as_ref().map(|(stream, factors)| Residual {
            stream: numbers(stream),
            factors: factors.as_slice(),
            tokens: tokens(&x),
        });
        work::count(products(&x, &weight));
        let y = slices::linear::forward(numbers(&x), layer(&weight, &bias), residual);
        tensor(y, with_last(x.shape(), weight.shape()[1]))
    }

    fn linear_backward(x: FlexTensor, weight: FlexTensor, g: FlexTensor, factors: Factors, want_x: bool) -> LinearGradients<Self> {
        if !single_precision(&[&x, &weight, &g]) {
            return composed::linear_backward::<Self>(x, weight, g, factors, want_x);
        }
        let (x, weight, g) = (dense(x), dense(weight), dense(g));
        work::count(products(&x, &weight) * if want_x { 2 } else { 1 });
        let factors = (factors.as_slice(), tokens(&x));
        let gradients = slices::linear::backward(numbers(&x), numbers(&weight), weight.shape()[1], numbers(&g), factors, want_x);
        LinearGradients {
            x: gradients.dx.map(|dx| tensor(dx, x.shape())),
            weight: tensor(gradients.dw, weight.shape()),
            bias: vector(gradients.db),
        }
    }

    fn norm_linear_forward(x: FlexTensor, norm: NormTensors<Self>, weight: FlexTensor, bias: FlexTensor) -> (FlexTensor, Statistics<Self>) {
        if !single_precision(&[&x, &norm.gamma, &norm.beta, &weight, &bias]) {
            let (normed, statistics) = composed::layer_norm::<Self>(x, norm);
            return (composed::linear::<Self>(normed, weight, bias, None), statistics);
        }
        let (x, norm, weight, bias) = (dense(x), dense_norm(norm), dense(weight), dense(bias));
        work::count(products(&x, &weight));
        let projected = slices::norm_linear::forward(numbers(&x), norm_slices(&norm), layer(&weight, &bias));
        let y = tensor(projected.y, with_last(x.shape(), weight.shape()[1]));
        (y, statistics(projected.mean, projected.rstd))
    }

    fn norm_linear_backward(
        x: FlexTensor,
        norm: NormTensors<Self>,
        statistics: Statistics<Self>,
        weight: FlexTensor,
        g: FlexTensor,
    ) -> [FlexTensor; 5] {
        if !single_precision(&[&x, &norm.gamma, &norm.beta, &weight, &g]) {
            return composed::norm_linear_backward::<Self>(x, norm, statistics, weight, g);
        }
        let (x, norm, weight, g) = (dense(x), dense_norm(norm), dense(weight), dense(g));
        let kept = (numbers(&statistics.mean), numbers(&statistics.rstd));
        work::count(2 * products(&x, &weight));
        let got = slices::norm_linear::backward(numbers(&x), norm_slices(&norm), numbers(&weight), kept, numbers(&g));
        let dx = tensor(got.dx, x.shape());
        [
            dx,
            vector(got.dgamma),
            vector(got.dbeta),
            tensor(got.dw, weight.shape()),
            vector(got.db),
        ]
    }

    fn mlp_forward(stream: FlexTensor, mlp: MlpTensors<Self>, factors: Factors) -> (FlexTensor, FlexTensor, Statistics<Self>) {
        if !single_precision(&[
            &stream,
            &mlp.norm.gamma,
            &mlp.norm.beta,
            &mlp.weight1,
            &mlp.bias1,
            &mlp.weight2,
            &mlp.bias2,
        ]) {
            return composed::mlp::<Self>(stream, mlp, factors);
        }
        let (x, mlp) = (dense(stream), dense_mlp(mlp));
        work::count(2 * products(&x, &mlp.weight1));
        let out = slices::mlp::forward(numbers(&x), mlp_slices(&mlp, &factors, tokens(&x)));
        let hidden = tensor(out.hidden, with_last(x.shape(), mlp.weight1.shape()[1]));
        (tensor(out.y, x.shape()), hidden, statistics(out.mean, out.rstd))
    }

    fn mlp_value(stream: FlexTensor, mlp: MlpTensors<Self>, factors: Factors) -> FlexTensor {
        if !single_precision(&[
            &stream,
            &mlp.norm.gamma,
            &mlp.norm.beta,
            &mlp.weight1,
            &mlp.bias1,
            &mlp.weight2,
            &mlp.bias2,
        ]) {
            return composed::mlp::<Self>(stream, mlp, factors).0;
        }
        let (x, mlp) = (dense(stream), dense_mlp(mlp));
        work::count(2 * products(&x, &mlp.weight1));
        tensor(slices::mlp::value(numbers(&x), mlp_slices(&mlp, &factors, tokens(&x))), x.shape())
    }

    fn mlp_backward(
        stream: FlexTensor,
        mlp: MlpTensors<Self>,
        hidden: FlexTensor,
        statistics: Statistics<Self>,
        factors: Factors,
        g: FlexTensor,
    ) -> [FlexTensor; 7] {
        if !single_precision(&[&stream, &mlp.norm.gamma, &mlp.weight1, &mlp.weight2, &hidden, &g]) {
            return composed::mlp_backward::<Self>(stream, mlp, hidden, statistics, factors, g);
        }
        let (x, mlp, g) = (dense(stream), dense_mlp(mlp), dense(g));
        let kept = slices::mlp::Kept {
            hidden: numbers(&hidden),
            mean: numbers(&statistics.mean),
            rstd: numbers(&statistics.rstd),
        };
        work::count(4 * products(&x, &mlp.weight1));
        let got = slices::mlp::backward(numbers(&x), mlp_slices(&mlp, &factors, tokens(&x)), kept, numbers(&g));
        let (dw1, dw2) = (tensor(got.dw1, mlp.weight1.shape()), tensor(got.dw2, mlp.weight2.shape()));
        let [dgamma, dbeta, db1, db2] = [got.dgamma, got.dbeta, got.db1, got.db2].map(vector);
        [tensor(got.dx, x.shape()), dgamma, dbeta, dw1, db1, dw2, db2]
    }

    fn attention_forward(qkv: FlexTensor, bias: Option<FlexTensor>, heads: usize) -> (FlexTensor, FlexTensor) {
        if !single_precision(&[&qkv, bias.as_ref().unwrap_or(&qkv)]) {
            return composed::attention::<Self>(qkv, bias, heads);
        }
        let (qkv, bias) = (dense(qkv), bias.map(dense));
        let (shape, sizes) = (qkv.shape(), attention_shape(&qkv, heads));
        work::count(2 * scores(&qkv));
        let (mixed, logs) = slices::attention::forward(numbers(&qkv), bias.as_ref().map(numbers), sizes);
        let logs = tensor(logs, Shape::from([shape[0], heads, shape[1]]));
        (tensor(mixed, with_last(shape.clone(), shape[2] / 3)), logs)
    }

    fn attention_backward(
        qkv: FlexTensor,
        bias: Option<FlexTensor>,
        logs: FlexTensor,
        g: FlexTensor,
        heads: usize,
    ) -> (FlexTensor, Option<FlexTensor>) {
        if !single_precision(&[&qkv, bias.as_ref().unwrap_or(&qkv), &logs, &g]) {
            return composed::attention_backward::<Self>(qkv, bias, logs, g, heads);
        }
        let (qkv, bias, g) = (dense(qkv), bias.map(dense), dense(g));
        work::count(5 * scores(&qkv));
        let sizes = attention_shape(&qkv, heads);
        let (dqkv, dbias) = slices::attention::backward(numbers(&qkv), bias.as_ref().map(numbers), sizes, numbers(&logs), numbers(&g));
        let dbias = dbias.zip(bias).map(|(dbias, bias)| tensor(dbias, bias.shape()));
        (tensor(dqkv, qkv.shape()), dbias)
    }

    fn adamw_step(
        param: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: Step,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !single_precision(&[&param, &gradient, &first, &second]) {
            return composed::adamw::<Self>(param, gradient, first, second, step);
        }
        let gradient = dense(gradient);
        let (param, (first, (second, ()))) = in_place(param, |param| {
            in_place(first, |first| {
                in_place(second, |second| {
                    slices::adamw::update(step, param, numbers(&gradient), first, second)
                })
            })
        });
        (param, first, second)
    }

    fn squares(x: FlexTensor) -> FlexTensor {
        if !single_precision(&[&x]) {
            return composed::squares::<Self>(x);
        }
        vector(vec![slices::squares::sum(numbers(&dense(x))) as f32])
    }
}

/// Multiplications of `x W`.
fn products(x: &FlexTensor, weight: &FlexTensor) -> usize {
    x.shape().num_elements() * weight.shape()[1]
}

/// Multiplications of queries and keys.
fn scores(qkv: &FlexTensor) -> usize {
    qkv.shape().num_elements() / 3 * qkv.shape()[1]
}

fn single_precision(tensors: &[&FlexTensor]) -> bool {
    tensors.iter().all(|tensor| tensor.dtype() == DType::F32)
}

/// The same numbers in row-major order; copied only if they are not.
fn dense(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("the tensor is dense and of single precision")
}

/// Takes the numbers over without copying them.
fn tensor(numbers: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

fn vector(numbers: Vec<f32>) -> FlexTensor {
    let shape = Shape::from([numbers.len()]);
    tensor(numbers, shape)
}

/// Works on the tensor's own memory if nobody else holds it, or on a copy.
fn in_place<R>(tensor: FlexTensor, work: impl FnOnce(&mut [f32]) -> R) -> (FlexTensor, R) {
    let mut tensor = dense(tensor);
    let bytes = tensor.shape().num_elements() * size_of::<f32>();
    let whole = tensor.layout().start_offset() == 0 && tensor.bytes().len() == bytes;
    if whole && let Some(numbers) = tensor.try_storage_mut::<f32>() {
        let result = work(numbers);
        return (tensor, result);
    }
    let mut copy = numbers(&tensor).to_vec();
    let result = work(&mut copy);
    (self::tensor(copy, tensor.shape()), result)
}

fn statistics(mean: Vec<f32>, rstd: Vec<f32>) -> Statistics<Flex> {
    Statistics {
        mean: vector(mean),
        rstd: vector(rstd),
    }
}

fn dense_norm(norm: NormTensors<Flex>) -> NormTensors<Flex> {
    NormTensors {
        gamma: dense(norm.gamma),
        beta: dense(norm.beta),
        epsilon: norm.epsilon,
    }
}

fn dense_mlp(mlp: MlpTensors<Flex>) -> MlpTensors<Flex> {
    MlpTensors {
        norm: dense_norm(mlp.norm),
        weight1: dense(mlp.weight1),
        bias1: dense(mlp.bias1),
        weight2: dense(mlp.weight2),
        bias2: dense(mlp.bias2),
    }
}

fn norm_slices(norm: &NormTensors<Flex>) -> Norm<'_> {
    Norm {
        gamma: numbers(&norm.gamma),
        beta: numbers(&norm.beta),
        epsilon: norm.epsilon,
    }
}

fn mlp_slices<'a>(mlp: &'a MlpTensors<Flex>, factors: &'a Factors, tokens: usize) -> Mlp<'a> {
    Mlp {
        norm: norm_slices(&mlp.norm),
        fc1: layer(&mlp.weight1, &mlp.bias1),
        fc2: layer(&mlp.weight2, &mlp.bias2),
        factors: factors.as_slice(),
        tokens,
    }
}

fn layer<'a>(weight: &'a FlexTensor, bias: &'a FlexTensor) -> Layer<'a> {
    Layer {
        w: numbers(weight),
        b: numbers(bias),
    }
}

fn attention_shape(qkv: &FlexTensor, heads: usize) -> AttentionShape {
    let shape = qkv.shape();
    AttentionShape {
        tokens: shape[1],
        heads,
        width: shape[2] / 3 / heads,
    }
}

/// Rows of one image: every dimension but the first and the last.
fn tokens(x: &FlexTensor) -> usize {
    let shape = x.shape();
    let rank = shape.num_dims();
    if rank < 3 {
        1
    } else {
        shape.iter().copied().take(rank - 1).skip(1).product()
    }
}

fn with_last(mut shape: Shape, width: usize) -> Shape {
    let last = shape.num_dims() - 1;
    shape[last] = width;
    shape
}
