//! Optimizers over the parameters of a module: groups, layer decay, clipping, state by path.
//!
//! The state is keyed by the dotted path and not by burn's `ParamId`, so that it can be saved beside
//! the weights and put back into a module that was built anew; and nothing here asks for burn's
//! default device, which may be a GPU that is not there.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::gradients::NamedGradients;
use super::lars::Lars;
use super::parameter_group::ParameterGroup;
use super::schedule::Rates;
use crate::experiment::settings::TrainSettings;
use crate::kernels::{self, AdamWStep};
use crate::methods::Trainable;
use crate::weights::{HostTensor, Weights};

/// How one parameter is updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Momentum with layer-wise rates.
    Lars(Lars),
}

/// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101), in torch's order of operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
}

/// Keeps the division finite; torch's default, and timm's and MAE's.
const EPSILON: f64 = 1e-8;

/// One optimizer with the state of every parameter it has met.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    groups: BTreeMap<String, ParameterGroup>,
    clip_grad_norm: f64,
    clip_grad_norm_per_parameter: f64,
    steps: u64,
    /// Steps before a parameter's first gradient, where there were any.
    missed: BTreeMap<String, u64>,
    state: BTreeMap<String, Vec<Tensor<1>>>,
}

impl Optimizer {
    /// An optimizer for `model` with the run's decay, layer decay and clipping.
    pub fn new<T: Trainable>(rule: Rule, train: &TrainSettings, model: &T) -> Self {
        let mut places = ParameterPaths {
            path: Vec::new(),
            found: Vec::new(),
        };
        model.visit(&mut places);
        let last = model.depth() + 1;
        let group = |path: &str, dims: usize| ParameterGroup {
            lr_scale: train.layer_decay.powi((last - model.layer_of(path)) as i32),
            weight_decay: if T::decays(path, dims) { train.weight_decay } else { 0.0 },
            dims,
            keeps_rate: model.keeps_rate(path),
        };
        let groups = places
            .found
            .into_iter()
            .map(|(path, dims)| (path.clone(), group(&path, dims)))
            .collect();
        Optimizer {
            rule,
            groups,
            clip_grad_norm: train.clip_grad_norm,
            clip_grad_norm_per_parameter: train.clip_grad_norm_per_parameter,
            steps: 0,
            missed: BTreeMap::new(),
            state: BTreeMap::new(),
        }
    }

    /// AdamW with the run's moments.
    pub fn adamw<T: Trainable>(train: &TrainSettings, model: &T) -> Self {
        Optimizer::new(
            Rule::AdamW(AdamW {
                beta1: train.beta1,
                beta2: train.beta2,
            }),
            train,
            model,
        )
    }

    /// What is special to the parameter at `path`.
    pub fn group(&self, path: &str) -> Option<ParameterGroup> {
        self.groups.get(path).copied()
    }

    /// Updates every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, model: M, mut gradients: NamedGradients, rates: Rates) -> M {
        if self.clip_grad_norm_per_parameter > 0.0 {
            gradients.clip_grad_norm_per_parameter(self.clip_grad_norm_per_parameter);
        }
        if self.clip_grad_norm > 0.0 {
            gradients.clip(self.clip_grad_norm);
        }
        self.steps += 1;
        model.map(&mut Updater {
            path: Vec::new(),
            optimizer: self,
            gradients,
            rates,
        })
    }

    /// The state under the parameters' paths behind `0.`, `1.`, one number for each moment, and behind `missed.` the
    /// steps before the first gradient of one that began to learn late.
    pub fn state(&self) -> Weights {
        let missed = |(path, steps): (&String, &u64)| {
            let (shape, data) = (vec![1], vec![*steps as f32]); // Exact up to 16 million steps.
            (format!("missed.{path}"), HostTensor { shape, data })
        };
        let mut state: Weights = self.missed.iter().map(missed).collect();
        for (path, moments) in &self.state {
            for (place, moment) in moments.iter().enumerate() {
                let data: Vec<f32> = moment.clone().into_data().iter::<f32>().collect();
                state.insert(
                    format!("{place}.{path}"),
                    HostTensor {
                        shape: vec![data.len()],
                        data,
                    },
                );
            }
        }
        state
    }

    /// Puts a saved state back after `steps` steps.
    ///
    /// # Errors
    /// Names the tensor that does not belong to a parameter of this model.
    pub fn restore(&mut self, steps: u64, state: &Weights, device: &Device) -> Result<(), String> {
        self.steps = steps;
        self.state.clear();
        self.missed.clear();
        // Names are in order of place, so that each moment meets its predecessors.
        for (name, tensor) in state {
            let known = name
                .split_once('.')
                .filter(|(place, path)| (place.parse::<usize>().is_ok() || *place == "missed") && self.groups.contains_key(*path));
            let Some((place, path)) = known else {
                return Err(format!("the optimizer's `{name}` belongs to no parameter of this model"));
            };
            if place == "missed" {
                self.missed
                    .insert(path.to_owned(), tensor.data.first().map_or(0, |steps| *steps as u64));
                continue;
            }
            let data = TensorData::new(tensor.data.clone(), [tensor.data.len()]);
            self.state
                .entry(path.to_owned())
                .or_default()
                .push(Tensor::from_data(data, &device.clone().inner()));
        }
        Ok(())
    }

    fn update(&mut self, path: &str, param: Tensor<1>, gradient: Tensor<1>, rates: Rates) -> Tensor<1> {
        let mut group = *self.groups.get(path).expect("groups were made from this model");
        group.weight_decay *= rates.decay;
        let moments = self.state.remove(path).unwrap_or_default();
        if moments.is_empty() && self.steps > 1 {
            self.missed.insert(path.to_owned(), self.steps - 1);
        }
        let steps = self.steps - self.missed.get(path).unwrap_or(&0);
        let lr = group.lr_scale * if group.keeps_rate { rates.peak } else { rates.lr };
        let (param, moments) = match &self.rule {
            Rule::AdamW(rule) => rule.update(param, gradient, moments, lr, group.weight_decay, steps),
            Rule::Lars(rule) => rule.update(param, gradient, moments, lr, &group),
        };
        self.state.insert(path.to_owned(), moments);
        param
    }
}

impl AdamW {
    fn update(
        &self,
        param: Tensor<1>,
        gradient: Tensor<1>,
        moments: Vec<Tensor<1>>,
        lr: f64,
        decay: f64,
        step: u64,
    ) -> (Tensor<1>, Vec<Tensor<1>>) {
        let [first, second] = <[Tensor<1>; 2]>::try_from(moments).unwrap_or_else(|_| [gradient.zeros_like(), gradient.zeros_like()]);
        // The moments start at zero and are too small at first by these factors.
        let correct = |beta: f64| 1.0 - beta.powf(step as f64);
        let step = AdamWStep {
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            keep: (1.0 - lr * decay) as f32,
            rate: (lr / correct(self.beta1)) as f32,
            scale: (1.0 / correct(self.beta2).sqrt()) as f32,
            epsilon: EPSILON as f32,
        };
        let [param, first, second] = kernels::adamw(step, param, gradient, first, second);
        (param, vec![first, second])
    }
}

struct ParameterPaths {
    path: Vec<String>,
    found: Vec<(String, usize)>,
}

impl ModuleVisitor for ParameterPaths {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        self.found.push((self.path.join("."), D));
    }
}

struct Updater<'a> {
    path: Vec<String>,
    optimizer: &'a mut Optimizer,
    gradients: NamedGradients,
    rates: Rates,
}

impl ModuleMapper for Updater<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let Some(gradient) = self.gradients.take(&path) else { return param };
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.dims();
        let flat = tensor.inner().reshape([shape.iter().product::<usize>()]);
        let updated = self.optimizer.update(&path, flat, gradient, self.rates).reshape(shape);
        // Only parameters that want gradients have one, so the updated parameter wants them again.
        Param::from_mapped_value(id, Tensor::from_inner(updated).require_grad(), mapper)
    }
}
