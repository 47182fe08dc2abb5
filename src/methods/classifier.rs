//! An encoder with a linear head on labels: fine-tuning, and supervised training from the start.

use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};

use super::{Inputs, Losses, Masks, StepInfo, Trainable};
use crate::experiment::choices::Feature;
use crate::experiment::settings::ClassifySettings;
use crate::rng::{Purpose, place, stream};
use crate::vit::{DropPath, Vit, layer_norm, linear, normalize, truncated_normal};

/// Encoder, a new norm where patch tokens are averaged, and the head, with the MAE repository's field names.
#[derive(Module, Debug)]
pub struct Classifier {
    encoder: Vit,
    fc_norm: Option<LayerNorm>,
    head: Linear,
    drop_path: f64,
    mask_ratio: f64,
}

impl Classifier {
    /// Puts a new head on `encoder`, whose positions learn from now on. With `mean_patch` pooling a new norm
    /// stands after the mean, and the encoder's own final norm is neither read nor trained.
    pub fn new(encoder: Vit, classes: usize, settings: &ClassifySettings, drop_path: f64, seed: u64, device: &Device) -> Classifier {
        let dim = encoder.config().dim;
        let encoder = encoder.unfreeze_positions();
        let (encoder, fc_norm) = match settings.pooling {
            Feature::MeanPatch => (encoder.freeze_norm(), Some(layer_norm(dim, device))),
            Feature::Cls => (encoder, None),
        };
        Classifier {
            encoder,
            fc_norm,
            head: new_head(dim, classes, settings.head_init, seed, device),
            drop_path,
            mask_ratio: 0.0,
        }
    }

    /// The same, which in training sees no more of each image than this share of its patches leaves. At 0 it sees all.
    pub fn masked(self, mask_ratio: f64) -> Classifier {
        Classifier { mask_ratio, ..self }
    }

    /// The encoder.
    pub fn encoder(&self) -> &Vit {
        &self.encoder
    }

    /// The score of every class, nothing dropped: what evaluation reads.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; output: `[batch, classes]`
    pub fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward(self.encoder.embed(images), None)
    }

    /// The patches of each image that training sees.
    fn seen(&self, images: Tensor<4>, step: &StepInfo) -> Tensor<3> {
        if self.mask_ratio == 0.0 {
            return self.encoder.embed(images);
        }
        let ([batch, ..], patches) = (images.dims(), self.encoder.config().patches());
        let masks = Masks::random(step.seed, step.step, batch, patches, self.mask_ratio);
        let ids = masks.ids_keep(&images.device());
        self.encoder.embed_visible(images, ids)
    }

    /// # Shapes
    /// tokens: `[batch, seen, dim]`; output: `[batch, classes]`
    fn forward(&self, tokens: Tensor<3>, drop: Option<&DropPath>) -> Tensor<2> {
        let [_, patches, _] = tokens.dims();
        let feature = match &self.fc_norm {
            Some(norm) => normalize(
                norm,
                self.encoder.encode_without_norm(tokens, drop).narrow(1, 1, patches).mean_dim(1),
            ),
            None => self.encoder.encode(tokens, drop).narrow(1, 0, 1),
        };
        linear(&self.head, feature.squeeze_dim::<2>(1)) // [B, 1, D] -> [B, D] -> [B, classes]
    }
}

impl Trainable for Classifier {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let tokens = self.seen(inputs.views[0].clone(), step);
        let logits = self.forward(tokens, step.drop_path(self.drop_path, 0).as_ref());
        let [_, classes] = logits.dims();
        let targets = inputs
            .targets
            .clone()
            .unwrap_or_else(|| inputs.labels.clone().one_hot::<2>(classes).float());
        Losses::new(soft_cross_entropy(logits, targets), Vec::new())
    }

    /// As the MAE repository's fine-tuning: positions and class token do not decay either.
    fn decays(path: &str, dims: usize) -> bool {
        dims > 1 && !path.ends_with(".bias") && !path.ends_with("pos_embed") && !path.ends_with("cls_token")
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

/// Cross entropy with a distribution as target, mean over the batch.
///
/// # Shapes
/// logits, targets: `[batch, classes]`; output: `[1]`
pub fn soft_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let [batch, _] = logits.dims();
    (targets * log_softmax(logits, 1)).sum().neg() / batch as f64
}

/// A linear head with small truncated-normal weights and no bias to begin with.
pub fn new_head(dim: usize, classes: usize, std: f64, seed: u64, device: &Device) -> Linear {
    let head = LinearConfig::new(dim, classes).init(device);
    let mut rng = stream(seed, Purpose::Init, place("head.weight"), 0);
    let weight = truncated_normal([dim, classes], std, &mut rng, device);
    let id = head.weight.id;
    let weight = head.weight.transform_for_load(weight, id);
    let bias = head.bias.map(|bias| {
        let id = bias.id;
        bias.transform_for_load(Tensor::zeros([classes], device), id)
    });
    Linear { weight, bias }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::vit::{Position, VitConfig};
    use crate::weights::{collect, from_timm, to_timm};

    fn settings(pooling: Feature) -> ClassifySettings {
        ClassifySettings {
            pooling,
            label_smoothing: 0.1,
            mixup: 0.8,
            cutmix: 1.0,
            mix_prob: 1.0,
            head_init: 0.1,
            eval_every: 1,
        }
    }

    fn classifier(pooling: Feature, device: &Device) -> Classifier {
        let config = VitConfig {
            image_size: 8,
            patch_size: 4,
            dim: 16,
            depth: 2,
            heads: 2,
            mlp_ratio: 2.0,
            position: Position::SinCos,
            layer_scale: 0.0,
            activation_checkpointing: false,
        };
        Classifier::new(Vit::new(&config, 5, device), 3, &settings(pooling), 0.0, 5, device)
    }

    fn images(device: &Device) -> Tensor<4> {
        let values: Vec<f32> = (0..2 * 3 * 64).map(|i| (i as f32 * 0.7).sin()).collect();
        Tensor::from_data(TensorData::new(values, [2, 3, 8, 8]), device)
    }

    #[test]
    fn cross_entropy_with_soft_targets_is_the_one_worked_by_hand() {
        let device = Device::flex();
        let logits = Tensor::from_floats([[0.0, 3f32.ln()], [0.0, 0.0]], &device); // Chances 1/4 3/4 and 1/2 1/2.
        let targets = Tensor::from_floats([[0.5, 0.5], [1.0, 0.0]], &device);
        let expected = ((-0.5 * 0.25f64.ln() - 0.5 * 0.75f64.ln()) + 2f64.ln()) / 2.0;
        assert!((soft_cross_entropy(logits, targets).into_scalar::<f64>() - expected).abs() < 1e-6);
    }

    #[test]
    fn the_encoders_final_norm_is_read_by_the_class_token_only() {
        let device = Device::flex();
        for (pooling, is_read) in [(Feature::MeanPatch, false), (Feature::Cls, true)] {
            let model = classifier(pooling, &device);
            let mut weights = to_timm(&model);
            weights.get_mut("norm.bias").unwrap().data[0] = 3.0;
            let changed = from_timm(model.clone(), &weights).unwrap();
            let (before, after) = (
                model.logits(images(&device)).into_data(),
                changed.logits(images(&device)).into_data(),
            );
            assert_eq!(before != after, is_read, "{pooling}");
        }
    }

    #[test]
    fn a_pretrained_encoder_keeps_its_weights_under_a_new_head() {
        let device = Device::flex();
        let encoder = classifier(Feature::Cls, &device).encoder;
        let (before, model) = (
            to_timm(&encoder),
            Classifier::new(encoder, 7, &settings(Feature::MeanPatch), 0.0, 1, &device),
        );
        let after = to_timm(&model);
        assert!(before.iter().all(|(name, tensor)| after[name] == *tensor));
        assert_eq!(after["head.weight"].shape, [7, 16]);
        assert_eq!(after["fc_norm.weight"].shape, [16]);
    }

    #[test]
    fn positions_and_class_token_learn_but_do_not_decay() {
        let model = classifier(Feature::MeanPatch, &Device::flex().autodiff());
        assert!(model.encoder.positions_learn());
        let decaying: Vec<String> = collect(&model)
            .into_iter()
            .filter(|(path, tensor)| Classifier::decays(path, tensor.shape.len()))
            .map(|(path, _)| path)
            .collect();
        assert!(decaying.contains(&"encoder.patch_embed.proj.weight".to_owned()) && decaying.contains(&"head.weight".to_owned()));
        assert!(decaying.iter().all(|path| path.ends_with(".weight")), "{decaying:?}");
    }

    #[test]
    fn layers_are_counted_from_the_embeddings_to_the_head() {
        let model = classifier(Feature::MeanPatch, &Device::flex());
        for (path, layer) in [
            ("encoder.cls_token", 0),
            ("encoder.pos_embed", 0),
            ("encoder.patch_embed.proj.bias", 0),
            ("encoder.blocks.0.norm1.gamma", 1),
            ("encoder.blocks.0.gamma_1", 1),
            ("encoder.rel_pos_bias.relative_position_bias_table", 3), // As in the BEiT repository.
            ("encoder.blocks.1.attn.qkv.weight", 2),
            ("encoder.norm.gamma", 3),
            ("fc_norm.gamma", 3),
            ("head.weight", 3),
        ] {
            assert_eq!(model.layer_of(path), layer, "{path}");
        }
    }
}
