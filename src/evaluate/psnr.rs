//! Quality of reconstructions: peak signal-to-noise ratio of the hidden patches.
//!
//! The paper gives one number and neither the region nor the source of the patch statistics, so all of it is
//! spelt out: `masked` looks at hidden patches only, `composite` at the picture with the visible patches
//! pasted in; each is the mean of the decibels of single pictures, and `_pooled` the decibels of the mean
//! error. `_zero` is the control: a model that predicts zero everywhere, which with the oracle's statistics
//! already scores 16 to 20 dB.

use anyhow::{Context as _, Error, Result};
use burn::tensor::{Tensor, TensorData};

use super::pictures;
use super::pixels::{Denorm, PixelSpace};
use super::{Work, data_of, parent};
use crate::data::augment::Augment;
use crate::data::loader::EvalLoader;
use crate::experiment::settings::{AugmentSettings, DataSettings, ModelSettings, PsnrSettings};
use crate::methods::{Masks, Method, MethodVisitor, with_method};
use crate::train::Ended;

/// Scores the parent run's reconstructions of the validation split.
///
/// # Errors
/// A parent without a model, a model of another shape, a picture that cannot be read.
pub fn run(work: &mut Work) -> Result<Ended> {
    let method = parent::spec(work)?.method;
    with_method(&method, Score(work)).map_err(Error::msg)?
}
