//! BYOL: Bootstrap Your Own Latent. arXiv 2006.07733.
//!
//! `predictor(projector(f(x)))` of one view predicts `projector'(f'(x'))` of the other, `f'` and `projector'` being moving
//! averages: `2 - 2 cos`, summed over both directions. Nothing is pushed apart. With Vision Transformers it is trained by
//! AdamW, as in MoCo v3's comparison (arXiv 2104.02057, section 5), and not by LARS. The target begins with
//! first weights of its own, as in the official code.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::contrast::byol;
use super::heads::{Head, HeadConfig, width};
use super::pairs::asymmetric;
use super::spread::{COLLAPSE, spread};
use super::teacher::{Momentum, MomentumSchedule, Target};
use super::{Inputs, Losses, Method, StepInfo, Trainable, vit_config};
use crate::choice;
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{MethodInfo, RunSpec, ViewPlan};
use crate::rng;
use crate::section;
use crate::vit::Vit;

choice! {
    /// The target's first weights.
    FirstTarget {
        /// A draw of its own.
        Own = "own",
        /// The student's.
        Student = "student",
    }
}

section! {
    /// What BYOL adds.
    ByolOptions = "method" {
        /// The target's momentum at the start.
        momentum: f64 = Literal::Float(0.99), Kind::Float { min: 0.0, max: 1.0 }, "BYOL, 100 to 300 epochs; 0.996 for 1000";
        /// How the momentum goes on.
        momentum_schedule in MomentumSchedule = Cosine, "BYOL";
        /// The target's first weights.
        first_target in FirstTarget = Own, "BYOL repository";
        /// Hidden width of projector and predictor; 0 is 4096, narrowed with an encoder narrower than ViT-S.
        head_hidden: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "BYOL";
        /// Width of the vectors compared; 0 is 256, narrowed likewise.
        head_out: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "BYOL";
        /// Chance of blurring the second view; the first has `augment.blur`.
        second_blur: f64 = Literal::Float(0.1), Kind::Float { min: 0.0, max: 1.0 }, "BYOL";
        /// Chance of solarizing the second view; the first has `augment.solarize`.
        second_solarize: f64 = Literal::Float(0.2), Kind::Float { min: 0.0, max: 1.0 }, "BYOL";
    }
}

/// Student, with a predictor of its own, and target.
#[derive(Module, Debug)]
pub struct Byol {
    encoder: Vit,
    projector: Head,
    predictor: Head,
    teacher: Target,
    #[module(skip)]
    options: ByolOptions,
    drop_path: f64,
}

impl Trainable for Byol {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let [first, second] = [0, 1].map(|view| inputs.views[view].clone());
        let [(here, features), (there, _)] = [(first.clone(), 0), (second.clone(), 1)].map(|(images, view)| {
            let drop = step.drop_path(self.drop_path, view);
            let features = self.encoder.represent(images, drop.as_ref());
            (self.projector.forward(features.clone()), features)
        });
        let terms = spread(&features, &here);
        let forth = byol(self.predictor.forward(here), self.teacher.project(second));
        let back = byol(self.predictor.forward(there), self.teacher.project(first));
        Losses::new(forth + back, terms)
    }

    fn after_step(mut self, step: &StepInfo, _seen: Vec<Tensor<2>>) -> Self {
        let momentum = Momentum::new(self.options.momentum, self.options.momentum_schedule);
        let momentum = momentum.at(step.step, step.steps);
        self.teacher = self.teacher.follow(&self.encoder, &self.projector, momentum);
        self
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for Byol {
    const TEACHER: Option<super::TeacherPart> = Some(super::TeacherPart {
        field: "teacher",
        leads: false,
    });

    const INFO: MethodInfo = MethodInfo {
        name: "byol",
        title: "BYOL",
        paper: "arXiv 2006.07733",
        summary: "Predicts what a slowly moving copy of itself makes of an image's other view.",
        options: ByolOptions::SECTION,
        recipe: &[
            ("train", "weight_decay", Value::Float(0.1)),
            ("train", "beta2", Value::Float(0.999)),
            ("augment", "crop_scale_min", Value::Float(0.08)),
            ("augment", "color_jitter", Value::Float(0.8)),
            ("augment", "color_jitter_saturation", Value::Float(0.2)),
            ("augment", "grayscale", Value::Float(0.2)),
            ("augment", "blur", Value::Float(1.0)),
        ],
        alarms: COLLAPSE,
        trains: true,
        labels: false,
        reconstructs: false,
        tokens: false,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<ByolOptions>("method")?, run.section::<TrainSettings>("train")?);
        let config = vit_config(run)?;
        let hidden = width(options.head_hidden, 4096, config.dim);
        let out = width(options.head_out, 256, config.dim);
        let drawn = |seed: u64| {
            let projector = Head::new("projector", head(config.dim, hidden, out), seed, device);
            (Vit::new(&config, seed, device), projector)
        };
        let (encoder, projector) = drawn(run.seed);
        let teacher = match options.first_target {
            FirstTarget::Own => {
                let (encoder, projector) = drawn(run.seed ^ rng::place("target"));
                Target::of(&encoder, &projector)
            }
            FirstTarget::Student => Target::of(&encoder, &projector),
        };
        Ok(Byol {
            predictor: Head::new("predictor", head(out, hidden, out), run.seed, device),
            teacher,
            encoder,
            projector,
            options,
            drop_path: train.drop_path,
        })
    }

    fn views(run: &RunSpec) -> Result<Vec<ViewPlan>, String> {
        let options = run.section::<ByolOptions>("method")?;
        Ok(asymmetric(run, options.second_blur, options.second_solarize)?.to_vec())
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn normalizes_batch(&self) -> bool {
        self.projector.normalizes_batch() || self.predictor.normalizes_batch()
    }
}

/// The official head: two layers without biases, batch norm and ReLU between them.
fn head(input: usize, hidden: usize, output: usize) -> HeadConfig {
    HeadConfig::batch_normed(HeadConfig::widths(2, input, hidden, output), false)
}

#[cfg(test)]
mod tests {
    use super::super::contrast::tests::assert_is;
    use super::super::tests::{inputs, step, tiny_run};
    use super::*;
    use crate::experiment::Value as Setting;
    use crate::weights::collect;

    fn model(first_target: &str, device: &Device) -> Byol {
        let set = [("method", "first_target", Setting::Text(first_target.to_owned()))];
        Byol::new(&tiny_run("byol", &set), 10, device).unwrap()
    }

    #[test]
    fn a_target_of_its_own_begins_elsewhere() {
        let differs = |first_target: &str| {
            let model = model(first_target, &Device::flex());
            let (student, target) = (collect(&model.encoder), collect(model.teacher.encoder()));
            student["blocks.0.attn.qkv.weight"] != target["blocks.0.attn.qkv.weight"]
        };
        assert!(differs("own") && !differs("student"));
    }

    #[test]
    fn the_loss_is_the_sum_of_both_directions() {
        let device = Device::flex();
        let model = model("student", &device);
        let inputs = inputs(&[16, 16], &device);
        let [first, second] = [0, 1].map(|view| inputs.views[view].clone());
        let project = |x: Tensor<4>| model.projector.forward(model.encoder.represent(x, None));
        let one = |from: Tensor<4>, to: Tensor<4>| byol(model.predictor.forward(project(from)), project(to)).into_scalar::<f64>();
        let both = one(first.clone(), second.clone()) + one(second, first);
        assert_is(model.loss(&inputs, &step(0)).total, both);
    }
}
