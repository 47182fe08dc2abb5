//! A k-nearest-neighbor classifier: training images near a validation image vote for its class.
//!
//! As in DINO (arXiv 2104.14294), after Wu et al. (arXiv 1805.01978): the `neighbors` of the largest cosine have a vote of
//! `exp(cosine / temperature)` each. It reads plain views and learns nothing, so it is a probe that costs forward passes
//! alone; their number is bounded, and the training images that vote are chosen evenly over the classes.

use anyhow::Result;
use burn::tensor::{Device, Tensor};

use crate::data::subset::{self, For};
use crate::data::{Dataset, Split};
use crate::experiment::settings::KnnSettings;
use crate::metrics::frozen::{Features, Frozen, Reading};
use crate::metrics::validation::{Validation, best};
use crate::vit::Vit;

/// Images whose neighbors are looked for at a time; ours.
const QUERIES: usize = 256;
/// The smallest length that a feature is divided by (torch's `normalize`).
const SHORTEST: f64 = 1e-12;

/// Who votes, and who is voted on.
#[derive(Debug)]
pub struct Knn {
    settings: KnnSettings,
    voters: Validation,
    questions: Validation,
    classes: usize,
}

impl Knn {
    /// The images of `validation` and of the whole training split, as far as the settings allow; nothing if it is off.
    pub fn new(settings: KnnSettings, dataset: &Dataset, validation: &Validation) -> Option<Knn> {
        if settings.every == 0 {
            return None;
        }
        let classes = dataset.classes.len();
        let part = |split: &Split| Validation {
            split: split.only(&subset::always(split, classes, settings.images, For::Voters)),
            ..validation.clone()
        };
        Some(Knn {
            voters: part(&dataset.train),
            questions: part(&validation.split),
            settings,
            classes,
        })
    }

    /// Epochs between two looks.
    pub fn every(&self) -> u64 {
        self.settings.every
    }

    /// Top-1 accuracy in percent with the features of `encoder`, which records no gradients.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn top1(&self, encoder: Vit, device: &Device) -> Result<f64> {
        let frozen = self.frozen(encoder);
        let read = |images: &Validation| -> Result<Features> {
            let mut reading = Reading::new(&frozen, device);
            images.batches().try_for_each(|batch| batch.map(|batch| reading.read(batch)))?;
            Ok(reading.features(0, images.split.labels()))
        };
        let (voters, questions) = (read(&self.voters)?, read(&self.questions)?);
        Ok(self.vote(&voters, &questions))
    }

    /// Top-1 accuracy in percent with features of the [images](Knn::splits) that were read.
    pub fn vote(&self, voters: &Features, questions: &Features) -> f64 {
        top1(voters, questions, self.classes, &self.settings)
    }

    /// What reads the features of `encoder`.
    pub fn frozen(&self, encoder: Vit) -> Frozen {
        Frozen::new(encoder, self.settings.feature)
    }

    /// The images that vote, and those that are voted on.
    pub fn splits(&self) -> [&Split; 2] {
        [&self.voters.split, &self.questions.split]
    }
}

/// The share of `questions`, in percent, for whose class most is voted.
fn top1(voters: &Features, questions: &Features, classes: usize, settings: &KnnSettings) -> f64 {
    let (keys, queries) = (unit(voters.rows.clone()), unit(questions.rows.clone()));
    let [count, _] = queries.dims();
    let mut right = 0;
    for first in (0..count).step_by(QUERIES) {
        let some = QUERIES.min(count - first);
        let cosines = queries.clone().narrow(0, first, some).matmul(keys.clone().transpose()); // [some, voters]
        let cosines: Vec<f32> = cosines.into_data().iter::<f32>().collect();
        let rows = cosines.chunks(voters.labels.len()).zip(&questions.labels[first..]);
        right += rows
            .filter(|(row, label)| elected(row, &voters.labels, classes, settings) == **label)
            .count();
    }
    100.0 * right as f64 / count.max(1) as f64
}

/// Rows of length 1.
fn unit(rows: Tensor<2>) -> Tensor<2> {
    let length = (rows.clone() * rows.clone()).sum_dim(1).sqrt().clamp_min(SHORTEST);
    rows / length
}

/// The class with most votes, the first of equals.
fn elected(cosines: &[f32], labels: &[usize], classes: usize, settings: &KnnSettings) -> usize {
    let mut nearest: Vec<usize> = (0..cosines.len()).collect();
    let farther = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
    let neighbors = settings.k.min(nearest.len());
    if neighbors < nearest.len() {
        nearest.select_nth_unstable_by(neighbors, farther);
        nearest.truncate(neighbors);
    }
    // In a fixed order, or the sums of a class would differ in their last bits.
    nearest.sort_unstable_by(farther);
    let mut votes = vec![0.0_f32; classes];
    let nearest_cosine = nearest.first().map_or(0.0, |voter| cosines[*voter]);
    for voter in nearest {
        // Less the largest, which changes no order and cannot overflow.
        votes[labels[voter]] += (f64::from(cosines[voter] - nearest_cosine) / settings.temperature).exp() as f32;
    }
    best(&votes)
}

#[cfg(test)]
mod tests {
    use crate::experiment::choices::Feature;
    use crate::metrics::knn::*;

    fn settings(neighbors: usize, temperature: f64) -> KnnSettings {
        KnnSettings {
            every: 1,
            k: neighbors,
            temperature,
            feature: Feature::Cls,
            images: 100,
        }
    }

    fn features<const N: usize>(rows: [[f32; 2]; N], labels: [usize; N]) -> Features {
        Features {
            rows: Tensor::from_floats(rows, &Device::flex()),
            labels: labels.to_vec(),
        }
    }

    #[test]
    fn near_voters_count_more_the_lower_the_temperature_is() {
        // Cosines with (1, 0): 1 for class 0, and 0.8 twice for class 1.
        let cosines = [0.8, 1.0, 0.8, -1.0];
        let labels = [1, 0, 1, 2];
        let elected = |neighbors, temperature| elected(&cosines, &labels, 3, &settings(neighbors, temperature));
        assert_eq!(elected(3, 0.07), 0, "exp(0.2 / 0.07) = 17 is more than 2");
        assert_eq!(elected(3, 1.0), 1, "exp(0.2) = 1.2 is less than 2");
        assert_eq!(elected(1, 1.0), 0, "one neighbor votes alone");
        assert_eq!(elected(99, 0.07), 0, "more neighbors than voters are all voters");
    }

    #[test]
    fn lengths_do_not_count_and_the_share_is_in_percent() {
        let voters = features([[10.0, 0.1], [0.001, 0.0], [0.0, 3.0], [-0.1, 9.0]], [0, 0, 1, 1]);
        let questions = features([[0.5, 0.1], [0.0, 1.0], [1.0, 0.9], [0.3, 0.4]], [0, 1, 1, 1]);
        // The third question is nearer to class 0 than to its own.
        assert_eq!(top1(&voters, &questions, 2, &settings(2, 0.07)), 75.0);
        let nothing = features([[0.0, 0.0]], [0]);
        assert!(top1(&voters, &nothing, 2, &settings(2, 0.07)).is_finite());
    }
}
