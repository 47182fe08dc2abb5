//! DINO: Emerging Properties in Self-Supervised Vision Transformers. arXiv 2104.14294.
//!
//! A student sees two large crops of an image and several small ones, and predicts for each what a teacher, its moving
//! average, makes of the other large one: a distribution over made-up classes, centered and sharpened so that it neither
//! says the same of every image nor everything of each.
//!
//! First weights of the encoder are those of every method here (MAE's), so that methods start alike; DINO draws all from a
//! normal distribution. The center moves by the scores of the passes of a step together.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::dino_head::{DinoHead, DinoWidths, Scored};
use super::dino_options::{DinoOptions, Evaluated};
use super::distill::{Temperatures, distill, mean_scores, moved_center};
use super::heads::width;
use super::pairs::asymmetric;
use super::spread::spread;
use super::teacher::{Momentum, follow, frozen_copy};
use super::{Inputs, Losses, Method, StepInfo, Trainable, vit_config};
use crate::experiment::choices::Position;
use crate::experiment::measure;
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{Alarm, MethodInfo, RunSpec, Side, ViewPlan};
use crate::vit::Vit;

/// Where the teacher's distributions show a collapse: the entropy is a share of that of all classes alike, so that 1 is
/// one side of it and 0 the other (DINO, section 5.3). The limits are ours.
const ALARMS: &[Alarm] = &[
    Alarm {
        term: &measure::TEACHER_ENTROPY,
        side: Side::Above,
        value: 0.99,
        sentence: "the teacher finds every class alike in every image; lower method.teacher_temperature, or take fewer method.prototypes",
    },
    Alarm {
        term: &measure::TEACHER_ENTROPY,
        side: Side::Below,
        value: 0.01,
        sentence: "the teacher has a single class for every image; raise method.momentum or method.teacher_temperature, or \
                   check that method.centering is on",
    },
    Alarm {
        term: &measure::TEACHER_KL,
        side: Side::Below,
        value: 1e-4,
        sentence: "the student already says what the teacher says of every view, so that nothing is left to learn; check \
                   method.centering and lower train.base_lr",
    },
    Alarm {
        term: &measure::RANK,
        side: Side::Below,
        value: 1.5,
        sentence: "the head's outputs vary along a single direction; lower train.base_lr, or raise method.momentum",
    },
];

/// Student and teacher, and the center of the teacher's scores.
#[derive(Module, Debug)]
pub struct Dino {
    encoder: Vit,
    head: DinoHead,
    teacher: Teacher,
    /// `[1, prototypes]`
    center: Param<Tensor<2>>,
    #[module(skip)]
    options: DinoOptions,
    drop_path: f64,
    epochs: f64,
}

/// What follows the student.
#[derive(Module, Debug)]
struct Teacher {
    encoder: Vit,
    head: DinoHead,
}

/// What the student gives.
struct Students {
    /// Of every view, `[batch, prototypes]`.
    scores: Vec<Tensor<2>>,
    /// Of the first view, `[batch, bottleneck]`.
    directions: Tensor<2>,
    /// Of the first view, `[batch, dim]`.
    features: Tensor<2>,
}

impl Trainable for Dino {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let teachers = inputs.views[..2]
            .iter()
            .map(|view| self.teacher.scores(view.clone()))
            .collect::<Vec<_>>();
        let Students {
            scores: students,
            directions,
            features,
        } = self.students(&inputs.views, step);
        let (epoch, center) = (self.epoch(step), self.center.val().inner());
        let at = Temperatures {
            student: self.options.student_temperature,
            teacher: self.options.teacher_temperature_at(epoch),
        };
        let distilled = distill(&students, &teachers, center.clone(), at);
        let divergence = distilled.loss.clone().inner() - distilled.entropy.clone();
        let most = (self.options.prototypes as f64).ln();
        let mut terms = vec![
            (&measure::TEACHER_ENTROPY, distilled.entropy.div_scalar(most)),
            (&measure::TEACHER_KL, divergence),
            (&measure::CENTER_NORM, (center.clone() * center).sum().sqrt()),
        ];
        terms.extend(spread(&features, &directions));
        Losses {
            total: distilled.loss,
            terms,
            seen: Some(mean_scores(&teachers)),
        }
    }

    fn after_step(mut self, step: &StepInfo, seen: Vec<Tensor<2>>) -> Self {
        let momentum = Momentum::new(self.options.momentum, self.options.momentum_schedule).at(step.step, step.steps);
        self.teacher = Teacher {
            encoder: follow(self.teacher.encoder, &self.encoder, momentum),
            head: follow(self.teacher.head, &self.head, momentum),
        };
        if self.options.centering && !seen.is_empty() {
            let (keep, device) = (self.options.center_momentum, self.center.val().device());
            let center = moved_center(self.center.val().inner(), mean_scores(&seen), keep);
            let center = if device.is_autodiff() { Tensor::from_inner(center) } else { center };
            self.center = Param::from_tensor(center).set_require_grad(false);
        }
        self
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for Dino {
    const TEACHER: Option<super::TeacherPart> = Some(super::TeacherPart {
        field: "teacher",
        leads: false,
    });

    const FIXED: &'static [&'static str] = &["pos_embed", "center"];

    const INFO: MethodInfo = MethodInfo {
        name: "dino",
        title: "DINO",
        paper: "arXiv 2104.14294",
        summary: "Predicts from crops, large and small, which made-up class a slowly moving copy of itself sees.",
        options: DinoOptions::SECTION,
        recipe: &[
            ("model", "position", Position::Learned.literal()),
            ("train", "warmup_epochs", Value::Float(10.0)),
            ("train", "base_lr", Value::Float(5e-4)),
            ("train", "min_lr", Value::Float(1e-6)),
            ("train", "weight_decay", Value::Float(0.04)),
            ("train", "weight_decay_end", Value::Float(0.4)),
            ("train", "beta2", Value::Float(0.999)),
            ("train", "clip_grad_norm_per_parameter", Value::Float(3.0)),
            ("train", "drop_path", Value::Float(0.1)),
            ("augment", "crop_scale_min", Value::Float(0.4)),
            ("augment", "color_jitter", Value::Float(0.8)),
            ("augment", "color_jitter_saturation", Value::Float(0.2)),
            ("augment", "grayscale", Value::Float(0.2)),
            ("augment", "blur", Value::Float(1.0)),
        ],
        alarms: ALARMS,
        trains: true,
        labels: false,
        reconstructs: false,
        tokens: false,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<DinoOptions>("method")?, run.section::<TrainSettings>("train")?);
        let config = vit_config(run)?;
        let widths = DinoWidths {
            input: config.dim,
            hidden: width(options.head_hidden, 2048, config.dim),
            bottleneck: width(options.bottleneck, 256, config.dim),
            prototypes: options.prototypes,
        };
        let encoder = Vit::new(&config, run.seed, device);
        let head = DinoHead::new(widths, !options.norm_last_layer, run.seed, device);
        Ok(Dino {
            teacher: Teacher {
                encoder: frozen_copy(&encoder),
                head: frozen_copy(&head),
            },
            encoder,
            head,
            center: Param::from_tensor(Tensor::zeros([1, options.prototypes], device)).set_require_grad(false),
            options,
            drop_path: train.drop_path,
            epochs: train.epochs as f64,
        })
    }

    fn views(run: &RunSpec) -> Result<Vec<ViewPlan>, String> {
        let options = run.section::<DinoOptions>("method")?;
        let [first, second] = asymmetric(run, options.second_blur, options.second_solarize)?;
        let local = ViewPlan::new(options.local_augment(&first.augment)?, options.local_side(run)?);
        Ok([vec![first, second], vec![local; options.local_views]].concat())
    }

    fn encoder(&self) -> &Vit {
        match self.options.evaluated {
            Evaluated::Teacher => &self.teacher.encoder,
            Evaluated::Student => &self.encoder,
        }
    }
}

impl Dino {
    /// Epochs behind the run.
    fn epoch(&self, step: &StepInfo) -> f64 {
        self.epochs * step.step as f64 / step.steps.max(1) as f64
    }

    /// Views of one side go through together.
    fn students(&self, views: &[Tensor<4>], step: &StepInfo) -> Students {
        let [batch, ..] = views[0].dims();
        let (global, local) = views.split_at(2);
        let mut features = vec![self.features(global, step, 0)];
        features.extend((!local.is_empty()).then(|| self.features(local, step, 1)));
        let hold = self.epoch(step) < self.options.freeze_last_layer;
        let features = Tensor::cat(features, 0);
        let Scored { directions, scores } = self.head.forward(features.clone(), hold);
        let of_view = |view: usize| scores.clone().narrow(0, view * batch, batch);
        Students {
            scores: (0..views.len()).map(of_view).collect(),
            directions: directions.narrow(0, 0, batch),
            features: features.narrow(0, 0, batch),
        }
    }

    /// Each `[batch, 3, side, side]`; output: `[views * batch, dim]`
    fn features(&self, views: &[Tensor<4>], step: &StepInfo, group: u64) -> Tensor<2> {
        let drop = step.drop_path(self.drop_path, group);
        self.encoder.represent(Tensor::cat(views.to_vec(), 0), drop.as_ref())
    }
}

impl Teacher {
    /// Nothing is recorded, and no branch is dropped: `[batch, 3, side, side]` to `[batch, prototypes]`.
    fn scores(&self, images: Tensor<4>) -> Tensor<2> {
        let features = self.encoder.valid().represent(images.inner(), None);
        self.head.valid().forward(features, false).scores
    }
}

#[cfg(test)]
mod tests {
    use super::super::exported;
    use super::super::golden::gradients;
    use super::super::tests::{inputs, step, tiny_run};
    use super::*;
    use crate::experiment::Value as Setting;
    use crate::weights::{HostTensor, collect, restore, to_timm};

    fn model(set: &[(&str, &str, Setting)]) -> Dino {
        let small = ("method", "prototypes", Setting::Int(12));
        let run = tiny_run("dino", &[&[small], set].concat());
        Dino::new(&run, 10, &Device::flex().autodiff()).unwrap()
    }

    #[test]
    fn the_prototypes_learn_from_the_stated_epoch_on() {
        let model = model(&[("method", "freeze_last_layer", Setting::Float(3.0))]); // Of 6 epochs, in 10 steps.
        let learns = |at: u64| {
            let loss = model
                .loss(&inputs(&[16, 16, 8, 8, 8, 8, 8, 8, 8, 8], &Device::flex()), &step(at))
                .total;
            gradients(&model, &loss.backward()).contains_key("head.last.directions")
        };
        assert_eq!([0, 4, 5, 9].map(learns), [false, false, true, true]);
    }

    #[test]
    fn the_center_follows_the_scores_of_both_large_crops_and_only_if_asked_to() {
        let inputs = inputs(&[16, 16, 8], &Device::flex());
        for (centering, share) in [(true, 0.1), (false, 0.0)] {
            let model = model(&[("method", "centering", Setting::Bool(centering))]);
            let seen = model.loss(&inputs, &step(3)).seen.unwrap();
            let scores = [0, 1].map(|view| model.teacher.scores(inputs.views[view].clone()).mean_dim(0));
            let expected = HostTensor::from_tensor(&(scores[0].clone() + scores[1].clone()).mul_scalar(0.5 * share)).data;
            let moved = model.after_step(&step(3), vec![seen.clone(), seen]);
            for (a, b) in HostTensor::from_tensor(&moved.center.val()).data.iter().zip(expected) {
                assert!((a - b).abs() < 1e-6, "{a} is not {b}");
            }
        }
    }

    #[test]
    fn later_stages_get_the_encoder_that_was_asked_for() {
        for (whose, expected) in [(Evaluated::Teacher, 0.0), (Evaluated::Student, 3.0)] {
            let model = model(&[("method", "evaluated", whose.literal().into())]);
            let mut weights = collect(&model);
            weights.get_mut("encoder.norm.beta").unwrap().data[0] = 3.0;
            let model = restore(model, &weights).unwrap();
            assert_eq!(exported(&model)["norm.bias"].data[0], expected, "{whose}");
            assert_eq!(to_timm(model.encoder())["norm.bias"].data[0], expected, "{whose}");
        }
    }
}
