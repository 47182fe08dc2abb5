//! A whole block out of the halves of its operations, for a gradient that starts from nothing but the block's input.

use super::backend::Kernels;
use super::tensors::{BlockExtras, BlockTensors, F};

/// The stream after the block.
pub fn value<B: Kernels>(x: F<B>, block: BlockTensors<B>, extras: &BlockExtras) -> F<B> {
    let (qkv, _) = B::norm_linear_forward(x.clone(), block.norm1, block.qkv_weight, block.qkv_bias);
    let (mixed, _) = B::attention_forward(qkv, None, extras.heads);
    let residual = Some((x, extras.attention_factors.clone()));
    let x = B::linear_forward(mixed, block.proj_weight, block.proj_bias, residual);
    B::mlp_value(x, block.mlp, extras.mlp_factors.clone())
}

/// The gradients of `x` and of the weights in the order of [`BlockTensors`], where `g` is that of the stream after
/// the block.
pub fn gradients<B: Kernels>(x: F<B>, block: BlockTensors<B>, extras: &BlockExtras, g: F<B>) -> [F<B>; 13] {
    let BlockTensors {
        norm1,
        qkv_weight,
        qkv_bias,
        proj_weight,
        proj_bias,
        mlp,
    } = block;
    let (attention, mlp_factors) = (extras.attention_factors.clone(), extras.mlp_factors.clone());
    let (qkv, statistics1) = B::norm_linear_forward(x.clone(), norm1.clone(), qkv_weight.clone(), qkv_bias);
    let (mixed, logs) = B::attention_forward(qkv.clone(), None, extras.heads);
    let residual = Some((x.clone(), attention.clone()));
    let between = B::linear_forward(mixed.clone(), proj_weight.clone(), proj_bias, residual);
    let (_, hidden, statistics2) = B::mlp_forward(between.clone(), mlp.clone(), mlp_factors.clone());

    let [g, dgamma2, dbeta2, dw1, db1, dw2, db2] = B::mlp_backward(between, mlp, hidden, statistics2, mlp_factors, g);
    let proj = B::linear_backward(mixed, proj_weight, g.clone(), attention, true);
    let (dqkv, _) = B::attention_backward(qkv, None, logs, proj.x.expect("it was asked for"), extras.heads);
    let [dx, dgamma1, dbeta1, dqkv_weight, dqkv_bias] = B::norm_linear_backward(x, norm1, statistics1, qkv_weight, dqkv);
    let dx = B::float_add(dx, g);
    [
        dx,
        dgamma1,
        dbeta1,
        dqkv_weight,
        dqkv_bias,
        proj.weight,
        proj.bias,
        dgamma2,
        dbeta2,
        dw1,
        db1,
        dw2,
        db2,
    ]
}
