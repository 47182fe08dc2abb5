//! Every operation as a step of burn's graph, for every backend and checkpointing strategy.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};

use super::backend::Kernels;
use super::ops::TransformerOps;
use super::recompute;
use super::tensors::{BlockExtras, BlockTensors, F, Factors, MlpTensors, NormTensors, Statistics};

#[derive(Debug)]
struct Gelu;

#[derive(Debug)]
struct LayerNorm;

#[derive(Debug)]
struct BatchNorm;

#[derive(Debug)]
struct Linear;

#[derive(Debug)]
struct LinearResidual;

#[derive(Debug)]
struct NormLinear;

#[derive(Debug)]
struct MlpResidual;

#[derive(Debug)]
struct Attention;

#[derive(Debug)]
struct BiasedAttention;

#[derive(Debug)]
struct RecomputedBlock;

impl<B: Kernels> Backward<B, 1> for Gelu {
    type State = F<B>;

    fn backward(self, ops: Ops<F<B>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parents, x, g) = taken::<B, _, 1>(ops, grads);
        register::<B, 1>(parents, [B::exact_gelu_backward(x, g)], grads);
    }
}

impl<B: Kernels> Backward<B, 3> for LayerNorm {
    type State = (F<B>, F<B>, Statistics<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parents, (x, gamma, statistics), g) = taken::<B, _, 3>(ops, grads);
        register::<B, 3>(parents, B::layer_norm_backward(x, gamma, statistics, g), grads);
    }
}

impl<B: Kernels> Backward<B, 3> for BatchNorm {
    type State = (F<B>, NormTensors<B>, Statistics<B>, bool);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parents, (x, norm, statistics, relu), g) = taken::<B, _, 3>(ops, grads);
        register::<B, 3>(parents, B::batch_norm_backward(x, norm, statistics, g, relu), grads);
    }
}

impl<B: Kernels> Backward<B, 3> for Linear {
    type State = (F<B>, F<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([x_node, weight_node, bias_node], (x, weight), g) = taken::<B, _, 3>(ops, grads);
        let gradients = B::linear_backward(x, weight, g, Factors::default(), x_node.is_some());
        register::<B, 2>([weight_node, bias_node], [gradients.weight, gradients.bias], grads);
        if let Some(dx) = gradients.x {
            register::<B, 1>([x_node], [dx], grads);
        }
    }
}

impl<B: Kernels> Backward<B, 4> for LinearResidual {
    type State = (F<B>, F<B>, Factors);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([x_node, weight_node, bias_node, stream_node], (x, weight, factors), g) = taken::<B, _, 4>(ops, grads);
        let gradients = B::linear_backward(x, weight, g.clone(), factors, x_node.is_some());
        register::<B, 2>([weight_node, bias_node], [gradients.weight, gradients.bias], grads);
        if let Some(dx) = gradients.x {
            register::<B, 1>([x_node], [dx], grads);
        }
        register::<B, 1>([stream_node], [g], grads);
    }
}

impl<B: Kernels> Backward<B, 5> for NormLinear {
    type State = (F<B>, NormTensors<B>, Statistics<B>, F<B>);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parents, (x, norm, statistics, weight), g) = taken::<B, _, 5>(ops, grads);
        register::<B, 5>(parents, B::norm_linear_backward(x, norm, statistics, weight, g), grads);
    }
}

impl<B: Kernels> Backward<B, 7> for MlpResidual {
    type State = (F<B>, MlpTensors<B>, F<B>, Statistics<B>, Factors);

    fn backward(self, ops: Ops<Self::State, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parents, (stream, mlp, hidden, statistics, factors), g) = taken::<B, _, 7>(ops, grads);
        register::<B, 7>(parents, B::mlp_backward(stream, mlp, hidden, statistics, factors, g), grads);
    }
}

impl<B: Kernels> Backward<B, 1> for Attention {
    type State = (F<B>, F<B>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parents, (qkv, logs, heads), g) = taken::<B, _, 1>(ops, grads);
        register::<B, 1>(parents, [B::attention_backward(qkv, None, logs, g, heads).0], grads);
    }
}

impl<B: Kernels> Backward<B, 2> for BiasedAttention {
    type State = (F<B>, F<B>, F<B>, usize);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parents, (qkv, bias, logs, heads), g) = taken::<B, _, 2>(ops, grads);
        let (dqkv, dbias) = B::attention_backward(qkv, Some(bias), logs, g, heads);
        register::<B, 2>(parents, [dqkv, dbias.expect("a bias was given")], grads);
    }
}

impl<B: Kernels> Backward<B, 13> for RecomputedBlock {
    type State = (F<B>, BlockTensors<B>, BlockExtras);

    fn backward(self, ops: Ops<Self::State, 13>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (parents, (x, block, extras), g) = taken::<B, _, 13>(ops, grads);
        register::<B, 13>(parents, recompute::gradients::<B>(x, block, &extras, g), grads);
    }
}

/// The nodes of the inputs, `None` for constants, what was kept, and the gradient of the output.
fn taken<B: Kernels, S, const N: usize>(ops: Ops<S, N>, grads: &mut Gradients) -> ([Option<NodeId>; N], S, F<B>) {
    let g = grads.consume::<B>(&ops.node);
    (ops.parents.map(|parent| parent.map(|node| node.id)), ops.state, g)
}

fn register<B: Kernels, const N: usize>(nodes: [Option<NodeId>; N], gradients: [F<B>; N], grads: &mut Gradients) {
    for (node, gradient) in nodes.into_iter().zip(gradients) {
        if let Some(node) = node {
            grads.register::<B>(node, gradient);
        }
    }
}

impl<B: Kernels, C: CheckpointStrategy> TransformerOps for Autodiff<B, C> {
    fn gelu(x: F<Self>) -> F<Self> {
        let (x, node) = x.into_parts();
        let y = B::exact_gelu_forward(x.clone());
        match Gelu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(x, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn layer_norm(x: F<Self>, gamma: F<Self>, beta: F<Self>, epsilon: f32) -> F<Self> {
        let ((x, x_node), (gamma, gamma_node), (beta, beta_node)) = (x.into_parts(), gamma.into_parts(), beta.into_parts());
        let norm = NormTensors {
            gamma: gamma.clone(),
            beta,
            epsilon,
        };
        let (y, statistics) = B::layer_norm_forward(x.clone(), norm);
        match LayerNorm.prepare::<C>([x_node, gamma_node, beta_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, gamma, statistics), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn batch_norm(x: F<Self>, gamma: F<Self>, beta: F<Self>, epsilon: f32, relu: bool) -> F<Self> {
        let ((x, x_node), (gamma, gamma_node), (beta, beta_node)) = (x.into_parts(), gamma.into_parts(), beta.into_parts());
        let norm = NormTensors { gamma, beta, epsilon };
        let (y, statistics) = B::batch_norm_forward(x.clone(), norm.clone(), relu);
        match BatchNorm.prepare::<C>([x_node, gamma_node, beta_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, norm, statistics, relu), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn linear(x: F<Self>, weight: F<Self>, bias: F<Self>) -> F<Self> {
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) = (x.into_parts(), weight.into_parts(), bias.into_parts());
        let y = B::linear_forward(x.clone(), weight.clone(), bias, None);
        match Linear.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn norm_linear(x: F<Self>, gamma: F<Self>, beta: F<Self>, weight: F<Self>, bias: F<Self>, epsilon: f32) -> F<Self> {
        let ((x, x_node), (gamma, gamma_node), (beta, beta_node)) = (x.into_parts(), gamma.into_parts(), beta.into_parts());
        let ((weight, weight_node), (bias, bias_node)) = (weight.into_parts(), bias.into_parts());
        let norm = NormTensors { gamma, beta, epsilon };
        let (y, statistics) = B::norm_linear_forward(x.clone(), norm.clone(), weight.clone(), bias);
        let nodes = [x_node, gamma_node, beta_node, weight_node, bias_node];
        match NormLinear.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, norm, statistics, weight), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn linear_residual(x: F<Self>, weight: F<Self>, bias: F<Self>, stream: F<Self>, factors: Factors) -> F<Self> {
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) = (x.into_parts(), weight.into_parts(), bias.into_parts());
        let (stream, stream_node) = stream.into_parts();
        let y = B::linear_forward(x.clone(), weight.clone(), bias, Some((stream, factors.clone())));
        let nodes = [x_node, weight_node, bias_node, stream_node];
        match LinearResidual.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, factors), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn mlp_residual(
        stream: F<Self>,
        gamma: F<Self>,
        beta: F<Self>,
        weight1: F<Self>,
        bias1: F<Self>,
        weight2: F<Self>,
        bias2: F<Self>,
        factors: Factors,
        epsilon: f32,
    ) -> F<Self> {
        let parts = [stream, gamma, beta, weight1, bias1, weight2, bias2].map(|input| input.into_parts());
        let [
            (stream, n0),
            (gamma, n1),
            (beta, n2),
            (weight1, n3),
            (bias1, n4),
            (weight2, n5),
            (bias2, n6),
        ] = parts;
        let norm = NormTensors { gamma, beta, epsilon };
        let mlp = MlpTensors {
            norm,
            weight1,
            bias1,
            weight2,
            bias2,
        };
        let (y, hidden, statistics) = B::mlp_forward(stream.clone(), mlp.clone(), factors.clone());
        match MlpResidual.prepare::<C>([n0, n1, n2, n3, n4, n5, n6]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((stream, mlp, hidden, statistics, factors), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn attention(qkv: F<Self>, heads: usize) -> F<Self> {
        let (qkv, node) = qkv.into_parts();
        let (y, logs) = B::attention_forward(qkv.clone(), None, heads);
        match Attention.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((qkv, logs, heads), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn biased_attention(qkv: F<Self>, bias: F<Self>, heads: usize) -> F<Self> {
        let ((qkv, node), (bias, bias_node)) = (qkv.into_parts(), bias.into_parts());
        let (y, logs) = B::attention_forward(qkv.clone(), Some(bias.clone()), heads);
        match BiasedAttention.prepare::<C>([node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((qkv, bias, logs, heads), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn recomputed_block(
        x: F<Self>,
        gamma1: F<Self>,
        beta1: F<Self>,
        qkv_weight: F<Self>,
        qkv_bias: F<Self>,
        proj_weight: F<Self>,
        proj_bias: F<Self>,
        gamma2: F<Self>,
        beta2: F<Self>,
        weight1: F<Self>,
        bias1: F<Self>,
        weight2: F<Self>,
        bias2: F<Self>,
        extras: BlockExtras,
    ) -> F<Self> {
        let weights = [
            gamma1,
            beta1,
            qkv_weight,
            qkv_bias,
            proj_weight,
            proj_bias,
            gamma2,
            beta2,
            weight1,
            bias1,
            weight2,
            bias2,
        ];
        let ((x, x_node), parts) = (x.into_parts(), weights.map(|weight| weight.into_parts()));
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12] = parts;
        let norm1 = NormTensors {
            gamma: p1.0,
            beta: p2.0,
            epsilon: extras.epsilon,
        };
        let norm2 = NormTensors {
            gamma: p7.0,
            beta: p8.0,
            epsilon: extras.epsilon,
        };
        let mlp = MlpTensors {
            norm: norm2,
            weight1: p9.0,
            bias1: p10.0,
            weight2: p11.0,
            bias2: p12.0,
        };
        let block = BlockTensors {
            norm1,
            qkv_weight: p3.0,
            qkv_bias: p4.0,
            proj_weight: p5.0,
            proj_bias: p6.0,
            mlp,
        };
        let y = recompute::value::<B>(x.clone(), block.clone(), &extras);
        let nodes = [x_node, p1.1, p2.1, p3.1, p4.1, p5.1, p6.1, p7.1, p8.1, p9.1, p10.1, p11.1, p12.1];
        match RecomputedBlock.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, block, extras), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}
