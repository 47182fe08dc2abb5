//! Quality of reconstructions: peak signal-to-noise ratio of the masked patches.
//!
//! The paper gives one number and neither the region nor the source of the patch statistics, so all of it is worked out
//! and spelt out (see `Region` and `Denorm`): by statistics, by region, as the mean of the decibels of single images
//! and, `pooled`, as the decibels of the mean error, at several shares of masked patches. Beside it stand two controls: a
//! model that predicts zero everywhere, which with the oracle's statistics already scores 16 to 20 dB, and the mean color
//! of what is visible.

use anyhow::{Error, Result};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::data::Dataset;
use crate::data::loader::{Batch, in_order};
use crate::experiment::measure::{self, Measure, PSNR_MATRICES};
use crate::experiment::settings::PsnrSettings;
use crate::methods::masking::check_ratio;
use crate::methods::{Masks, Method, MethodVisitor, with_method};
use crate::metrics::pixels::{Denorm, PixelSpace};
use crate::metrics::psnr::{Errors, Region, Sums, errors};
use crate::run_dir::{Matrix, MatrixAxis, RunDir};
use crate::stages::Work;
use crate::stages::examples::{Gallery, IMAGES, space_of};
use crate::stages::parent::Parent;
use crate::train::evaluation::{self, Accumulator, Part};
use crate::train::report::Reporter;
use crate::train::{Ended, upload};
use crate::weights;

/// Scores the parent's reconstructions of the validation split.
///
/// Reports a matrix for each of the model and its controls, by measure and ratio; as numbers what the table of a study
/// shows, at `psnr.mask_ratio` with `psnr.denorm`; and images.
///
/// # Errors
/// A parent without a fitting model, a method that does not reconstruct, an image that cannot be read.
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
        let settings: PsnrSettings = work.section("psnr")?;
        let (space, val) = (space_of(work, &dataset)?, &dataset.val);
        let (ratios, passed) = ratios(&settings, space.patches())?;
        let part = Part {
            name: "psnr",
            phase: "evaluating",
            batches: val.len().div_ceil(settings.batch_size) as u64,
            images: settings.batch_size.min(val.len()),
        };
        let load = work.plain(&dataset, val, in_order(val.len(), settings.batch_size))?;
        let denorm = Denorm::new(settings.denorm, model.normalizes_targets());
        let mut scores = Scores {
            totals: Totals::new(ratios, Denorm::all(model.normalizes_targets())),
            gallery: Gallery::of(work, &dataset, &augment, IMAGES)?,
            passed,
            settings: &settings,
            classes: &dataset.classes,
            dir: work.dir,
            seed: work.run.seed,
            model,
            space,
            device,
        };
        let ended = work.session.evaluate(&part, &mut scores, load)?;
        if ended == Ended::Cancelled {
            return Ok(ended);
        }
        let totals = scores.totals;
        let reporter = &mut *work.session.reporter;
        for (scored, measure) in PSNR_MATRICES.iter().enumerate() {
            reporter.matrix(measure, totals.matrix(scored))?;
        }
        summaries(totals.at(settings.mask_ratio, denorm))
            .into_iter()
            .try_for_each(|(measure, value)| reporter.summary(&measure, value))?;
        Ok(ended)
    }
}

/// The ratios that are scored, in ascending order, and those that are passed over, because they leave nothing to see or to
/// predict.
///
/// # Errors
/// If `psnr.mask_ratio` is one of the latter.
fn ratios(settings: &PsnrSettings, patches: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    check_ratio("psnr.mask_ratio", settings.mask_ratio, patches).map_err(Error::msg)?;
    let mut ratios = settings.ratios();
    ratios.push(settings.mask_ratio);
    ratios.sort_by(f64::total_cmp);
    ratios.dedup();
    Ok(ratios.into_iter().partition(|ratio| check_ratio("", *ratio, patches).is_ok()))
}

/// Scores of every validation image, a pass for each ratio.
struct Scores<'a, M> {
    model: M,
    totals: Totals,
    gallery: Gallery,
    passed: Vec<f64>,
    settings: &'a PsnrSettings,
    classes: &'a [String],
    dir: &'a RunDir,
    seed: u64,
    space: PixelSpace,
    device: Device,
}

impl<M: Method> Accumulator for Scores<'_, M> {
    type Batch = Batch;
    type Ready = (Batch, Tensor<4>);

    fn passes(&self) -> u64 {
        self.totals.ratios.len() as u64
    }

    fn begin(&mut self, reporter: &mut Reporter) -> Result<()> {
        self.gallery.show(&self.model, self.dir, 0, reporter)?;
        self.gallery
            .show_examples(&self.model, self.settings, self.classes, self.dir, reporter)?;
        if self.passed.is_empty() {
            return Ok(());
        }
        let (passed, patches) = (&self.passed, self.space.patches());
        reporter.warning(format!(
            "psnr.ratios: {passed:?} of {patches} patches leave nothing to see or to predict, and are passed over"
        ))
    }

    fn ready(&self, batch: Batch) -> Result<(Batch, Tensor<4>)> {
        let images = upload(batch.clone(), &self.device).views.swap_remove(0);
        Ok((batch, images))
    }

    fn add(&mut self, (batch, images): &(Batch, Tensor<4>), pass: u64, _reporter: &mut Reporter) -> Result<()> {
        let column = pass as usize;
        let masks = Masks::for_evaluation(self.seed, &batch.indices, self.space.patches(), self.totals.ratios[column]);
        let predicted = self.model.reconstruct(images.clone(), &masks); // [batch, patches, p*p*3]
        let title = M::INFO.title;
        let predicted = predicted.ok_or_else(|| Error::msg(format!("{title} does not reconstruct images, so it has no psnr")))?;
        let predicted: Vec<f32> = predicted.into_data().iter::<f32>().collect();
        self.totals.add(column, &self.space, &batch.views[0], &predicted, &masks);
        Ok(())
    }

    fn save(&self) -> evaluation::Sums {
        evaluation::Sums::default().with("sums", self.totals.sums.iter().flatten().flatten())
    }

    fn restore(&mut self, saved: &evaluation::Sums) -> Result<(), String> {
        saved.fill("sums", self.totals.sums.iter_mut().flatten().flatten())
    }
}

/// Sums over images, by ratio and way back to pixels, of each of [`PSNR_MATRICES`].
#[derive(Clone, Debug, PartialEq)]
struct Totals {
    ratios: Vec<f64>,
    denorms: &'static [Denorm],
    /// `[ratio][denorm]`
    sums: Vec<Vec<[Sums; 3]>>,
}

impl Totals {
    fn new(ratios: Vec<f64>, denorms: &'static [Denorm]) -> Totals {
        let sums = vec![vec![[Sums::default(); 3]; denorms.len()]; ratios.len()];
        Totals { ratios, denorms, sums }
    }

    /// Takes in images `[batch, 3, side, side]`, flat, and what was predicted for their patches.
    fn add(&mut self, column: usize, space: &PixelSpace, images: &[f32], predicted: &[f32], masks: &Masks) {
        let (values, denorms) = (space.patches() * space.patch_values(), self.denorms);
        let errors: Vec<Vec<[Errors; 3]>> = images
            .par_chunks(values)
            .zip(predicted.par_chunks(values))
            .zip(&masks.masked)
            .map(|((image, predicted), masked)| {
                denorms
                    .iter()
                    .map(|denorm| errors(space, &space.cut(image), predicted, masked, *denorm))
                    .collect()
            })
            .collect();
        // One after another, so that the sums do not depend on the number of threads.
        for image in errors {
            for (sums, errors) in self.sums[column].iter_mut().zip(image) {
                sums.iter_mut().zip(&errors).for_each(|(sums, errors)| sums.add(errors));
            }
        }
    }

    /// The decibels of one of [`PSNR_MATRICES`], by measure and ratio.
    fn matrix(&self, scored: usize) -> Matrix {
        let (mut labels, mut values) = (Vec::new(), Vec::new());
        for (place, denorm) in self.denorms.iter().enumerate() {
            for region in Region::ALL {
                let row = |of: fn(&Sums, Region) -> f64| {
                    self.sums
                        .iter()
                        .map(|sums| vec![Some(of(&sums[place][scored], region))])
                        .collect::<Vec<_>>()
                };
                labels.push(format!("{} {} mean", denorm.name(), region.name()));
                values.push(row(Sums::mean));
                labels.push(format!("{} {} pooled", denorm.name(), region.name()));
                values.push(row(Sums::pooled));
            }
        }
        Matrix::of(MatrixAxis::new("measure", labels), MatrixAxis::new("ratio", &self.ratios), &values)
    }

    /// The sums of each of [`PSNR_MATRICES`] at one ratio and way back.
    fn at(&self, ratio: f64, denorm: Denorm) -> &[Sums; 3] {
        let column = self
            .ratios
            .iter()
            .position(|known| *known == ratio)
            .expect("the run's own ratio is scored");
        let place = self
            .denorms
            .iter()
            .position(|known| *known == denorm)
            .expect("every way back is scored");
        &self.sums[column][place]
    }
}

/// The numbers for tables, in decibels.
fn summaries([model, zero, visible_mean]: &[Sums; 3]) -> [(Measure, f64); 10] {
    use Region::{Composite, Full, Masked};
    let (composite, control) = (model.mean(Composite), zero.mean(Composite));
    [
        (measure::PSNR_COMPOSITE, composite),
        (measure::PSNR_MASKED, model.mean(Masked)),
        (measure::PSNR_FULL, model.mean(Full)),
        (measure::PSNR_COMPOSITE_ZERO, control),
        (measure::PSNR_MASKED_ZERO, zero.mean(Masked)),
        (measure::PSNR_COMPOSITE_VISIBLE_MEAN, visible_mean.mean(Composite)),
        (measure::PSNR_MASKED_VISIBLE_MEAN, visible_mean.mean(Masked)),
        (measure::PSNR_GAIN, composite - control),
        (measure::PSNR_COMPOSITE_POOLED, model.pooled(Composite)),
        (measure::PSNR_MASKED_POOLED, model.pooled(Masked)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::metrics::pixels::tests::{SPACE, image};
    use crate::metrics::psnr::decibels;
    use crate::stages::psnr::*;

    const MASKED: [bool; 4] = [true, false, true, true];

    /// The numbers of images that are scored one after another.
    fn scored(space: &PixelSpace, pairs: &[(Vec<f32>, Vec<f32>)], denorm: Denorm) -> BTreeMap<&'static str, f64> {
        let denorms = Denorm::all(denorm != Denorm::Raw);
        let mut totals = Totals::new(vec![0.75], denorms);
        for (image, predicted) in pairs {
            totals.add(0, space, image, predicted, &Masks::given(vec![MASKED.to_vec()]).unwrap());
        }
        let named = summaries(totals.at(0.75, denorm)).map(|(measure, value)| (measure.name, value));
        named.into_iter().collect()
    }

    #[test]
    fn a_perfect_prediction_scores_the_limit() {
        let values = scored(&SPACE, &[(image(), SPACE.cut(&image()))], Denorm::Raw);
        assert!(
            ["psnr.composite", "psnr.masked", "psnr.full", "psnr.masked_pooled"]
                .iter()
                .all(|name| values[name] == 100.0)
        );
    }

    #[test]
    fn controls_know_what_they_may_know() {
        let space = PixelSpace {
            mean: [0.5; 3],
            std: [1.0; 3],
            ..SPACE
        };
        let values = scored(&space, &[(vec![0.0; 48], vec![0.1; 48])], Denorm::Raw);
        assert!((values["psnr.masked"] - 20.0).abs() < 1e-4);
        // Zero is exact here, and so is the mean of what is visible.
        assert_eq!((values["psnr.masked_zero"], values["psnr.masked_visible_mean"]), (100.0, 100.0));
        assert!((values["psnr.gain"] - (values["psnr.composite"] - 100.0)).abs() < 1e-9);
        let mut image = vec![0.0; 48];
        // The first pixel of the only visible patch stands in row 0, column 2; its mean is a fourth of that.
        (0..3).for_each(|channel| image[channel * 16 + 2] = 0.4);
        let values = scored(&space, &[(image, vec![0.0; 48])], Denorm::Raw);
        assert!((values["psnr.masked_visible_mean"] - 20.0).abs() < 1e-4, "{values:?}");
    }

    #[test]
    fn predicting_zero_under_the_oracle_is_the_mean_of_each_patch() {
        let space = PixelSpace {
            mean: [0.5; 3],
            std: [0.25; 3],
            ..SPACE
        };
        let truth = space.cut(&image());
        let variance = |patch: &[f32]| {
            let mean = patch.iter().map(|v| f64::from(*v)).sum::<f64>() / 12.0;
            patch.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 12.0 / 16.0
        };
        let hidden = truth.chunks(12).zip(MASKED).filter(|(_, hidden)| *hidden);
        let error = hidden.map(|(patch, _)| variance(patch)).sum::<f64>() / 3.0;
        let values = scored(&space, &[(image(), vec![1.0; 48])], Denorm::Oracle);
        assert!((values["psnr.masked_zero"] - decibels(error)).abs() < 1e-4, "{values:?}");
    }

    #[test]
    fn a_matrix_has_every_measure_at_every_ratio() {
        let mut totals = Totals::new(vec![0.5, 0.75], Denorm::all(true));
        let masks = Masks::given(vec![MASKED.to_vec()]).unwrap();
        for column in 0..2 {
            totals.add(column, &SPACE, &image(), &[0.0; 48], &masks);
        }
        let (model, zero) = (totals.matrix(0), totals.matrix(1));
        assert_eq!(
            (model.rows.labels.len(), &model.columns.labels[..]),
            (12, &["0.5".to_owned(), "0.75".to_owned()][..])
        );
        assert_eq!(model.rows.labels[2], "oracle composite mean");
        assert_eq!(model.mean, zero.mean, "the model predicts zero");
        assert_eq!(model.mean[2][1], Some(totals.at(0.75, Denorm::Oracle)[0].mean(Region::Composite)));
        assert!(
            model.mean[0] != model.mean[6],
            "statistics of the true patch are not those of the visible ones"
        );
    }
}
