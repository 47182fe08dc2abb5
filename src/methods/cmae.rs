//! C-MAE: masked image modeling as contrastive learning. arXiv 2208.04164, section 4, Eq. 9 to 11.
//!
//! Two views of one crop show complementary patches, in colors varied independently. What the online network makes of a
//! token of the first view must tell the same token of the second view, as a slow copy of the network sees it, from
//! other candidates. What the paper leaves open is an option.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::contrast::{byol, negative_cosine};
use super::copies::{excluded, masks_copies};
use super::heads::{Activation, FirstWeights, Head, HeadConfig, Norm, width};
use super::masking::{check_ratio, keep_count};
use super::paste::paste;
use super::spread::{COLLAPSE, spread};
use super::teacher::{Momentum, follow, frozen_copy};
use super::token_contrast::{Negatives, token_info_nce};
use super::{Inputs, Losses, Masks, Method, Rivals, StepInfo, Trainable, vit_config};
use crate::experiment::measure;
use crate::experiment::schema::Literal as Value;
use crate::experiment::settings::{DataSettings, TrainSettings};
use crate::experiment::{MethodInfo, RunSpec, ViewPlan};
use crate::rng::{Purpose, place, stream};
use crate::section;
use crate::vit::{DropPath, TOKEN_STD, Vit, gather_tokens, truncated_normal};

section! {
    /// What C-MAE adds.
    CmaeOptions = "method" {
        /// Ratio of the patches masked from the first view, whose others are hidden from the second; at 0 both see all.
        mask_ratio: f64 = Literal::Float(0.75), Kind::Float { min: 0.0, max: 0.999 }, "paper section 5";
        /// Whether a learned token stands at masked patches; without it they are left out.
        mask_token: bool = Literal::Bool(true), Kind::Bool, "paper section 4";
        /// Without a mask token the views share no patch. Compared are the means of what each sees; or common patches,
        /// the second view then hiding a quarter of every image; or patches of a second view that sees everything.
        no_mask_token_align: String = Literal::Text("pooled"), Kind::Choice { of: &["pooled", "overlap", "full_target"] }, "open in the paper";
        /// InfoNCE, or BYOL's loss without negatives.
        loss: String = Literal::Text("info_nce"), Kind::Choice { of: &["info_nce", "byol"] }, "paper Eq. 10, Table 4";
        /// What is compared: every patch token; the class token as well, with the weight of a patch; the class token
        /// alone; or the mean of the patch tokens.
        measure: String = Literal::Text("tokens"), Kind::Choice { of: &["tokens", "tokens_and_class", "class", "mean"] }, "paper Table 3";
        /// Which patches are compared: all, or those hidden from or visible to the first view, whose places differ from
        /// image to image.
        positions: String = Literal::Text("all"), Kind::Choice { of: &["all", "masked", "visible"] }, "open in the paper";
        /// The candidates beside a token's own counterpart.
        negatives: String = Literal::Text("same_position_batch"), Kind::Choice { of: &["same_position_batch", "same_image", "all_tokens", "sampled", "pooled_other_images"] }, "open in the paper";
        /// Tokens drawn for sampled negatives.
        sampled: usize = Literal::Int(1024), Kind::Int { min: 1, max: 1_000_000 }, "ours";
        /// Temperature of InfoNCE.
        temperature: f64 = Literal::Float(0.2), Kind::Between { min: 0.0, max: 10.0 }, "paper section 5";
        /// Whether InfoNCE is multiplied by twice the temperature.
        loss_scale_2tau: bool = Literal::Bool(false), Kind::Bool, "MoCo v3 does, the paper does not say";
        /// Whether the loss is taken in both directions and averaged.
        symmetric: bool = Literal::Bool(false), Kind::Bool, "paper Eq. 11 has one";
        /// Momentum of the slow copy at the start.
        momentum: f64 = Literal::Float(0.996), Kind::Float { min: 0.0, max: 1.0 }, "paper section 5";
        /// Whether the momentum rises to 1 or stays.
        momentum_schedule: String = Literal::Text("cosine"), Kind::Choice { of: Momentum::SCHEDULES }, "open in the paper";
        /// Hidden width of projector and predictor; 0 is 2048, less for an encoder below ViT-S.
        head_hidden: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "paper section 5";
        /// Output width of projector and predictor; 0 is 768, less for an encoder below ViT-S.
        head_out: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "paper section 5";
        /// Norm after the hidden layers of the heads.
        head_norm: String = Literal::Text("bn"), Kind::Choice { of: Norm::NAMES }, "open in the paper; MoCo v3 has bn";
        /// Whether the heads end in a batch norm without weights.
        last_norm: bool = Literal::Bool(false), Kind::Bool, "open in the paper; MoCo v3 does";
        /// Whether the projection of the patches stays as it was drawn.
        freeze_patch_embed: bool = Literal::Bool(false), Kind::Bool, "MoCo v3 does, the paper does not say";
        /// Cutmix's Beta parameter for a patch of another image pasted into each view; 0 is off.
        cutmix: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 10.0 }, "paper Table 5";
    }
}

/// Share of every image that a second view hides where the views overlap (arXiv 2208.04164, Table 1's dagger).
const OVERLAP_HIDDEN: f64 = 0.25;
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
    options: CmaeOptions,
    drop_path: f64,
    masks_copies: bool,
}

/// A view and what is hidden from it.
#[derive(Clone, Debug)]
struct View {
    images: Tensor<4>,
    masks: Masks,
}

impl Trainable for Cmae {
    fn loss(&self, inputs: &Inputs, step: &StepInfo) -> Losses {
        let [first, second] = self.masked(inputs, step);
        let there = self.one_way(&first, &second, step, 0);
        if !self.options.symmetric {
            return there;
        }
        let back = self.one_way(&second, &first, step, 1);
        let mean = |a: Tensor<1>, b: Tensor<1>| (a + b).div_scalar(2.0);
        let terms = there.terms.into_iter().zip(back.terms);
        let terms = terms.map(|((name, a), (_, b))| (name, mean(a, b))).collect();
        Losses::new(mean(there.total, back.total), terms)
    }

    fn after_step(mut self, step: &StepInfo, _seen: Vec<Tensor<2>>) -> Self {
        let momentum = Momentum::new(self.options.momentum, &self.options.momentum_schedule).at(step.step, step.steps);
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
        if options.mask_ratio > 0.0 {
            check_ratio("method.mask_ratio", options.mask_ratio, vit.patches())?;
        }
        check_compared(&options, vit.patches())?;
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
            options,
            drop_path: train.drop_path,
            masks_copies: masks_copies(run)?,
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

    fn rivals(&self) -> Rivals {
        let options = &self.options;
        let pooled = !options.mask_token && options.no_mask_token_align == "pooled";
        let one_vector = pooled || matches!(options.measure.as_str(), "class" | "mean");
        match options.negatives.as_str() {
            _ if options.loss != "info_nce" => Rivals::None,
            _ if one_vector => Rivals::Images,
            "same_image" => Rivals::None,
            "all_tokens" | "sampled" => Rivals::ImagesAndOwnTokens,
            _ => Rivals::Images,
        }
    }

    fn normalizes_batch(&self) -> bool {
        self.projector.normalizes_batch() || self.predictor.normalizes_batch()
    }
}

impl Cmae {
    /// Both views with their masks.
    fn masked(&self, inputs: &Inputs, step: &StepInfo) -> [View; 2] {
        let [batch, ..] = inputs.views[0].dims();
        let patches = self.encoder.config().patches();
        let first = Masks::random(step.seed, step.step, batch, patches, self.options.mask_ratio);
        let second = match (self.options.mask_token, self.options.no_mask_token_align.as_str()) {
            _ if self.options.mask_ratio == 0.0 => first.clone(),
            (false, "overlap") => first.overlapping(OVERLAP_HIDDEN, step.seed, step.step),
            (false, "full_target") => Masks::none(batch, patches),
            _ => first.complement(),
        };
        let view = |place: usize, masks| View {
            images: paste(inputs.views[place].clone(), self.options.cutmix, place as u64, step),
            masks,
        };
        [view(0, first), view(1, second)]
    }

    /// The loss of the online network on one view against the slow copy on the other.
    fn one_way(&self, online: &View, target: &View, step: &StepInfo, view: u64) -> Losses {
        let compared = self.compared(online, target);
        let tokens = encode(
            &self.encoder,
            self.mask_token.as_ref(),
            online,
            step.drop_path(self.drop_path, view).as_ref(),
        );
        let features = self.measured(tokens, &online.masks, &compared);
        let projected = self.projector.forward(features.clone());
        let queries = self.predictor.forward(projected.clone());
        let teacher = self.teacher.valid();
        let target = View {
            images: target.images.clone().inner(),
            masks: target.masks.clone(),
        };
        let tokens = encode(&teacher.encoder, teacher.mask_token.as_ref(), &target, None);
        let keys = teacher.projector.forward(self.measured(tokens, &target.masks, &compared));
        let alignment = negative_cosine(queries.clone().inner(), keys.clone()).neg();
        let total = match self.options.loss.as_str() {
            "byol" => byol(queries, keys),
            _ => self.info_nce(queries, keys, step),
        };
        let mut terms = vec![(&measure::ALIGNMENT, alignment)];
        terms.extend(spread(&features, &projected));
        Losses::new(total, terms)
    }

    fn info_nce(&self, queries: Tensor<3>, keys: Tensor<3>, step: &StepInfo) -> Tensor<1> {
        let [_, tokens, _] = queries.dims();
        let negatives = match self.options.negatives.as_str() {
            // An image that is one vector has other images for candidates.
            _ if tokens == 1 => Negatives::SamePositionBatch,
            "same_image" => Negatives::SameImage,
            "all_tokens" => Negatives::AllTokens,
            "sampled" => Negatives::Sampled {
                count: self.options.sampled,
                seed: step.seed,
                step: step.step,
            },
            "pooled_other_images" => Negatives::PooledOtherImages,
            _ => Negatives::SamePositionBatch,
        };
        let temperature = self.options.temperature;
        let scale = if self.options.loss_scale_2tau { 2.0 * temperature } else { 1.0 };
        let excluded = excluded(self.masks_copies, step, &queries.device());
        token_info_nce(queries, keys, temperature, negatives, excluded).mul_scalar(scale)
    }

    /// The patches of each image that are compared, in ascending order and of the same number for all.
    fn compared(&self, online: &View, target: &View) -> Vec<Vec<usize>> {
        let wanted = |hidden: bool, target_hidden: bool| match self.options.positions.as_str() {
            _ if !self.options.mask_token => !hidden && !target_hidden,
            "masked" => hidden,
            "visible" => !hidden,
            _ => true,
        };
        let images = online.masks.masked.iter().zip(&target.masks.masked);
        let of = |(mine, theirs): (&Vec<bool>, &Vec<bool>)| {
            let both = mine.iter().zip(theirs).enumerate();
            both.filter(|(_, (mine, theirs))| wanted(**mine, **theirs))
                .map(|(patch, _)| patch)
                .collect()
        };
        images.map(of).collect()
    }

    /// What of the encoded tokens is compared.
    ///
    /// # Shapes
    /// tokens: `[batch, 1 + seen, dim]`; output: `[batch, compared, dim]`
    fn measured(&self, tokens: Tensor<3>, seen: &Masks, compared: &[Vec<usize>]) -> Tensor<3> {
        let [_, count, _] = tokens.dims();
        let pooled = !self.options.mask_token && self.options.no_mask_token_align == "pooled";
        match self.options.measure.as_str() {
            _ if pooled => tokens.narrow(1, 1, count - 1).mean_dim(1),
            "class" => tokens.narrow(1, 0, 1),
            "mean" => tokens.narrow(1, 1, count - 1).mean_dim(1),
            measure => {
                let rows = rows(
                    seen,
                    compared,
                    self.options.mask_token,
                    measure == "tokens_and_class",
                    &tokens.device(),
                );
                gather_tokens(tokens, rows)
            }
        }
    }
}

/// Refuses settings under which no patch is compared.
fn check_compared(options: &CmaeOptions, patches: usize) -> Result<(), String> {
    let seen = keep_count(patches, options.mask_ratio);
    if options.mask_token && options.positions == "masked" && seen == patches {
        return Err("method.positions = hidden compares nothing, since nothing is hidden: method.mask_ratio must be above 0".to_owned());
    }
    let overlaps = !options.mask_token && options.no_mask_token_align == "overlap" && options.mask_ratio > 0.0;
    if overlaps && keep_count(seen, OVERLAP_HIDDEN) == 0 {
        return Err(format!(
            "method.no_mask_token_align = overlap compares nothing, since the views share none of {patches} patches: \
             method.mask_ratio = {} must be lower",
            options.mask_ratio
        ));
    }
    Ok(())
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
    let hidden_norm = Norm::named(&options.head_norm);
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
