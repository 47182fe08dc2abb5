//! The maths of evaluation: CKA, PSNR, nearest neighbors, linear heads on frozen features.

pub mod batch_norm;
pub mod cka;
pub mod encoded;
pub mod frozen;
pub mod heat;
pub mod knn;
pub mod linear_heads;
pub mod pixels;
pub mod psnr;
pub mod validation;
