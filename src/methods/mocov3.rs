//! MoCo v3: An Empirical Study of Training Self-Supervised Vision Transformers. arXiv 2104.02057.
//!
//! `q = predictor(projector(f(x)))` of one view must find `k = projector'(f'(x'))` of the same image's other view among
//! the keys of the batch, where `f'` and `projector'` are moving averages. There is no queue.
//!
//! The official code moves the teacher before it makes the keys. At the first step teacher and student are equal, so that
//! this is moving it after every step with the next step's momentum, which is what is done here. First weights of the
//! encoder are those of every method here (MAE's), so that methods start alike: the official ones take queries, keys and
//! values as three matrices, a bias of zero for the patch projection and 1e-6 for the class token.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::contrast::info_nce;
use super::duplicates::{excluded, masks_duplicates};
use super::heads::{Head, HeadConfig, width};
use super::pairs::asymmetric;
use super::spread::{COLLAPSE, spread};
use super::teacher::{Momentum, MomentumSchedule, Target};
use super::{BatchNegatives, Inputs, Losses, Method, StepInfo, Trainable, vit_config};
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{MethodInfo, RunSpec, ViewPlan};
use crate::section;
use crate::vit::Vit;

section! {
    /// What MoCo v3 adds.
    MocoV3Options = "method" {
        /// Temperature of the softmax.
        temperature: f64 = Literal::Float(0.2), Kind::Between { min: 0.0, max: 100.0 }, "MoCo v3";
        /// Whether the loss is multiplied by twice the temperature.
        scale_loss: bool = Literal::Bool(true), Kind::Bool, "MoCo v3 repository";
        /// Whether each view is also the other's query.
        symmetric: bool = Literal::Bool(true), Kind::Bool, "MoCo v3";
        /// The teacher's momentum at the start.
        momentum: f64 = Literal::Float(0.99), Kind::Float { min: 0.0, max: 1.0 }, "MoCo v3";
        /// How the momentum goes on.
        momentum_schedule in MomentumSchedule = Cosine, "MoCo v3 repository";
        /// Whether the patch projection stays at its first weights.
        freeze_patch_embed: bool = Literal::Bool(true), Kind::Bool, "MoCo v3";
        /// Hidden width of projector and predictor; 0 is 4096, narrowed with an encoder narrower than ViT-S.
        head_hidden: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "MoCo v3";
        /// Width of the vectors compared; 0 is 256, narrowed likewise.
        head_out: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "MoCo v3";
        /// Chance of blurring the second view; the first has `augment.blur`.
        second_blur: f64 = Literal::Float(0.1), Kind::Float { min: 0.0, max: 1.0 }, "BYOL";
        /// Chance of solarizing the second view; the first has `augment.solarize`.
        second_solarize: f64 = Literal::Float(0.2), Kind::Float { min: 0.0, max: 1.0 }, "BYOL";
    }
}

/// Student, with a predictor of its own, and teacher.
#[derive(Module, Debug)]
pub struct MocoV3 {
    encoder: Vit,
    projector: Head,
    predictor: Head,
    teacher: Target,
    #[module(skip)]
    options: MocoV3Options,
    drop_path: f64,
    masks_duplicates: bool,
}

impl Trainable for MocoV3 {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let [first, second] = [0, 1].map(|view| inputs.views[view].clone());
        let (features, projected) = self.project(first.clone(), step, 0);
        let terms = spread(&features, &projected);
        let mut total = self.contrast(projected, second.clone(), step);
        if self.options.symmetric {
            total = total + self.contrast(self.project(second, step, 1).1, first, step);
        }
        if self.options.scale_loss {
            total = total.mul_scalar(2.0 * self.options.temperature);
        }
        Losses::new(total, terms)
    }

    fn after_step(mut self, step: &StepInfo, _seen: Vec<Tensor<2>>) -> Self {
        let momentum = Momentum::new(self.options.momentum, self.options.momentum_schedule);
        let momentum = momentum.at(step.step + 1, step.steps);
        self.teacher = self.teacher.follow(&self.encoder, &self.projector, momentum);
        self
    }

    /// Everything, as in the MoCo v3 repository, whose optimizer has one group.
    fn decays(_path: &str, _dims: usize) -> bool {
        true
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for MocoV3 {
    const TEACHER: Option<super::TeacherPart> = Some(super::TeacherPart {
        field: "teacher",
        leads: true,
    });

    const INFO: MethodInfo = MethodInfo {
        name: "mocov3",
        title: "MoCo v3",
        paper: "arXiv 2104.02057",
        summary: "Finds an image's other view among the batch, as a slowly moving copy of itself sees it.",
        options: MocoV3Options::SECTION,
        recipe: &[
            ("train", "epochs", Value::Int(300)),
            ("train", "warmup_epochs", Value::Float(40.0)),
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
        let (options, train) = (run.section::<MocoV3Options>("method")?, run.section::<TrainSettings>("train")?);
        let config = vit_config(run)?;
        let encoder = Vit::new(&config, run.seed, device).freeze_patches_if(options.freeze_patch_embed);
        let hidden = width(options.head_hidden, 4096, config.dim);
        let out = width(options.head_out, 256, config.dim);
        let projector = Head::new("projector", head(3, config.dim, hidden, out), run.seed, device);
        Ok(MocoV3 {
            predictor: Head::new("predictor", head(2, out, hidden, out), run.seed, device),
            teacher: Target::of(&encoder, &projector),
            encoder,
            projector,
            options,
            drop_path: train.drop_path,
            masks_duplicates: masks_duplicates(run)?,
        })
    }

    fn views(run: &RunSpec) -> Result<Vec<ViewPlan>, String> {
        let options = run.section::<MocoV3Options>("method")?;
        Ok(asymmetric(run, options.second_blur, options.second_solarize)?.to_vec())
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn negatives(&self) -> BatchNegatives {
        BatchNegatives::Images
    }

    fn normalizes_batch(&self) -> bool {
        self.projector.normalizes_batch() || self.predictor.normalizes_batch()
    }
}

impl MocoV3 {
    /// `[batch, 3, side, side]` to features `[batch, dim]` and their projections `[batch, out]`.
    fn project(&self, images: Tensor<4>, step: &StepInfo, view: u64) -> (Tensor<2>, Tensor<2>) {
        let drop = step.drop_path(self.drop_path, view);
        let features = self.encoder.represent(images, drop.as_ref());
        (features.clone(), self.projector.forward(features))
    }

    fn contrast(&self, projected: Tensor<2>, other: Tensor<4>, step: &StepInfo) -> Tensor<1> {
        let queries = self.predictor.forward(projected);
        let excluded = excluded(self.masks_duplicates, step, &queries.device());
        info_nce(queries, self.teacher.project(other), self.options.temperature, excluded)
    }
}

/// The repository's heads: no biases, ReLU, and a batch norm without scale and shift at the end.
fn head(layers: usize, input: usize, hidden: usize, output: usize) -> HeadConfig {
    HeadConfig::batch_normed(HeadConfig::widths(layers, input, hidden, output), true)
}

#[cfg(test)]
mod tests {
    use super::super::contrast::tests::assert_is;
    use super::super::tests::{inputs, step, tiny_run};
    use super::*;
    use crate::experiment::Value as Setting;

    fn model(set: &[(&str, &str, Setting)]) -> MocoV3 {
        MocoV3::new(&tiny_run("mocov3", set), 10, &Device::flex().autodiff()).unwrap()
    }

    #[test]
    fn the_loss_is_that_of_both_directions_times_twice_the_temperature() {
        let model = model(&[]);
        let inputs = inputs(&[16, 16], &Device::flex());
        let [first, second] = [0, 1].map(|view| inputs.views[view].clone());
        let query = |x: Tensor<4>| model.predictor.forward(model.projector.forward(model.encoder.represent(x, None)));
        // At the start the teacher is the student.
        let key = |x: Tensor<4>| model.projector.forward(model.encoder.represent(x, None));
        let there = info_nce(query(first.clone()), key(second.clone()), 0.2, None).into_scalar::<f64>();
        let back = info_nce(query(second), key(first), 0.2, None).into_scalar::<f64>();
        assert_is(model.loss(&inputs, &step(0)).total, 0.4 * (there + back));
        let plain = [
            ("method", "symmetric", Setting::Bool(false)),
            ("method", "scale_loss", Setting::Bool(false)),
        ];
        assert_is(self::model(&plain).loss(&inputs, &step(0)).total, there);
    }

    #[test]
    fn the_patch_projection_learns_only_if_asked_to() {
        let learns = |model: MocoV3| !super::super::golden::frozen(&model).contains(&"patch_embed.proj.weight".to_owned());
        assert!(!learns(model(&[])));
        assert!(learns(model(&[("method", "freeze_patch_embed", Setting::Bool(false))])));
    }
}
