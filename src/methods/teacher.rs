//! A teacher: a copy of the student that learns nothing itself and follows it as a moving average.
//!
//! `teacher <- m teacher + (1 - m) student` after every step, for every parameter. Batch norms of heads have no running
//! statistics, so that there is nothing else to follow. The copy is a module like any other: it stands in a field of its
//! method and goes into checkpoints under that name.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::heads::Head;
use crate::choice;
use crate::vit::Vit;

choice! {
    /// How a teacher's momentum goes on.
    MomentumSchedule {
        /// It rises to 1 on half a cosine, as in MoCo v3, BYOL and DINO.
        Cosine = "cosine",
        /// It stays.
        Constant = "constant",
    }
}

/// How strongly a teacher holds on to what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// At the start.
    pub first: f64,
    /// From then on.
    pub schedule: MomentumSchedule,
}

impl Momentum {
    /// As two settings say.
    pub fn new(first: f64, schedule: MomentumSchedule) -> Momentum {
        Momentum { first, schedule }
    }

    /// `m(t) = 1 - (1 - m0) (1 + cos(pi t / T)) / 2`, or `m0`, after `done` of `all` batches.
    pub fn at(&self, done: u64, all: u64) -> f64 {
        match self.schedule {
            MomentumSchedule::Constant => self.first,
            MomentumSchedule::Cosine => {
                let progress = done as f64 / all.max(1) as f64;
                1.0 - (1.0 - self.first) * 0.5 * (1.0 + (PI * progress.min(1.0)).cos())
            }
        }
    }
}

/// A teacher of an encoder with a projector behind its class token.
#[derive(Module, Debug)]
pub struct Target {
    encoder: Vit,
    projector: Head,
}

impl Target {
    /// A copy of the student's parts.
    pub fn of(encoder: &Vit, projector: &Head) -> Target {
        Target {
            encoder: frozen_copy(encoder),
            projector: frozen_copy(projector),
        }
    }

    /// Projections of class tokens. Nothing is recorded, and no branch is dropped.
    ///
    /// # Shapes
    /// images: `[batch, 3, side, side]`; output: `[batch, out]`
    pub fn project(&self, images: Tensor<4>) -> Tensor<2> {
        let features = self.encoder.valid().represent(images.inner(), None);
        self.projector.valid().forward(features)
    }

    /// The teacher after it followed the student's parts.
    pub fn follow(self, encoder: &Vit, projector: &Head, momentum: f64) -> Target {
        Target {
            encoder: follow(self.encoder, encoder, momentum),
            projector: follow(self.projector, projector, momentum),
        }
    }

    /// Its encoder.
    pub fn encoder(&self) -> &Vit {
        &self.encoder
    }
}

/// A copy that does not learn.
pub fn frozen_copy<M: Module>(student: &M) -> M {
    student.clone().no_grad()
}

/// The teacher after it followed a student of the same fields.
///
/// # Panics
/// When the student lacks a parameter of the teacher.
pub fn follow<M: Module>(teacher: M, student: &M, momentum: f64) -> M {
    let mut found = Found::default();
    student.visit(&mut found);
    teacher.map(&mut Follower {
        path: Vec::new(),
        student: found.values,
        share: 1.0 - momentum,
    })
}

/// The values of a module by path, flat and without gradients.
#[derive(Default)]
struct Found {
    path: Vec<String>,
    values: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Found {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let elements = value.shape().num_elements();
        self.values.insert(self.path.join("."), value.reshape([elements]));
    }
}

struct Follower {
    path: Vec<String>,
    student: BTreeMap<String, Tensor<1>>,
    /// Of the student in the new value.
    share: f64,
}

impl ModuleMapper for Follower {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let student = self.student.remove(&path).expect("teacher and student have the same parameters");
        let (id, tensor, mapper) = param.consume();
        let (shape, records) = (tensor.dims(), tensor.is_autodiff());
        let old = tensor.inner();
        // In this form what is equal, such as a fixed table, stays so to the last bit.
        let new = old.clone() + (student.reshape(shape) - old).mul_scalar(self.share);
        let new = if records { Tensor::from_inner(new) } else { new };
        Param::from_mapped_value(id, new, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::golden::frozen;
    use super::*;
    use crate::vit::{Position, Vit, VitConfig};
    use crate::weights::{Weights, collect, restore};

    fn vit(seed: u64, device: &Device) -> Vit {
        let config = VitConfig {
            image_size: 8,
            patch_size: 4,
            dim: 8,
            depth: 1,
            heads: 2,
            mlp_ratio: 2.0,
            position: Position::SinCos,
            activation_checkpointing: false,
            layer_scale: 0.0,
        };
        Vit::new(&config, seed, device)
    }

    #[test]
    fn the_momentum_rises_to_one_on_half_a_cosine_or_stays() {
        let rising = Momentum::new(0.99, MomentumSchedule::Cosine);
        for (done, expected) in [(0, 0.99), (50, 0.995), (100, 1.0), (120, 1.0)] {
            assert!((rising.at(done, 100) - expected).abs() < 1e-12, "{done}");
        }
        assert_eq!(Momentum::new(0.996, MomentumSchedule::Constant).at(70, 100), 0.996);
        assert!(rising.at(0, 0).is_finite());
    }

    #[test]
    fn after_some_steps_the_teacher_is_its_formula_and_still_does_not_learn() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            let students: Vec<Vit> = (1..4).map(|seed| vit(seed, &device)).collect();
            let mut teacher = frozen_copy(&vit(0, &device));
            let mut expected: Weights = collect(&teacher);
            for (student, momentum) in students.iter().zip([0.9, 0.99, 0.5]) {
                teacher = follow(teacher, student, momentum);
                for (name, tensor) in collect(student) {
                    let old = &mut expected.get_mut(&name).unwrap().data;
                    for (old, new) in old.iter_mut().zip(tensor.data) {
                        *old = (momentum * f64::from(*old) + (1.0 - momentum) * f64::from(new)) as f32;
                    }
                }
            }
            for (name, tensor) in collect(&teacher) {
                let far = tensor.data.iter().zip(&expected[&name].data).map(|(a, b)| (a - b).abs());
                assert!(far.fold(0.0, f32::max) < 1e-6, "{name}");
            }
            assert_eq!(collect(&teacher)["pos_embed"], collect(&students[0])["pos_embed"]);
            if device.is_autodiff() {
                assert_eq!(frozen(&teacher).len(), collect(&teacher).len());
            }
        }
    }

    #[test]
    fn a_restored_teacher_is_the_saved_one_and_does_not_learn() {
        let device = Device::flex().autodiff();
        let teacher = follow(frozen_copy(&vit(0, &device)), &vit(1, &device), 0.9);
        let restored = restore(frozen_copy(&vit(5, &device)), &collect(&teacher)).unwrap();
        assert_eq!(collect(&restored), collect(&teacher));
        assert_eq!(frozen(&restored).len(), collect(&teacher).len());
    }
}
