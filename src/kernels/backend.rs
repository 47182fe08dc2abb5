//! What a backend has to do for each operation: the forward half with what the gradient needs, and the backward half.

use burn::backend::Backend;
#[cfg(feature = "gpu")]
use burn::backend::Cube;

use super::composed;
use super::slices::adamw::Step;
use super::tensors::{F, Factors, LinearGradients, MlpTensors, NormTensors, Statistics};

/// The halves of every operation. The defaults compose burn's own operations and are right on every backend.
pub trait Kernels: Backend {
    fn exact_gelu_forward(x: F<Self>) -> F<Self> {
        composed::gelu::<Self>(x)
    }

    /// The gradient of `x`, given that of the output.
    fn exact_gelu_backward(x: F<Self>, g: F<Self>) -> F<Self> {
        composed::gelu_backward::<Self>(x, g)
    }

    fn layer_norm_forward(x: F<Self>, norm: NormTensors<Self>) -> (F<Self>, Statistics<Self>) {
        composed::layer_norm::<Self>(x, norm)
    }

    /// The gradients of `x`, gamma and beta.
    fn layer_norm_backward(x: F<Self>, gamma: F<Self>, statistics: Statistics<Self>, g: F<Self>) -> [F<Self>; 3] {
        composed::layer_norm_backward::<Self>(x, gamma, statistics, g)
    }

    /// Columns of rows, each normalized over the rows, then ReLU if asked for. The statistics are one a column.
    fn batch_norm_forward(x: F<Self>, norm: NormTensors<Self>, relu: bool) -> (F<Self>, Statistics<Self>) {
        composed::batch_norm::<Self>(x, norm, relu)
    }

    /// The gradients of `x`, gamma and beta.
    fn batch_norm_backward(x: F<Self>, norm: NormTensors<Self>, statistics: Statistics<Self>, g: F<Self>, relu: bool) -> [F<Self>; 3] {
        composed::batch_norm_backward::<Self>(x, norm, statistics, g, relu)
    }

    fn linear_forward(x: F<Self>, weight: F<Self>, bias: F<Self>, residual: Option<(F<Self>, Factors)>) -> F<Self> {
        composed::linear::<Self>(x, weight, bias, residual)
    }

    fn linear_backward(x: F<Self>, weight: F<Self>, g: F<Self>, factors: Factors, want_x: bool) -> LinearGradients<Self> {
        composed::linear_backward::<Self>(x, weight, g, factors, want_x)
    }

    fn norm_linear_forward(x: F<Self>, norm: NormTensors<Self>, weight: F<Self>, bias: F<Self>) -> (F<Self>, Statistics<Self>) {
        let (normed, statistics) = Self::layer_norm_forward(x, norm);
        (Self::linear_forward(normed, weight, bias, None), statistics)
    }

    /// The gradients of `x`, gamma, beta, weight and bias.
    fn norm_linear_backward(
        x: F<Self>,
        norm: NormTensors<Self>,
        statistics: Statistics<Self>,
        weight: F<Self>,
        g: F<Self>,
    ) -> [F<Self>; 5] {
        composed::norm_linear_backward::<Self>(x, norm, statistics, weight, g)
    }

    /// The stream after the branch, what the GELU read, and the norm's statistics.
    fn mlp_forward(stream: F<Self>, mlp: MlpTensors<Self>, factors: Factors) -> (F<Self>, F<Self>, Statistics<Self>) {
        composed::mlp::<Self>(stream, mlp, factors)
    }

    /// The stream after the branch alone.
    fn mlp_value(stream: F<Self>, mlp: MlpTensors<Self>, factors: Factors) -> F<Self> {
        Self::mlp_forward(stream, mlp, factors).0
    }

    /// The gradients of the stream, gamma, beta, both weights and biases.
    fn mlp_backward(
        stream: F<Self>,
        mlp: MlpTensors<Self>,
        hidden: F<Self>,
        statistics: Statistics<Self>,
        factors: Factors,
        g: F<Self>,
    ) -> [F<Self>; 7] {
        composed::mlp_backward::<Self>(stream, mlp, hidden, statistics, factors, g)
    }

    /// What the heads mix, and the logarithm of each row's sum of exponentials, `[batch, heads, tokens]`. The bias
    /// is `[heads, tokens, tokens]`.
    fn attention_forward(qkv: F<Self>, bias: Option<F<Self>>, heads: usize) -> (F<Self>, F<Self>) {
        composed::attention::<Self>(qkv, bias, heads)
    }

    /// The gradients of `qkv` and of the bias.
    fn attention_backward(qkv: F<Self>, bias: Option<F<Self>>, logs: F<Self>, g: F<Self>, heads: usize) -> (F<Self>, Option<F<Self>>) {
        composed::attention_backward::<Self>(qkv, bias, logs, g, heads)
    }

    /// The parameter and its moments after a step.
    fn adamw_step(param: F<Self>, gradient: F<Self>, first: F<Self>, second: F<Self>, step: Step) -> (F<Self>, F<Self>, F<Self>) {
        composed::adamw::<Self>(param, gradient, first, second, step)
    }

    /// The sum of the squares, `[1]`.
    fn squares(x: F<Self>) -> F<Self> {
        composed::squares::<Self>(x)
    }
}

/// Every GPU composes; burn fuses and tunes there.
#[cfg(feature = "gpu")]
impl Kernels for Cube {}
