//! The weights of a module as plain numbers under names: for checkpoints, results and tests.
//!
//! Two namings. *Stored* names are the dotted field paths with values as burn keeps them. *timm* names are
//! those of the Python libraries: linear weights `[out, in]`, norms `weight` and `bias`, the encoder's own
//! names without a prefix and the decoder's as in the MAE repository.

mod file;
mod path;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};

pub use file::{read, write};
pub use path::ParamPath;

/// A tensor in the memory of the host, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostTensor {
    /// Sizes, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// The numbers; as many as the sizes multiply to.
    pub data: Vec<f32>,
}

/// Tensors by name.
pub type Weights = BTreeMap<String, HostTensor>;

impl HostTensor {
    /// Copies a tensor from its device, at once: burn reads lazily on some devices, where a later step of the
    /// optimizer would change what is read.
    pub fn from_tensor<const D: usize>(tensor: &Tensor<D>) -> HostTensor {
        let shape = tensor.dims().to_vec();
        let data = tensor.clone().without_autodiff().into_data().convert_dtype(DType::F32);
        HostTensor {
            shape,
            data: data.try_into_vec::<f32>().expect("the line above made it f32"),
        }
    }

    /// The same numbers for burn.
    pub fn into_data(self) -> TensorData {
        TensorData::new(self.data, self.shape)
    }

    /// Rows and columns exchanged; other than two dimensions are left alone.
    pub fn transposed(self) -> HostTensor {
        let &[rows, columns] = self.shape.as_slice() else { return self };
        let mut data = Vec::with_capacity(self.data.len());
        for column in 0..columns {
            data.extend((0..rows).map(|row| self.data[row * columns + column]));
        }
        HostTensor {
            shape: vec![columns, rows],
            data,
        }
    }
}

/// Every float parameter under its stored name.
pub fn collect<M: Module>(module: &M) -> Weights {
    collect_as(module, Naming::Stored)
}

/// Every float parameter under its timm name.
pub fn to_timm<M: Module>(module: &M) -> Weights {
    collect_as(module, Naming::Timm)
}

/// Puts weights with stored names into a module. Ids and gradient settings of the parameters stay; tensors
/// that the module has no place for are passed over.
///
/// # Errors
/// Names the first tensor that is missing or has another shape, with both shapes.
pub fn restore<M: Module>(module: M, weights: &Weights) -> Result<M, String> {
    restore_as(module, weights, Naming::Stored)
}

/// As [`restore`], for weights with timm names.
///
/// # Errors
/// As [`restore`].
pub fn from_timm<M: Module>(module: M, weights: &Weights) -> Result<M, String> {
    restore_as(module, weights, Naming::Timm)
}

#[derive(Clone, Copy, PartialEq)]
enum Naming {
    Stored,
    Timm,
}

impl Naming {
    fn name(self, path: &ParamPath) -> String {
        if self == Naming::Timm { path.timm() } else { path.dotted() }
    }

    /// The same tensor in the other convention; its own inverse.
    fn turn(self, path: &ParamPath, tensor: HostTensor) -> HostTensor {
        if self == Naming::Timm && path.is_linear() {
            tensor.transposed()
        } else {
            tensor
        }
    }
}

fn collect_as<M: Module>(module: &M, naming: Naming) -> Weights {
    let mut collector = Collector {
        path: ParamPath::default(),
        naming,
        weights: Weights::new(),
    };
    module.visit(&mut collector);
    collector.weights
}

fn restore_as<M: Module>(module: M, weights: &Weights, naming: Naming) -> Result<M, String> {
    let mut restorer = Restorer {
        path: ParamPath::default(),
        naming,
        weights,
        error: None,
    };
    let module = module.map(&mut restorer);
    restorer.error.map_or(Ok(module), Err)
}

struct Collector {
    path: ParamPath,
    naming: Naming,
    weights: Weights,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = self.naming.turn(&self.path, HostTensor::from_tensor(&param.val()));
        self.weights.insert(self.naming.name(&self.path), tensor);
    }
}

struct Restorer<'a> {
    path: ParamPath,
    naming: Naming,
    weights: &'a Weights,
    error: Option<String>,
}

impl ModuleMapper for Restorer<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let name = self.naming.name(&self.path);
        let needed = param.lazy_shape().as_slice().to_vec();
        let found = self.weights.get(&name).map(|tensor| self.naming.turn(&self.path, tensor.clone()));
        match found {
            Some(tensor) if tensor.shape == needed => {
                let value = Tensor::from_data(tensor.into_data(), &param.lazy_device());
                let id = param.id;
                param.transform_for_load(value, id)
            }
            Some(tensor) => {
                self.error = Some(format!(
                    "tensor `{name}` has shape {:?}, but the model needs {needed:?}",
                    tensor.shape
                ));
                param
            }
            None => {
                self.error = Some(format!("tensor `{name}` is missing: the model needs it with shape {needed:?}"));
                param
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct Small {
        encoder: Vec<Linear>,
        norm: LayerNorm,
        token: Param<Tensor<3>>,
    }

    fn small(inputs: usize, device: &Device) -> Small {
        let linear = LinearConfig::new(inputs, 2).init(device);
        let token = Param::from_tensor(Tensor::full([1, 1, 2], 0.5, device)).set_require_grad(false);
        Small {
            encoder: vec![linear],
            norm: LayerNormConfig::new(2).init(device),
            token,
        }
    }

    #[test]
    fn restored_weights_are_the_collected_ones_and_keep_ids_and_gradient_settings() {
        let device = Device::flex().autodiff();
        let (from, to) = (small(3, &device), small(3, &device));
        let id = to.encoder[0].weight.id;
        for restored in [
            restore(to.clone(), &collect(&from)).unwrap(),
            from_timm(to, &to_timm(&from)).unwrap(),
        ] {
            assert_eq!(collect(&restored), collect(&from));
            assert_eq!(restored.encoder[0].weight.id, id);
            assert!(restored.encoder[0].weight.is_require_grad());
            assert!(!restored.token.is_require_grad());
        }
    }

    #[test]
    fn timm_names_have_no_encoder_prefix_and_linear_weights_are_transposed() {
        let module = small(3, &Device::flex());
        let (stored, timm) = (collect(&module), to_timm(&module));
        assert_eq!(
            timm.keys().collect::<Vec<_>>(),
            ["0.bias", "0.weight", "norm.bias", "norm.weight", "token"]
        );
        assert_eq!(timm["0.weight"].shape, [2, 3]);
        let (theirs, ours) = (&timm["0.weight"].data, &stored["encoder.0.weight"].data);
        assert_eq!((theirs[0], theirs[1], theirs[2], theirs[3]), (ours[0], ours[2], ours[4], ours[1]));
    }

    #[test]
    fn a_tensor_of_another_shape_is_refused_by_name_with_both_shapes() {
        let device = Device::flex();
        let error = restore(small(3, &device), &collect(&small(4, &device))).unwrap_err();
        assert_eq!(error, "tensor `encoder.0.weight` has shape [4, 2], but the model needs [3, 2]");
    }

    #[test]
    fn a_missing_tensor_is_refused_by_name() {
        let device = Device::flex();
        let mut weights = collect(&small(3, &device));
        weights.remove("norm.gamma");
        let error = restore(small(3, &device), &weights).unwrap_err();
        assert_eq!(error, "tensor `norm.gamma` is missing: the model needs it with shape [2]");
    }
}
