//! BEiT: BERT pre-training of image transformers. arXiv 2106.08254.
//!
//! The encoder reads the whole sequence with a mask token in place of rectangles of patches, and one linear layer
//! predicts which token a tokenizer made of each masked patch. The tokenizer is a run of its own, trained on the same
//! images, and sees them as the encoder would without a mask; BEiT's own sees a smaller rendering.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::blockwise::Blockwise;
use super::masked_head::MaskedHead;
use super::masking::hidden_tensor;
use super::token_loss::{ALARMS, TokenLoss, hidden_rows};
use super::tokenizer::Tokenizer;
use super::{Inputs, Losses, Method, StepInfo, Trainable, vit_config};
use crate::choice;
use crate::experiment::choices::Position;
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{MethodInfo, RunSpec};
use crate::section;
use crate::vit::{DropPath, Vit, initialize_as_beit};
use crate::weights::Weights;

choice! {
    /// First weights.
    Init {
        /// BEiT's.
        Beit = "beit",
        /// MAE's, as every other method has.
        Mae = "mae",
    }
}

section! {
    /// What BEiT adds.
    BeitOptions = "method" {
        /// Ratio of the patches masked at most; 75 of 196.
        mask_ratio: f64 = Literal::Float(0.383), Kind::Between { min: 0.0, max: 1.0 }, "BEiT repository";
        /// First weights.
        init in Init = Beit, "BEiT section 2.5";
    }
}

/// Encoder, mask token, head, and the tokenizer, which is no part of the weights.
#[derive(Module, Debug)]
pub struct Beit {
    encoder: Vit,
    decoder: MaskedHead,
    #[module(skip)]
    tokenizer: Tokenizer,
    #[module(skip)]
    blocks: Blockwise,
    drop_path: f64,
}

impl Trainable for Beit {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let images = inputs.views[0].clone();
        let [batch, ..] = images.dims();
        let masked = self.blocks.at_most(step.seed, step.step, batch);
        let loss = self.token_loss(images, &masked, step.drop_path(self.drop_path, 0).as_ref());
        Losses::new(loss.loss.clone(), loss.terms())
    }

    /// As the BEiT repository: the class token does not decay.
    fn decays(path: &str, dims: usize) -> bool {
        dims > 1 && !path.ends_with(".bias") && !path.ends_with("pos_embed") && !path.ends_with("cls_token")
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for Beit {
    const INFO: MethodInfo = MethodInfo {
        name: "beit",
        title: "BEiT",
        paper: "arXiv 2106.08254",
        summary: "Puts a token in place of hidden rectangles and predicts which tokens a tokenizer made of them.",
        options: BeitOptions::SECTION,
        // 1.5e-3 at 2048 images. The moments are the paper's; the repository's snapshot has 0.98.
        recipe: &[
            ("model", "position", Position::Relative.literal()),
            ("model", "layer_scale", Value::Float(0.1)),
            ("augment", "crop_scale_min", Value::Float(0.08)),
            ("train", "warmup_epochs", Value::Float(10.0)),
            ("train", "base_lr", Value::Float(1.875e-4)),
            ("train", "min_lr", Value::Float(1e-5)),
            ("train", "beta2", Value::Float(0.999)),
            ("train", "clip_grad_norm", Value::Float(3.0)),
            ("train", "drop_path", Value::Float(0.1)),
        ],
        alarms: ALARMS,
        trains: true,
        labels: false,
        reconstructs: false,
        tokens: true,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<BeitOptions>("method")?, run.section::<TrainSettings>("train")?);
        let (vit, tokenizer) = (vit_config(run)?, Tokenizer::new(run, device)?);
        let blocks = Blockwise::new("method.mask_ratio", options.mask_ratio, vit.grid())?;
        let beit = Beit {
            decoder: MaskedHead::new(vit.dim, tokenizer.vocabulary(), run.seed, device),
            encoder: Vit::new(&vit, run.seed, device),
            tokenizer,
            blocks,
            drop_path: train.drop_path,
        };
        Ok(match options.init {
            Init::Beit => initialize_as_beit(beit, run.seed),
            Init::Mae => beit,
        })
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn mask_token(&self) -> Option<Tensor<3>> {
        Some(self.decoder.mask_token())
    }

    fn with_tokenizer(self, weights: &Weights) -> Result<Self, String> {
        let tokenizer = self.tokenizer.with_weights(weights)?;
        Ok(Beit { tokenizer, ..self })
    }
}

impl Beit {
    /// How well the tokens of the masked patches are predicted; `masked` is `[batch][patches]`, true where hidden.
    fn token_loss(&self, images: Tensor<4>, masked: &[Vec<bool>], drop: Option<&DropPath>) -> TokenLoss {
        let (device, rows) = (images.device(), hidden_rows(masked, &images.device()));
        let targets = self.tokenizer.tokens(images.clone().without_autodiff());
        let tokens = self.decoder.encode(&self.encoder, images, hidden_tensor(masked, &device), drop);
        let [batch, patches, dim] = tokens.dims();
        let hidden = tokens.reshape([batch * patches, dim]).select(0, rows.clone()); // [H, D]
        TokenLoss::of(self.decoder.predict(hidden), targets.reshape([batch * patches]).select(0, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny_run;
    use super::*;
    use crate::experiment::Value as Setting;
    use crate::weights::to_timm;

    fn images(device: &Device) -> Tensor<4> {
        let values: Vec<f32> = (0..2 * 768).map(|i| (i as f32 * 0.37).sin()).collect();
        Tensor::from_data(burn::tensor::TensorData::new(values, [2, 3, 16, 16]), device)
    }

    #[test]
    fn the_targets_are_the_tokenizers_and_only_masked_patches_count() {
        let device = Device::flex();
        let beit = Beit::new(&tiny_run("beit", &[("tokenizer", "vocabulary", Setting::Int(5))]), 10, &device).unwrap();
        let mut masked = vec![vec![false; 16]; 2];
        (masked[0][3], masked[1][9], masked[1][10]) = (true, true, true);
        let tokens: Vec<i64> = beit.tokenizer.tokens(images(&device)).into_data().iter::<i64>().collect();
        let logits = {
            let seen = beit
                .decoder
                .encode(&beit.encoder, images(&device), hidden_tensor(&masked, &device), None);
            let logits: Vec<f32> = beit.decoder.predict(seen).into_data().iter::<f32>().collect();
            logits
        };
        let entropy = |place: usize| {
            let row = &logits[place * 5..][..5];
            let total: f64 = row.iter().map(|v| f64::from(*v).exp()).sum();
            total.ln() - f64::from(row[tokens[place] as usize])
        };
        let expected = (entropy(3) + entropy(25) + entropy(26)) / 3.0;
        let loss = beit.token_loss(images(&device), &masked, None).loss.into_scalar::<f64>();
        assert!((loss - expected).abs() < 1e-5, "{loss} is not {expected}");
    }

    #[test]
    fn a_trained_tokenizer_replaces_the_first_one_and_is_no_part_of_the_weights() {
        let device = Device::flex();
        let beit = Beit::new(&tiny_run("beit", &[]), 10, &device).unwrap();
        assert!(to_timm(&beit).keys().all(|name| !name.contains("centroids")));
        let mut weights = beit.tokenizer.weights();
        weights.get_mut("centroids").unwrap().data.fill(0.5);
        let changed = beit.with_tokenizer(&weights).unwrap();
        assert!(
            changed
                .tokenizer
                .tokens(images(&device))
                .into_data()
                .iter::<i64>()
                .all(|token| token == 0)
        );
        weights.get_mut("centroids").unwrap().shape = vec![1];
        assert!(changed.with_tokenizer(&weights).unwrap_err().contains("centroids"));
    }
}
