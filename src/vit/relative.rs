//! BEiT's relative positions: a learned bias on the attention's scores for every distance between two patches.
//!
//! arXiv 2106.08254 and its repository. One table is shared by all blocks.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Rows behind those of the distances: class token to patch, patch to class token, class token to itself.
const CLASS_ROWS: usize = 3;

/// The table, under the BEiT repository's name.
#[derive(Module, Debug)]
pub struct RelativeBias {
    /// `[(2g - 1)² + 3, heads]` for a grid of g by g patches.
    relative_position_bias_table: Param<Tensor<2>>,
    grid: usize,
}

impl RelativeBias {
    /// A table of zeros, as BEiT begins with.
    pub fn new(grid: usize, heads: usize, device: &Device) -> RelativeBias {
        RelativeBias {
            relative_position_bias_table: Param::from_tensor(Tensor::zeros([distances(grid) + CLASS_ROWS, heads], device)),
            grid,
        }
    }

    /// What is added to the scores of the class token and every patch, `[heads, tokens, tokens]`: query, then key.
    pub fn forward(&self) -> Tensor<3> {
        let table = self.relative_position_bias_table.val();
        let [_, heads] = table.dims();
        let tokens = self.grid * self.grid + 1;
        let rows = TensorData::new(rows(self.grid), [tokens * tokens]);
        let rows = Tensor::<1, Int>::from_data(rows, &table.device().inner());
        table.select(0, rows).reshape([tokens, tokens, heads]).permute([2, 0, 1])
    }

    /// As [`RelativeBias::forward`] where every image shows patches of its own.
    ///
    /// # Shapes
    /// ids: `[batch, kept]`; output: `[batch, heads, 1 + kept, 1 + kept]`
    pub fn of_visible(&self, ids: Tensor<2, Int>) -> Tensor<4> {
        let (table, tokens) = (self.relative_position_bias_table.val(), self.grid * self.grid + 1);
        let ([batch, kept], [_, heads]) = (ids.dims(), table.dims());
        let (rows, ids) = (rows(self.grid), ids.into_data());
        let patches: Vec<usize> = ids.iter::<i64>().map(|id| id as usize + 1).collect();
        let picked = patches.chunks(kept).flat_map(|seen| {
            let places = || std::iter::once(0).chain(seen.iter().copied());
            let rows = &rows;
            places().flat_map(move |query| places().map(move |key| rows[query * tokens + key]))
        });
        let picked = TensorData::new(picked.collect::<Vec<i64>>(), [batch * (kept + 1) * (kept + 1)]);
        let picked = Tensor::<1, Int>::from_data(picked, &table.device().inner());
        table
            .select(0, picked)
            .reshape([batch, kept + 1, kept + 1, heads])
            .permute([0, 3, 1, 2])
    }
}

/// Distances that two patches of a grid can have.
fn distances(grid: usize) -> usize {
    (2 * grid - 1) * (2 * grid - 1)
}

/// The row of the table for every query and every key, the class token first.
fn rows(grid: usize) -> Vec<i64> {
    let last = distances(grid) as i64;
    let places: Vec<Option<(i64, i64)>> = std::iter::once(None)
        .chain((0..grid * grid).map(|patch| Some(((patch / grid) as i64, (patch % grid) as i64))))
        .collect();
    let (span, most) = (2 * grid as i64 - 1, grid as i64 - 1);
    let row = |query: &Option<(i64, i64)>, key: &Option<(i64, i64)>| match (query, key) {
        (Some(query), Some(key)) => (query.0 - key.0 + most) * span + query.1 - key.1 + most,
        (None, Some(_)) => last,
        (Some(_), None) => last + 1,
        (None, None) => last + 2,
    };
    places
        .iter()
        .flat_map(|query| places.iter().map(move |key| row(query, key)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Position, Vit, VitConfig};
    use super::*;
    use crate::weights::{HostTensor, from_timm, to_timm};

    #[test]
    fn equal_distances_share_a_row_and_the_class_token_has_three_of_its_own() {
        // Two by two patches: nine distances; (row, column) of a query less that of the key, plus one, row by row.
        #[rustfmt::skip]
        let expected = [
            11, 9, 9, 9, 9,
            10, 4, 3, 1, 0,
            10, 5, 4, 2, 1,
            10, 7, 6, 4, 3,
            10, 8, 7, 5, 4,
        ];
        assert_eq!(rows(2), expected);
    }

    fn config() -> VitConfig {
        VitConfig {
            image_size: 12,
            patch_size: 4,
            dim: 16,
            depth: 2,
            heads: 2,
            mlp_ratio: 2.0,
            position: Position::Relative,
            layer_scale: 0.1,
            activation_checkpointing: false,
        }
    }

    fn output(vit: &Vit) -> HostTensor {
        let images = Tensor::<1, Int>::arange(0..2 * 432, &Device::flex())
            .float()
            .reshape([2, 3, 12, 12])
            .sin();
        HostTensor::from_tensor(&vit.encode(vit.embed(images), None))
    }

    #[test]
    fn a_backbone_has_beits_names_and_none_of_the_absolute_positions() {
        let weights = to_timm(&Vit::new(&config(), 1, &Device::flex()));
        assert!(!weights.contains_key("pos_embed"));
        assert_eq!(weights["rel_pos_bias.relative_position_bias_table"].shape, [5 * 5 + 3, 2]);
        for gamma in ["blocks.0.gamma_1", "blocks.1.gamma_2"] {
            assert_eq!(weights[gamma].data, [0.1; 16], "{gamma}");
        }
    }

    #[test]
    fn patches_are_told_apart_by_the_bias_alone() {
        let vit = Vit::new(&config(), 1, &Device::flex());
        let mut weights = to_timm(&vit);
        let plain = output(&vit);
        let table = weights.get_mut("rel_pos_bias.relative_position_bias_table").unwrap();
        table.data.iter_mut().enumerate().for_each(|(i, v)| *v = (i as f32 * 0.7).sin());
        assert_ne!(plain, output(&from_timm(vit, &weights).unwrap()));
    }

    #[test]
    fn a_image_that_shows_every_patch_has_the_stream_of_the_whole_one_and_others_keep_their_distances() {
        let vit = Vit::new(&config(), 1, &Device::flex());
        let mut weights = to_timm(&vit);
        let table = weights.get_mut("rel_pos_bias.relative_position_bias_table").unwrap();
        table.data.iter_mut().enumerate().for_each(|(i, v)| *v = (i as f32 * 0.7).sin());
        let vit = from_timm(vit, &weights).unwrap();
        let images = Tensor::<1, Int>::arange(0..2 * 432, &Device::flex())
            .float()
            .reshape([2, 3, 12, 12])
            .sin();
        let of = |ids: Vec<i64>| {
            let ids = Tensor::<2, Int>::from_data(TensorData::new(ids.clone(), [2, ids.len() / 2]), &Device::flex());
            let mut last = None;
            vit.watch_visible(images.clone(), ids, |stream| last = Some(stream));
            last.unwrap()
        };
        let whole = vit.stream(vit.embed(images.clone())).pop().unwrap();
        let all = of((0..9).chain(0..9).collect());
        assert!((all - whole).abs().max().into_scalar::<f32>() < 1e-5);
        // Order changes nothing, so the bias follows the patches.
        let (there, back) = (of(vec![2, 3, 7, 0, 5, 8]), of(vec![7, 2, 3, 8, 0, 5]));
        let class = (there.clone() - back).narrow(1, 0, 1).abs().max().into_scalar::<f32>();
        assert!(class < 1e-5, "{class}");
        // Without the bias, the patches would not know where they are.
        let shifted = of(vec![2, 3, 8, 0, 5, 8]);
        assert!((there - shifted).narrow(1, 0, 1).abs().max().into_scalar::<f32>() > 1e-4);
    }

    #[test]
    fn factors_of_one_change_nothing_and_factors_of_zero_leave_the_stream_as_it_was() {
        let without = Vit::new(
            &VitConfig {
                layer_scale: 0.0,
                ..config()
            },
            1,
            &Device::flex(),
        );
        let with = Vit::new(&config(), 1, &Device::flex());
        let scaled = |factor: f32| {
            let mut weights = to_timm(&with);
            let gammas = weights.iter_mut().filter(|(name, _)| name.contains(".gamma_"));
            gammas.for_each(|(_, gamma)| gamma.data.fill(factor));
            from_timm(with.clone(), &weights).unwrap()
        };
        assert_eq!(output(&scaled(1.0)), output(&without));
        let images = Tensor::<4>::ones([1, 3, 12, 12], &Device::flex());
        let still = scaled(0.0);
        let tokens = still.embed(images);
        let after = still.encode_without_norm(tokens.clone(), None).narrow(1, 1, 9);
        assert_eq!(after.into_data(), tokens.into_data());
    }
}
