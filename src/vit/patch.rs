//! Images to patches and back, and the projection of patches to tokens.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::kernels::{self, LinearWeights};

/// Projects every patch to a token; named and shaped as timm's convolution.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    proj: PatchProjection,
}

/// A convolution whose stride is its kernel, so it is one matrix product over the patches.
#[derive(Module, Debug)]
struct PatchProjection {
    /// `[dim, 3, patch, patch]`
    weight: Param<Tensor<4>>,
    /// `[dim]`
    bias: Param<Tensor<1>>,
}

impl PatchEmbed {
    /// Makes a projection; its weights come from [`super::initialize`].
    pub fn new(patch_size: usize, dim: usize, device: &Device) -> PatchEmbed {
        let weight = Param::from_tensor(Tensor::zeros([dim, 3, patch_size, patch_size], device));
        PatchEmbed {
            proj: PatchProjection {
                weight,
                bias: Param::from_tensor(Tensor::zeros([dim], device)),
            },
        }
    }

    /// Images as patches in the order of the convolution's kernel: channel, row, column.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; output: `[batch, patches, 3*patch*patch]`
    pub fn patches(&self, images: Tensor<4>) -> Tensor<3> {
        let [_, channels, patch, _] = self.proj.weight.dims();
        let [batch, _, side, _] = images.dims();
        let grid = side / patch;
        let patches = images
            .reshape([batch, channels, grid, patch, grid, patch])
            .permute([0, 2, 4, 1, 3, 5]);
        patches.reshape([batch, grid * grid, channels * patch * patch])
    }

    /// Patches to tokens.
    ///
    /// # Shapes
    /// patches: `[batch, count, 3*patch*patch]`; output: `[batch, count, dim]`
    pub fn project(&self, patches: Tensor<3>) -> Tensor<3> {
        let weight = self.proj.weight.val();
        let [dim, channels, patch, _] = weight.dims();
        let weight = weight.reshape([dim, channels * patch * patch]).transpose();
        let bias = self.proj.bias.val();
        kernels::linear(patches, LinearWeights { weight, bias })
    }
}

/// Cuts images into patches: tokens row-major, inside a patch row, column, channel with the channel fastest.
///
/// # Shapes
/// images: `[batch, 3, side, side]`; output: `[batch, patches, patch*patch*3]`
pub fn patchify(images: Tensor<4>, patch_size: usize) -> Tensor<3> {
    let [batch, channels, side, _] = images.dims();
    let grid = side / patch_size;
    let patches = images
        .reshape([batch, channels, grid, patch_size, grid, patch_size])
        .permute([0, 2, 4, 3, 5, 1]);
    patches.reshape([batch, grid * grid, patch_size * patch_size * channels])
}

/// The inverse of [`patchify`] for square images of three channels.
pub fn unpatchify(patches: Tensor<3>, patch_size: usize) -> Tensor<4> {
    let [batch, count, _] = patches.dims();
    let grid = count.isqrt();
    let pixels = patches
        .reshape([batch, grid, grid, patch_size, patch_size, 3])
        .permute([0, 5, 1, 3, 2, 4]);
    pixels.reshape([batch, 3, grid * patch_size, grid * patch_size])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Int;

    use super::*;

    fn numbered(shape: [usize; 4]) -> Tensor<4> {
        Tensor::<1, Int>::arange(0..shape.iter().product::<usize>() as i64, &Device::flex())
            .float()
            .reshape(shape)
    }

    #[test]
    fn a_patch_lists_its_pixels_row_by_row_with_the_channel_fastest() {
        let patches = patchify(numbered([1, 3, 4, 4]), 2);
        let second: Vec<f32> = patches.narrow(1, 1, 1).into_data().try_into_vec().unwrap();
        assert_eq!(second, [2., 18., 34., 3., 19., 35., 6., 22., 38., 7., 23., 39.]);
    }

    #[test]
    fn unpatchify_undoes_patchify() {
        let images = numbered([2, 3, 8, 8]);
        assert_eq!(unpatchify(patchify(images.clone(), 4), 4).into_data(), images.into_data());
    }
}
