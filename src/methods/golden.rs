//! For tests: numbers computed with `PyTorch` and timm in float64, in `tests/golden/`: weights, inputs, and what
//! must come out.

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};

use super::Masks;
use super::mae::{ColorTarget, CutmixTarget, Mae, MaeOptions};
use super::masked_decoder::DecoderConfig;
use super::rmae::{Rmae, RmaeOptions};
use crate::vit::{Position, Vit, VitConfig};
use crate::weights::{HostTensor, ParamPath, Weights, from_timm, read};

/// The golden files.
pub(crate) struct Golden {
    tensors: Weights,
    /// Losses and norms.
    pub scalars: serde_json::Value,
}

/// Reads the golden files.
pub(crate) fn load() -> Golden {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (tensors, _) = read(&folder.join("golden.safetensors")).unwrap();
    let scalars = serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
    Golden { tensors, scalars }
}

impl Golden {
    /// One tensor.
    pub fn tensor(&self, name: &str) -> &HostTensor {
        &self.tensors[name]
    }

    /// Tensors whose names start so, under the timm names that follow.
    pub fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (String, &HostTensor)> {
        self.tensors
            .iter()
            .filter_map(move |(name, tensor)| Some((timm(name.strip_prefix(prefix)?), tensor)))
    }

    /// The images, `[3, 3, 16, 16]`.
    pub fn images(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(self.tensor("in.images").clone().into_data(), device)
    }

    /// The masked patches, 12 of 16.
    pub fn masks(&self) -> Masks {
        masks(self.tensor("in.masked"))
    }

    /// The backbone with the golden weights.
    pub fn vit(&self, device: &Device) -> Vit {
        from_timm(Vit::new(&config(), 0, device), &self.weights()).unwrap()
    }

    /// MAE with the golden weights.
    pub fn mae(&self, device: &Device) -> Mae {
        let options = MaeOptions {
            mask_ratio: 0.75,
            norm_pix_loss: true,
            color_target: ColorTarget::Jittered,
            cutmix: 0.0,
            cutmix_target: CutmixTarget::Original,
        };
        from_timm(Mae::build(&config(), &decoder(), options, 0, device), &self.weights()).unwrap()
    }

    /// R-MAE with the golden weights.
    pub fn rmae(&self, options: RmaeOptions, device: &Device) -> Rmae {
        from_timm(Rmae::build(&config(), &decoder(), options, 0, device), &self.weights()).unwrap()
    }

    /// The patches masked from the second view of the dagger variant, 4 of 16.
    pub fn second_masks(&self) -> Masks {
        masks(self.tensor("in.masked_t2_dagger"))
    }

    fn weights(&self) -> Weights {
        self.tensors.iter().map(|(name, tensor)| (timm(name), tensor.clone())).collect()
    }
}

/// Holds if no number is further from the expected one than `tolerance` times the largest expected one.
pub(crate) fn assert_close(actual: &HostTensor, expected: &HostTensor, tolerance: f32, what: &str) {
    assert_eq!(actual.shape, expected.shape, "{what}");
    let scale = expected.data.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
    let worst = actual
        .data
        .iter()
        .zip(&expected.data)
        .fold(0.0f32, |worst, (a, e)| worst.max((a - e).abs()));
    assert!(
        worst <= tolerance * scale,
        "{what}: off by {worst}, more than {tolerance} of {scale}"
    );
}

/// The gradient of every parameter that has one, under timm names.
pub(crate) fn gradients<M: Module>(module: &M, gradients: &Gradients) -> Weights {
    let mut visitor = Visitor {
        path: ParamPath::default(),
        gradients: Some(gradients),
        found: Weights::new(),
        frozen: Vec::new(),
    };
    module.visit(&mut visitor);
    visitor.found
}

/// The timm names of the parameters that do not learn.
pub(crate) fn frozen<M: Module>(module: &M) -> Vec<String> {
    let mut visitor = Visitor {
        path: ParamPath::default(),
        gradients: None,
        found: Weights::new(),
        frozen: Vec::new(),
    };
    module.visit(&mut visitor);
    visitor.frozen
}

fn config() -> VitConfig {
    VitConfig {
        image_size: 16,
        patch_size: 4,
        dim: 24,
        depth: 3,
        heads: 3,
        mlp_ratio: 4.0,
        position: Position::SinCos,
        layer_scale: 0.0,
        activation_checkpointing: false,
    }
}

fn decoder() -> DecoderConfig {
    DecoderConfig {
        dim: 16,
        depth: 2,
        heads: 2,
        mlp_ratio: 4.0,
    }
}

fn masks(tensor: &HostTensor) -> Masks {
    let hidden = |mask: &[f32]| mask.iter().map(|v| *v > 0.5).collect();
    Masks::given(tensor.data.chunks(16).map(hidden).collect()).unwrap()
}

fn timm(name: &str) -> String {
    name.strip_prefix("vit.").unwrap_or(name).to_owned()
}

struct Visitor<'a> {
    path: ParamPath,
    gradients: Option<&'a Gradients>,
    found: Weights,
    frozen: Vec<String>,
}

impl ModuleVisitor for Visitor<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.val().is_require_grad() {
            self.frozen.push(self.path.timm());
        }
        if let Some(gradient) = self.gradients.and_then(|gradients| param.val().grad(gradients)) {
            let gradient = HostTensor::from_tensor(&gradient);
            let gradient = if self.path.is_linear() { gradient.transposed() } else { gradient };
            self.found.insert(self.path.timm(), gradient);
        }
    }
}

#[test]
fn every_block_and_the_final_norm_give_timms_numbers() {
    let golden = load();
    let device = Device::flex();
    let vit = golden.vit(&device);
    let tokens = vit.embed(golden.images(&device));
    for (index, stream) in vit.stream(tokens.clone()).iter().enumerate() {
        let name = format!("out.vit.block{index}");
        assert_close(&HostTensor::from_tensor(stream), golden.tensor(&name), 1e-5, &name);
    }
    assert_close(
        &HostTensor::from_tensor(&vit.encode(tokens, None)),
        golden.tensor("out.vit.norm"),
        1e-5,
        "the final norm",
    );
}
