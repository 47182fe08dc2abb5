//! How fast a method trains here, and how much memory it takes: what one asks before a long run.

use std::fmt;
use std::fs;
use std::time::Instant;

use anyhow::{Error, Result, bail};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;

use crate::device;
use crate::experiment::settings::{DataSettings, TrainSettings};
use crate::experiment::{Request, RunSpec, Scale, Stage, single_run};
use crate::methods::{self, Inputs, Method, MethodVisitor, StepInfo, with_method};
use crate::rng::{Purpose, stream};
use crate::train::learner::{Learner, Learning};
use crate::train::optimizer::Optimizer;

/// Steps that are not counted: buffers are made, a GPU chooses its kernels.
const WARM_UP: usize = 2;
/// Classes of the made-up labels.
const CLASSES: usize = 10;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchReport {
    /// The method.
    pub method: String,
    /// The scale whose model and pictures were taken.
    pub scale: String,
    /// The device.
    pub device: String,
    /// Threads for computing.
    pub threads: usize,
    /// Pictures in a step.
    pub batch_size: usize,
    /// Steps measured.
    pub steps: usize,
    /// Weights of the model.
    pub parameters: usize,
    /// Median time of a step: forward, backward, optimizer.
    pub step_ms: f64,
    /// Pictures in a second at that pace.
    pub images_per_second: f64,
    /// Largest memory the process ever held, where the system tells.
    pub peak_mib: Option<f64>,
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.peak_mib.map_or_else(|| "unknown".to_owned(), |mib| format!("{mib:.0} MiB"));
        writeln!(
            f,
            "{} at {} on {} ({} threads), {} pictures a step, {} weights",
            self.method, self.scale, self.device, self.threads, self.batch_size, self.parameters
        )?;
        write!(
            f,
            "{:.1} ms a step, {:.1} pictures a second, peak memory {memory}",
            self.step_ms, self.images_per_second
        )
    }
}

/// Trains a method on one made-up batch for `steps` steps, of which the first two are not counted.
///
/// # Errors
/// An unknown method or device, one that does not train, or too few steps.
pub fn bench(method: &str, scale: &Scale, batch: usize, steps: usize, device: &str, threads: usize) -> Result<BenchReport> {
    if steps <= WARM_UP || batch == 0 {
        bail!(
            "--steps {steps} --batch {batch}: there must be at least {} steps and 1 picture",
            WARM_UP + 1
        );
    }
    device::use_threads(threads);
    let run = single_run(Stage::Pretrain, method, scale, &methods::catalog(), &Request::default(), 0, None)?;
    let opened = device::open(device)?;
    let (times, parameters) = with_method(
        method,
        Timed {
            run: &run,
            batch,
            steps,
            device: opened,
        },
    )
    .map_err(Error::msg)??;
    let step_ms = median(times);
    Ok(BenchReport {
        method: method.to_owned(),
        scale: scale.name.clone(),
        device: device.to_owned(),
        threads,
        batch_size: batch,
        steps: steps - WARM_UP,
        parameters,
        step_ms,
        images_per_second: 1000.0 * batch as f64 / step_ms,
        peak_mib: peak_memory_mib(),
    })
}

struct Timed<'a> {
    run: &'a RunSpec,
    batch: usize,
    steps: usize,
    device: Device,
}

impl MethodVisitor for Timed<'_> {
    type Out = Result<(Vec<f64>, usize)>;

    fn visit<M: Method>(self) -> Self::Out {
        if !M::INFO.trains {
            bail!("{} does not train, so there is nothing to measure", M::INFO.title);
        }
        let train: TrainSettings = self.run.section("train").map_err(Error::msg)?;
        let data: DataSettings = self.run.section("data").map_err(Error::msg)?;
        let model = M::new(self.run, CLASSES, &self.device).map_err(Error::msg)?;
        let parameters = model.num_params();
        let inputs = made_up(
            M::views(),
            self.batch,
            data.image_size,
            M::INFO.labels,
            &self.device.clone().inner(),
        );
        let optimizer = Optimizer::adamw(&train, &model);
        let mut learning = Learning::new(model, optimizer, self.device);
        let mut times = Vec::new();
        for step in 0..self.steps as u64 {
            let info = StepInfo {
                seed: 0,
                step,
                steps: self.steps as u64,
                indices: (0..self.batch as u32).collect(),
            };
            let began = Instant::now();
            // Reading the loss waits for a GPU to finish.
            learning
                .step(vec![(inputs.clone(), info)], 1e-4, true)
                .check(step)
                .map_err(Error::msg)?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        Ok((times.split_off(WARM_UP), parameters))
    }
}

/// A batch of noise, with labels if asked for.
fn made_up(views: usize, batch: usize, side: usize, labelled: bool, device: &Device) -> Inputs {
    let view = |place: usize| {
        let values = StandardNormal
            .sample_iter(stream(0, Purpose::Augment, 0, place as u64))
            .take(batch * 3 * side * side);
        Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), [batch, 3, side, side]), device)
    };
    let labels: Vec<i64> = (0..batch).map(|i| (i % CLASSES) as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), device);
    let targets = labelled.then(|| labels.clone().one_hot::<2>(CLASSES).float());
    Inputs {
        views: (0..views).map(view).collect(),
        labels,
        targets,
    }
}

/// The middle value, the mean of the two middle ones of an even number.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

/// The line `VmHWM` that Linux keeps for each process.
fn peak_memory_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), 3.0);
    }

    #[test]
    fn every_method_that_trains_is_measured_and_the_others_are_refused() {
        let smoke = Scale::built_in().remove(0);
        for method in methods::METHODS {
            let report = bench(method.name, &smoke, 4, 3, "cpu", 2);
            assert_eq!(report.is_ok(), method.trains, "{}", method.name);
            let Ok(report) = report else { continue };
            assert!(report.step_ms > 0.0 && report.parameters > 1000);
            assert!((report.images_per_second * report.step_ms - 4000.0).abs() < 1e-6);
        }
        assert!(
            bench("mae", &smoke, 4, 2, "cpu", 2)
                .unwrap_err()
                .to_string()
                .contains("at least 3 steps")
        );
    }
}
