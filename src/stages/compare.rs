//! The stage `compare`: CKA between the features of two encoders, every block of one with every block of the other.
//!
//! The encoders are of different runs, or of one run after different epochs.

use anyhow::{Error, Result, bail};
use burn::tensor::{Device, Tensor};

use crate::data::loader::Batch;
use crate::experiment::RunId;
use crate::experiment::measure;
use crate::experiment::settings::CompareSettings;
use crate::methods::Masks;
use crate::metrics::cka::{CkaMatrix, FEWEST, Gram, dealt, grams_of};
use crate::metrics::encoded::Encoded;
use crate::run_dir::{Matrix, MatrixAxis, RunDir};
use crate::stages::Work;
use crate::stages::parent::Parent;
use crate::train::evaluation::{Accumulator, Part, Sums};
use crate::train::report::Reporter;
use crate::train::{Ended, upload};

/// Compares the parent's encoder with the other and reports the matrix of their blocks, and [`measure::COMPARE`].
///
/// # Errors
/// A run without a fitting model or snapshot, encoders of images of different size, too few images, an image that cannot
/// be read.
pub fn run(work: &mut Work) -> Result<Ended> {
    let settings: CompareSettings = work.section("compare")?;
    let (first, second) = both(work, &settings)?;
    let dataset = work.open_data()?;
    if dataset.val.len() < FEWEST {
        bail!(
            "{} validation images are too few to be compared: there must be at least {FEWEST}",
            dataset.val.len()
        );
    }
    let device = work.session.device.clone().inner();
    let encoded = |parent: &Parent| -> Result<Encoded> {
        Ok(Encoded {
            encoder: parent.encoder(&parent.run, &device)?,
            mask_token: None,
            tokens: settings.tokens.into(),
        })
    };
    let sides = [encoded(&first)?, encoded(&second)?];
    let [mine, theirs] = [&sides[0], &sides[1]].map(|side| side.encoder.config().image_size);
    if mine != theirs {
        bail!("the encoders see images of {mine} and of {theirs} pixels: compare.other must be a run of the same data.image_size");
    }
    let mut comparison = Comparison::new(sides, &settings, work.run.seed, device);
    let batches = dealt(dataset.val.len(), settings.images, settings.batch_size);
    let images = batches.iter().map(Vec::len).sum();
    let part = Part {
        name: "compare",
        phase: "evaluating",
        batches: batches.len() as u64,
        images: 2 * batches[0].len(),
    };
    let load = work.plain(&dataset, &dataset.val, batches)?;
    let ended = work.session.evaluate(&part, &mut comparison, load)?;
    if ended != Ended::Cancelled {
        report(work, comparison.matrix(&name_of(&second, settings.other_epoch)), images)?;
    }
    Ok(ended)
}

/// The parent and the run it is compared with, each at its epoch.
fn both(work: &Work, settings: &CompareSettings) -> Result<(Parent, Parent)> {
    let first = Parent::of(work)?;
    let mine = RunDir::of(work.data_dir, &first.run.id);
    let theirs = if settings.other.is_empty() {
        mine.clone()
    } else {
        RunDir::of(work.data_dir, &settings.other.parse::<RunId>().map_err(Error::msg)?)
    };
    let second = Parent::read(&theirs)?.at_epoch(&theirs, settings.other_epoch)?;
    Ok((first.at_epoch(&mine, settings.epoch)?, second))
}

/// What the blocks of a run are called beside those of another.
fn name_of(parent: &Parent, epoch: u64) -> String {
    match epoch {
        0 => parent.run.label.clone(),
        epoch => format!("{}, epoch {epoch}", parent.run.label),
    }
}

/// The sums of all batches, a pass for each draw of masks.
struct Comparison {
    sides: [Encoded; 2],
    ratio: f64,
    draws: u64,
    seed: u64,
    device: Device,
    /// Block of the first by block of the second.
    sums: CkaMatrix,
}

impl Comparison {
    fn new(sides: [Encoded; 2], settings: &CompareSettings, seed: u64, device: Device) -> Comparison {
        let [first, second] = [&sides[0], &sides[1]].map(|side| side.encoder.config().depth);
        // Without patches left out there is nothing to draw.
        let draws = if settings.ratio > 0.0 { settings.mask_seeds } else { 1 };
        Comparison {
            sums: CkaMatrix::new(first, second, draws as usize),
            sides,
            ratio: settings.ratio,
            draws,
            seed,
            device,
        }
    }

    fn matrix(&self, other: &str) -> Matrix {
        let [rows, columns] = [&self.sides[0], &self.sides[1]].map(|side| 1..=side.encoder.config().depth);
        let columns = MatrixAxis::new(&format!("block of {other}"), columns);
        Matrix::of(MatrixAxis::new("block", rows), columns, &self.sums.values())
    }
}

impl Accumulator for Comparison {
    type Batch = Batch;
    type Ready = (Vec<u32>, Tensor<4>);

    fn passes(&self) -> u64 {
        self.draws
    }

    fn ready(&self, batch: Batch) -> Result<(Vec<u32>, Tensor<4>)> {
        Ok((batch.indices.clone(), upload(batch, &self.device).views.swap_remove(0)))
    }

    fn add(&mut self, (indices, images): &(Vec<u32>, Tensor<4>), draw: u64, _reporter: &mut Reporter) -> Result<()> {
        let (ratio, seed) = (self.ratio, self.seed);
        let grams = |side: &Encoded| -> Vec<Gram> {
            if ratio == 0.0 {
                return grams_of(side.whole(images.clone()), indices.len());
            }
            let masks = Masks::for_comparison(seed, draw, indices, side.encoder.config().patches(), ratio, false);
            grams_of(side.masked(images.clone(), &masks), indices.len())
        };
        let (first, second) = (grams(&self.sides[0]), grams(&self.sides[1]));
        for (row, first) in first.iter().enumerate() {
            for (column, second) in second.iter().enumerate() {
                self.sums.at(row, column, draw as usize).add(first, second);
            }
        }
        Ok(())
    }

    fn save(&self) -> Sums {
        Sums::default().with("sums", self.sums.iter())
    }

    fn restore(&mut self, saved: &Sums) -> Result<(), String> {
        saved.fill("sums", self.sums.iter_mut())
    }
}

fn report(work: &mut Work, matrix: Matrix, images: usize) -> Result<()> {
    let (rows, columns) = (matrix.rows.labels.len(), matrix.columns.labels.len());
    let same: Option<Vec<f64>> = (0..rows)
        .filter(|_| rows == columns)
        .map(|block| matrix.mean[block][block])
        .collect();
    let same = same
        .filter(|same| !same.is_empty())
        .map(|same| same.iter().sum::<f64>() / same.len() as f64);
    for (measure, value) in [
        (measure::COMPARE_MEAN, matrix.overall_mean()),
        (measure::COMPARE_LAST_BLOCKS, matrix.mean[rows - 1][columns - 1]),
        (measure::COMPARE_SAME_BLOCK, same),
        (measure::COMPARE_IMAGES, Some(images as f64)),
    ] {
        if let Some(value) = value {
            work.session.reporter.summary(&measure, value)?;
        }
    }
    work.session.reporter.matrix(&measure::CKA_MATRIX, matrix)
}
