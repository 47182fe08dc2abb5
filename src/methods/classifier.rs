//! An encoder with a linear head on labels: finetuning, and supervised training from the start.

use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};

use super::{Inputs, Losses, StepInfo, Trainable};
use crate::experiment::settings::ClassifySettings;
use crate::rng::{Purpose, place, stream};
use crate::vit::{DropPath, Vit, layer_norm, truncated_normal};

/// Encoder, a new norm where patch tokens are averaged, and the head, with the MAE repository's field names.
#[derive(Module, Debug)]
pub struct Classifier {
    encoder: Vit,
    fc_norm: Option<LayerNorm>,
    head: Linear,
    drop_path: f64,
}

impl Classifier {
    /// Puts a new head on `encoder`, whose positions learn from now on. With `mean_patch` pooling a new norm
    /// stands after the mean, and the encoder's own final norm is neither read nor trained.
    pub fn new(encoder: Vit, classes: usize, settings: &ClassifySettings, drop_path: f64, seed: u64, device: &Device) -> Classifier {
        let dim = encoder.config().dim;
        let encoder = encoder.unfreeze_positions();
        let pooled = settings.pooling == "mean_patch";
        Classifier {
            encoder: if pooled { encoder.freeze_norm() } else { encoder },
            fc_norm: pooled.then(|| layer_norm(dim, device)),
            head: new_head(dim, classes, settings.head_init, seed, device),
            drop_path,
        }
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
        self.forward(images, None)
    }

    fn forward(&self, images: Tensor<4>, drop: Option<&DropPath>) -> Tensor<2> {
        let tokens = self.encoder.embed(images);
        let [_, patches, _] = tokens.dims();
        let feature = match &self.fc_norm {
            Some(norm) => norm.forward(self.encoder.encode_without_norm(tokens, drop).narrow(1, 1, patches).mean_dim(1)),
            None => self.encoder.encode(tokens, drop).narrow(1, 0, 1),
        };
        self.head.forward(feature.squeeze_dim::<2>(1)) // [B, 1, D] -> [B, D] -> [B, classes]
    }
}

impl Trainable for Classifier {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let drop = DropPath { rate: self.drop_path, seed: step.seed, step: step.step };
        let logits = self.forward(inputs.views[0].clone(), (self.drop_path > 0.0).then_some(&drop));
        let [_, classes] = logits.dims();
        let targets = inputs.targets.clone().unwrap_or_else(|| inputs.labels.clone().one_hot::<2>(classes).float());
        Losses { total: soft_cross_entropy(logits, targets), terms: Vec::new() }
    }

    /// As the MAE repository's finetuning: positions and class token do not decay either.
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
