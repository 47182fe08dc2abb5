//! Features of a frozen encoder, for heads and neighbors.

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};

use crate::data::loader::Batch;
use crate::experiment::choices::Feature;
use crate::train::evaluation::{Accumulator, Sums};
use crate::train::report::Reporter;
use crate::train::upload;
use crate::vit::Vit;
use crate::weights::HostTensor;

/// An encoder that does not learn, and what is read of it.
#[derive(Debug)]
pub struct Frozen {
    encoder: Vit,
    feature: Feature,
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
    /// Reads `feature` of `encoder`.
    pub fn new(encoder: Vit, feature: Feature) -> Frozen {
        Frozen { encoder, feature }
    }

    /// # Shapes
    /// images: `[batch, 3, side, side]`; output: `[batch, dim]`
    pub fn of(&self, images: Tensor<4>) -> Tensor<2> {
        let tokens = self.encoder.encode(self.encoder.embed(images), None);
        let [_, count, _] = tokens.dims();
        let token = match self.feature {
            Feature::Cls => tokens.narrow(1, 0, 1),
            Feature::MeanPatch => tokens.narrow(1, 1, count - 1).mean_dim(1),
        };
        token.squeeze_dim(1)
    }
}

/// Features that are being read, on the host: a GPU's memory would hold a tensor for each batch.
#[derive(Debug)]
pub struct Reading<'a> {
    frozen: &'a Frozen,
    device: Device,
    /// `[images, dim]`
    rows: HostTensor,
}

impl<'a> Reading<'a> {
    /// Nothing yet. The encoder is on `device`.
    pub fn new(frozen: &'a Frozen, device: &Device) -> Reading<'a> {
        Reading {
            frozen,
            device: device.clone().inner(),
            rows: HostTensor {
                shape: vec![0, frozen.encoder.config().dim],
                data: Vec::new(),
            },
        }
    }

    /// Takes in the plain views of some images.
    pub fn read(&mut self, batch: Batch) {
        self.take(self.frozen.of(upload(batch, &self.device).views.swap_remove(0)));
    }

    fn take(&mut self, features: Tensor<2>) {
        self.rows.shape[0] += features.dims()[0];
        self.rows.data.extend(features.into_data().iter::<f32>());
    }

    /// The features of as many images as there are `labels`, after the first so many.
    ///
    /// # Panics
    /// If fewer were read.
    pub fn features(&self, after: usize, labels: &[u32]) -> Features {
        let dim = self.rows.shape[1];
        let rows = self.rows.data[after * dim..][..labels.len() * dim].to_vec();
        Features {
            rows: Tensor::from_data(TensorData::new(rows, [labels.len(), dim]), &self.device),
            labels: labels.iter().map(|label| *label as usize).collect(),
        }
    }
}

impl Accumulator for Reading<'_> {
    type Batch = Batch;
    type Ready = Tensor<4>;

    fn ready(&self, batch: Batch) -> Result<Tensor<4>> {
        Ok(upload(batch, &self.device).views.swap_remove(0))
    }

    fn add(&mut self, images: &Tensor<4>, _pass: u64, _reporter: &mut Reporter) -> Result<()> {
        self.take(self.frozen.of(images.clone()));
        Ok(())
    }

    fn save(&self) -> Sums {
        Sums::default().with_tensor("features", self.rows.clone())
    }

    fn restore(&mut self, saved: &Sums) -> Result<(), String> {
        let (rows, dim) = (saved.tensor("features")?, self.rows.shape[1]);
        if rows.shape.get(1) != Some(&dim) {
            return Err(format!(
                "tensor `features` has shape {:?}, but the model makes rows of {dim}",
                rows.shape
            ));
        }
        self.rows = rows.clone();
        Ok(())
    }
}
