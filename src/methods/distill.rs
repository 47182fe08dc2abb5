//! DINO's loss (arXiv 2104.14294): the student predicts the teacher's distribution of other views of an image.
//!
//! Two forces hold the teacher between one class for all and every class alike: a center taken from its scores, and a
//! temperature that sharpens what is left.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};

/// The temperatures of both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperatures {
    /// The student's.
    pub student: f64,
    /// The teacher's.
    pub teacher: f64,
}

/// What a step of distillation gives, each `[1]`.
#[derive(Clone, Debug)]
pub struct Distilled {
    /// The mean cross entropy, which is minimized.
    pub loss: Tensor<1>,
    /// Mean entropy of the teacher's distributions, without gradients.
    pub entropy: Tensor<1>,
}

/// The mean of `-sum p_teacher log p_student` over the batch and all pairs of a teacher's view and another of the student.
///
/// View `i` of the teacher is view `i` of the student; further ones are the student's
/// alone. The teacher's scores carry no gradients.
///
/// # Shapes
/// students, teachers: each `[batch, classes]`; center: `[1, classes]`
pub fn distill(students: &[Tensor<2>], teachers: &[Tensor<2>], center: Tensor<2>, at: Temperatures) -> Distilled {
    let students: Vec<_> = students.iter().map(|s| log_softmax(s.clone().div_scalar(at.student), 1)).collect();
    let (mut terms, mut entropies) = (Vec::new(), Vec::new());
    for (which, teacher) in teachers.iter().enumerate() {
        let scores = (teacher.clone().inner() - center.clone().inner()).div_scalar(at.teacher);
        let (chances, logs) = (softmax(scores.clone(), 1), log_softmax(scores, 1));
        for (_, student) in students.iter().enumerate().filter(|(view, _)| *view != which) {
            terms.push(cross_entropy(chances.clone(), student.clone()));
        }
        entropies.push(cross_entropy(chances, logs));
    }
    Distilled {
        loss: mean(terms),
        entropy: mean(entropies),
    }
}

/// The center after a step: `momentum * center + (1 - momentum) * mean` of the teacher's scores of all its views.
///
/// # Shapes
/// center, mean and output: `[1, classes]`
pub fn moved_center(center: Tensor<2>, mean: Tensor<2>, momentum: f64) -> Tensor<2> {
    center.mul_scalar(momentum) + mean.mul_scalar(1.0 - momentum)
}

/// The mean of the scores of all views, `[1, classes]`.
///
/// # Shapes
/// teachers: each `[batch, classes]`
pub fn mean_scores(teachers: &[Tensor<2>]) -> Tensor<2> {
    Tensor::cat(teachers.to_vec(), 0).mean_dim(0)
}

/// `[1]`
fn cross_entropy(chances: Tensor<2>, logs: Tensor<2>) -> Tensor<1> {
    (chances * logs).sum_dim(1).mean().neg()
}

fn mean(terms: Vec<Tensor<1>>) -> Tensor<1> {
    let count = terms.len() as f64;
    Tensor::cat(terms, 0).sum().div_scalar(count)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::contrast::tests::{assert_is, waves};
    use super::*;

    const AT: Temperatures = Temperatures {
        student: 0.1,
        teacher: 0.04,
    };

    fn views(device: &Device) -> ([Tensor<2>; 2], [Tensor<2>; 2], Tensor<2>) {
        let of = |a, b| waves([6, 8], a, b, device);
        let center = waves([1, 8], 0.5, 0.2, device).mul_scalar(0.1);
        ([of(0.7, 0.3), of(1.1, 0.9)], [of(0.33, 0.1), of(0.9, 0.4)], center)
    }

    #[test]
    fn loss_and_center_are_the_reference_ones() {
        let (students, teachers, center) = views(&Device::flex());
        assert_is(distill(&students, &teachers, center.clone(), AT).loss, 9.055_634_688_964_656);
        let moved: Vec<f32> = moved_center(center, mean_scores(&teachers), 0.9).into_data().iter().collect();
        for (value, expected) in moved.iter().zip([0.024_475_334_0, 0.060_684_835_9, 0.084_435_142_2]) {
            assert!((f64::from(*value) / expected - 1.0).abs() < 1e-5, "{value} is not {expected}");
        }
    }

    #[test]
    fn a_local_view_is_compared_with_every_view_of_the_teacher() {
        let (students, teachers, center) = views(&Device::flex());
        let pair = |s: &Tensor<2>, t: &Tensor<2>| {
            let unpaired = [s.zeros_like(), s.clone()];
            distill(&unpaired, std::slice::from_ref(t), center.clone(), AT)
                .loss
                .into_scalar::<f64>()
        };
        let local = waves([6, 8], 0.2, 0.6, &Device::flex());
        let by_hand =
            pair(&students[1], &teachers[0]) + pair(&students[0], &teachers[1]) + pair(&local, &teachers[0]) + pair(&local, &teachers[1]);
        let students = [students[0].clone(), students[1].clone(), local];
        assert_is(distill(&students, &teachers, center, AT).loss, by_hand / 4.0);
    }

    #[test]
    fn a_uniform_teacher_has_the_entropy_of_all_classes_and_gets_no_gradient() {
        let device = Device::flex().autodiff();
        let (students, _, _) = views(&device);
        let teacher = Tensor::<2>::zeros([6, 8], &device).require_grad();
        let center = Tensor::<2>::zeros([1, 8], &device);
        let student = students[0].clone().require_grad();
        let distilled = distill(&[student.clone(), student.clone()], &[teacher.clone(), teacher.clone()], center, AT);
        assert_is(distilled.entropy, 8f64.ln());
        let gradients = distilled.loss.backward();
        assert!(teacher.grad(&gradients).is_none() && student.grad(&gradients).is_some());
    }
}
