//! Charts, each at an address of its own, and the pages that show them: curves, CKA, PSNR.

pub(super) mod cka;
pub(super) mod cka_files;
pub(super) mod curves;
pub(super) mod psnr;
pub(super) mod psnr_examples;
