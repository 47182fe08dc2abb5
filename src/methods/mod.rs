//! The methods: one file each, next to its equations, and the registry that lists them.
//!
//! A new method is its file here and its line in `methods!`; nothing else in the code names a method.

mod backbone;
pub mod beit;
pub mod blockwise;
mod byol;
pub mod cae;
pub mod classifier;
mod cmae;
pub mod contrast;
mod cutmix;
mod dino;
mod dino_head;
mod dino_options;
pub mod distill;
mod duplicates;
#[cfg(test)]
pub(crate) mod golden;
pub mod heads;
pub mod mae;
pub mod masked_decoder;
pub mod masked_head;
pub mod masking;
mod mocov3;
mod pairs;
pub mod random_init;
pub mod rmae;
mod simclr;
pub mod simmim;
mod simsiam;
pub mod spread;
mod supervised;
pub mod teacher;
pub mod token_contrast;
mod token_loss;
pub mod tokenizer;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::experiment::measure::Measure;
use crate::experiment::settings::DataSettings;
use crate::experiment::{Catalog, MethodInfo, RunSpec, ViewPlan};
use crate::vit::{DropPath, Vit};
use crate::weights::{self, Weights};

pub use backbone::vit_config;
pub use classifier::Classifier;
pub use duplicates::masks_duplicates;
pub use masking::Masks;

/// One batch on the device.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The views of the images, normalized with the data's mean and deviation, each `[batch, 3, side, side]`.
    pub views: Vec<Tensor<4>>,
    /// Class of each image, `[batch]`.
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
    /// Number of each image in the training split.
    pub indices: Vec<u32>,
}

impl StepInfo {
    /// The branches dropped in the forward pass of one view, if any are. Each view has draws of its own.
    pub fn drop_path(&self, rate: f64, view: u64) -> Option<DropPath> {
        let (seed, step) = (self.seed, view << 48 | self.step);
        (rate > 0.0).then_some(DropPath { rate, seed, step })
    }
}

/// A part or by-product of a loss, `[1]`, and the curve it is a point of.
pub type Term = (&'static Measure, Tensor<1>);

/// What a forward pass gives.
#[derive(Clone, Debug)]
pub struct Losses {
    /// What is minimized, `[1]`.
    pub total: Tensor<1>,
    /// Named parts and by-products worth a curve, each `[1]`.
    pub terms: Vec<Term>,
    /// What [`Trainable::after_step`] is to know of this pass, without gradients.
    pub seen: Option<Tensor<2>>,
}

impl Losses {
    /// A loss with named parts, of which nothing is remembered. The parts record no gradients from here on.
    pub fn new(total: Tensor<1>, terms: Vec<Term>) -> Losses {
        let terms = terms.into_iter().map(|(name, term)| (name, term.without_autodiff())).collect();
        let seen = None;
        Losses { total, terms, seen }
    }
}

/// A module that the training loop can train.
pub trait Trainable: Module + 'static {
    /// The loss of one batch.
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses;

    /// Moves what follows the weights without being trained, such as a teacher. `step` is the step's last pass, and
    /// `seen` what its passes saw.
    fn after_step(self, _step: &StepInfo, _seen: Vec<Tensor<2>>) -> Self {
        self
    }

    /// Whether weight decay acts on the parameter at `path` with `dims` dimensions. Everything but vectors
    /// and biases, as in MAE's pretraining.
    fn decays(path: &str, dims: usize) -> bool {
        dims > 1 && !path.ends_with(".bias")
    }

    /// Blocks of the encoder, which stands in the field `encoder`.
    fn depth(&self) -> usize;

    /// Whether the parameter at `path` keeps the peak learning rate throughout.
    fn keeps_rate(&self, _path: &str) -> bool {
        false
    }

    /// How far from the input the parameter at `path` stands: 0 for embeddings, `k + 1` for block `k` of the
    /// encoder and `depth + 1` for everything after. A learning rate is scaled by
    /// `layer_decay^(depth + 1 - id)`.
    fn layer_of(&self, path: &str) -> usize {
        layer_id(path, self.depth())
    }
}

/// What of a batch a loss tells an image, or a token of it, from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchNegatives {
    /// Nothing of other images.
    None,
    /// Other images.
    Images,
    /// Tokens of other images and of its own.
    ImagesAndOwnTokens,
}

/// A momentum encoder of a method: a part of its model that follows the trained part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeacherPart {
    /// The field of the model. Below it stand the same paths as in the model itself.
    pub field: &'static str,
    /// Whether it moves with the momentum of the next step, as where it moves before a step, and not with that of this one.
    pub leads: bool,
}

/// A way to pretrain an encoder.
pub trait Method: Trainable {
    /// What people see of it.
    const INFO: MethodInfo;

    /// Its momentum encoder, if it has one.
    const TEACHER: Option<TeacherPart> = None;

    /// Tensors, by their own names, that are neither learned nor followed.
    const FIXED: &'static [&'static str] = &["pos_embed"];

    /// Makes the model of a run. `classes` is the number of classes of the data.
    ///
    /// # Errors
    /// One sentence that names the setting and what is allowed.
    fn new(run: &RunSpec, classes: usize, device: &Device) -> Result<Self, String>;

    /// The views of every image that `loss` reads, in order: one of the model's size unless the method says otherwise.
    ///
    /// # Errors
    /// One sentence that names the setting and what is allowed.
    fn views(run: &RunSpec) -> Result<Vec<ViewPlan>, String> {
        let data: DataSettings = run.section("data")?;
        Ok(vec![ViewPlan::new(run.section("augment")?, data.image_size)])
    }

    /// The encoder that later stages use.
    fn encoder(&self) -> &Vit;

    /// What stands at masked patches of the encoder's input, `[1, 1, dim]`, for a method that does not leave them out.
    fn mask_token(&self) -> Option<Tensor<3>> {
        None
    }

    /// The same with the tokenizer of these weights, for a method that predicts tokens. Until then it has one that has
    /// learned nothing, which is enough to measure speed.
    ///
    /// # Errors
    /// Names the tensor that does not fit.
    fn with_tokenizer(self, _weights: &Weights) -> Result<Self, String> {
        Ok(self)
    }

    /// What its loss takes for negatives.
    fn negatives(&self) -> BatchNegatives {
        BatchNegatives::None
    }

    /// Whether something in it normalizes over the batch.
    fn normalizes_batch(&self) -> bool {
        false
    }

    /// Predictions for every patch of `images` `[batch, 3, side, side]` with `masks` hidden:
    /// `[batch, patches, p*p*3]` in the space of the training target, or nothing if it cannot.
    fn reconstruct(&self, _images: Tensor<4>, _masks: &Masks) -> Option<Tensor<3>> {
        None
    }

    /// Whether that target is normalized patch by patch.
    fn normalizes_targets(&self) -> bool {
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
    cmae::Cmae,
    simmim::Simmim,
    beit::Beit,
    cae::Cae,
    mocov3::MocoV3,
    dino::Dino,
    byol::Byol,
    simsiam::SimSiam,
    simclr::SimClr,
    supervised::Supervised,
    random_init::RandomInit,
);

/// The registry as plain data.
pub fn catalog() -> Catalog {
    Catalog { methods: METHODS.to_vec() }
}

/// Every weight under the name other tools know; the encoder's names are those of the one that later stages use.
pub fn exported<M: Method>(model: &M) -> Weights {
    let mut weights = weights::to_timm(model);
    weights.extend(weights::to_timm(model.encoder()));
    weights
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
mod tests;
