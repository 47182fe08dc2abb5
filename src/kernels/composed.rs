//! The operations out of burn's own: right on every backend, and what the fused ones are tested against.

use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use super::products::Operand;
use super::slices::adamw::Step;
use super::tensors::{F, Factors, LinearGradients, MlpTensors, NormTensors, Statistics};

/// `1 / sqrt(2 π)`
const DENSITY: f64 = 0.398_942_280_401_432_7;

pub fn gelu<B: Backend>(x: F<B>) -> F<B> {
    B::float_mul(x.clone(), normal_cdf::<B>(x))
}

pub fn gelu_backward<B: Backend>(x: F<B>, g: F<B>) -> F<B> {
    let square = B::float_mul(x.clone(), x.clone());
    let density = scale::<B>(B::float_exp(scale::<B>(square, -0.5)), DENSITY);
    B::float_mul(g, B::float_add(normal_cdf::<B>(x.clone()), B::float_mul(x, density)))
}

pub fn layer_norm<B: Backend>(x: F<B>, norm: NormTensors<B>) -> (F<B>, Statistics<B>) {
    let rank = x.shape().num_dims();
    let mean = B::float_mean_dim(x.clone(), rank - 1);
    let centered = B::float_sub(x, mean.clone());
    let variance = B::float_mean_dim(B::float_mul(centered.clone(), centered.clone()), rank - 1);
    let rstd = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, norm.epsilon.into())));
    let normed = B::float_mul(centered, rstd.clone());
    (scale_and_shift::<B>(normed, norm), Statistics { mean, rstd })
}

pub fn layer_norm_backward<B: Backend>(x: F<B>, gamma: F<B>, statistics: Statistics<B>, g: F<B>) -> [F<B>; 3] {
    let rank = x.shape().num_dims();
    let normed = normalized::<B>(x, &statistics);
    let weighted = B::float_mul(g.clone(), along_last::<B>(gamma, rank));
    let shift = B::float_mean_dim(weighted.clone(), rank - 1);
    let along = B::float_mean_dim(B::float_mul(weighted.clone(), normed.clone()), rank - 1);
    let centered = B::float_sub(B::float_sub(weighted, shift), B::float_mul(normed.clone(), along));
    let dgamma = sum_rows::<B>(B::float_mul(g.clone(), normed));
    [B::float_mul(centered, statistics.rstd), dgamma, sum_rows::<B>(g)]
}

pub fn batch_norm<B: Backend>(x: F<B>, norm: NormTensors<B>, relu: bool) -> (F<B>, Statistics<B>) {
    let shape = dims::<B>(&x);
    let x = rows::<B>(x);
    let mean = B::float_mean_dim(x.clone(), 0);
    let centered = B::float_sub(x, mean.clone());
    let variance = B::float_mean_dim(B::float_mul(centered.clone(), centered.clone()), 0);
    let rstd = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, norm.epsilon.into())));
    let y = scale_and_shift::<B>(B::float_mul(centered, rstd.clone()), norm);
    let y = if relu { B::relu(y) } else { y };
    (reshape::<B>(y, shape), Statistics { mean, rstd })
}

pub fn batch_norm_backward<B: Backend>(x: F<B>, norm: NormTensors<B>, statistics: Statistics<B>, g: F<B>, relu: bool) -> [F<B>; 3] {
    let (shape, g) = (dims::<B>(&x), rows::<B>(g));
    let [mean, rstd] = [statistics.mean, statistics.rstd].map(|t| along_last::<B>(t, 2));
    let normed = B::float_mul(B::float_sub(rows::<B>(x), mean), rstd.clone());
    let g = if relu {
        B::relu_backward(B::relu(scale_and_shift::<B>(normed.clone(), norm.clone())), g)
    } else {
        g
    };
    let shift = B::float_mean_dim(g.clone(), 0);
    let along = B::float_mean_dim(B::float_mul(g.clone(), normed.clone()), 0);
    let centered = B::float_sub(B::float_sub(g.clone(), shift), B::float_mul(normed.clone(), along));
    let dx = B::float_mul(centered, B::float_mul(along_last::<B>(norm.gamma, 2), rstd));
    let dgamma = sum_rows::<B>(B::float_mul(g.clone(), normed));
    [reshape::<B>(dx, shape), dgamma, sum_rows::<B>(g)]
}

pub fn linear<B: Backend>(x: F<B>, weight: F<B>, bias: F<B>, residual: Option<(F<B>, Factors)>) -> F<B> {
    let mut shape = dims::<B>(&x);
    let last = shape.len() - 1;
    shape[last] = weight.shape()[1];
    let y = B::float_add(product::<B>(rows::<B>(x), weight), along_last::<B>(bias, 2));
    let y = reshape::<B>(y, shape);
    match residual {
        Some((stream, factors)) => B::float_add(stream, times::<B>(y, &factors)),
        None => y,
    }
}

pub fn linear_backward<B: Backend>(x: F<B>, weight: F<B>, g: F<B>, factors: Factors, want_x: bool) -> LinearGradients<B> {
    let shape = dims::<B>(&x);
    let g = rows::<B>(times::<B>(g, &factors));
    let slopes = Operand::<B>::gradient(g.clone());
    let dx = want_x.then(|| slopes.clone().times(Operand::plain(weight).transposed()));
    LinearGradients {
        x: dx.map(|dx| reshape::<B>(dx, shape)),
        weight: Operand::plain(rows::<B>(x)).transposed().times(slopes),
        bias: sum_rows::<B>(g),
    }
}

pub fn norm_linear_backward<B: Backend>(x: F<B>, norm: NormTensors<B>, statistics: Statistics<B>, weight: F<B>, g: F<B>) -> [F<B>; 5] {
    let normed = scale_and_shift::<B>(normalized::<B>(x.clone(), &statistics), norm.clone());
    let inner = linear_backward::<B>(normed, weight, g, Factors::default(), true);
    let dx = inner.x.expect("it was asked for");
    let [dx, dgamma, dbeta] = layer_norm_backward::<B>(x, norm.gamma, statistics, dx);
    [dx, dgamma, dbeta, inner.weight, inner.bias]
}

pub fn mlp<B: Backend>(stream: F<B>, mlp: MlpTensors<B>, factors: Factors) -> (F<B>, F<B>, Statistics<B>) {
    let (normed, statistics) = layer_norm::<B>(stream.clone(), mlp.norm);
    let hidden = linear::<B>(normed, mlp.weight1, mlp.bias1, None);
    let active = gelu::<B>(hidden.clone());
    let y = linear::<B>(active, mlp.weight2, mlp.bias2, Some((stream, factors)));
    (y, hidden, statistics)
}

pub fn mlp_backward<B: Backend>(
    stream: F<B>,
    mlp: MlpTensors<B>,
    hidden: F<B>,
    statistics: Statistics<B>,
    factors: Factors,
    g: F<B>,
) -> [F<B>; 7] {
    let outer = linear_backward::<B>(gelu::<B>(hidden.clone()), mlp.weight2, g.clone(), factors, true);
    let dhidden = gelu_backward::<B>(hidden, outer.x.expect("it was asked for"));
    let [dx, dgamma, dbeta, dw1, db1] = norm_linear_backward::<B>(stream, mlp.norm, statistics, mlp.weight1, dhidden);
    [B::float_add(dx, g), dgamma, dbeta, dw1, db1, outer.weight, outer.bias]
}

pub fn attention<B: Backend>(qkv: F<B>, bias: Option<F<B>>, heads: usize) -> (F<B>, F<B>) {
    let [batch, tokens, packed] = dims::<B>(&qkv)[..] else {
        unreachable!("packed queries, keys and values have three dimensions")
    };
    let [query, key, value] = split::<B>(qkv, heads);
    let scores = scores::<B>(query, key, bias);
    let most = B::float_max_dim(scores.clone(), 3);
    let powers = B::float_exp(B::float_sub(scores, most.clone()));
    let sum = B::float_sum_dim(powers.clone(), 3);
    let mixed = product::<B>(B::float_div(powers, sum.clone()), value);
    let logs = B::float_add(B::float_log(sum), most);
    (
        join::<B>(mixed, [batch, tokens, packed / 3]),
        reshape::<B>(logs, [batch, heads, tokens]),
    )
}

pub fn attention_backward<B: Backend>(qkv: F<B>, bias: Option<F<B>>, logs: F<B>, g: F<B>, heads: usize) -> (F<B>, Option<F<B>>) {
    let [batch, tokens, packed] = dims::<B>(&qkv)[..] else {
        unreachable!("packed queries, keys and values have three dimensions")
    };
    let (dim, width) = (packed / 3, packed / 3 / heads);
    let [query, key, value] = split::<B>(qkv, heads);
    let logs = reshape::<B>(logs, [batch, heads, tokens, 1]);
    let biased = bias.is_some();
    let weights = B::float_exp(B::float_sub(scores::<B>(query.clone(), key.clone(), bias), logs));
    let g = B::float_permute(reshape::<B>(g, [batch, tokens, heads, width]), &[0, 2, 1, 3]);
    let g = Operand::<B>::gradient(g);
    let slopes = g.clone().times(Operand::plain(value).transposed());
    let mean = B::float_sum_dim(B::float_mul(weights.clone(), slopes.clone()), 3);
    let slopes = B::float_mul(weights.clone(), B::float_sub(slopes, mean));
    let dbias = biased.then(|| reshape::<B>(B::float_sum_dim(slopes.clone(), 0), [heads, tokens, tokens]));
    let slopes = Operand::<B>::gradient(scale::<B>(slopes, (width as f64).powf(-0.5)));
    let dquery = slopes.clone().times(Operand::plain(key));
    let dkey = slopes.transposed().times(Operand::plain(query));
    let dvalue = Operand::plain(weights).transposed().times(g);
    let parts = [dquery, dkey, dvalue].map(|part| join::<B>(part, [batch, tokens, dim]));
    (B::float_cat(parts.into(), 2), dbias)
}

pub fn adamw<B: Backend>(param: F<B>, gradient: F<B>, first: F<B>, second: F<B>, step: Step) -> (F<B>, F<B>, F<B>) {
    let square = B::float_mul(gradient.clone(), gradient.clone());
    let mix = |moment, beta: f32, new| {
        let (old, share) = (scale::<B>(moment, f64::from(beta)), 1.0 - f64::from(beta));
        B::float_add(old, scale::<B>(new, share))
    };
    let (first, second) = (mix(first, step.beta1, gradient), mix(second, step.beta2, square));
    let root = scale::<B>(B::float_sqrt(second.clone()), f64::from(step.scale));
    let root = B::float_add_scalar(root, step.epsilon.into());
    let change = B::float_div(scale::<B>(first.clone(), f64::from(step.rate)), root);
    (B::float_sub(scale::<B>(param, f64::from(step.keep)), change), first, second)
}

pub fn squares<B: Backend>(x: F<B>) -> F<B> {
    B::float_sum(B::float_mul(x.clone(), x))
}

fn product<B: Backend>(a: F<B>, b: F<B>) -> F<B> {
    Operand::<B>::plain(a).times(Operand::plain(b))
}

/// The chance that a standard normal variable is below `x`.
fn normal_cdf<B: Backend>(x: F<B>) -> F<B> {
    let erf = B::float_erf(scale::<B>(x, std::f64::consts::FRAC_1_SQRT_2));
    scale::<B>(B::float_add_scalar(erf, 1.0.into()), 0.5)
}

fn normalized<B: Backend>(x: F<B>, statistics: &Statistics<B>) -> F<B> {
    let mut shape = dims::<B>(&x);
    let last = shape.len() - 1;
    shape[last] = 1;
    let [mean, rstd] = [&statistics.mean, &statistics.rstd].map(|t| reshape::<B>(t.clone(), shape.clone()));
    B::float_mul(B::float_sub(x, mean), rstd)
}

fn scale_and_shift<B: Backend>(normed: F<B>, norm: NormTensors<B>) -> F<B> {
    let rank = normed.shape().num_dims();
    let scaled = B::float_mul(normed, along_last::<B>(norm.gamma, rank));
    B::float_add(scaled, along_last::<B>(norm.beta, rank))
}

/// `branch` with each image's part times its factor.
fn times<B: Backend>(branch: F<B>, factors: &Factors) -> F<B> {
    if factors.as_slice().is_empty() {
        return branch;
    }
    let mut shape = vec![1; branch.shape().num_dims()];
    shape[0] = factors.as_slice().len();
    let data = TensorData::new(factors.as_slice().to_vec(), shape).convert_dtype(branch.dtype());
    let factors = B::float_from_data(data, &branch.device());
    B::float_mul(branch, factors)
}

/// Query, key and value, each `[batch, heads, tokens, width]`.
fn split<B: Backend>(qkv: F<B>, heads: usize) -> [F<B>; 3] {
    let [batch, tokens, packed] = dims::<B>(&qkv)[..] else {
        unreachable!("packed queries, keys and values have three dimensions")
    };
    let parts = reshape::<B>(qkv, [batch, tokens, 3, heads, packed / 3 / heads]);
    let parts = B::float_permute(parts, &[2, 0, 3, 1, 4]);
    [0, 1, 2].map(|part| {
        let part = B::float_slice(parts.clone(), &[burn::tensor::Slice::from(part..part + 1)]);
        reshape::<B>(part, [batch, heads, tokens, packed / 3 / heads])
    })
}

/// `[batch, heads, tokens, width]` to tokens of `shape`.
fn join<B: Backend>(heads: F<B>, shape: [usize; 3]) -> F<B> {
    reshape::<B>(B::float_permute(heads, &[0, 2, 1, 3]), shape)
}

/// `[batch, heads, tokens, tokens]`
fn scores<B: Backend>(query: F<B>, key: F<B>, bias: Option<F<B>>) -> F<B> {
    let width = query.shape()[3] as f64;
    let scores = scale::<B>(product::<B>(query, B::float_swap_dims(key, 2, 3)), width.powf(-0.5));
    match bias {
        Some(bias) => {
            let [heads, tokens, _] = dims::<B>(&bias)[..] else {
                unreachable!("a bias has three dimensions")
            };
            B::float_add(scores, reshape::<B>(bias, [1, heads, tokens, tokens]))
        }
        None => scores,
    }
}

fn scale<B: Backend>(x: F<B>, factor: f64) -> F<B> {
    B::float_mul_scalar(x, factor.into())
}

fn dims<B: Backend>(x: &F<B>) -> Vec<usize> {
    x.shape().iter().copied().collect()
}

fn reshape<B: Backend>(x: F<B>, shape: impl Into<Vec<usize>>) -> F<B> {
    B::float_reshape(x, Shape::from(shape.into()))
}

/// A vector as the last of `rank` dimensions.
fn along_last<B: Backend>(vector: F<B>, rank: usize) -> F<B> {
    let mut shape = vec![1; rank];
    shape[rank - 1] = vector.shape().num_elements();
    reshape::<B>(vector, shape)
}

/// Every dimension but the last folded into one.
fn rows<B: Backend>(x: F<B>) -> F<B> {
    let shape = dims::<B>(&x);
    let width = shape[shape.len() - 1];
    reshape::<B>(x, [shape.iter().product::<usize>() / width, width])
}

/// The sum over every dimension but the last.
fn sum_rows<B: Backend>(x: F<B>) -> F<B> {
    let rows = rows::<B>(x);
    let width = rows.shape()[1];
    reshape::<B>(B::float_sum_dim(rows, 0), [width])
}
