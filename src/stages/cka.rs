//! The stage `cka`: how alike an encoder's features of images and of the same images with patches masked are, after
//! every block and at several ratios (arXiv 2208.04164, figure 1).
//!
//! The full images of a batch are encoded once and compared with every ratio and every draw of masks. Images are
//! chosen evenly over the validation split and dealt out, so that a batch has images of every part of it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use anyhow::{Error, Result, bail};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::data::Dataset;
use crate::data::loader::{Batch, EvalLoader};
use crate::experiment::Stage;
use crate::experiment::settings::CkaSettings;
use crate::methods::{Masks, Method, MethodVisitor, with_method};
use crate::metrics::cka::{Cka, FEWEST, Gram};
use crate::metrics::encoded::{Encoded, Rows, Tokens};
use crate::run_dir::{Axis, Matrix};
use crate::stages::Work;
use crate::stages::parent::Parent;
use crate::train::{Ended, first_phase, is_cpu, upload};
use crate::weights;

/// What the run does when a GPU knows its kernels.
const EVALUATING: &str = "evaluating";

/// Compares the parent's features. Reports the matrix `cka`, block by ratio, and as numbers `cka.mean`, `cka.last_block`
/// and `cka.at_RATIO`, its means; `cka.control`, the least over the blocks with nothing hidden, which is 1 to rounding; and
/// `cka.images`, how many images there were.
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
        tokens: Tokens::named(&settings.tokens),
    };
    let batches = dealt(dataset.val.len(), settings.images, settings.batch_size);
    if dataset.val.len() < FEWEST {
        bail!(
            "{} validation images are too few to be compared: there must be at least {FEWEST}",
            dataset.val.len()
        );
    }
    work.session.reporter.phase(first_phase(&device, EVALUATING))?;
    let images: usize = batches.iter().map(Vec::len).sum();
    let mut comparison = Comparison::new(encoded, &settings, work.run.seed);
    if !comparison.all(work, &dataset, batches)? {
        return Ok(Ended::Cancelled);
    }
    report(work, &comparison, images)?;
    Ok(Ended::Done(BTreeMap::new()))
}

/// The token that the parent's method puts at masked patches, if the settings ask for it.
fn mask_token(settings: &CkaSettings, parent: &Parent, dataset: &Dataset, device: &Device) -> Result<Option<Tensor<3>>> {
    if settings.masking != "mask_token" {
        return Ok(None);
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

/// Batches of about equal size of `wanted` images (0 is all), chosen evenly over the `all` of a split, each batch from
/// everywhere in it. None is smaller than [`FEWEST`] if there are so many images at all.
pub(crate) fn dealt(all: usize, wanted: usize, batch_size: usize) -> Vec<Vec<u32>> {
    let count = if wanted == 0 { all } else { wanted.min(all) };
    let batches = count.div_ceil(batch_size).min(count / FEWEST).max(1);
    let image = |nth: usize| (nth * all / count.max(1)) as u32;
    (0..batches)
        .map(|batch| (batch..count).step_by(batches).map(image).collect())
        .collect()
}

/// The sums of all batches.
struct Comparison {
    encoded: Encoded,
    ratios: Vec<f64>,
    draws: u64,
    seed: u64,
    /// `[block][ratio][draw]`
    sums: Vec<Vec<Vec<Cka>>>,
    /// With nothing hidden, a block each.
    control: Vec<Cka>,
}

impl Comparison {
    fn new(encoded: Encoded, settings: &CkaSettings, seed: u64) -> Comparison {
        let (ratios, draws, depth) = (settings.ratios(), settings.mask_seeds, encoded.encoder.config().depth);
        Comparison {
            sums: vec![vec![vec![Cka::default(); draws as usize]; ratios.len()]; depth],
            control: vec![Cka::default(); depth],
            encoded,
            ratios,
            draws,
            seed,
        }
    }

    /// Takes in every batch, or gives up when somebody asks to stop and says so with `false`.
    fn all(&mut self, work: &mut Work, dataset: &Dataset, batches: Vec<Vec<u32>>) -> Result<bool> {
        let passes = self.ratios.len() as u64 * self.draws;
        let steps = batches.len() as u64 * passes;
        let loader = EvalLoader::chosen(dataset.val.clone(), work.augment(dataset)?, batches, work.loader_threads());
        let device = work.session.device.clone();
        work.session.reporter.begin(0);
        for batch in loader {
            let batch = batch?;
            let (first, images) = (batch.step * passes, batch.indices.len() as f64);
            let mut done = first;
            let finished = self.take(batch, &device, &mut || {
                done += 1;
                if done == first + passes && first == 0 && !is_cpu(&device) {
                    work.session.reporter.phase(EVALUATING)?;
                }
                work.session.reporter.tick(done, steps, images)?;
                Ok(!work.session.stop.load(Ordering::Relaxed))
            })?;
            if !finished {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes in a batch. `told` is called after every pass and says whether to go on.
    fn take(&mut self, batch: Batch, device: &Device, told: &mut dyn FnMut() -> Result<bool>) -> Result<bool> {
        let (first, indices) = (batch.step == 0, batch.indices.clone());
        let images = upload(batch, device).views[0].clone();
        let whole = Whole::of(&self.encoded, images.clone());
        let patches = self.encoded.encoder.config().patches();
        if first {
            let masks = Masks::none(indices.len(), patches);
            let (there, here) = (
                whole.grams(&self.encoded, &masks),
                grams(self.encoded.masked(images.clone(), &masks), &masks),
            );
            let blocks = self.control.iter_mut().zip(there.iter().zip(&here));
            blocks.for_each(|(sum, (there, here))| sum.add(there, here));
        }
        for column in in_turns(self.ratios.len()) {
            for draw in 0..self.draws {
                let shared = self.encoded.tokens.are_matched();
                let masks = Masks::for_comparison(self.seed, draw, &indices, patches, self.ratios[column], shared);
                let masked = self.encoded.masked(images.clone(), &masks);
                let (there, here) = (whole.grams(&self.encoded, &masks), grams(masked, &masks));
                for (block, (there, here)) in there.iter().zip(&here).enumerate() {
                    self.sums[block][column][draw as usize].add(there, here);
                }
                if !told()? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn matrix(&self) -> Matrix {
        let values: Vec<Vec<Vec<Option<f64>>>> = self
            .sums
            .iter()
            .map(|row| row.iter().map(|draws| draws.iter().map(Cka::value).collect()).collect())
            .collect();
        Matrix::of(Axis::new("block", 1..=self.sums.len()), Axis::new("ratio", &self.ratios), &values)
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

/// A kernel for every block, on all processors.
pub(crate) fn grams_of(rows: Rows, images: usize) -> Vec<Gram> {
    rows.into_par_iter().map(|rows| Gram::of(&rows, images)).collect()
}

/// The numbers below `count` from both ends: passes over much and over little of the images take turns, so that the time
/// that remains can be told from the first of them.
fn in_turns(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |nth| if nth % 2 == 0 { nth / 2 } else { count - 1 - nth / 2 })
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
    let columns = comparison.ratios.iter().enumerate();
    let at_ratios = columns.map(|(column, ratio)| (format!("cka.at_{ratio}"), matrix.column_mean(column)));
    let control = comparison.control.iter().filter_map(Cka::value).reduce(f64::min);
    let numbers = [
        ("cka.mean".to_owned(), matrix.overall_mean()),
        ("cka.last_block".to_owned(), matrix.row_mean(matrix.mean.len() - 1)),
        ("cka.control".to_owned(), control),
        ("cka.images".to_owned(), Some(images as f64)),
    ];
    for (name, value) in numbers.into_iter().chain(at_ratios) {
        if let Some(value) = value {
            reporter.summary(&name, value)?;
        }
    }
    reporter.matrix("cka", matrix)
}

#[cfg(test)]
mod tests;
