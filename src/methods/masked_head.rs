//! A mask token for the encoder's input and one linear layer behind its output.
//!
//! Shared by the methods whose encoder reads the whole sequence, as BEiT and SimMIM do.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::vit::{DropPath, Vit, initialize, linear};

/// Token and layer.
#[derive(Module, Debug)]
pub struct MaskedHead {
    mask_token: Param<Tensor<3>>,
    pred: Linear,
}

impl MaskedHead {
    /// A head of so many outputs for a patch, with MAE's first weights.
    pub fn new(dim: usize, outputs: usize, seed: u64, device: &Device) -> MaskedHead {
        let head = MaskedHead {
            mask_token: Param::from_tensor(Tensor::zeros([1, 1, dim], device)),
            pred: LinearConfig::new(dim, outputs).init(device),
        };
        initialize(head, seed)
    }

    /// The token, `[1, 1, dim]`.
    pub fn mask_token(&self) -> Tensor<3> {
        self.mask_token.val()
    }

    /// What `encoder` makes of every patch when those in `hidden` are the mask token.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; hidden: `[batch, patches]`, 0 or 1; output: `[batch, patches, dim]`
    pub fn encode(&self, encoder: &Vit, images: Tensor<4>, hidden: Tensor<2>, drop: Option<&DropPath>) -> Tensor<3> {
        let [_, patches] = hidden.dims();
        let tokens = encoder.embed_masked(images, hidden, self.mask_token.val());
        encoder.encode(tokens, drop).narrow(1, 1, patches)
    }

    /// # Shapes
    /// tokens: `[.., dim]`; output: `[.., outputs]`
    pub fn predict<const D: usize>(&self, tokens: Tensor<D>) -> Tensor<D> {
        linear(&self.pred, tokens)
    }
}
