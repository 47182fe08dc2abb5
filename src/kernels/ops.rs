//! The operations as burn's dispatch sees them: every backend listed here, with and without gradients.

#[cfg(feature = "gpu")]
use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use super::backend::Kernels;
use super::recompute;
use super::slices::adamw::Step;
use super::tensors::{BlockExtras, BlockTensors, Factors, MlpTensors, NormTensors};

/// What a transformer is made of.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"), Autodiff)]
pub trait TransformerOps: Backend {
    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn layer_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, beta: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self>;

    fn batch_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, beta: FloatTensor<Self>, epsilon: f32, relu: bool) -> FloatTensor<Self>;

    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    fn norm_linear(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    fn linear_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stream: FloatTensor<Self>,
        factors: Factors,
    ) -> FloatTensor<Self>;

    #[allow(
        clippy::too_many_arguments,
        reason = "the macro tells tensors by their types, so they cannot be grouped"
    )]
    fn mlp_residual(
        stream: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        weight1: FloatTensor<Self>,
        bias1: FloatTensor<Self>,
        weight2: FloatTensor<Self>,
        bias2: FloatTensor<Self>,
        factors: Factors,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    fn attention(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self>;

    fn biased_attention(qkv: FloatTensor<Self>, bias: FloatTensor<Self>, heads: usize) -> FloatTensor<Self>;

    #[allow(
        clippy::too_many_arguments,
        reason = "the macro tells tensors by their types, so they cannot be grouped"
    )]
    fn recomputed_block(
        x: FloatTensor<Self>,
        gamma1: FloatTensor<Self>,
        beta1: FloatTensor<Self>,
        qkv_weight: FloatTensor<Self>,
        qkv_bias: FloatTensor<Self>,
        proj_weight: FloatTensor<Self>,
        proj_bias: FloatTensor<Self>,
        gamma2: FloatTensor<Self>,
        beta2: FloatTensor<Self>,
        weight1: FloatTensor<Self>,
        bias1: FloatTensor<Self>,
        weight2: FloatTensor<Self>,
        bias2: FloatTensor<Self>,
        extras: BlockExtras,
    ) -> FloatTensor<Self>;
}

/// What an optimizer is made of; it never runs where gradients are recorded.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"))]
pub trait OptimizerOps: Backend {
    fn adamw(
        param: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: Step,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Without gradients, an operation is its forward half.
macro_rules! without_gradients {
    ($backend:ty) => {
        impl TransformerOps for $backend {
            fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
                Self::exact_gelu_forward(x)
            }

            fn layer_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, beta: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
                Self::layer_norm_forward(x, NormTensors { gamma, beta, epsilon }).0
            }

            fn batch_norm(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                epsilon: f32,
                relu: bool,
            ) -> FloatTensor<Self> {
                Self::batch_norm_forward(x, NormTensors { gamma, beta, epsilon }, relu).0
            }

            fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
                Self::linear_forward(x, weight, bias, None)
            }

            fn norm_linear(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                epsilon: f32,
            ) -> FloatTensor<Self> {
                Self::norm_linear_forward(x, NormTensors { gamma, beta, epsilon }, weight, bias).0
            }

            fn linear_residual(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                stream: FloatTensor<Self>,
                factors: Factors,
            ) -> FloatTensor<Self> {
                Self::linear_forward(x, weight, bias, Some((stream, factors)))
            }

            fn mlp_residual(
                stream: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                weight1: FloatTensor<Self>,
                bias1: FloatTensor<Self>,
                weight2: FloatTensor<Self>,
                bias2: FloatTensor<Self>,
                factors: Factors,
                epsilon: f32,
            ) -> FloatTensor<Self> {
                let norm = NormTensors { gamma, beta, epsilon };
                Self::mlp_forward(
                    stream,
                    MlpTensors {
                        norm,
                        weight1,
                        bias1,
                        weight2,
                        bias2,
                    },
                    factors,
                )
                .0
            }

            fn attention(qkv: FloatTensor<Self>, heads: usize) -> FloatTensor<Self> {
                Self::attention_forward(qkv, None, heads).0
            }

            fn biased_attention(qkv: FloatTensor<Self>, bias: FloatTensor<Self>, heads: usize) -> FloatTensor<Self> {
                Self::attention_forward(qkv, Some(bias), heads).0
            }

            fn recomputed_block(
                x: FloatTensor<Self>,
                gamma1: FloatTensor<Self>,
                beta1: FloatTensor<Self>,
                qkv_weight: FloatTensor<Self>,
                qkv_bias: FloatTensor<Self>,
                proj_weight: FloatTensor<Self>,
                proj_bias: FloatTensor<Self>,
                gamma2: FloatTensor<Self>,
                beta2: FloatTensor<Self>,
                weight1: FloatTensor<Self>,
                bias1: FloatTensor<Self>,
                weight2: FloatTensor<Self>,
                bias2: FloatTensor<Self>,
                extras: BlockExtras,
            ) -> FloatTensor<Self> {
                let (norm1, norm2) = (
                    NormTensors {
                        gamma: gamma1,
                        beta: beta1,
                        epsilon: extras.epsilon,
                    },
                    NormTensors {
                        gamma: gamma2,
                        beta: beta2,
                        epsilon: extras.epsilon,
                    },
                );
                let mlp = MlpTensors {
                    norm: norm2,
                    weight1,
                    bias1,
                    weight2,
                    bias2,
                };
                let block = BlockTensors {
                    norm1,
                    qkv_weight,
                    qkv_bias,
                    proj_weight,
                    proj_bias,
                    mlp,
                };
                recompute::value::<Self>(x, block, &extras)
            }
        }

        impl OptimizerOps for $backend {
            fn adamw(
                param: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                first: FloatTensor<Self>,
                second: FloatTensor<Self>,
                step: Step,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                Self::adamw_step(param, gradient, first, second, step)
            }

            fn sum_of_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
                Self::squares(x)
            }
        }
    };
}

without_gradients!(Flex);
#[cfg(feature = "gpu")]
without_gradients!(Cube);
