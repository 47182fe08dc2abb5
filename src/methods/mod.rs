//! The methods: one file each, next to its equations, and the registry that lists them.
//!
//! A new method is its file here and its line in [`methods!`]; nothing else in the code names a method.

pub mod beit;
pub mod blockwise;
pub mod cae;
pub mod classifier;
#[cfg(test)]
pub(crate) mod golden;
pub mod mae;
pub mod masked_decoder;
pub mod masked_head;
pub mod masking;
pub mod random_init;
pub mod rmae;
pub mod simmim;
mod supervised;
mod token_loss;
pub mod tokenizer;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::experiment::settings::TrainSettings;
use crate::experiment::{Catalog, MethodInfo, RunSpec};
use crate::vit::{Vit, VitConfig};
use crate::weights::Weights;

pub use classifier::Classifier;
pub use masking::Masks;

/// One batch on the device.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The views of the pictures, normalised with the data's mean and deviation, each `[batch, 3, side, side]`.
    pub views: Vec<Tensor<4>>,
    /// Class of each picture, `[batch]`.
    pub labels: Tensor<1, Int>,
    /// Share of each class, `[batch, classes]`, where labels are mixed or smoothed.
    pub targets: Option<Tensor<2>>,
}

/// Where in the run a forward pass stands: the address of its random draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInfo {
    /// Seed of the run.
    pub seed: u64,
    /// Counter of batches, another for every forward pass.
    pub step: u64,
    /// Batches of the whole run.
    pub steps: u64,
    /// Number of each picture in the training split.
    pub indices: Vec<u32>,
}

/// What a forward pass gives.
#[derive(Clone, Debug)]
pub struct Losses {
    /// What is minimised, `[1]`.
    pub total: Tensor<1>,
    /// Named parts and by-products worth a curve, each `[1]`.
    pub terms: Vec<(&'static str, Tensor<1>)>,
}

/// A module that the training loop can train.
pub trait Trainable: Module + 'static {
    /// The loss of one batch.
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses;

    /// Moves what follows the weights without being trained, such as a teacher.
    fn after_step(self, _step: &StepInfo) -> Self {
        self
    }

    /// Whether weight decay acts on the parameter at `path` with `dims` dimensions. Everything but vectors
    /// and biases, as in MAE's pretraining.
    fn decays(path: &str, dims: usize) -> bool {
        dims > 1 && !path.ends_with(".bias")
    }

    /// Blocks of the encoder, which stands in the field `encoder`.
    fn depth(&self) -> usize;

    /// How far from the input the parameter at `path` stands: 0 for embeddings, `k + 1` for block `k` of the
    /// encoder and `depth + 1` for everything after. A learning rate is scaled by
    /// `layer_decay^(depth + 1 - id)`.
    fn layer_of(&self, path: &str) -> usize {
        layer_id(path, self.depth())
    }
}

/// A way to pretrain an encoder.
pub trait Method: Trainable {
    /// What people see of it.
    const INFO: MethodInfo;

    /// Makes the model of a run. `classes` is the number of classes of the data.
    ///
    /// # Errors
    /// One sentence that names the setting and what is allowed.
    fn new(run: &RunSpec, classes: usize, device: &Device) -> Result<Self, String>;

    /// Views of every picture that `loss` reads.
    fn views() -> usize {
        1
    }

    /// The encoder that later stages use.
    fn encoder(&self) -> &Vit;

    /// The same with the tokenizer of these weights, for a method that predicts tokens. Until then it has one that has
    /// learned nothing, which is enough to measure speed.
    ///
    /// # Errors
    /// Names the tensor that does not fit.
    fn with_tokenizer(self, _weights: &Weights) -> Result<Self, String> {
        Ok(self)
    }

    /// Predictions for every patch of `images` `[batch, 3, side, side]` with `masks` hidden:
    /// `[batch, patches, p*p*3]` in the space of the training target, or nothing if it cannot.
    fn reconstruct(&self, _images: Tensor<4>, _masks: &Masks) -> Option<Tensor<3>> {
        None
    }

    /// Whether that target is normalised patch by patch.
    fn normalises_targets(&self) -> bool {
        false
    }
}

/// Work that is generic over the method, such as making a learner of it.
pub trait MethodVisitor {
    /// What it yields.
    type Out;

    /// Does it for one method.
    fn visit<M: Method>(self) -> Self::Out;
}

/// Makes the registry from the list of types.
macro_rules! methods {
    ($($method:ty),+ $(,)?) => {
        /// Every method as people see it, in the order pages list them.
        pub const METHODS: &[MethodInfo] = &[$(<$method as Method>::INFO),+];

        /// Calls `visitor` with the type of the method called `name`.
        ///
        /// # Errors
        /// Lists the known methods if this is none.
        pub fn with_method<V: MethodVisitor>(name: &str, visitor: V) -> Result<V::Out, String> {
            $(if name == <$method as Method>::INFO.name {
                return Ok(visitor.visit::<$method>());
            })+
            Err(format!("method `{name}` is not known: it must be one of {}", catalog().names()))
        }
    };
}

methods!(
    mae::Mae,
    rmae::Rmae,
    simmim::Simmim,
    beit::Beit,
    cae::Cae,
    supervised::Supervised,
    random_init::RandomInit
);

/// The registry as plain data.
pub fn catalog() -> Catalog {
    Catalog { methods: METHODS.to_vec() }
}

/// The encoder that a run's settings describe.
///
/// # Errors
/// Names the setting that does not fit.
pub fn vit_config(run: &RunSpec) -> Result<VitConfig, String> {
    // A random encoder has no training settings, and nothing to remember.
    let recompute = run.section::<TrainSettings>("train").is_ok_and(|train| train.recompute);
    VitConfig::from_settings(&run.section("data")?, &run.section("model")?, recompute)
}

/// The rule of [`Trainable::layer_of`].
fn layer_id(path: &str, depth: usize) -> usize {
    let Some(rest) = path.strip_prefix("encoder.") else {
        return depth + 1;
    };
    if let Some(block) = rest.strip_prefix("blocks.") {
        return block
            .split('.')
            .next()
            .and_then(|number| number.parse::<usize>().ok())
            .map_or(depth + 1, |number| number + 1);
    }
    // BEiT's rule puts the bias that all blocks share behind them.
    let behind = rest.starts_with("norm.") || rest.starts_with("rel_pos_bias.");
    if behind { depth + 1 } else { 0 }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use burn::tensor::TensorData;

    use super::golden::{frozen, gradients};
    use super::*;
    use crate::experiment::{Request, Scale, Stage, Value, single_run};

    /// A run of a backbone of two narrow blocks on pictures of 16 pixels.
    pub(crate) fn tiny_run(method: &str, set: &[(&str, &str, Value)]) -> RunSpec {
        let mut request = Request::default();
        let model = [
            ("dim", 16),
            ("depth", 2),
            ("heads", 2),
            ("decoder_dim", 8),
            ("decoder_depth", 1),
            ("decoder_heads", 2),
        ];
        request.set.insert(
            "model".to_owned(),
            model.map(|(key, value)| (key.to_owned(), Value::Int(value))).into(),
        );
        request
            .set
            .insert("data".to_owned(), BTreeMap::from([("image_size".to_owned(), Value::Int(16))]));
        for (section, key, value) in set {
            request
                .set
                .entry((*section).to_owned())
                .or_default()
                .insert((*key).to_owned(), value.clone());
        }
        let scale = &Scale::built_in()[0];
        single_run(Stage::Pretrain, method, scale, &catalog(), &request, 1, None).unwrap()
    }

    /// One training step's gradients: finite, there for every parameter that learns, absent for the others.
    struct LearnsEverywhere(RunSpec);

    impl MethodVisitor for LearnsEverywhere {
        type Out = ();

        fn visit<M: Method>(self) {
            let device = Device::flex().autodiff();
            let method = M::new(&self.0, 10, &device).unwrap();
            let values: Vec<f32> = (0..8 * 3 * 256).map(|i| (i as f32 * 0.37).sin()).collect();
            let views = vec![Tensor::from_data(TensorData::new(values, [8, 3, 16, 16]), &device); M::views()];
            let labels = Tensor::from_data([0, 1, 2, 3, 4, 5, 6, 7], &device);
            let step = StepInfo {
                seed: 1,
                step: 0,
                steps: 10,
                indices: (0..8).collect(),
            };
            let loss = method
                .loss(
                    &Inputs {
                        views,
                        labels,
                        targets: None,
                    },
                    &step,
                )
                .total;
            assert!(loss.clone().into_scalar::<f32>().is_finite());
            if !M::INFO.trains {
                return;
            }
            let gradients = gradients(&method, &loss.backward());
            let frozen = frozen(&method);
            for name in crate::weights::to_timm(&method).keys() {
                let learns = gradients
                    .get(name)
                    .is_some_and(|g| g.data.iter().all(|v| v.is_finite()) && g.data.iter().any(|v| *v != 0.0));
                assert_eq!(learns, !frozen.contains(name), "{}: {name}", M::INFO.name);
            }
        }
    }

    #[test]
    fn every_method_constructs_and_its_gradients_reach_exactly_what_learns() {
        for info in METHODS {
            with_method(info.name, LearnsEverywhere(tiny_run(info.name, &[]))).unwrap();
        }
    }

    #[test]
    fn every_methods_options_have_defaults_that_are_allowed() {
        for info in METHODS {
            let run = tiny_run(info.name, &[]); // Resolving checks every default and every recipe.
            for (section, key, _) in info.recipe {
                assert!(
                    run.value(section, key).is_some(),
                    "{}: the recipe names {section}.{key}, which does not exist",
                    info.name
                );
            }
        }
    }

    #[test]
    fn methods_start_from_the_same_encoder_at_the_same_seed() {
        struct Encoder(RunSpec);
        impl MethodVisitor for Encoder {
            type Out = crate::weights::HostTensor;
            fn visit<M: Method>(self) -> Self::Out {
                let method = M::new(&self.0, 10, &Device::flex()).unwrap();
                crate::weights::collect(method.encoder())["blocks.1.mlp.fc1.weight"].clone()
            }
        }
        let first: Vec<_> = METHODS
            .iter()
            .map(|info| {
                let own = info.options.settings.iter().any(|setting| setting.key == "init");
                let maes = [("method", "init", Value::Text("mae".to_owned()))];
                with_method(info.name, Encoder(tiny_run(info.name, if own { &maes } else { &[] }))).unwrap()
            })
            .collect();
        assert!(first.iter().all(|weights| *weights == first[0]));
    }

    #[test]
    fn a_mask_ratio_that_leaves_nothing_to_see_or_to_predict_is_refused() {
        struct Make(RunSpec);
        impl MethodVisitor for Make {
            type Out = Result<(), String>;
            fn visit<M: Method>(self) -> Self::Out {
                M::new(&self.0, 10, &Device::flex()).map(|_| ())
            }
        }
        let error = with_method("mae", Make(tiny_run("mae", &[("method", "mask_ratio", Value::Float(0.99))])))
            .unwrap()
            .unwrap_err();
        assert_eq!(
            error,
            "method.mask_ratio = 0.99 keeps 0 of 16 patches: at least one must be hidden and one visible"
        );
    }

    #[test]
    fn an_unknown_method_is_answered_with_the_known_ones() {
        let error = with_method("mea", LearnsEverywhere(tiny_run("mae", &[]))).unwrap_err();
        assert_eq!(
            error,
            "method `mea` is not known: it must be one of mae, rmae, simmim, beit, cae, supervised, random_init"
        );
    }
}
