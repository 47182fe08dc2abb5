//! Quality of reconstructions: peak signal-to-noise ratio of the hidden patches.
//!
//! The paper gives one number and neither the region nor the source of the patch statistics, so all of it is
//! spelt out: `masked` looks at hidden patches only, `composite` at the picture with the visible patches
//! pasted in; each is the mean of the decibels of single pictures, and `_pooled` the decibels of the mean
//! error. `_zero` is the control: a model that predicts zero everywhere, which with the oracle's statistics
//! already scores 16 to 20 dB.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use anyhow::{Error, Result};

use super::Work;
use super::parent::Parent;
use super::pictures::{Gallery, space_of};
use super::pixels::{Denorm, PixelSpace};
use crate::data::Dataset;
use crate::data::loader::EvalLoader;
use crate::experiment::settings::PsnrSettings;
use crate::methods::{Masks, Method, MethodVisitor, with_method};
use crate::train::{Ended, first_phase, is_cpu, upload};
use crate::weights;

/// What the run does when a GPU knows its kernels.
const EVALUATING: &str = "evaluating";

/// Scores the parent's reconstructions of the validation split.
///
/// # Errors
/// A parent without a fitting model, a method that does not reconstruct, a picture that cannot be read.
pub fn run(work: &mut Work) -> Result<Ended> {
    let parent = Parent::of(work)?;
    let dataset = work.open_data()?;
    let method = parent.run.method.clone();
    with_method(&method, Score { work, parent, dataset }).map_err(Error::msg)?
}

struct Score<'a, 'b> {
    work: &'a mut Work<'b>,
    parent: Parent,
    dataset: Dataset,
}

impl MethodVisitor for Score<'_, '_> {
    type Out = Result<Ended>;

    fn visit<M: Method>(self) -> Result<Ended> {
        let Score { work, parent, dataset } = self;
        let device = work.session.device.clone().inner();
        let model = M::new(&parent.run, dataset.classes.len(), &device).map_err(Error::msg)?;
        let model = weights::from_timm(model, &parent.weights).map_err(|e| Error::msg(format!("{}: {e}", parent.file)))?;
        let augment = work.augment(&dataset)?;
        work.session.reporter.phase(first_phase(&device, EVALUATING))?;
        Gallery::of(work, &dataset, &augment)?.show(&model, work.dir, 0, work.session.reporter)?;
        let Some(totals) = score_all(work, &dataset, &model)? else {
            return Ok(Ended::Cancelled);
        };
        totals
            .summaries()
            .into_iter()
            .try_for_each(|(name, value)| work.session.reporter.summary(name, value))?;
        Ok(Ended::Done(BTreeMap::new()))
    }
}

/// Scores every validation picture, or gives up when somebody asks to stop.
fn score_all<M: Method>(work: &mut Work, dataset: &Dataset, model: &M) -> Result<Option<Totals>> {
    let settings: PsnrSettings = work.section("psnr")?;
    let (space, device) = (space_of(work, dataset)?, work.session.device.clone());
    let denorm = Denorm::new(&settings, model.normalises_targets());
    let batches = dataset.val.len().div_ceil(settings.batch_size) as u64;
    let mut totals = Totals::default();
    work.session.reporter.begin(0);
    for batch in EvalLoader::new(
        dataset.val.clone(),
        work.augment(dataset)?,
        settings.batch_size,
        work.loader_threads(),
    ) {
        if work.session.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = batch?;
        let (done, pixels) = (batch.step + 1, batch.views[0].clone());
        let masks = Masks::for_evaluation(work.run.seed, &batch.indices, space.patches(), settings.mask_ratio);
        let predicted = model.reconstruct(upload(batch, &device).views[0].clone(), &masks);
        let Some(predicted) = predicted else {
            return Err(Error::msg(format!(
                "{} does not reconstruct pictures, so it has no psnr",
                M::INFO.title
            )));
        };
        let predicted: Vec<f32> = predicted.into_data().iter::<f32>().collect();
        let values = space.patches() * space.patch_values();
        for ((picture, predicted), masked) in pixels.chunks(values).zip(predicted.chunks(values)).zip(&masks.masked) {
            totals.add(&space, picture, predicted, masked, denorm);
        }
        if done == 1 && !is_cpu(&device) {
            work.session.reporter.phase(EVALUATING)?;
        }
        work.session.reporter.tick(done, batches, settings.batch_size as f64)?;
    }
    Ok(Some(totals))
}

/// Sums over pictures, for the model and for the control.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    model: Sums,
    zero: Sums,
}

/// Sums of decibels and of mean squared errors, over hidden patches and over composites.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pictures: f64,
    masked_decibels: f64,
    composite_decibels: f64,
    masked_error: f64,
    composite_error: f64,
}

impl Totals {
    /// Takes in a picture `[3, side, side]` and what was predicted for its patches.
    pub(super) fn add(&mut self, space: &PixelSpace, picture: &[f32], predicted: &[f32], masked: &[bool], denorm: Denorm) {
        let truth = space.cut(picture);
        let unit = space.to_unit(&truth);
        for (sums, predicted) in [(&mut self.model, predicted), (&mut self.zero, &vec![0.0; predicted.len()][..])] {
            let pixels = space.to_unit(&space.denormalise(predicted, &truth, masked, denorm));
            sums.add(&unit, &pixels, masked, space.patch_values());
        }
    }

    /// The numbers to report, in decibels.
    pub(super) fn summaries(&self) -> [(&'static str, f64); 7] {
        let (model, zero) = (self.model, self.zero);
        let composite = model.composite_decibels / model.pictures;
        let control = zero.composite_decibels / zero.pictures;
        [
            ("psnr.composite", composite),
            ("psnr.masked", model.masked_decibels / model.pictures),
            ("psnr.composite_zero", control),
            ("psnr.masked_zero", zero.masked_decibels / zero.pictures),
            ("psnr.gain", composite - control),
            ("psnr.composite_pooled", decibels(model.composite_error / model.pictures)),
            ("psnr.masked_pooled", decibels(model.masked_error / model.pictures)),
        ]
    }
}

impl Sums {
    /// Decibels of a single picture: over the hidden patches, and over the composite.
    pub(super) fn of_one(truth: &[f32], restored: &[f32], masked: &[bool], patch_values: usize) -> [f64; 2] {
        let mut sums = Sums::default();
        sums.add(truth, restored, masked, patch_values);
        [sums.masked_decibels, sums.composite_decibels]
    }

    fn add(&mut self, truth: &[f32], restored: &[f32], masked: &[bool], patch_values: usize) {
        let (mut squares, mut hidden) = (0.0, 0usize);
        for (patch, _) in masked.iter().enumerate().filter(|(_, hidden)| **hidden) {
            let place = patch * patch_values..(patch + 1) * patch_values;
            squares += truth[place.clone()]
                .iter()
                .zip(&restored[place])
                .map(|(t, r)| f64::from(t - r).powi(2))
                .sum::<f64>();
            hidden += patch_values;
        }
        // In the composite visible pixels are exact, so only the divisor differs.
        let (masked_error, composite_error) = (squares / hidden.max(1) as f64, squares / truth.len() as f64);
        self.pictures += 1.0;
        self.masked_decibels += decibels(masked_error);
        self.composite_decibels += decibels(composite_error);
        self.masked_error += masked_error;
        self.composite_error += composite_error;
    }
}

/// Decibels of a mean squared error of values from 0 to 1. A perfect picture counts as 100 dB, far above
/// what eight bits can show, so that it does not make a mean infinite.
pub(super) fn decibels(error: f64) -> f64 {
    -10.0 * error.max(1e-10).log10()
}

#[cfg(test)]
mod tests {
    use super::super::pixels::tests::{SPACE, picture};
    use super::*;

    const MASKED: [bool; 4] = [true, false, true, true];

    #[test]
    fn a_perfect_prediction_scores_the_limit() {
        let mut totals = Totals::default();
        totals.add(&SPACE, &picture(), &SPACE.cut(&picture()), &MASKED, Denorm::Raw);
        assert_eq!(totals.summaries()[..2], [("psnr.composite", 100.0), ("psnr.masked", 100.0)]);
    }

    #[test]
    fn a_constant_error_gives_the_value_worked_by_hand() {
        let space = PixelSpace {
            mean: [0.5; 3],
            std: [1.0; 3],
            ..SPACE
        };
        let (truth, predicted) = (vec![0.0; 48], vec![0.1; 48]);
        let mut totals = Totals::default();
        totals.add(&space, &truth, &predicted, &MASKED, Denorm::Raw);
        let values: BTreeMap<_, _> = totals.summaries().into_iter().collect();
        // Error 0.01 in the hidden patches is 20 dB; three of four patches make the composite 10 log10(4/3) better.
        assert!((values["psnr.masked"] - 20.0).abs() < 1e-4);
        assert!((values["psnr.composite"] - 20.0 - 10.0 * (4.0f64 / 3.0).log10()).abs() < 1e-4);
        assert!((values["psnr.masked_pooled"] - 20.0).abs() < 1e-4);
        // Predicting zero is exact here.
        assert_eq!(values["psnr.masked_zero"], 100.0);
        assert!((values["psnr.gain"] - (values["psnr.composite"] - 100.0)).abs() < 1e-9);
    }

    #[test]
    fn predicting_zero_under_the_oracle_is_the_mean_of_each_patch() {
        let space = PixelSpace {
            mean: [0.5; 3],
            std: [0.25; 3],
            ..SPACE
        };
        let truth = space.cut(&picture());
        let variance = |patch: &[f32]| {
            let mean = patch.iter().map(|v| f64::from(*v)).sum::<f64>() / 12.0;
            patch.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 12.0 / 16.0
        };
        let hidden = truth
            .chunks(12)
            .zip(MASKED)
            .filter(|(_, hidden)| *hidden)
            .map(|(patch, _)| variance(patch));
        let error = hidden.sum::<f64>() / 3.0;
        let mut totals = Totals::default();
        totals.add(&space, &picture(), &[1.0; 48], &MASKED, Denorm::Oracle);
        let values: BTreeMap<_, _> = totals.summaries().into_iter().collect();
        assert!(
            (values["psnr.masked_zero"] - decibels(error)).abs() < 1e-4,
            "{} {}",
            values["psnr.masked_zero"],
            decibels(error)
        );
    }

    #[test]
    fn the_mean_is_over_pictures_and_the_pooled_value_over_errors() {
        let space = PixelSpace {
            mean: [0.5; 3],
            std: [1.0; 3],
            ..SPACE
        };
        let mut totals = Totals::default();
        for error in [0.1, 0.01] {
            totals.add(&space, &[0.0; 48], &[error; 48], &MASKED, Denorm::Raw);
        }
        let values: BTreeMap<_, _> = totals.summaries().into_iter().collect();
        assert!((values["psnr.masked"] - 30.0).abs() < 1e-3);
        assert!((values["psnr.masked_pooled"] - decibels((0.01 + 0.0001) / 2.0)).abs() < 1e-3);
    }
}
