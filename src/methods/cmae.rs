//! C-MAE: masked image modeling as contrastive learning. arXiv 2208.04164, section 4, Eq. 9 to 11.
//!
//! Two views `T1(x)`, `T2(x)` of one crop show complementary patches, in colors varied independently. The online network
//! is an encoder `f`, a projector `p` and a predictor `q`; `f'` and `p'` are moving averages. For the n-th token
//!
//! `s(x1, x2) = cos(q(p(f(T1 x1)))_n, p'(f'(T2 x2))_n)`  (Eq. 9),
//!
//! the loss is `-log exp(s(x, x) / t) / sum over candidates x' of exp(s(x, x') / t)` (Eq. 10), and its mean over tokens is
//! minimized (Eq. 11). What the paper leaves open is an option; [`Plan`] is what the options come to.

mod plan;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use self::plan::{CmaeOptions, Compared, InfoNce, Loss, Plan};
use super::contrast::{byol, negative_cosine};
use super::cutmix::cutmix;
use super::duplicates::{excluded, masks_duplicates};
use super::heads::{Activation, FirstWeights, Head, HeadConfig, Norm, width};
use super::spread::{COLLAPSE, spread};
use super::teacher::{follow, frozen_copy};
use super::token_contrast::token_info_nce;
use super::{BatchNegatives, Inputs, Losses, Masks, Method, StepInfo, Trainable, vit_config};
use crate::experiment::measure;
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::{DataSettings, TrainSettings};
use crate::experiment::{MethodInfo, RunSpec, ViewPlan};
use crate::rng::{Purpose, place, stream};
use crate::vit::{DropPath, TOKEN_STD, Vit, gather_tokens, truncated_normal};

/// Layers of projector and predictor (arXiv 2208.04164, section 5).
const HEAD_LAYERS: usize = 2;

/// What a view goes through: encoder, the token at masked patches, projector.
#[derive(Module, Debug)]
struct Target {
    encoder: Vit,
    mask_token: Option<Param<Tensor<3>>>,
    projector: Head,
}

/// The online network, and the slow copy that is its target.
#[derive(Module, Debug)]
pub struct Cmae {
    encoder: Vit,
    mask_token: Option<Param<Tensor<3>>>,
    projector: Head,
    predictor: Head,
    teacher: Target,
    #[module(skip)]
    plan: Plan,
    drop_path: f64,
    masks_duplicates: bool,
}

/// A view and what is hidden from it.
#[derive(Clone, Debug)]
struct View {
    images: Tensor<4>,
    masks: Masks,
}

impl Trainable for Cmae {
    /// Eq. 11.
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let [first, second] = self.masked(inputs, step);
        let there = self.one_way(&first, &second, step, 0);
        if !self.plan.symmetric {
            return there;
        }
        let back = self.one_way(&second, &first, step, 1);
        let mean = |a: Tensor<1>, b: Tensor<1>| (a + b).div_scalar(2.0);
        let terms = there.terms.into_iter().zip(back.terms);
        let terms = terms.map(|((name, a), (_, b))| (name, mean(a, b))).collect();
        Losses::new(mean(there.total, back.total), terms)
    }

    fn after_step(mut self, step: &StepInfo, _seen: Vec<Tensor<2>>) -> Self {
        let momentum = self.plan.momentum.at(step.step, step.steps);
        self.teacher = Target {
            encoder: follow(self.teacher.encoder, &self.encoder, momentum),
            mask_token: follow(self.teacher.mask_token, &self.mask_token, momentum),
            projector: follow(self.teacher.projector, &self.projector, momentum),
        };
        self
    }

    fn depth(&self) -> usize {
        self.encoder.config().depth
    }
}

impl Method for Cmae {
    const TEACHER: Option<super::TeacherPart> = Some(super::TeacherPart {
        field: "teacher",
        leads: false,
    });

    const INFO: MethodInfo = MethodInfo {
        name: "cmae",
        title: "C-MAE",
        paper: "arXiv 2208.04164, Eq. 11",
        summary: "Tells each token of a masked view from other images' by its counterpart in the complementary view.",
        options: CmaeOptions::SECTION,
        // The colors of SimSiam, without which training does not converge (section 4).
        recipe: &[
            ("augment", "color_jitter", Value::Float(0.8)),
            ("augment", "grayscale", Value::Float(0.2)),
        ],
        alarms: COLLAPSE,
        trains: true,
        labels: false,
        reconstructs: false,
        tokens: false,
    };

    fn new(run: &RunSpec, _classes: usize, device: &Device) -> Result<Self, String> {
        let (options, train) = (run.section::<CmaeOptions>("method")?, run.section::<TrainSettings>("train")?);
        let vit = vit_config(run)?;
        let plan = Plan::new(&options, vit.patches())?;
        let head = |name: &str, input: usize| Head::new(name, head_config(&options, vit.dim, input), run.seed, device);
        let output = width(options.head_out, 768, vit.dim);
        let encoder = Vit::new(&vit, run.seed, device).freeze_patches_if(options.freeze_patch_embed);
        let mask_token = options.mask_token.then(|| mask_token(vit.dim, run.seed, device));
        let projector = head("projector", vit.dim);
        Ok(Cmae {
            teacher: frozen_copy(&Target {
                encoder: encoder.clone(),
                mask_token: mask_token.clone(),
                projector: projector.clone(),
            }),
            encoder,
            mask_token,
            projector,
            predictor: head("predictor", output),
            plan,
            drop_path: train.drop_path,
            masks_duplicates: masks_duplicates(run)?,
        })
    }

    fn views(run: &RunSpec) -> Result<Vec<ViewPlan>, String> {
        let data: DataSettings = run.section("data")?;
        let first = ViewPlan::new(run.section("augment")?, data.image_size);
        // One crop, or the tokens of the views would not be of the same places.
        let second = ViewPlan {
            geometry_of: Some(0),
            ..first.clone()
        };
        Ok(vec![first, second])
    }

    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn mask_token(&self) -> Option<Tensor<3>> {
        self.mask_token.as_ref().map(Param::val)
    }

    fn negatives(&self) -> BatchNegatives {
        self.plan.loss.negatives()
    }

    fn normalizes_batch(&self) -> bool {
        self.projector.normalizes_batch() || self.predictor.normalizes_batch()
    }
}

impl Cmae {
    /// `T1(x)` and `T2(x)`: both views with their masks.
    fn masked(&self, inputs: &Inputs, step: &StepInfo) -> [View; 2] {
        let [batch, ..] = inputs.views[0].dims();
        let [first, second] = self.plan.masks(batch, self.encoder.config().patches(), step);
        let view = |place: usize, masks| View {
            images: cutmix(inputs.views[place].clone(), self.plan.cutmix, place as u64, step),
            masks,
        };
        [view(0, first), view(1, second)]
    }

    /// The loss of the online network on one view against the slow copy on the other.
    fn one_way(&self, online: &View, target: &View, step: &StepInfo, view: u64) -> Losses {
        let patches = self.plan.compared.patches(&online.masks, &target.masks);
        let drop = step.drop_path(self.drop_path, view);
        let tokens = encode(&self.encoder, self.mask_token.as_ref(), online, drop.as_ref());
        let features = self.compared(tokens, &online.masks, &patches);
        let projected = self.projector.forward(features.clone());
        let queries = self.predictor.forward(projected.clone());
        let keys = self.keys(target, &patches);
        let alignment = negative_cosine(queries.clone().inner(), keys.clone()).neg();
        let total = match self.plan.loss {
            Loss::Byol => byol(queries, keys),
            Loss::InfoNce(how) => self.info_nce(how, queries, keys, step),
        };
        let mut terms = vec![(&measure::ALIGNMENT, alignment)];
        terms.extend(spread(&features, &projected));
        Losses::new(total, terms)
    }

    /// `p'(f'(T2 x2))`: what the slow copy makes of a view, without gradients.
    fn keys(&self, target: &View, patches: &[Vec<usize>]) -> Tensor<3> {
        let teacher = self.teacher.valid();
        let target = View {
            images: target.images.clone().inner(),
            masks: target.masks.clone(),
        };
        let tokens = encode(&teacher.encoder, teacher.mask_token.as_ref(), &target, None);
        teacher.projector.forward(self.compared(tokens, &target.masks, patches))
    }

    /// Eq. 10, the mean over all tokens.
    fn info_nce(&self, how: InfoNce, queries: Tensor<3>, keys: Tensor<3>, step: &StepInfo) -> Tensor<1> {
        let [_, tokens, _] = queries.dims();
        let negatives = how.negatives(tokens, step);
        let excluded = excluded(self.masks_duplicates, step, &queries.device());
        token_info_nce(queries, keys, how.temperature, negatives, excluded).mul_scalar(how.scale)
    }

    /// What of a view's encoded tokens is compared; `patches` are those of each image.
    ///
    /// # Shapes
    /// tokens: `[batch, 1 + seen, dim]`; output: `[batch, compared, dim]`
    fn compared(&self, tokens: Tensor<3>, seen: &Masks, patches: &[Vec<usize>]) -> Tensor<3> {
        let [_, count, _] = tokens.dims();
        match self.plan.compared {
            Compared::Class => tokens.narrow(1, 0, 1),
            Compared::Mean => tokens.narrow(1, 1, count - 1).mean_dim(1),
            Compared::Tokens { class, .. } => {
                let rows = rows(seen, patches, self.mask_token.is_some(), class, &tokens.device());
                gather_tokens(tokens, rows)
            }
        }
    }
}
/// Every token of a view after the encoder, the class token first.
fn encode(encoder: &Vit, mask_token: Option<&Param<Tensor<3>>>, view: &View, drop: Option<&DropPath>) -> Tensor<3> {
    let (images, device) = (view.images.clone(), view.images.device());
    let tokens = match mask_token {
        Some(token) => encoder.embed_masked(images, view.masks.hidden(&device), token.val()),
        None => encoder.embed_visible(images, view.masks.ids_keep(&device)),
    };
    encoder.encode(tokens, drop)
}

/// Where the compared patches stand among a view's tokens, of which the class token is the first: at their own place
/// with mask tokens, and without at their rank among what the view sees. The class token is named first if asked for.
fn rows(seen: &Masks, compared: &[Vec<usize>], all_there: bool, class: bool, device: &Device) -> Tensor<2, Int> {
    let mut rows = Vec::new();
    for (mask, patches) in seen.masked.iter().zip(compared) {
        let rank = |patch: &usize| {
            if all_there {
                *patch
            } else {
                mask[..*patch].iter().filter(|hidden| !**hidden).count()
            }
        };
        rows.extend(class.then_some(0));
        rows.extend(patches.iter().map(|patch| 1 + rank(patch) as i64));
    }
    let shape = [compared.len(), rows.len() / compared.len()];
    Tensor::from_data(TensorData::new(rows, shape), &device.clone().inner())
}

fn mask_token(dim: usize, seed: u64, device: &Device) -> Param<Tensor<3>> {
    let mut rng = stream(seed, Purpose::Init, place("mask_token"), 0);
    Param::from_tensor(truncated_normal([1, 1, dim], TOKEN_STD, &mut rng, device))
}

/// Projector and predictor are alike but for their input.
fn head_config(options: &CmaeOptions, dim: usize, input: usize) -> HeadConfig {
    let (hidden, output) = (width(options.head_hidden, 2048, dim), width(options.head_out, 768, dim));
    let hidden_norm = options.head_norm;
    HeadConfig {
        widths: HeadConfig::widths(HEAD_LAYERS, input, hidden, output),
        hidden_norm,
        activation: Activation::Gelu,
        // A batch norm takes away what a bias adds.
        bias: hidden_norm != Norm::Batch && !options.last_norm,
        last_norm: options.last_norm,
        first_weights: FirstWeights::Uniform,
    }
}

#[cfg(test)]
mod tests;
