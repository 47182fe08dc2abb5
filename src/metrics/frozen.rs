//! Features of a frozen encoder, for heads and neighbors.

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};

use crate::metrics::validation::Validation;
use crate::train::upload;
use crate::vit::Vit;

/// An encoder that does not learn, and what is read of it.
#[derive(Debug)]
pub struct Frozen {
    encoder: Vit,
    pooled: bool,
}

/// Features of a split, in the order of its images.
#[derive(Clone, Debug)]
pub struct Features {
    /// `[images, dim]`
    pub rows: Tensor<2>,
    /// Class of each image.
    pub labels: Vec<usize>,
}

impl Frozen {
    /// Reads `feature`: `cls`, the class token after the final norm, or `mean_patch`, the mean of the others.
    pub fn new(encoder: Vit, feature: &str) -> Frozen {
        Frozen {
            encoder,
            pooled: feature == "mean_patch",
        }
    }

    /// # Shapes
    /// images: `[batch, 3, side, side]`; output: `[batch, dim]`
    pub fn of(&self, images: Tensor<4>) -> Tensor<2> {
        let tokens = self.encoder.encode(self.encoder.embed(images), None);
        let [_, count, _] = tokens.dims();
        let token = if self.pooled {
            tokens.narrow(1, 1, count - 1).mean_dim(1)
        } else {
            tokens.narrow(1, 0, 1)
        };
        token.squeeze_dim(1)
    }

    /// Features of all `images`, plain views; `told` hears how many are done and may say that it is enough.
    ///
    /// Nothing if it was enough.
    ///
    /// # Errors
    /// An image that cannot be read, or what `told` says.
    pub fn read(&self, images: &Validation, device: &Device, told: &mut dyn FnMut(usize) -> Result<bool>) -> Result<Option<Features>> {
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        let mut dim = 0;
        for batch in images.batches() {
            let batch = batch?;
            labels.extend(batch.labels.iter().map(|label| *label as usize));
            let found = self.of(upload(batch, device).views.swap_remove(0));
            dim = found.dims()[1];
            // To the host and back once: a GPU's memory would hold a tensor for each batch.
            rows.extend(found.into_data().iter::<f32>());
            if told(labels.len())? {
                return Ok(None);
            }
        }
        let rows = Tensor::from_data(TensorData::new(rows, [labels.len(), dim]), &device.clone().inner());
        Ok(Some(Features { rows, labels }))
    }
}
