//! BEiT's initial weights (arXiv 2106.08254, section 2.5, and its repository), from the same streams as MAE's.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::init::{TOKEN_STD, truncated_at};
use crate::rng::{Purpose, place, stream};
use crate::weights::ParamPath;

/// Gives every parameter of `module` its first value, by BEiT's rules.
///
/// Matrices and tokens normal with deviation 0.02 and cut at one deviation, zero biases; the matrices that a block ends
/// its branches with are divided by the root of twice the block's number, counted from 1. Everything else, such as
/// norms, factors and positions, is left alone.
pub fn initialize_as_beit<M: Module>(module: M, seed: u64) -> M {
    let path = ParamPath::default();
    module.map(&mut Initializer { path, seed })
}

struct Initializer {
    path: ParamPath,
    seed: u64,
}

impl ModuleMapper for Initializer {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, shape, device) = (param.id, param.lazy_shape().dims::<D>(), param.lazy_device());
        let path = self.path.dotted();
        let mut rng = stream(self.seed, Purpose::Init, place(&path), 0);
        let value = match (self.path.container(), self.path.field()) {
            ("Struct:Linear" | "Struct:PatchProjection", "weight") | (_, "cls_token" | "mask_token") => {
                truncated_at(1.0, shape, TOKEN_STD, &mut rng, &device) / branch_end(&path)
            }
            ("Struct:Linear" | "Struct:PatchProjection", "bias") => Tensor::zeros(shape, &device),
            _ => return param,
        };
        param.transform_for_load(value, id)
    }
}

/// What the matrix at `path` is divided by: 1 unless it ends a branch of a block.
fn branch_end(path: &str) -> f64 {
    if !path.ends_with("attn.proj.weight") && !path.ends_with("mlp.fc2.weight") {
        return 1.0;
    }
    let block = path.split('.').find_map(|part| part.parse::<usize>().ok());
    block.map_or(1.0, |block| (2.0 * (block + 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::{Position, Vit, VitConfig};
    use super::*;
    use crate::weights::to_timm;

    #[test]
    fn first_weights_follow_beits_rules() {
        let config = VitConfig {
            image_size: 16,
            patch_size: 4,
            dim: 64,
            depth: 3,
            heads: 4,
            mlp_ratio: 4.0,
            position: Position::Relative,
            layer_scale: 0.1,
            activation_checkpointing: false,
        };
        let weights = to_timm(&initialize_as_beit(Vit::new(&config, 3, &Device::flex()), 3));
        // A normal variable cut at one deviation has 0.5396 of it left.
        let left = 0.5396;
        for (name, deviation) in [
            ("patch_embed.proj.weight", 0.02),
            ("blocks.0.attn.qkv.weight", 0.02),
            ("blocks.2.mlp.fc1.weight", 0.02),
            ("blocks.0.attn.proj.weight", 0.02 / 2f64.sqrt()),
            ("blocks.2.attn.proj.weight", 0.02 / 6f64.sqrt()),
            ("blocks.1.mlp.fc2.weight", 0.02 / 4f64.sqrt()),
        ] {
            let values = &weights[name].data;
            let squares: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
            let found = (squares / values.len() as f64).sqrt();
            let tolerance = 3.0 / (values.len() as f64).sqrt();
            assert!((found / (left * deviation) - 1.0).abs() < tolerance, "{name}: {found}");
            assert!(values.iter().all(|v| f64::from(v.abs()) <= deviation * 1.0001), "{name}");
        }
        for (name, first) in [
            ("patch_embed.proj.bias", 0.0),
            ("blocks.0.norm1.weight", 1.0),
            ("blocks.0.gamma_1", 0.1),
        ] {
            assert!(weights[name].data.iter().all(|v| *v == first), "{name}");
        }
    }
}
