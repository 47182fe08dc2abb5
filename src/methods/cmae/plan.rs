//! The options of C-MAE, and the plan that they come to: what is compared, with which negatives, in which direction.

use super::super::heads::Norm;
use super::super::masking::{check_ratio, keep_count};
use super::super::teacher::{Momentum, MomentumSchedule};
use super::super::token_contrast::Negatives;
use super::super::{BatchNegatives, Masks, StepInfo};
use crate::{choice, section};

choice! {
    /// What is compared without a mask token.
    Align {
        /// The means of what each view sees.
        Pooled = "pooled",
        /// The patches that both views see, the second view hiding a quarter of every image.
        Overlap = "overlap",
        /// The patches that the first view sees, the second view seeing all.
        FullTarget = "full_target",
    }
}

choice! {
    /// The loss of a token.
    LossKind {
        /// InfoNCE: its counterpart must be told from the negatives.
        InfoNce = "info_nce",
        /// BYOL's loss, which has no negatives.
        Byol = "byol",
    }
}

choice! {
    /// What is compared.
    Measure {
        /// Every patch token.
        Tokens = "tokens",
        /// Every patch token, and the class token with the weight of a patch.
        TokensAndClass = "tokens_and_class",
        /// The class token alone.
        Class = "class",
        /// The mean of the patch tokens.
        Mean = "mean",
    }
}

choice! {
    /// Which patches are compared.
    Positions {
        /// All.
        All = "all",
        /// Those masked from the first view, whose places differ from image to image.
        Masked = "masked",
        /// Those visible to the first view, likewise.
        Visible = "visible",
    }
}

choice! {
    /// The candidates beside a token's own counterpart.
    Candidates {
        /// The token at the same place of every other image.
        SamePositionBatch = "same_position_batch",
        /// Every other token of the same image.
        SameImage = "same_image",
        /// Every other token of every image.
        AllTokens = "all_tokens",
        /// Tokens drawn from all of the batch.
        Sampled = "sampled",
        /// The mean of all tokens of every other image.
        PooledOtherImages = "pooled_other_images",
    }
}

section! {
    /// What C-MAE adds.
    CmaeOptions = "method" {
        /// Ratio of the patches masked from the first view, whose others are hidden from the second; at 0 both see all.
        mask_ratio: f64 = Literal::Float(0.75), Kind::Float { min: 0.0, max: 0.999 }, "paper section 5";
        /// Whether a learned token stands at masked patches; without it they are left out.
        mask_token: bool = Literal::Bool(true), Kind::Bool, "paper section 4";
        /// What is compared without a mask token, where complementary views share no patch.
        no_mask_token_align in Align = Pooled, "open in the paper";
        /// The loss of a token.
        loss in LossKind = InfoNce, "paper Eq. 10, Table 4";
        /// What is compared.
        measure in Measure = Tokens, "paper Table 3";
        /// Which patches are compared where every one has a token.
        positions in Positions = All, "open in the paper";
        /// The candidates beside a token's own counterpart.
        negatives in Candidates = SamePositionBatch, "open in the paper";
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
        /// How the momentum goes on.
        momentum_schedule in MomentumSchedule = Cosine, "open in the paper";
        /// Hidden width of projector and predictor; 0 is 2048, less for an encoder below ViT-S.
        head_hidden: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "paper section 5";
        /// Output width of projector and predictor; 0 is 768, less for an encoder below ViT-S.
        head_out: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "paper section 5";
        /// Norm after the hidden layers of the heads.
        head_norm in Norm = Batch, "open in the paper; MoCo v3 has bn";
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

/// What the options come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Ratio of the patches masked from the first view.
    pub mask_ratio: f64,
    /// What is masked from the second.
    pub second: Second,
    /// What of the two is compared.
    pub compared: Compared,
    /// How.
    pub loss: Loss,
    /// Whether the views change roles too, and both directions are averaged.
    pub symmetric: bool,
    /// How the slow copy follows.
    pub momentum: Momentum,
    /// Beta parameter of the patch of another image pasted into each view; 0 is off.
    pub cutmix: f64,
}

/// What is masked from the second view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// What the first view sees (Eq. 6).
    Complement,
    /// A quarter of what the first view sees, and of what it does not.
    Overlapping,
    /// Nothing.
    Nothing,
}

/// What of the tokens is compared (Table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The class token.
    Class,
    /// The mean of the patch tokens.
    Mean,
    /// Patch tokens, each with its counterpart.
    Tokens {
        /// Which.
        patches: Patches,
        /// Whether the class token is one more.
        class: bool,
    },
}

/// Which patches are compared, as the view of the online network and that of the slow copy mask them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patches {
    /// All.
    All,
    /// Those that the online network does not see.
    Masked,
    /// Those that it sees.
    Visible,
    /// Those that both see, for without a mask token nobody else has one.
    Shared,
}

/// The loss of what is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Eq. 10.
    InfoNce(InfoNce),
    /// The distance of the directions, without negatives.
    Byol,
}

/// What Eq. 10 leaves open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InfoNce {
    /// Temperature of the softmax.
    pub temperature: f64,
    /// What the loss is multiplied by.
    pub scale: f64,
    /// What a token is told from.
    candidates: Candidates,
    /// How many of them are drawn, where they are.
    sampled: usize,
}

impl Plan {
    /// The plan for images of so many patches.
    ///
    /// # Errors
    /// Options under which no patch is compared.
    pub fn new(options: &CmaeOptions, patches: usize) -> Result<Plan, String> {
        if options.mask_ratio > 0.0 {
            check_ratio("method.mask_ratio", options.mask_ratio, patches)?;
        }
        check_compared(options, patches)?;
        let compared = Compared::of(options);
        Ok(Plan {
            mask_ratio: options.mask_ratio,
            second: Second::of(options),
            compared,
            loss: Loss::of(options, compared),
            symmetric: options.symmetric,
            momentum: Momentum::new(options.momentum, options.momentum_schedule),
            cutmix: options.cutmix,
        })
    }

    /// What the two views of a batch of `batch` images do not see.
    pub fn masks(&self, batch: usize, patches: usize, step: &StepInfo) -> [Masks; 2] {
        let first = Masks::random(step.seed, step.step, batch, patches, self.mask_ratio);
        let second = match self.second {
            Second::Complement => first.complement(),
            Second::Overlapping => first.overlapping(OVERLAP_HIDDEN, step.seed, step.step),
            Second::Nothing => Masks::none(batch, patches),
        };
        [first, second]
    }
}

impl Second {
    fn of(options: &CmaeOptions) -> Second {
        if options.mask_ratio == 0.0 {
            return Second::Nothing;
        }
        if options.mask_token {
            return Second::Complement;
        }
        match options.no_mask_token_align {
            Align::Pooled => Second::Complement,
            Align::Overlap => Second::Overlapping,
            Align::FullTarget => Second::Nothing,
        }
    }
}

impl Compared {
    fn of(options: &CmaeOptions) -> Compared {
        if !options.mask_token && options.no_mask_token_align == Align::Pooled {
            return Compared::Mean;
        }
        let patches = Patches::of(options);
        match options.measure {
            Measure::Tokens => Compared::Tokens { patches, class: false },
            Measure::TokensAndClass => Compared::Tokens { patches, class: true },
            Measure::Class => Compared::Class,
            Measure::Mean => Compared::Mean,
        }
    }

    /// The patches of each image that are compared, in ascending order and of the same number for all.
    pub fn patches(self, online: &Masks, target: &Masks) -> Vec<Vec<usize>> {
        let Compared::Tokens { patches, .. } = self else {
            return Vec::new();
        };
        let images = online.masked.iter().zip(&target.masked);
        let of = |(mine, theirs): (&Vec<bool>, &Vec<bool>)| {
            let both = mine.iter().zip(theirs).enumerate();
            both.filter(|(_, (mine, theirs))| patches.have(**mine, **theirs))
                .map(|(patch, _)| patch)
                .collect()
        };
        images.map(of).collect()
    }
}

impl Patches {
    fn of(options: &CmaeOptions) -> Patches {
        if !options.mask_token {
            return Patches::Shared;
        }
        match options.positions {
            Positions::All => Patches::All,
            Positions::Masked => Patches::Masked,
            Positions::Visible => Patches::Visible,
        }
    }

    /// Whether a patch is one of them that the views mask so.
    fn have(self, online: bool, target: bool) -> bool {
        match self {
            Patches::All => true,
            Patches::Masked => online,
            Patches::Visible => !online,
            Patches::Shared => !online && !target,
        }
    }
}

impl Loss {
    fn of(options: &CmaeOptions, compared: Compared) -> Loss {
        let temperature = options.temperature;
        match options.loss {
            LossKind::Byol => Loss::Byol,
            LossKind::InfoNce => Loss::InfoNce(InfoNce {
                temperature,
                scale: if options.loss_scale_2tau { 2.0 * temperature } else { 1.0 },
                candidates: match compared {
                    // An image that is one vector has other images for candidates.
                    Compared::Class | Compared::Mean => Candidates::SamePositionBatch,
                    Compared::Tokens { .. } => options.negatives,
                },
                sampled: options.sampled,
            }),
        }
    }

    /// What of a batch a token is told from.
    pub fn negatives(self) -> BatchNegatives {
        match self {
            Loss::Byol => BatchNegatives::None,
            Loss::InfoNce(how) => match how.candidates {
                Candidates::SameImage => BatchNegatives::None,
                Candidates::SamePositionBatch | Candidates::PooledOtherImages => BatchNegatives::Images,
                Candidates::AllTokens | Candidates::Sampled => BatchNegatives::ImagesAndOwnTokens,
            },
        }
    }
}

impl InfoNce {
    /// The negatives of a step that compares so many tokens of an image.
    pub fn negatives(&self, tokens: usize, step: &StepInfo) -> Negatives {
        // An image of which a single patch is compared is one vector, too.
        if tokens == 1 {
            return Negatives::SamePositionBatch;
        }
        match self.candidates {
            Candidates::SamePositionBatch => Negatives::SamePositionBatch,
            Candidates::SameImage => Negatives::SameImage,
            Candidates::AllTokens => Negatives::AllTokens,
            Candidates::Sampled => Negatives::Sampled {
                count: self.sampled,
                seed: step.seed,
                step: step.step,
            },
            Candidates::PooledOtherImages => Negatives::PooledOtherImages,
        }
    }
}

/// Refuses settings under which no patch is compared.
fn check_compared(options: &CmaeOptions, patches: usize) -> Result<(), String> {
    let seen = keep_count(patches, options.mask_ratio);
    if options.mask_token && options.positions == Positions::Masked && seen == patches {
        return Err("method.positions = masked compares nothing, since nothing is masked: method.mask_ratio must be above 0".to_owned());
    }
    let overlaps = Second::of(options) == Second::Overlapping;
    if overlaps && keep_count(seen, OVERLAP_HIDDEN) == 0 {
        return Err(format!(
            "method.no_mask_token_align = overlap compares nothing, since the views share none of {patches} patches: \
             method.mask_ratio = {} must be lower",
            options.mask_ratio
        ));
    }
    Ok(())
}
