//! SimSiam: Exploring Simple Siamese Representation Learning. arXiv 2011.10566.
//!
//! `-1/2 [cos(p1, sg z2) + cos(p2, sg z1)]` with `z = projector(f(x))`, `p = predictor(z)` and no gradient through `sg`,
//! which is all that keeps every output from becoming the same. With Vision Transformers it is trained by AdamW.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::contrast::negative_cosine;
use super::heads::{Head, HeadConfig, width};
use super::pairs::symmetric;
use super::spread::{COLLAPSE, spread};
use super::{Inputs, Losses, Method, StepInfo, Trainable, vit_config};
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{MethodInfo, RunSpec, ViewPlan};
use crate::section;
use crate::vit::Vit;

section! {
    /// What SimSiam adds.
    SimSiamOptions = "method" {
        /// Whether targets pass no gradients; without this every output becomes the same.
        stop_gradient: bool = Literal::Bool(true), Kind::Bool, "SimSiam";
        /// Whether the predictor keeps the peak learning rate throughout.
        predictor_keeps_rate: bool = Literal::Bool(true), Kind::Bool, "SimSiam repository";
        /// Width of the projector; 0 is 2048, narrowed with an encoder narrower than ViT-S.
        head_out: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "SimSiam";
        /// Hidden width of the predictor; 0 is 512, narrowed likewise.
        predictor_hidden: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "SimSiam";
    }
}

/// Encoder, projector and predictor.
#[derive(Module, Debug)]
pub struct SimSiam {
    encoder: Vit,
    projector: Head,
    predictor: Head,
    #[module(skip)]
    options: SimSiamOptions,
    drop_path: f64,
}

impl Trainable for SimSiam {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let [(z1, features), (z2, _)] = [0, 1].map(|view| {
            let drop = step.drop_path(self.drop_path, view as u64);
            let features = self.encoder.represent(inputs.views[view].clone(), drop.as_ref());
            (self.projector.forward(features.clone()), features)
        });
        let terms = spread(&features, &z1);
        let forth = negative_cosine(self.predictor.forward(z1.clone()), self.target(z2.clone()));
        let back = negative_cosine(self.predictor.forward(z2), self.target(z1));
        Losses::new((forth + back).mul_scalar(0.5), terms)
    }

    fn keeps_rate(&self, path: &str) -> bool {
        self.options.predictor_keeps_rate && path.starts_with("predictor.")
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for SimSiam {
    const INFO: MethodInfo = MethodInfo {
        name: "simsiam",
        title: "SimSiam",
        paper: "arXiv 2011.10566",
        summary: "Predicts its own projection of an image's other view, which is held fixed.",
        options: SimSiamOptions::SECTION,
        recipe: &[
            ("train", "beta2", Value::Float(0.999)),
            ("augment", "color_jitter", Value::Float(0.8)),
            ("augment", "grayscale", Value::Float(0.2)),
            ("augment", "blur", Value::Float(0.5)),
        ],
        alarms: COLLAPSE,
        trains: true,
        labels: false,
        reconstructs: false,
        tokens: false,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<SimSiamOptions>("method")?, run.section::<TrainSettings>("train")?);
        let config = vit_config(run)?;
        let out = width(options.head_out, 2048, config.dim);
        let hidden = width(options.predictor_hidden, 512, config.dim);
        let (dim, seed) = (config.dim, run.seed);
        Ok(SimSiam {
            encoder: Vit::new(&config, seed, device),
            projector: Head::new("projector", head(vec![dim, out, out, out], true), seed, device),
            predictor: Head::new("predictor", head(vec![out, hidden, out], false), seed, device),
            options,
            drop_path: train.drop_path,
        })
    }

    fn views(run: &RunSpec) -> Result<Vec<ViewPlan>, String> {
        Ok(symmetric(run)?.to_vec())
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn normalizes_batch(&self) -> bool {
        self.projector.normalizes_batch() || self.predictor.normalizes_batch()
    }
}

impl SimSiam {
    fn target(&self, projected: Tensor<2>) -> Tensor<2> {
        if self.options.stop_gradient { projected.inner() } else { projected }
    }
}

/// The repository's projector ends in a batch norm without scale and shift, its predictor in a plain linear layer.
fn head(widths: Vec<usize>, projector: bool) -> HeadConfig {
    HeadConfig {
        bias: !projector,
        ..HeadConfig::batch_normed(widths, projector)
    }
}

#[cfg(test)]
mod tests {
    use super::super::contrast::tests::assert_is;
    use super::super::golden::gradients;
    use super::super::tests::{inputs, step, tiny_run};
    use super::*;
    use crate::experiment::Value as Setting;

    fn model(stop_gradient: bool) -> SimSiam {
        let set = [("method", "stop_gradient", Setting::Bool(stop_gradient))];
        SimSiam::new(&tiny_run("simsiam", &set), 10, &Device::flex().autodiff()).unwrap()
    }

    #[test]
    fn the_loss_is_half_of_both_directions() {
        let model = model(true);
        let inputs = inputs(&[16, 16], &Device::flex());
        let [z1, z2] = [0, 1].map(|view| model.projector.forward(model.encoder.represent(inputs.views[view].clone(), None)));
        let one =
            |from: &Tensor<2>, to: &Tensor<2>| negative_cosine(model.predictor.forward(from.clone()), to.clone()).into_scalar::<f64>();
        assert_is(model.loss(&inputs, &step(0)).total, 0.5 * (one(&z1, &z2) + one(&z2, &z1)));
    }

    #[test]
    fn a_target_that_is_not_held_fixed_changes_the_gradients_but_not_the_loss() {
        let inputs = inputs(&[16, 16], &Device::flex());
        let of = |stop| {
            let model = model(stop);
            let loss = model.loss(&inputs, &step(0)).total;
            let gradient = gradients(&model, &loss.clone().backward())["projector.layers.0.weight"].clone();
            (loss.into_scalar::<f32>(), gradient)
        };
        let (held, free) = (of(true), of(false));
        assert_eq!(held.0, free.0);
        assert_ne!(held.1, free.1);
    }

    #[test]
    fn the_predictor_alone_keeps_its_rate() {
        let model = model(true);
        assert!(model.keeps_rate("predictor.layers.0.weight") && !model.keeps_rate("projector.layers.0.weight"));
    }
}
