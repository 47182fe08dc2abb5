//! Batch normalization without weights, as MAE's linear probing puts before the head.
//!
//! It has nothing to learn, so it is not part of the model: it prepares the features, and keeps running
//! statistics for evaluation. burn's own always has weights and keeps the biased variance; torch keeps the
//! unbiased one, and so do we.

use burn::tensor::{Device, Tensor};

use crate::weights::{HostTensor, Weights};

/// Added to the variance; MAE repository.
const EPSILON: f64 = 1e-6;
/// Share of the new batch in the running statistics; torch's default.
const MOMENTUM: f64 = 0.1;

/// Running statistics of features.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// `[1, dim]`
    mean: Tensor<2>,
    /// `[1, dim]`, unbiased.
    variance: Tensor<2>,
}

impl BatchNorm {
    /// Statistics of nothing yet: mean 0, variance 1.
    pub fn new(dim: usize, device: &Device) -> Self {
        BatchNorm {
            mean: Tensor::zeros([1, dim], device),
            variance: Tensor::ones([1, dim], device),
        }
    }

    /// Statistics of all features there are, with the biased variance: nothing is estimated.
    ///
    /// # Shapes
    /// features: `[images, dim]`
    pub fn of(features: &Tensor<2>) -> Self {
        let (variance, mean) = features.clone().var_mean_bias(0);
        BatchNorm { mean, variance }
    }

    /// Normalizes a training batch by its own statistics and takes them into the running ones.
    ///
    /// # Shapes
    /// features and output: `[batch, dim]`
    pub fn train(&mut self, features: Tensor<2>) -> Tensor<2> {
        let [batch, _] = features.dims();
        let mean = features.clone().mean_dim(0);
        let centered = features - mean.clone();
        let variance = (centered.clone() * centered.clone()).mean_dim(0);
        // A batch of one has no unbiased variance; its biased one is 0.
        let unbiased = variance.clone().mul_scalar(batch as f64 / (batch.max(2) - 1) as f64);
        self.mean = follow(self.mean.clone(), mean);
        self.variance = follow(self.variance.clone(), unbiased);
        centered / variance.add_scalar(EPSILON).sqrt()
    }

    /// Normalizes by the running statistics.
    ///
    /// # Shapes
    /// features and output: `[batch, dim]`
    pub fn evaluate(&self, features: Tensor<2>) -> Tensor<2> {
        (features - self.mean.clone()) / self.variance.clone().add_scalar(EPSILON).sqrt()
    }

    /// The running statistics under torch's names behind `bn.`.
    pub fn save(&self) -> Weights {
        let host = |tensor: &Tensor<2>| HostTensor {
            shape: vec![tensor.dims()[1]],
            ..HostTensor::from_tensor(tensor)
        };
        Weights::from([
            ("bn.running_mean".to_owned(), host(&self.mean)),
            ("bn.running_var".to_owned(), host(&self.variance)),
        ])
    }

    /// Takes back what [`BatchNorm::save`] gave.
    ///
    /// # Errors
    /// Names the tensor that is missing or of another length.
    pub fn restore(&mut self, saved: &Weights) -> Result<(), String> {
        for (name, place) in [("bn.running_mean", &mut self.mean), ("bn.running_var", &mut self.variance)] {
            let [_, dim] = place.dims();
            let tensor = saved
                .get(name)
                .filter(|tensor| tensor.shape == [dim])
                .ok_or_else(|| format!("tensor `{name}` is missing or not of shape [{dim}]"))?;
            *place = Tensor::from_data(
                HostTensor {
                    shape: vec![1, dim],
                    data: tensor.data.clone(),
                }
                .into_data(),
                &place.device(),
            );
        }
        Ok(())
    }
}

fn follow(running: Tensor<2>, new: Tensor<2>) -> Tensor<2> {
    running.mul_scalar(1.0 - MOMENTUM) + new.mul_scalar(MOMENTUM)
}

#[cfg(test)]
mod tests {
    use crate::metrics::batch_norm::*;

    fn numbers(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    fn close(actual: &[f32], expected: &[f32]) {
        assert!(
            actual.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-5),
            "{actual:?} {expected:?}"
        );
    }

    #[test]
    fn a_batch_is_normalized_by_its_own_statistics_and_the_running_ones_are_unbiased() {
        let device = Device::flex();
        let mut norm = BatchNorm::new(2, &device);
        // Means 2 and 4; biased variances 1 and 9, unbiased 2 and 18.
        let batch = Tensor::from_data([[1.0_f32, 1.0], [3.0, 7.0]], &device);
        close(&numbers(norm.train(batch)), &[-1.0, -1.0, 1.0, 1.0]);
        let saved = norm.save();
        close(&saved["bn.running_mean"].data, &[0.2, 0.4]);
        close(&saved["bn.running_var"].data, &[0.9 + 0.2, 0.9 + 1.8]);
        let expected = [(1.0 - 0.2) / 1.1f32.sqrt(), (1.0 - 0.4) / 2.7f32.sqrt()];
        close(&numbers(norm.evaluate(Tensor::from_data([[1.0_f32, 1.0]], &device))), &expected);
    }

    #[test]
    fn features_are_normalized_by_all_of_them_also_where_one_is_constant() {
        let rows = Tensor::<2>::from_floats([[1.0, 7.0], [3.0, 7.0]], &Device::flex());
        let norm = BatchNorm::of(&rows);
        close(&numbers(norm.evaluate(rows)), &[-1.0, 0.0, 1.0, 0.0]);
        close(&norm.save()["bn.running_mean"].data, &[2.0, 7.0]);
    }

    #[test]
    fn statistics_come_back_and_those_of_another_width_do_not() {
        let device = Device::flex();
        let mut norm = BatchNorm::new(2, &device);
        norm.train(Tensor::from_data([[1.0_f32, 1.0], [3.0, 7.0]], &device));
        let mut other = BatchNorm::new(2, &device);
        other.restore(&norm.save()).unwrap();
        assert_eq!(other.save(), norm.save());
        assert!(
            BatchNorm::new(3, &device)
                .restore(&norm.save())
                .unwrap_err()
                .contains("bn.running_mean")
        );
    }
}
