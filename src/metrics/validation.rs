//! What a classifier is judged on: plain views of the validation images, top-1 accuracy and cross entropy.

use anyhow::Result;
use burn::tensor::{Int, Tensor};

use crate::data::Split;
use crate::data::augment::Augment;
use crate::data::loader::{Batch, EvalLoader};
use crate::experiment::choices::CropKind;
use crate::experiment::settings::AugmentSettings;

/// An augmentation that leaves images as they are, for stages that only evaluate.
pub fn plain_views() -> AugmentSettings {
    AugmentSettings {
        crop: CropKind::None,
        crop_scale_min: 1.0,
        crop_scale_max: 1.0,
        hflip: 0.0,
        color_jitter: 0.0,
        color_jitter_saturation: 0.0,
        color_jitter_strength: 0.0,
        grayscale: 0.0,
        blur: 0.0,
        solarize: 0.0,
        rand_augment: 0.0,
        random_erasing: 0.0,
    }
}

/// Images to be judged on, often the validation split, and how they are read.
#[derive(Clone, Debug)]
pub struct Validation {
    /// The images.
    pub split: Split,
    /// Makes their plain views.
    pub augment: Augment,
    /// Images at a time.
    pub batch_size: usize,
    /// Threads that read them.
    pub threads: usize,
}

impl Validation {
    /// Plain views of all its images.
    pub fn batches(&self) -> EvalLoader {
        EvalLoader::new(self.split.clone(), self.augment.clone(), self.batch_size, self.threads)
    }

    /// Top-1 accuracy in percent and mean cross entropy of `logits` over the split.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn classify(&self, mut logits: impl FnMut(Batch) -> (Tensor<2>, Tensor<1, Int>)) -> Result<Accuracy> {
        let (mut right, mut loss, mut count) = (0, 0.0, 0);
        for batch in self.batches() {
            let (logits, labels) = logits(batch?);
            let [images, classes] = logits.dims();
            let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
            let labels: Vec<i64> = labels.into_data().iter::<i64>().collect();
            for (scores, label) in logits.chunks(classes).zip(labels) {
                right += usize::from(best(scores) == label as usize);
                loss += cross_entropy(scores, label as usize);
            }
            count += images;
        }
        Ok(Accuracy {
            top1: 100.0 * right as f64 / count.max(1) as f64,
            loss: loss / count.max(1) as f64,
        })
    }
}

/// How well a classifier does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Images whose best class is the right one, in percent.
    pub top1: f64,
    /// Mean cross entropy.
    pub loss: f64,
}

/// The class with the largest score, the first of equals.
pub fn best(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best })
}

/// Cross entropy of scores against a class.
pub fn cross_entropy(scores: &[f32], label: usize) -> f64 {
    let largest = f64::from(scores[best(scores)]);
    let sum: f64 = scores.iter().map(|score| (f64::from(*score) - largest).exp()).sum();
    sum.ln() + largest - f64::from(scores[label])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_class_is_the_first_of_the_largest() {
        assert_eq!(best(&[0.5, 2.0, -1.0, 2.0]), 1);
        assert_eq!(best(&[f32::NAN, 1.0]), 0);
    }

    #[test]
    fn cross_entropy_does_not_overflow_and_matches_hand_worked_values() {
        assert!((cross_entropy(&[0.0, 0.0, 0.0, 0.0], 2) - 4f64.ln()).abs() < 1e-12);
        assert!((cross_entropy(&[1000.0, 998.0], 0) - (1.0 + (-2f64).exp()).ln()).abs() < 1e-9);
    }
}
