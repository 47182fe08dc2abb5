//! Linear heads that learn side by side on the same features, each with its own learning rate and weight decay.
//!
//! Their gradients are written out: for softmax and cross entropy, `features^T (p - y) / batch`. One product serves all heads.

use std::f64::consts::PI;

use anyhow::Result;
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, TensorData};
use rand::seq::SliceRandom;

use crate::experiment::settings::CachedSettings;
use crate::metrics::frozen::Features;
use crate::metrics::validation::best;
use crate::rng::{Purpose, stream};
use crate::train::evaluation::{Accumulator, Sums};
use crate::train::report::Reporter;
use crate::weights::{HostTensor, Weights};

/// How one head learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Peak learning rate.
    pub rate: f64,
    /// Weight decay, which acts on weights and not on biases.
    pub weight_decay: f64,
}

/// All pairs of the settings; rates ascend before weight decays do.
pub fn pairs(settings: &CachedSettings) -> Vec<Pair> {
    let decays = settings.weight_decays();
    let pair = |rate| decays.iter().map(move |&weight_decay| Pair { rate, weight_decay });
    settings.learning_rates().into_iter().flat_map(pair).collect()
}

/// Heads as they are, beginning at zero.
#[derive(Clone, Debug)]
pub struct Heads {
    /// `[dim, heads * classes]`
    weight: Tensor<2>,
    /// `[1, heads * classes]`
    bias: Tensor<2>,
    heads: usize,
    classes: usize,
}

/// Heads that learn by momentum SGD on half a cosine, an epoch at a time.
#[derive(Debug)]
pub struct HeadTraining<'a> {
    features: &'a Features,
    settings: &'a CachedSettings,
    seed: u64,
    heads: Heads,
    weight_speed: Tensor<2>,
    bias_speed: Tensor<2>,
    /// `[1, heads * classes]`
    rates: Tensor<2>,
    /// `[1, heads * classes]`
    decays: Tensor<2>,
}

impl<'a> HeadTraining<'a> {
    /// A head for each pair, before its first epoch.
    pub fn new(features: &'a Features, pairs: &[Pair], classes: usize, settings: &'a CachedSettings, seed: u64) -> HeadTraining<'a> {
        let (device, [_, dim]) = (features.rows.device(), features.rows.dims());
        let wide = pairs.len() * classes;
        let zeros = |rows| Tensor::<2>::zeros([rows, wide], &device);
        let each = |value: fn(&Pair) -> f64| {
            let values: Vec<f32> = pairs.iter().flat_map(|pair| vec![value(pair) as f32; classes]).collect();
            Tensor::<2>::from_data(TensorData::new(values, [1, wide]), &device)
        };
        HeadTraining {
            heads: Heads {
                weight: zeros(dim),
                bias: zeros(1),
                heads: pairs.len(),
                classes,
            },
            weight_speed: zeros(dim),
            bias_speed: zeros(1),
            rates: each(|pair| pair.rate),
            decays: each(|pair| pair.weight_decay),
            features,
            settings,
            seed,
        }
    }

    /// One pass over the features.
    pub fn epoch(&mut self, epoch: u64) {
        let [count, _] = self.features.rows.dims();
        let batch = self.settings.batch_size.min(count);
        let per_epoch = (count / batch) as u64;
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut stream(self.seed, Purpose::Shuffle, epoch, 0));
        for (nth, places) in order.chunks_exact(batch).enumerate() {
            let done = (epoch * per_epoch + nth as u64) as f64 / (self.settings.epochs * per_epoch) as f64;
            let rates = self.rates.clone() * (0.5 * (1.0 + (PI * done).cos()));
            let (rows, error) = self.heads.error(self.features, places);
            let slope = rows.transpose().matmul(error.clone()) + self.heads.weight.clone() * self.decays.clone();
            self.weight_speed = self.weight_speed.clone() * self.settings.momentum + slope;
            self.bias_speed = self.bias_speed.clone() * self.settings.momentum + error.sum_dim(0);
            self.heads.weight = self.heads.weight.clone() - self.weight_speed.clone() * rates.clone();
            self.heads.bias = self.heads.bias.clone() - self.bias_speed.clone() * rates;
        }
    }

    /// The heads as they are now.
    pub fn heads(self) -> Heads {
        self.heads
    }

    fn state(&mut self) -> [(&'static str, &mut Tensor<2>); 4] {
        [
            ("weight", &mut self.heads.weight),
            ("bias", &mut self.heads.bias),
            ("weight_speed", &mut self.weight_speed),
            ("bias_speed", &mut self.bias_speed),
        ]
    }
}

impl Accumulator for HeadTraining<'_> {
    type Batch = u64;
    type Ready = u64;

    fn ready(&self, epoch: u64) -> Result<u64> {
        Ok(epoch)
    }

    fn add(&mut self, epoch: &u64, _pass: u64, _reporter: &mut Reporter) -> Result<()> {
        self.epoch(*epoch);
        Ok(())
    }

    fn save(&self) -> Sums {
        let tensors = [
            ("weight", &self.heads.weight),
            ("bias", &self.heads.bias),
            ("weight_speed", &self.weight_speed),
            ("bias_speed", &self.bias_speed),
        ];
        tensors.into_iter().fold(Sums::default(), |sums, (name, tensor)| {
            sums.with_tensor(name, HostTensor::from_tensor(tensor))
        })
    }

    fn restore(&mut self, saved: &Sums) -> Result<(), String> {
        for (name, tensor) in self.state() {
            let found = saved.tensor(name)?;
            if found.shape != tensor.dims() {
                return Err(format!(
                    "tensor `{name}` has shape {:?}, but the heads need {:?}",
                    found.shape,
                    tensor.dims()
                ));
            }
            *tensor = Tensor::from_data(found.clone().into_data(), &tensor.device());
        }
        Ok(())
    }
}

impl Heads {
    /// The rows at these places `[batch, dim]`, and the slope of each head's mean loss along its scores
    /// `[batch, heads * classes]`.
    fn error(&self, features: &Features, places: &[usize]) -> (Tensor<2>, Tensor<2>) {
        let (batch, device) = (places.len(), features.rows.device());
        let numbers = |numbers: Vec<i64>| Tensor::<1, Int>::from_data(TensorData::new(numbers, [batch]), &device);
        let rows = features
            .rows
            .clone()
            .select(0, numbers(places.iter().map(|place| *place as i64).collect()));
        let labels = numbers(places.iter().map(|place| features.labels[*place] as i64).collect());
        let labels = labels.one_hot::<2>(self.classes).float().unsqueeze_dim::<3>(1); // [B, 1, C]
        let scores = self.scores(rows.clone()).reshape([batch, self.heads, self.classes]);
        let error = (softmax(scores, 2) - labels).div_scalar(batch as f64);
        (rows, error.reshape([batch, self.heads * self.classes]))
    }

    fn scores(&self, rows: Tensor<2>) -> Tensor<2> {
        rows.matmul(self.weight.clone()) + self.bias.clone()
    }

    /// Top-1 accuracy of each head, in percent.
    pub fn top1(&self, features: &Features) -> Vec<f64> {
        let scores: Vec<f32> = self.scores(features.rows.clone()).into_data().iter::<f32>().collect();
        let mut right = vec![0; self.heads];
        let rows = scores.chunks(self.heads * self.classes).zip(&features.labels);
        for (row, label) in rows {
            for (head, scores) in row.chunks(self.classes).enumerate() {
                right[head] += usize::from(best(scores) == *label);
            }
        }
        let share = |right: usize| 100.0 * right as f64 / features.labels.len().max(1) as f64;
        right.into_iter().map(share).collect()
    }

    /// The weights of a single head under torch's names.
    pub fn save(&self) -> Weights {
        let bias = HostTensor::from_tensor(&self.bias.clone().reshape([self.heads * self.classes]));
        let weight = HostTensor::from_tensor(&self.weight.clone().transpose());
        Weights::from([("head.weight".to_owned(), weight), ("head.bias".to_owned(), bias)])
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use crate::experiment::choices::Feature;
    use crate::metrics::linear_heads::*;

    fn settings() -> CachedSettings {
        CachedSettings {
            feature: Feature::Cls,
            epochs: 60,
            batch_size: 16,
            momentum: 0.9,
            learning_rates: "0.1, 1e-9".to_owned(),
            weight_decays: "0.0, 10".to_owned(),
            held_out: 0.1,
        }
    }

    /// Three classes around three corners, 48 images.
    fn corners(device: &Device) -> Features {
        let centers = [[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]];
        let noise = |i: usize| ((i as f32 * 12.9).sin() * 437.6).fract();
        let rows: Vec<f32> = (0..48)
            .flat_map(|i| [0, 1].map(|axis| centers[i % 3][axis] + noise(2 * i + axis)))
            .collect();
        Features {
            rows: Tensor::from_data(TensorData::new(rows, [48, 2]), device),
            labels: (0..48).map(|i| i % 3).collect(),
        }
    }

    fn learn(device: &Device, pairs: &[Pair], settings: &CachedSettings) -> Heads {
        let features = corners(device);
        let mut training = HeadTraining::new(&features, pairs, 3, settings, 1);
        (0..settings.epochs).for_each(|epoch| training.epoch(epoch));
        training.heads()
    }

    #[test]
    fn every_pair_is_tried_and_a_head_learns_what_its_pair_lets_it() {
        let device = Device::flex();
        let (settings, features) = (settings(), corners(&device));
        let pairs = pairs(&settings);
        let of = |pair: &Pair| (pair.rate, pair.weight_decay);
        assert_eq!(
            pairs.iter().map(of).collect::<Vec<_>>(),
            [(1e-9, 0.0), (1e-9, 10.0), (0.1, 0.0), (0.1, 10.0)]
        );
        let heads = learn(&device, &pairs, &settings);
        assert_eq!(heads.top1(&features)[2], 100.0);
        let largest = |head: usize| {
            let part = heads.weight.clone().narrow(1, 3 * head, 3);
            part.abs().max().into_scalar::<f32>()
        };
        assert!(largest(0) < 1e-6 && largest(2) > 0.5, "a tiny rate learns next to nothing");
        assert!(largest(3) < 0.2 * largest(2), "a large decay keeps weights small");
    }

    #[test]
    fn a_head_learns_the_same_alone_as_among_others_and_the_slope_is_that_of_the_loss() {
        let device = Device::flex();
        let (settings, features) = (settings(), corners(&device));
        let all = pairs(&settings);
        let (together, alone) = (learn(&device, &all, &settings), learn(&device, &all[2..3], &settings));
        let part = HostTensor::from_tensor(&together.weight.clone().narrow(1, 6, 3));
        for (a, b) in part.data.iter().zip(HostTensor::from_tensor(&alone.weight).data) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
        let places: Vec<usize> = (0..48).collect();
        let loss = |heads: &Heads| {
            let scores: Vec<f32> = heads.scores(features.rows.clone()).into_data().iter::<f32>().collect();
            let each = scores
                .chunks(3)
                .zip(&features.labels)
                .map(|(row, label)| crate::metrics::validation::cross_entropy(row, *label));
            each.sum::<f64>() / 48.0
        };
        let (rows, error) = alone.error(&features, &places);
        let slope = HostTensor::from_tensor(&rows.transpose().matmul(error)).data[4];
        let moved = |by: f64| {
            let mut heads = alone.clone();
            let mut values = HostTensor::from_tensor(&heads.weight).data;
            values[4] += by as f32;
            heads.weight = Tensor::from_data(TensorData::new(values, [2, 3]), &device);
            loss(&heads)
        };
        let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!((f64::from(slope) - numeric).abs() < 1e-3, "{slope} is not {numeric}");
    }

    #[test]
    fn training_goes_on_from_what_was_saved_after_any_epoch() {
        let device = Device::flex();
        let (settings, features) = (settings(), corners(&device));
        let pairs = pairs(&settings);
        let new = || HeadTraining::new(&features, &pairs, 3, &settings, 1);
        let mut whole = new();
        for epoch in 0..5 {
            let mut resumed = new();
            resumed.restore(&whole.save()).unwrap();
            whole.epoch(epoch);
            resumed.epoch(epoch);
            assert_eq!(resumed.save(), whole.save());
        }
        let mut narrow = HeadTraining::new(&features, &pairs[..1], 3, &settings, 1);
        assert!(
            narrow
                .restore(&whole.save())
                .unwrap_err()
                .contains("tensor `weight` has shape [2, 12]")
        );
    }
}
