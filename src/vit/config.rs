//! The sizes of a Vision Transformer, read from a run's settings.

pub use crate::experiment::choices::Position;
use crate::experiment::settings::{DataSettings, ModelSettings};

/// Sizes of a Vision Transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct VitConfig {
    /// Side of the square image, in pixels.
    pub image_size: usize,
    /// Side of a square patch, in pixels.
    pub patch_size: usize,
    /// Width.
    pub dim: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden width of the MLP as a multiple of the width.
    pub mlp_ratio: f64,
    /// How tokens know their place.
    pub position: Position,
    /// What LayerScale starts at; 0 leaves it out.
    pub layer_scale: f64,
    /// Whether a block is worked out again for its gradient instead of being remembered.
    pub activation_checkpointing: bool,
}

impl VitConfig {
    /// Reads the sizes from a run's settings.
    ///
    /// # Errors
    /// Names the settings that do not fit together.
    pub fn from_settings(data: &DataSettings, model: &ModelSettings, activation_checkpointing: bool) -> Result<VitConfig, String> {
        let config = VitConfig {
            image_size: data.image_size,
            patch_size: model.patch_size,
            dim: model.dim,
            depth: model.depth,
            heads: model.heads,
            mlp_ratio: model.mlp_ratio,
            position: model.position,
            layer_scale: model.layer_scale,
            activation_checkpointing,
        };
        if !config.image_size.is_multiple_of(config.patch_size) {
            return Err(format!(
                "model.patch_size = {} does not divide data.image_size = {}",
                config.patch_size, config.image_size
            ));
        }
        if !config.dim.is_multiple_of(config.heads) {
            return Err(format!("model.heads = {} does not divide model.dim = {}", config.heads, config.dim));
        }
        if config.position == Position::SinCos && !config.dim.is_multiple_of(4) {
            return Err(format!(
                "model.dim = {} is not a multiple of 4, as a sine-cosine position table needs",
                config.dim
            ));
        }
        if config.position == Position::Relative && activation_checkpointing {
            return Err(
                "train.activation_checkpointing = true is not allowed with model.position = relative: it has no place for the bias"
                    .to_owned(),
            );
        }
        Ok(config)
    }

    /// For methods that encode visible patches alone.
    ///
    /// # Errors
    /// If positions are relative: the distances would differ from image to image.
    pub fn check_absolute(&self) -> Result<(), String> {
        match self.position {
            Position::Relative => Err(
                "model.position = relative is not allowed here: the method encodes visible patches alone, which stand elsewhere in every image"
                    .to_owned(),
            ),
            Position::SinCos | Position::Learned => Ok(()),
        }
    }

    /// Patches along one side.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of an image.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Numbers in one patch: its pixels times three channels.
    pub fn patch_values(&self) -> usize {
        self.patch_size * self.patch_size * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> (DataSettings, ModelSettings) {
        let data = DataSettings {
            source: "builtin".to_owned(),
            image_size: 32,
            train_images: 0,
            val_images: 0,
            val_fraction: 0.2,
            max_broken: 0.0,
            label_column: String::new(),
        };
        let model = ModelSettings {
            patch_size: 4,
            dim: 64,
            depth: 1,
            heads: 4,
            mlp_ratio: 4.0,
            position: Position::SinCos,
            layer_scale: 0.0,
            decoder_dim: 32,
            decoder_depth: 1,
            decoder_heads: 2,
        };
        (data, model)
    }

    #[test]
    fn relative_positions_need_the_whole_sequence_and_blocks_that_are_remembered() {
        let (data, model) = settings();
        let relative = ModelSettings {
            position: Position::Relative,
            ..model.clone()
        };
        let config = VitConfig::from_settings(&data, &relative, false).unwrap();
        assert!(config.check_absolute().unwrap_err().starts_with("model.position = relative"));
        let error = VitConfig::from_settings(&data, &relative, true).unwrap_err();
        assert!(error.starts_with("train.activation_checkpointing = true"), "{error}");
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused_by_name() {
        let (data, model) = settings();
        assert!(VitConfig::from_settings(&data, &model, false).is_ok());
        for (model, expected) in [
            (
                ModelSettings {
                    patch_size: 5,
                    ..model.clone()
                },
                "model.patch_size = 5 does not divide data.image_size = 32",
            ),
            (
                ModelSettings { heads: 7, ..model.clone() },
                "model.heads = 7 does not divide model.dim = 64",
            ),
            (
                ModelSettings {
                    dim: 66,
                    heads: 3,
                    ..model
                },
                "model.dim = 66 is not a multiple of 4, as a sine-cosine position table needs",
            ),
        ] {
            assert_eq!(VitConfig::from_settings(&data, &model, false).unwrap_err(), expected);
        }
    }
}
