//! Images of reconstructions: original | masked | prediction | composite, a row of images after another.
//!
//! Masked patches of a model that predicts normalized pixels borrow brightness and contrast from the
//! original (`Denorm::Oracle`), as in MAE's own demonstration.

use std::fs;
use std::io::Cursor;

use anyhow::{Context as _, Result};
use burn::tensor::{Device, Tensor, TensorData};
use image::{ImageFormat, RgbImage, imageops};

use crate::data::Dataset;
use crate::data::augment::Augment;
use crate::experiment::measure::{self, EXAMPLES, Measure};
use crate::experiment::settings::{DataSettings, ModelSettings, PsnrSettings};
use crate::methods::{Masks, Method};
use crate::metrics::heat::error_map;
use crate::metrics::pixels::{Denorm, PixelSpace};
use crate::metrics::psnr::errors;
use crate::metrics::psnr::{Errors, Region};
use crate::run_dir::{Matrix, MatrixAxis, RunDir, write_atomic};
use crate::stages::Work;
use crate::train::report::Reporter;

/// Images on a sheet.
pub(crate) const IMAGES: usize = 8;
/// Images beside each other, each with its four versions.
const COLUMNS: usize = 2;
/// A tile is blown up to at least this side, in whole multiples.
const TILE: usize = 96;
/// Between tiles, in pixels.
const GAP: usize = 4;
/// Ratio of the patches masked on the sheets of methods that do not say, or that hide none.
const MASK_RATIO: f64 = 0.75;

/// Some validation images with fixed masks, to see what a model makes of them.
#[derive(Clone, Debug)]
pub struct Gallery {
    space: PixelSpace,
    /// The images' numbers in the split, and their classes.
    names: Vec<(u32, u32)>,
    masks: Masks,
    /// Each `[3, side, side]`, normalized.
    images: Vec<Vec<f32>>,
    device: Device,
}

impl Gallery {
    /// At most so many validation images, spread evenly over the split, which is often sorted by class.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn of(work: &Work, dataset: &Dataset, augment: &Augment, most: usize) -> Result<Gallery> {
        let space = space_of(work, dataset)?;
        let (indices, images) = some_images(dataset, augment, space.side, most)?;
        let ratio = work
            .run
            .value("method", "mask_ratio")
            .or_else(|| work.run.value("psnr", "mask_ratio"));
        let ratio = ratio.and_then(|value| value.to_string().parse().ok()).filter(|ratio| *ratio > 0.0);
        let ratio = ratio.unwrap_or(MASK_RATIO);
        let masks = Masks::for_evaluation(work.run.seed, &indices, space.patches(), ratio);
        let names = indices.iter().map(|index| (*index, dataset.val.label(*index as usize))).collect();
        Ok(Gallery {
            space,
            names,
            masks,
            images,
            device: work.session.device.clone().inner(),
        })
    }

    /// Draws the sheet of `model`, which records no gradients, into the run's images.
    ///
    /// # Errors
    /// Names the path if it cannot be written.
    pub fn show<M: Method>(&self, model: &M, dir: &RunDir, step: u64, reporter: &mut Reporter) -> Result<()> {
        let Some(predicted) = self.predict(model) else { return Ok(()) };
        let denorm = if model.normalizes_targets() { Denorm::Oracle } else { Denorm::Raw };
        let versions: Vec<[Vec<u8>; 4]> = self.rows(&predicted).map(|row| self.versions(row, denorm)).collect();
        write_sheet(&measure::RECONSTRUCTION, &versions, self.space.side, dir, step, reporter)
    }

    /// Draws the images at their own size, to be shown beside those of other runs: a row each, with original, masked,
    /// composite and the error of the composite. Beside it stand their decibels, as the matrix `EXAMPLES`.
    ///
    /// # Errors
    /// Names the path if it cannot be written.
    pub fn show_examples<M: Method>(
        &self,
        model: &M,
        settings: &PsnrSettings,
        classes: &[String],
        dir: &RunDir,
        reporter: &mut Reporter,
    ) -> Result<()> {
        let Some(predicted) = self.predict(model) else { return Ok(()) };
        let denorm = Denorm::new(settings.denorm, model.normalizes_targets());
        let (mut bytes, mut decibels) = (Vec::new(), Vec::new());
        for row @ (image, predicted, masked) in self.rows(&predicted) {
            let [original, masked_out, _, composite] = self.versions(row, denorm);
            let unit = |bytes: &[u8]| bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect::<Vec<f32>>();
            // Both are in the order of the image's pixels, which an error map keeps.
            let error = error_map(&unit(&original), &unit(&composite));
            let error = error.into_iter().map(|value| (value * 255.0).round() as u8).collect();
            bytes.push([original, masked_out, composite, error]);
            let [model, zero, _] = errors(&self.space, &self.space.cut(image), predicted, masked, denorm);
            let numbers = [(model, Region::Masked), (model, Region::Composite), (zero, Region::Composite)];
            decibels.push(numbers.map(|(errors, region)| vec![Some(errors.decibels(region))]).to_vec());
        }
        let labels = self
            .names
            .iter()
            .map(|(number, class)| format!("{} {number}", classes[*class as usize]));
        let columns = MatrixAxis::new("measure", ["masked", "composite", "composite zero"]);
        reporter.matrix(&EXAMPLES, Matrix::of(MatrixAxis::new("image", labels), columns, &decibels))?;
        write_image(&EXAMPLES, &tiles(&bytes, self.space.side)?, dir, 0, reporter)
    }

    /// The mean over the images of the decibels of their composites, as `psnr.composite`, if the model reconstructs any.
    pub fn psnr<M: Method>(&self, model: &M) -> Option<f64> {
        let predicted = self.predict(model)?;
        let denorm = Denorm::all(model.normalizes_targets())[0];
        let values = self.space.patch_values();
        let decibels = self.rows(&predicted).map(|(image, predicted, masked)| {
            let truth = self.space.cut(image);
            let restored = self.space.restored(predicted, &truth, masked, denorm);
            Errors::of(&self.space.to_unit(&truth), &restored, masked, values).decibels(Region::Composite)
        });
        Some(decibels.sum::<f64>() / self.images.len() as f64)
    }

    /// What the model makes of the images, `[images, patches, p*p*3]`, flat, if it reconstructs any.
    fn predict<M: Method>(&self, model: &M) -> Option<Vec<f32>> {
        let shape = [self.images.len(), 3, self.space.side, self.space.side];
        let images = Tensor::from_data(TensorData::new(self.images.concat(), shape), &self.device);
        let predicted = model.reconstruct(images, &self.masks)?;
        Some(predicted.into_data().iter::<f32>().collect())
    }

    /// Each image with its prediction and its mask.
    fn rows<'a>(&'a self, predicted: &'a [f32]) -> impl Iterator<Item = (&'a [f32], &'a [f32], &'a [bool])> {
        let values = self.space.patches() * self.space.patch_values();
        let rows = self.images.iter().zip(predicted.chunks(values)).zip(&self.masks.masked);
        rows.map(|((image, predicted), masked)| (&image[..], predicted, &masked[..]))
    }

    /// Original, masked, prediction, composite, each `[side, side, 3]`.
    fn versions(&self, (image, predicted, masked): (&[f32], &[f32], &[bool]), denorm: Denorm) -> [Vec<u8>; 4] {
        const GRAY: f32 = 0.5;
        let truth = self.space.cut(image);
        let predicted = self.space.restored(predicted, &truth, masked, denorm);
        let original = self.space.to_unit(&truth);
        let hidden = |i: usize| masked[i / self.space.patch_values()];
        let mix = |other: &dyn Fn(usize) -> f32| {
            original
                .iter()
                .enumerate()
                .map(|(i, v)| if hidden(i) { other(i) } else { *v })
                .collect::<Vec<f32>>()
        };
        let (gray, composite) = (mix(&|_| GRAY), mix(&|i| predicted[i]));
        [original.clone(), gray, predicted.clone(), composite].map(|patches| self.space.bytes(&patches))
    }
}

/// Shape and scale of the run's images.
pub(crate) fn space_of(work: &Work, dataset: &Dataset) -> Result<PixelSpace> {
    let (data, model): (DataSettings, ModelSettings) = (work.section("data")?, work.section("model")?);
    Ok(PixelSpace {
        side: data.image_size,
        patch_size: model.patch_size,
        mean: dataset.mean,
        std: dataset.std,
    })
}

/// Some validation images, spread evenly over the split: their numbers, and each as `[3, side, side]`, normalized.
///
/// # Errors
/// An image that cannot be read.
pub(crate) fn some_images(dataset: &Dataset, augment: &Augment, side: usize, most: usize) -> Result<(Vec<u32>, Vec<Vec<f32>>)> {
    let count = most.min(dataset.val.len());
    let indices: Vec<u32> = (0..count).map(|i| (i * dataset.val.len() / count) as u32).collect();
    let plain = |index: &u32| {
        let mut view = vec![0.0; 3 * side * side];
        augment.plain(&dataset.val.image(*index as usize)?, &mut view);
        Ok(view)
    };
    let images = indices.iter().map(plain).collect::<Result<Vec<_>>>()?;
    Ok((indices, images))
}

/// Draws all versions of some images, each `[side, side, 3]`, into the run's images.
///
/// # Errors
/// Names the path if it cannot be written.
pub(crate) fn write_sheet<const N: usize>(
    measure: &Measure,
    versions: &[[Vec<u8>; N]],
    side: usize,
    dir: &RunDir,
    step: u64,
    reporter: &mut Reporter,
) -> Result<()> {
    write_image(measure, &sheet(versions, side)?, dir, step, reporter)
}

/// Writes a PNG into the run's images.
fn write_image(measure: &Measure, png: &[u8], dir: &RunDir, step: u64, reporter: &mut Reporter) -> Result<()> {
    let file = format!("{}-{step:08}.png", measure.name);
    let path = dir.images().join(&file);
    fs::create_dir_all(dir.images())
        .and_then(|()| write_atomic(&path, png))
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    reporter.image(measure, step, file)
}

/// A PNG of all versions; `side` is that of one tile before it is blown up.
fn sheet<const N: usize>(versions: &[[Vec<u8>; N]], side: usize) -> Result<Vec<u8>> {
    let tile = side * TILE.div_ceil(side);
    let pitch = tile + GAP;
    // A wider gap sets neighbors apart.
    let width = COLUMNS * (N * pitch + 2 * GAP) - 3 * GAP;
    let height = versions.len().div_ceil(COLUMNS) * pitch - GAP.min(versions.len() * pitch);
    let mut sheet = RgbImage::from_pixel(width as u32, height.max(1) as u32, image::Rgb([255; 3]));
    for (nth, image) in versions.iter().enumerate() {
        let (left, top) = (nth % COLUMNS * (N * pitch + 2 * GAP), nth / COLUMNS * pitch);
        for (place, bytes) in image.iter().enumerate() {
            let small = RgbImage::from_raw(side as u32, side as u32, bytes.clone()).context("a version has three bytes for each pixel")?;
            let large = imageops::resize(&small, tile as u32, tile as u32, imageops::FilterType::Nearest);
            imageops::replace(&mut sheet, &large, (left + place * pitch) as i64, top as i64);
        }
    }
    encode(&sheet)
}

/// A PNG of all versions at their own size and without gaps, a row an image.
fn tiles<const N: usize>(versions: &[[Vec<u8>; N]], side: usize) -> Result<Vec<u8>> {
    let mut sheet = RgbImage::new((N * side) as u32, (versions.len() * side) as u32);
    for (row, image) in versions.iter().enumerate() {
        for (column, bytes) in image.iter().enumerate() {
            let tile = RgbImage::from_raw(side as u32, side as u32, bytes.clone()).context("a version has three bytes for each pixel")?;
            imageops::replace(&mut sheet, &tile, (column * side) as i64, (row * side) as i64);
        }
    }
    encode(&sheet)
}

fn encode(image: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

#[cfg(test)]
mod tests {
    use crate::metrics::pixels::tests::{SPACE, image};
    use crate::stages::examples::*;

    fn gallery() -> Gallery {
        let masks = Masks::given(vec![vec![true, false, false, true]]).unwrap();
        Gallery {
            space: SPACE,
            names: vec![(0, 0)],
            masks,
            images: vec![image()],
            device: Device::flex(),
        }
    }

    #[test]
    fn the_composite_of_a_perfect_prediction_is_the_original_and_masked_patches_are_gray() {
        let gallery = gallery();
        let [original, masked, prediction, composite] =
            gallery.versions((&image(), &SPACE.cut(&image()), &gallery.masks.masked[0]), Denorm::Raw);
        assert_eq!((&original, &original), (&prediction, &composite));
        assert_eq!(masked[..3], [128; 3]);
        assert_eq!(masked[6..12], original[6..12]);
        assert_ne!(original[..3], [128; 3]);
    }

    #[test]
    fn a_sheet_has_legible_tiles_side_by_side() {
        let tile = vec![200u8; 4 * 4 * 3];
        let versions: Vec<[Vec<u8>; 4]> = (0..3).map(|_| [tile.clone(), tile.clone(), tile.clone(), tile.clone()]).collect();
        let sheet = image::load_from_memory(&sheet(&versions, 4).unwrap()).unwrap().to_rgb8();
        assert_eq!(sheet.dimensions(), (2 * (4 * 100 + 8) - 12, 2 * 100 - 4));
        assert_eq!((sheet.get_pixel(95, 95).0, sheet.get_pixel(97, 95).0), ([200; 3], [255; 3]));
        // The last place of the second row is empty.
        assert_eq!(sheet.get_pixel(500, 150).0, [255; 3]);
    }

    #[test]
    fn tiles_stand_in_rows_without_gaps() {
        let tile = |value: u8| vec![value; 4 * 4 * 3];
        let sheet = tiles(&[[tile(10), tile(20)], [tile(30), tile(40)]], 4).unwrap();
        let sheet = image::load_from_memory(&sheet).unwrap().to_rgb8();
        assert_eq!(sheet.dimensions(), (8, 8));
        let at = |x, y| sheet.get_pixel(x, y).0[0];
        assert_eq!([at(3, 3), at(4, 3), at(3, 4), at(4, 4)], [10, 20, 30, 40]);
    }
}
