//! What an encoder does with some patches of an image, block by block, for people to look at.

use burn::tensor::{Int, Tensor, TensorData};

use super::Vit;

/// What happened in one block.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The residual stream after it, without the final norm, `[1, 1 + kept, dim]`.
    pub stream: Tensor<3>,
    /// How much the class token attends to itself and to every patch, `[1, heads, 1 + kept]`.
    pub attention: Tensor<3>,
}

impl Vit {
    /// Every block's work on the patches in `kept` of one image; the others are dropped, whatever the method was trained
    /// with. Relative positions keep the distances that the patches have in the image.
    ///
    /// # Shapes
    /// image: `[1, 3, side, side]`; kept: numbers of patches in ascending order
    pub fn look(&self, image: Tensor<4>, kept: &[usize]) -> Vec<Seen> {
        let device = image.device();
        let ids = |first: Option<i64>, shift: i64| {
            let ids: Vec<i64> = first.into_iter().chain(kept.iter().map(|&id| id as i64 + shift)).collect();
            let count = ids.len();
            Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), &device)
        };
        let tokens = self.embed_visible(image, ids(None, 0).unsqueeze());
        let places = ids(Some(0), 1);
        let bias = self.bias().map(|bias| bias.select(1, places.clone()).select(2, places.clone()));
        let mut stream = self.prepend_class_token(tokens);
        let mut seen = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let attention = block.class_attention(stream.clone(), bias.clone());
            stream = block.forward_with(stream, None, bias.clone());
            seen.push(Seen {
                stream: stream.clone(),
                attention,
            });
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::{Position, VitConfig, unpatchify};
    use super::*;
    use crate::weights::{HostTensor, from_timm, to_timm};

    fn vit(position: Position) -> Vit {
        let config = VitConfig {
            image_size: 12,
            patch_size: 4,
            dim: 16,
            depth: 2,
            heads: 2,
            mlp_ratio: 2.0,
            position,
            layer_scale: 0.0,
            activation_checkpointing: false,
        };
        let vit = Vit::new(&config, 1, &Device::flex());
        let mut weights = to_timm(&vit);
        if let Some(table) = weights.get_mut("rel_pos_bias.relative_position_bias_table") {
            table.data.iter_mut().enumerate().for_each(|(i, v)| *v = (i as f32 * 0.7).sin());
        }
        from_timm(vit, &weights).unwrap()
    }

    fn image() -> Tensor<4> {
        Tensor::<1, Int>::arange(0..432, &Device::flex())
            .float()
            .reshape([1, 3, 12, 12])
            .sin()
    }

    #[test]
    fn with_every_patch_kept_the_stream_is_that_of_an_ordinary_pass() {
        for position in [Position::SinCos, Position::Learned, Position::Relative] {
            let vit = vit(position);
            let plain = vit.stream(vit.embed(image()));
            let seen = vit.look(image(), &(0..9).collect::<Vec<_>>());
            for (plain, seen) in plain.iter().zip(&seen) {
                let difference = (plain.clone() - seen.stream.clone()).abs().max().into_scalar::<f32>();
                assert!(difference < 1e-5, "{position:?}: {difference}");
                assert_eq!(seen.attention.dims(), [1, 2, 10]);
            }
        }
    }

    #[test]
    fn a_hidden_patch_has_no_influence_and_a_visible_one_has() {
        for position in [Position::SinCos, Position::Relative] {
            let (vit, kept) = (vit(position), [0, 2, 4, 8]);
            let change = |patch: usize| {
                let mut values = vec![0.0f32; 9 * 48];
                values[patch * 48..][..48].fill(1.0);
                image() + unpatchify(Tensor::from_data(TensorData::new(values, [1, 9, 48]), &Device::flex()), 4)
            };
            let of = |image| HostTensor::from_tensor(&vit.look(image, &kept)[1].stream);
            assert_eq!(of(image()), of(change(3)));
            assert_ne!(of(image()), of(change(4)));
            assert_eq!(of(image()).shape, [1, 5, 16]);
        }
    }
}
