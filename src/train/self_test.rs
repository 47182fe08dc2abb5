//! A GPU against the CPU: a few steps of a tiny MAE on both, from the same weights on the same images.
//!
//! Losses, and the gradient of every parameter at the first step, must agree. Drivers and kernel tuning have
//! been wrong before without an error, and a wrong number only shows in a run that does not learn.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Error, Result, bail};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;

use super::gradients::{NamedGradients, scalar};
use super::optimizer::Optimizer;
use super::schedule::Rates;
use crate::experiment::settings::TrainSettings;
use crate::experiment::{Request, RunSpec, Scale, Stage, Value, single_run};
use crate::methods::mae::Mae;
use crate::methods::{Inputs, Method, StepInfo, Trainable, catalog};
use crate::rng::{Purpose, stream};
use crate::weights;

/// Steps; in the last ones the optimizer has its state.
const STEPS: u64 = 4;
/// Images in a step.
const BATCH: usize = 8;
/// Side of an image.
const SIDE: usize = 32;
/// Learning rate, large enough that a wrong update shows in the next loss.
const RATE: f64 = 1e-3;
/// Largest relative difference of a loss. Software OpenGL, in float32, differs by 1e-7; a GPU that rounds what
/// it multiplies to 10 bits (TF32, half precision) may be off by 5e-4 in each product.
const LOSS_TOLERANCE: f64 = 1e-3;
/// Largest length of the difference of a gradient, relative to the gradient's own. Software OpenGL: 5e-7;
/// products rounded to 10 bits add up to a few thousandths through the layers.
const GRADIENT_TOLERANCE: f64 = 1e-2;
/// A gradient this much shorter than the longest is made of rounding errors and is not compared.
const NO_GRADIENT: f64 = 1e-5;

/// The settings of the tiny model. Few different shapes: a driver compiles kernels for each.
const MODEL: [(&str, Value); 8] = [
    ("patch_size", Value::Int(8)),
    ("dim", Value::Int(64)),
    ("depth", Value::Int(2)),
    ("heads", Value::Int(2)),
    ("mlp_ratio", Value::Float(1.0)),
    ("decoder_dim", Value::Int(64)),
    ("decoder_depth", Value::Int(1)),
    ("decoder_heads", Value::Int(2)),
];

/// How far apart GPU and CPU were at most, relative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// Of a loss.
    pub losses: f64,
    /// Of a gradient's length.
    pub gradients: f64,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "losses within {:.1e}, gradients within {:.1e}", self.losses, self.gradients)
    }
}

/// Trains on both and compares.
///
/// # Errors
/// What differed first, as the part of a sentence.
pub fn compare(device: &Device) -> Result<Agreement> {
    judge(&trace(&Device::flex().autodiff())?, &trace(device)?)
}

/// What a few steps gave.
#[derive(Clone, Debug)]
struct Trace {
    /// The loss of each step.
    losses: Vec<f64>,
    /// The first step's gradients by path.
    gradients: BTreeMap<String, Vec<f32>>,
}

fn trace(device: &Device) -> Result<Trace> {
    let run = tiny_run()?;
    let train = run.section::<TrainSettings>("train").map_err(Error::msg)?;
    let mut model = Mae::new(&run, 1, device).map_err(Error::msg)?;
    let mut optimizer = Optimizer::adamw(&train, &model);
    let mut gradients = NamedGradients::of(&model, &loss(&model, 0, device));
    let parameters = weights::collect(&model).into_keys();
    let mut trace = Trace {
        losses: Vec::new(),
        gradients: parameters
            .filter_map(|path| {
                let gradient = gradients.take(&path)?;
                Some((path, gradient.into_data().iter::<f32>().collect()))
            })
            .collect(),
    };
    for step in 0..STEPS {
        let loss = loss(&model, step, device);
        let gradients = NamedGradients::of(&model, &loss);
        trace.losses.push(f64::from(scalar(loss)?));
        model = optimizer.step(model, gradients, Rates::constant(RATE));
    }
    Ok(trace)
}

fn loss(model: &Mae, step: u64, device: &Device) -> Tensor<1> {
    let info = StepInfo {
        seed: 0,
        step,
        steps: STEPS,
        indices: (0..BATCH as u32).collect(),
    };
    model.loss(&images(step, device), &info).total
}

fn tiny_run() -> Result<RunSpec> {
    let mut request = Request::default();
    let model = MODEL.map(|(key, value)| (key.to_owned(), value));
    request.set.insert("model".to_owned(), model.into());
    let size = ("image_size".to_owned(), Value::Int(SIDE as i64));
    request.set.insert("data".to_owned(), [size].into());
    let scale = &Scale::built_in()[0];
    Ok(single_run(Stage::Pretrain, "mae", scale, &catalog(), &request, 0, None)?)
}

/// Noise.
fn images(step: u64, device: &Device) -> Inputs {
    let values = StandardNormal.sample_iter(stream(0, Purpose::Builtin, step, 0));
    let pixels: Vec<f32> = values.take(BATCH * 3 * SIDE * SIDE).collect();
    let device = device.clone().inner();
    Inputs {
        views: vec![Tensor::from_data(TensorData::new(pixels, [BATCH, 3, SIDE, SIDE]), &device)],
        labels: Tensor::<1, Int>::zeros([BATCH], &device),
        targets: None,
    }
}

/// Compares; a number that is none agrees with nothing.
fn judge(cpu: &Trace, gpu: &Trace) -> Result<Agreement> {
    let mut agreement = Agreement::default();
    for (step, (right, found)) in cpu.losses.iter().zip(&gpu.losses).enumerate() {
        let difference = (found / right - 1.0).abs();
        if difference.is_nan() || difference > LOSS_TOLERANCE {
            bail!("the loss of step {} is {found} and should be {right}", step + 1);
        }
        agreement.losses = agreement.losses.max(difference);
    }
    let longest = cpu.gradients.values().map(|gradient| length(gradient)).fold(0.0, f64::max);
    for (path, right) in &cpu.gradients {
        let found = gpu.gradients.get(path).with_context(|| format!("`{path}` has no gradient"))?;
        let difference: Vec<f32> = right.iter().zip(found).map(|(right, found)| found - right).collect();
        let difference = length(&difference) / length(right).max(NO_GRADIENT * longest);
        if difference.is_nan() || difference > GRADIENT_TOLERANCE {
            let percent = 100.0 * difference;
            let allowed = 100.0 * GRADIENT_TOLERANCE;
            bail!("the gradient of `{path}` is {percent:.1} % off, more than the {allowed} % allowed");
        }
        agreement.gradients = agreement.gradients.max(difference);
    }
    Ok(agreement)
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu() -> Trace {
        trace(&Device::flex().autodiff()).unwrap()
    }

    #[test]
    fn the_cpu_agrees_with_itself_and_its_steps_change_the_loss() {
        let trace = cpu();
        assert_eq!(judge(&trace, &trace).unwrap(), Agreement::default());
        assert_eq!(trace.losses.len() as u64, STEPS);
        assert!(
            trace
                .losses
                .windows(2)
                .all(|pair| (pair[0] - pair[1]).abs() > LOSS_TOLERANCE * pair[0]),
            "{:?}",
            trace.losses
        );
        assert!(
            trace.gradients.contains_key("encoder.blocks.1.attn.qkv.weight"),
            "{:?}",
            trace.gradients.keys()
        );
    }

    #[test]
    fn a_wrong_loss_is_named_by_its_step() {
        let (right, mut wrong) = (cpu(), cpu());
        wrong.losses[2] *= 1.002;
        assert!(judge(&right, &wrong).unwrap_err().to_string().contains("the loss of step 3 is"));
        wrong.losses[2] = f64::NAN;
        assert!(judge(&right, &wrong).unwrap_err().to_string().contains("is NaN and should be"));
    }

    #[test]
    fn a_wrong_gradient_is_named_by_its_parameter_and_rounding_is_allowed() {
        let (right, mut wrong, name) = (cpu(), cpu(), "encoder.blocks.0.mlp.fc1.weight");
        let scale = |trace: &mut Trace, factor: f32| trace.gradients.get_mut(name).unwrap().iter_mut().for_each(|v| *v *= factor);
        scale(&mut wrong, 1.001);
        assert!((judge(&right, &wrong).unwrap().gradients - 1e-3).abs() < 1e-5);
        scale(&mut wrong, 1.05);
        assert!(
            judge(&right, &wrong)
                .unwrap_err()
                .to_string()
                .contains(&format!("the gradient of `{name}` is 5.1 % off"))
        );
        scale(&mut wrong, f32::NAN);
        assert!(judge(&right, &wrong).is_err());
        wrong.gradients.remove(name);
        assert!(judge(&right, &wrong).unwrap_err().to_string().contains("has no gradient"));
    }
}
