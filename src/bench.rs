//! How fast a method trains here, and how much memory it takes: what one asks before a long run.

use std::fmt;
use std::fs;
use std::time::Instant;

use anyhow::{Error, Result, bail};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;

use crate::device;
use crate::experiment::choices::Precision;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{Request, RunSpec, Scale, Stage, Values, single_run};
use crate::kernels;
use crate::methods::{self, Inputs, Method, MethodVisitor, StepInfo, with_method};
use crate::rng::{Purpose, stream};
use crate::train::learner::{Learner, Learning};
use crate::train::optimizer::Optimizer;
use crate::train::schedule::Rates;

/// Steps that are not counted: buffers are made, a GPU chooses its kernels.
const WARM_UP: usize = 2;
/// Classes of the made-up labels.
const CLASSES: usize = 10;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchReport {
    /// The method.
    pub method: String,
    /// The scale whose model and images were taken.
    pub scale: String,
    /// The device.
    pub device: String,
    /// Threads for computing.
    pub threads: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// Steps measured.
    pub steps: usize,
    /// Weights of the model.
    pub parameters: usize,
    /// Median time of a step: forward, backward, optimizer.
    pub step_ms: f64,
    /// Images in a second at that pace.
    pub images_per_second: f64,
    /// Largest memory the process ever held, where the system tells.
    pub peak_mib: Option<f64>,
    /// The matrix products of a step, on the CPU.
    pub floor: Option<Floor>,
}

/// What a step on the CPU could not be faster than.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Floor {
    /// Additions and multiplications in the matrix products of a step, in billions.
    pub gflop: f64,
    /// Billions a second that this machine's matrix products reach at best.
    pub gflop_per_second: f64,
    /// Time that the products of a step would take at that rate.
    pub floor_ms: f64,
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.peak_mib.map_or_else(|| "unknown".to_owned(), |mib| format!("{mib:.0} MiB"));
        writeln!(
            f,
            "{} at {} on {} ({} threads), {} images a step, {} weights",
            self.method, self.scale, self.device, self.threads, self.batch_size, self.parameters
        )?;
        write!(
            f,
            "{:.1} ms a step, {:.1} images a second, peak memory {memory}",
            self.step_ms, self.images_per_second
        )?;
        let Some(floor) = &self.floor else { return Ok(()) };
        write!(
            f,
            "\n{:.1} GFLOP of matrix products a step, {:.0} GFLOP/s at best here: {:.1} ms, {:.0} % of the step",
            floor.gflop,
            floor.gflop_per_second,
            floor.floor_ms,
            100.0 * floor.floor_ms / self.step_ms
        )
    }
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The scale whose model and images are taken.
    pub scale: &'a Scale,
    /// Settings that differ from the scale's.
    pub set: Values,
    /// Images in one pass; a step has `train.gradient_accumulation` of them.
    pub batch: usize,
    /// Steps, of which the first two are not counted.
    pub steps: usize,
    /// The device.
    pub device: &'a str,
    /// Threads for computing.
    pub threads: usize,
}

/// Trains a method on one made-up batch, of which the first two steps are not counted.
///
/// # Errors
/// An unknown method, setting or device, a method that does not train, or too few steps.
pub fn bench(request: &BenchRequest) -> Result<BenchReport> {
    if request.steps <= WARM_UP || request.batch == 0 {
        bail!(
            "--steps {} --batch {}: there must be at least {} steps and 1 image",
            request.steps,
            request.batch,
            WARM_UP + 1
        );
    }
    device::use_threads(request.threads);
    kernels::keep_freed_memory();
    let asked = Request {
        set: request.set.clone(),
        ..Request::default()
    };
    let run = single_run(Stage::Pretrain, request.method, request.scale, &methods::catalog(), &asked, 0, None)?;
    let train: TrainSettings = run.section("train").map_err(Error::msg)?;
    kernels::round_products(train.precision == Precision::F16);
    let timed = Timed {
        run: &run,
        batch: request.batch,
        steps: request.steps,
        passes: train.gradient_accumulation,
        device: device::open(request.device)?,
    };
    let timing = with_method(request.method, timed).map_err(Error::msg)??;
    let step_ms = median(timing.milliseconds);
    let peak_mib = peak_memory_mib();
    Ok(BenchReport {
        method: request.method.to_owned(),
        scale: request.scale.name.clone(),
        device: request.device.to_owned(),
        threads: request.threads,
        batch_size: request.batch * train.gradient_accumulation,
        steps: request.steps - WARM_UP,
        parameters: timing.parameters,
        step_ms,
        images_per_second: 1000.0 * (request.batch * train.gradient_accumulation) as f64 / step_ms,
        peak_mib,
        floor: (timing.gflop > 0.0).then(|| floor(timing.gflop)),
    })
}

fn floor(gflop: f64) -> Floor {
    let gflop_per_second = kernels::work::matrix_rate() / 1e9;
    Floor {
        gflop,
        gflop_per_second,
        floor_ms: 1000.0 * gflop / gflop_per_second,
    }
}

struct Timing {
    milliseconds: Vec<f64>,
    parameters: usize,
    /// Of a step.
    gflop: f64,
}

struct Timed<'a> {
    run: &'a RunSpec,
    batch: usize,
    steps: usize,
    passes: usize,
    device: Device,
}

impl MethodVisitor for Timed<'_> {
    type Out = Result<Timing>;

    fn visit<M: Method>(self) -> Self::Out {
        if !M::INFO.trains {
            bail!("{} does not train, so there is nothing to measure", M::INFO.title);
        }
        let train: TrainSettings = self.run.section("train").map_err(Error::msg)?;
        let views = M::views(self.run).map_err(Error::msg)?;
        let sides: Vec<usize> = views.iter().map(|view| view.side).collect();
        let model = M::new(self.run, CLASSES, &self.device).map_err(Error::msg)?;
        let parameters = model.num_params();
        let inputs = made_up(&sides, self.batch, M::INFO.labels, &self.device.clone().inner());
        let optimizer = Optimizer::adamw(&train, &model);
        let mut learning = Learning::new(model, optimizer, self.device);
        let (mut times, operations) = (Vec::new(), kernels::work::operations());
        for step in 0..self.steps as u64 {
            let info = |pass: u64| StepInfo {
                seed: 0,
                step: step * self.passes as u64 + pass,
                steps: (self.steps * self.passes) as u64,
                indices: (0..self.batch as u32).collect(),
            };
            let passes = (0..self.passes as u64).map(|pass| (inputs.clone(), info(pass))).collect();
            let began = Instant::now();
            // Reading the loss waits for a GPU to finish.
            learning.step(passes, Rates::constant(1e-4), true)?.check(step)?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        let operations = kernels::work::operations() - operations;
        Ok(Timing {
            milliseconds: times.split_off(WARM_UP),
            parameters,
            gflop: operations as f64 / self.steps as f64 / 1e9,
        })
    }
}

/// A batch of noise, with labels if asked for.
fn made_up(sides: &[usize], batch: usize, labeled: bool, device: &Device) -> Inputs {
    let view = |(place, &side): (usize, &usize)| {
        let values = StandardNormal
            .sample_iter(stream(0, Purpose::Augment, 0, place as u64))
            .take(batch * 3 * side * side);
        Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), [batch, 3, side, side]), device)
    };
    let labels: Vec<i64> = (0..batch).map(|i| (i % CLASSES) as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), device);
    let targets = labeled.then(|| labels.clone().one_hot::<2>(CLASSES).float());
    Inputs {
        views: sides.iter().enumerate().map(view).collect(),
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
    use crate::experiment::Value;

    fn request<'a>(method: &'a str, scale: &'a Scale, steps: usize) -> BenchRequest<'a> {
        BenchRequest {
            method,
            scale,
            set: Values::default(),
            batch: 4,
            steps,
            device: "cpu",
            threads: 2,
        }
    }

    #[test]
    fn passes_of_a_step_and_their_arithmetic_are_counted() {
        let smoke = Scale::built_in().remove(0);
        let once = bench(&request("mae", &smoke, 3)).unwrap();
        let set = |key: &str, value| Values::from([("train".to_owned(), [(key.to_owned(), value)].into())]);
        let twice = bench(&BenchRequest {
            set: set("gradient_accumulation", Value::Int(2)),
            ..request("mae", &smoke, 3)
        });
        assert_eq!(twice.unwrap().batch_size, 8);
        let floor = once.floor.unwrap();
        assert!(floor.gflop > 0.0 && floor.floor_ms > 0.0);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), 3.0);
    }

    #[test]
    fn every_method_that_trains_is_measured_and_the_others_are_refused() {
        let smoke = Scale::built_in().remove(0);
        for method in methods::METHODS {
            let small = [("dim", 16), ("depth", 1)].map(|(key, value)| (key.to_owned(), Value::Int(value)));
            let report = bench(&BenchRequest {
                set: Values::from([("model".to_owned(), small.into())]),
                ..request(method.name, &smoke, 3)
            });
            assert_eq!(report.is_ok(), method.trains, "{}", method.name);
            let Ok(report) = report else { continue };
            assert!(report.step_ms > 0.0 && report.parameters > 1000);
            assert!((report.images_per_second * report.step_ms - 4000.0).abs() < 1e-6);
        }
        assert!(
            bench(&request("mae", &smoke, 2))
                .unwrap_err()
                .to_string()
                .contains("at least 3 steps")
        );
    }
}
