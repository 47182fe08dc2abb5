//! What is compared of an encoder: from the residual stream after every block to a row of numbers an image.

use burn::tensor::{Int, Tensor};

use crate::experiment::choices::Tokens;
use crate::methods::Masks;
use crate::vit::{Vit, gather_tokens};

impl Tokens {
    /// The rows of a batch, one after another, on the host.
    ///
    /// # Shapes
    /// stream: `[batch, 1 + kept, dim]`
    fn rows(self, stream: Tensor<3>) -> Vec<f32> {
        let [_, count, _] = stream.dims();
        match self {
            Tokens::Cls => on_host(stream.narrow(1, 0, 1)),
            Tokens::MeanPatch | Tokens::MatchedFlat | Tokens::MatchedMean => self.rows_of_patches(stream.narrow(1, 1, count - 1)),
        }
    }

    fn rows_of_patches(self, patches: Tensor<3>) -> Vec<f32> {
        match self {
            Tokens::MatchedFlat => on_host(patches),
            Tokens::MeanPatch | Tokens::MatchedMean | Tokens::Cls => on_host(patches.mean_dim(1)),
        }
    }
}

fn on_host(rows: Tensor<3>) -> Vec<f32> {
    rows.into_data().iter::<f32>().collect()
}

/// Rows of a batch after every block.
pub type Rows = Vec<Vec<f32>>;

/// An encoder, what stands at masked patches if they are not left out, and what is read.
pub struct Encoded {
    /// The encoder. It records no gradients.
    pub encoder: Vit,
    /// The token at masked patches, `[1, 1, dim]`.
    pub mask_token: Option<Tensor<3>>,
    /// What is read.
    pub tokens: Tokens,
}

impl Encoded {
    /// Rows of full images `[batch, 3, side, side]`.
    pub fn whole(&self, images: Tensor<4>) -> Rows {
        let mut rows = Rows::new();
        self.encoder
            .watch(self.encoder.embed(images), |stream| rows.push(self.tokens.rows(stream)));
        rows
    }

    /// Rows of the images with patches masked.
    pub fn masked(&self, images: Tensor<4>, masks: &Masks) -> Rows {
        let (mut rows, device) = (Rows::new(), images.device());
        let look = |stream| rows.push(self.tokens.rows(stream));
        match &self.mask_token {
            Some(token) => {
                let tokens = self.encoder.embed_masked(images, masks.hidden(&device), token.clone());
                self.encoder.watch(tokens, look);
            }
            None => self.encoder.watch_visible(images, masks.ids_keep(&device), look),
        }
        rows
    }

    /// The patches of full images after every block, each `[batch, patches, dim]`, to be [matched](Encoded::matched).
    pub fn patches(&self, images: Tensor<4>) -> Vec<Tensor<3>> {
        let (mut patches, count) = (Vec::new(), self.encoder.config().patches());
        self.encoder
            .watch(self.encoder.embed(images), |stream| patches.push(stream.narrow(1, 1, count)));
        patches
    }

    /// Rows of the patches that `masks` leave visible.
    pub fn matched(&self, patches: &[Tensor<3>], masks: &Masks) -> Rows {
        let Some(device) = patches.first().map(Tensor::device) else {
            return Rows::new();
        };
        let ids: Tensor<2, Int> = masks.ids_keep(&device);
        let rows = |patches: &Tensor<3>| self.tokens.rows_of_patches(gather_tokens(patches.clone(), ids.clone()));
        patches.iter().map(rows).collect()
    }
}
