//! The arithmetic on plain slices of `f32`, in parallel and for the widest vectors of the processor.
//!
//! Nothing here knows of tensors. Every matrix is row-major unless it says otherwise, a linear layer is
//! `y = x W + b` with `W` `[in, out]`, and a gradient is named `d` and what it belongs to.
//!
//! Sums over rows are taken in groups whose number depends on the number of threads, and added in the order of the
//! rows: the same numbers for the same thread count, whoever finishes first.

pub mod adamw;
pub mod attention;
pub mod batch_norm;
pub mod gelu;
pub mod layer_norm;
pub mod linear;
pub mod matrix;
pub mod mlp;
pub mod norm_linear;
pub mod output;
mod panels;
#[cfg(test)]
mod reference;
pub mod simd;
pub mod squares;
