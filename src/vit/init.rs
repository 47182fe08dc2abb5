//! MAE's initial weights, drawn from our own streams: one for each tensor, addressed by its path.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::rng::{Purpose, place, stream};
use crate::weights::ParamPath;

/// Standard deviation of tokens and learned positions (MAE repository, timm).
pub const TOKEN_STD: f64 = 0.02;

/// Gives every parameter of `module` its first value, by MAE's rules.
///
/// Xavier-uniform matrices (queries, keys and values as one; the patch projection as a matrix of `dim` rows),
/// zero biases, norms of one and zero, tokens normal with deviation 0.02, and the patch projection's bias as a
/// convolution's. Position tables are left alone.
pub fn initialize<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Initializer {
        path: ParamPath::default(),
        seed,
        patch_fan_in: 1,
    })
}

/// A tensor of normal numbers with deviation `std`, cut at two deviations, which leaves 0.88 of it.
///
/// timm's function of the name cuts at the numbers -2 and 2, which at 0.02 is nowhere: it leaves 1.00. Ours is the narrower one
/// wherever MAE, DINO and timm call for it.
pub fn truncated_normal<const D: usize>(shape: [usize; D], std: f64, rng: &mut ChaCha8Rng, device: &Device) -> Tensor<D> {
    truncated_at(2.0, shape, std, rng, device)
}

/// A tensor of normal numbers with deviation `std`, cut at `most` deviations.
pub(super) fn truncated_at<const D: usize>(most: f64, shape: [usize; D], std: f64, rng: &mut ChaCha8Rng, device: &Device) -> Tensor<D> {
    let draw = || loop {
        let value = draw_normal(rng);
        if value.abs() <= most {
            break value * std;
        }
    };
    tensor(shape, draw, device)
}

struct Initializer {
    path: ParamPath,
    seed: u64,
    /// Inputs of the patch projection, known from its weight, which stands before its bias.
    patch_fan_in: usize,
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
        let mut rng = stream(self.seed, Purpose::Init, place(&self.path.dotted()), 0);
        let value = match (self.path.container(), self.path.field()) {
            ("Struct:Linear", "weight") => uniform(shape, xavier(shape[0], shape[1]), &mut rng, &device),
            ("Struct:PatchProjection", "weight") => {
                self.patch_fan_in = shape[1..].iter().product();
                uniform(shape, xavier(self.patch_fan_in, shape[0]), &mut rng, &device)
            }
            ("Struct:PatchProjection", "bias") => uniform(shape, (self.patch_fan_in as f64).powf(-0.5), &mut rng, &device),
            (_, "bias") => Tensor::zeros(shape, &device),
            (_, "cls_token" | "mask_token") => tensor(shape, || TOKEN_STD * draw_normal(&mut rng), &device),
            _ => return param, // Norms start at one and zero by themselves; position tables are made with their values.
        };
        param.transform_for_load(value, id)
    }
}

/// Bound of Glorot's uniform distribution.
fn xavier(fan_in: usize, fan_out: usize) -> f64 {
    (6.0 / (fan_in + fan_out) as f64).sqrt()
}

fn draw_normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// A tensor of numbers that are equally likely from `-bound` to `bound`.
pub fn uniform<const D: usize>(shape: [usize; D], bound: f64, rng: &mut ChaCha8Rng, device: &Device) -> Tensor<D> {
    tensor(shape, || (rng.random::<f64>() * 2.0 - 1.0) * bound, device)
}

fn tensor<const D: usize>(shape: [usize; D], mut draw: impl FnMut() -> f64, device: &Device) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::super::{Position, Vit, VitConfig};
    use super::*;
    use crate::weights::{collect, to_timm};

    fn config(position: Position) -> VitConfig {
        VitConfig {
            image_size: 16,
            patch_size: 4,
            dim: 64,
            depth: 2,
            heads: 4,
            mlp_ratio: 4.0,
            position,
            layer_scale: 0.0,
            activation_checkpointing: false,
        }
    }

    fn deviation(values: &[f32]) -> f64 {
        (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn a_seed_fixes_every_weight_and_another_seed_changes_them() {
        let weights = |seed| collect(&Vit::new(&config(Position::SinCos), seed, &Device::flex()));
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1)["blocks.0.attn.qkv.weight"], weights(2)["blocks.0.attn.qkv.weight"]);
        assert_ne!(weights(1)["blocks.0.attn.qkv.weight"], weights(1)["blocks.1.attn.qkv.weight"]);
    }

    #[test]
    fn first_weights_follow_maes_rules() {
        let weights = to_timm(&Vit::new(&config(Position::Learned), 3, &Device::flex()));
        // A uniform distribution's deviation is its bound / sqrt(3), so Xavier's is sqrt(2 / (in + out)).
        for (name, expected) in [
            ("blocks.0.attn.qkv.weight", (2.0f64 / (64.0 + 192.0)).sqrt()),
            ("blocks.1.mlp.fc2.weight", (2.0f64 / (64.0 + 256.0)).sqrt()),
            ("patch_embed.proj.weight", (2.0f64 / (48.0 + 64.0)).sqrt()),
            ("patch_embed.proj.bias", (1.0f64 / (3.0 * 48.0)).sqrt()),
            ("cls_token", 0.02),
            ("pos_embed", 0.02 * 0.8796), // Cutting a normal at two deviations leaves 0.8796 of its deviation.
        ] {
            let values = &weights[name].data;
            let tolerance = 3.0 / (values.len() as f64).sqrt();
            assert!(
                (deviation(values) / expected - 1.0).abs() < tolerance,
                "{name}: {} is not {expected}",
                deviation(values)
            );
        }
        assert!(weights["blocks.0.attn.qkv.bias"].data.iter().all(|v| *v == 0.0));
        assert!(weights["norm.weight"].data.iter().all(|v| *v == 1.0));
    }
}
