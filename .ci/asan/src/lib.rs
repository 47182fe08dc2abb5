//! `src/kernels/slices` of Umbra and its tests, compiled by themselves.

#![allow(dead_code, reason = "what the tensors call is not called here")]

#[path = "../../../src/kernels"]
mod kernels {
    pub mod slices;
}
