//! The stage `cka`: how alike an encoder's features of images and of the same images with patches masked are, after
//! every block and at several ratios (arXiv 2208.04164, figure 1).
//!
//! The full images of a batch are encoded once and compared with every ratio and every draw of masks. Images are
//! chosen evenly over the validation split and dealt out, so that a batch has images of every part of it.

use anyhow::{Error, Result, bail};
use burn::tensor::{Device, Tensor};

use crate::data::Dataset;
use crate::data::loader::Batch;
use crate::experiment::Stage;
use crate::experiment::choices::Masking;
use crate::experiment::measure;
use crate::experiment::settings::CkaSettings;
use crate::methods::{Masks, Method, MethodVisitor, with_method};
use crate::metrics::cka::{Cka, CkaMatrix, FEWEST, Gram, dealt, grams_of};
use crate::metrics::encoded::{Encoded, Rows};
use crate::run_dir::{Matrix, MatrixAxis};
use crate::stages::Work;
use crate::stages::parent::Parent;
use crate::train::evaluation::{Accumulator, Part, Sums};
use crate::train::report::Reporter;
use crate::train::{Ended, upload};
use crate::weights;

/// Compares the parent's features and reports the matrix of blocks and ratios, and the results of [`measure::CKA`].
///
/// # Errors
/// A parent without a fitting model or without a mask token where one is asked for, too few images, an image that
/// cannot be read.
pub fn run(work: &mut Work) -> Result<Ended> {
    let parent = Parent::of(work)?;
    let dataset = work.open_data()?;
    let settings: CkaSettings = work.section("cka")?;
    let device = work.session.device.clone().inner();
    let encoded = Encoded {
        encoder: parent.encoder(work.run, &device)?,
        mask_token: mask_token(&settings, &parent, &dataset, &device)?,
        tokens: settings.tokens,
    };
    let batches = dealt(dataset.val.len(), settings.images, settings.batch_size);
    if dataset.val.len() < FEWEST {
        bail!(
            "{} validation images are too few to be compared: there must be at least {FEWEST}",
            dataset.val.len()
        );
    }
    let images: usize = batches.iter().map(Vec::len).sum();
    let part = Part {
        name: "cka",
        phase: "evaluating",
        batches: batches.len() as u64,
        images: batches[0].len(),
    };
    let mut comparison = Comparison::new(encoded, &settings, work.run.seed, device);
    let load = work.plain(&dataset, &dataset.val, batches)?;
    let ended = work.session.evaluate(&part, &mut comparison, load)?;
    if ended != Ended::Cancelled {
        report(work, &comparison, images)?;
    }
    Ok(ended)
}

/// The token that the parent's method puts at masked patches, if the settings ask for it.
fn mask_token(settings: &CkaSettings, parent: &Parent, dataset: &Dataset, device: &Device) -> Result<Option<Tensor<3>>> {
    match settings.masking {
        Masking::Drop => return Ok(None),
        Masking::MaskToken => {}
    }
    let (run, title) = (&parent.run, &parent.run.method);
    if run.stage != Stage::Pretrain {
        bail!(
            "cka.masking = mask_token is not allowed after {}: only a pretraining keeps the token",
            run.stage
        );
    }
    let classes = dataset.classes.len();
    let token = with_method(title, ReadToken { parent, classes, device }).map_err(Error::msg)??;
    match token {
        Some(token) => Ok(Some(token)),
        None => bail!("cka.masking = mask_token is not allowed for {title}: as it was pretrained, masked patches are left out"),
    }
}

struct ReadToken<'a> {
    parent: &'a Parent,
    classes: usize,
    device: &'a Device,
}

impl MethodVisitor for ReadToken<'_> {
    type Out = Result<Option<Tensor<3>>>;

    fn visit<M: Method>(self) -> Self::Out {
        let model = M::new(&self.parent.run, self.classes, self.device).map_err(Error::msg)?;
        if model.mask_token().is_none() {
            return Ok(None);
        }
        let model = weights::from_timm(model, &self.parent.weights).map_err(|e| Error::msg(format!("{}: {e}", self.parent.file)))?;
        Ok(model.mask_token())
    }
}

/// The sums of all batches, a pass for each ratio and each draw of masks.
struct Comparison {
    encoded: Encoded,
    ratios: Vec<f64>,
    draws: u64,
    seed: u64,
    device: Device,
    /// Block by ratio.
    sums: CkaMatrix,
    /// With nothing hidden, a block each.
    control: Vec<Cka>,
}

impl Comparison {
    fn new(encoded: Encoded, settings: &CkaSettings, seed: u64, device: Device) -> Comparison {
        let (ratios, draws, depth) = (settings.ratios(), settings.mask_seeds, encoded.encoder.config().depth);
        Comparison {
            sums: CkaMatrix::new(depth, ratios.len(), draws as usize),
            control: vec![Cka::default(); depth],
            encoded,
            ratios,
            draws,
            seed,
            device,
        }
    }

    /// Takes in images with nothing hidden.
    fn add_control(&mut self, batch: &Ready) {
        let masks = Masks::none(batch.indices.len(), self.encoded.encoder.config().patches());
        let there = batch.whole.grams(&self.encoded, &masks);
        let here = grams(self.encoded.masked(batch.images.clone(), &masks), &masks);
        let blocks = self.control.iter_mut().zip(there.iter().zip(&here));
        blocks.for_each(|(sum, (there, here))| sum.add(there, here));
    }

    fn matrix(&self) -> Matrix {
        let rows = MatrixAxis::new("block", 1..=self.control.len());
        Matrix::of(rows, MatrixAxis::new("ratio", &self.ratios), &self.sums.values())
    }
}

/// A batch on the device.
struct Ready {
    is_first: bool,
    indices: Vec<u32>,
    images: Tensor<4>,
    whole: Whole,
}

impl Accumulator for Comparison {
    type Batch = Batch;
    type Ready = Ready;

    fn passes(&self) -> u64 {
        self.ratios.len() as u64 * self.draws
    }

    fn ready(&self, batch: Batch) -> Result<Ready> {
        let (is_first, indices) = (batch.step == 0, batch.indices.clone());
        let images = upload(batch, &self.device).views.swap_remove(0);
        let whole = Whole::of(&self.encoded, images.clone());
        Ok(Ready {
            is_first,
            indices,
            images,
            whole,
        })
    }

    fn add(&mut self, batch: &Ready, pass: u64, _reporter: &mut Reporter) -> Result<()> {
        if batch.is_first && pass == 0 {
            self.add_control(batch);
        }
        let column = in_turns((pass / self.draws) as usize, self.ratios.len());
        let (draw, patches) = (pass % self.draws, self.encoded.encoder.config().patches());
        let shared = self.encoded.tokens.are_matched();
        let masks = Masks::for_comparison(self.seed, draw, &batch.indices, patches, self.ratios[column], shared);
        let masked = self.encoded.masked(batch.images.clone(), &masks);
        let (there, here) = (batch.whole.grams(&self.encoded, &masks), grams(masked, &masks));
        for (block, (there, here)) in there.iter().zip(&here).enumerate() {
            self.sums.at(block, column, draw as usize).add(there, here);
        }
        Ok(())
    }

    fn save(&self) -> Sums {
        Sums::default().with("sums", self.sums.iter()).with("control", &self.control)
    }

    fn restore(&mut self, saved: &Sums) -> Result<(), String> {
        saved.fill("sums", self.sums.iter_mut())?;
        saved.fill("control", &mut self.control)
    }
}

/// The full images of a batch: compared as they are, or patch by patch with what the others show.
enum Whole {
    Grams(Vec<Gram>),
    Patches(Vec<Tensor<3>>),
}

impl Whole {
    fn of(encoded: &Encoded, images: Tensor<4>) -> Whole {
        if encoded.tokens.are_matched() {
            return Whole::Patches(encoded.patches(images));
        }
        let [count, ..] = images.dims();
        Whole::Grams(grams_of(encoded.whole(images), count))
    }

    fn grams(&self, encoded: &Encoded, masks: &Masks) -> std::borrow::Cow<'_, [Gram]> {
        match self {
            Whole::Grams(grams) => grams.into(),
            Whole::Patches(patches) => grams(encoded.matched(patches, masks), masks).into(),
        }
    }
}

fn grams(rows: Rows, masks: &Masks) -> Vec<Gram> {
    grams_of(rows, masks.masked.len())
}

/// The `nth` of the numbers below `count` from both ends: passes over much and over little of the images take turns, so that
/// the time that remains can be told from the first of them.
fn in_turns(nth: usize, count: usize) -> usize {
    if nth.is_multiple_of(2) { nth / 2 } else { count - 1 - nth / 2 }
}

fn report(work: &mut Work, comparison: &Comparison, images: usize) -> Result<()> {
    let (reporter, matrix) = (&mut *work.session.reporter, comparison.matrix());
    let undefined = matrix.mean.iter().flatten().filter(|value| value.is_none()).count();
    if undefined > 0 {
        reporter.warning(format!(
            "cka is not defined for {undefined} of {} numbers: there the features do not vary from image to image",
            matrix.mean.iter().flatten().count()
        ))?;
    }
    let control = comparison.control.iter().filter_map(Cka::value).reduce(f64::min);
    for (measure, value) in [
        (measure::CKA_MEAN, matrix.overall_mean()),
        (measure::CKA_LAST_BLOCK, matrix.row_mean(matrix.mean.len() - 1)),
        (measure::CKA_CONTROL, control),
        (measure::CKA_IMAGES, Some(images as f64)),
    ] {
        if let Some(value) = value {
            reporter.summary(&measure, value)?;
        }
    }
    for (column, ratio) in comparison.ratios.iter().enumerate() {
        if let Some(value) = matrix.column_mean(column) {
            reporter.summary_at(&measure::CKA_AT, ratio, value)?;
        }
    }
    reporter.matrix(&measure::CKA_MATRIX, matrix)
}

#[cfg(test)]
mod tests;
