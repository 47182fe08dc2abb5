//! Looking at what models make of single images: what answers the playground, in a process of its own.
//!
//! The order of reading: this file (models and images kept at hand), `see` (what one look shows), `map`, `draw`,
//! `model`, `cache`, `serve` (questions from a pipe).

mod cache;
mod draw;
mod map;
mod model;
mod see;
mod serve;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Error, Result, bail};
use burn::tensor::Device;

use crate::data::{self, Dataset, decode_given};
use crate::experiment::RunId;
use crate::experiment::settings::DataSettings;
use crate::methods::Masks;
use crate::playground::{Answer, Chosen, Feature, Hidden, MOST_PIXELS, Map, Mapping, Mask, Patches, Png, Point, Question, Way};
use crate::run_dir::RunDir;
use cache::LruCache;
use map::Features;
use model::Model;

pub use serve::serve;

/// Weights of models kept at hand, in bytes (ours: three times ViT-B with its decoder).
const MODELS: usize = 1 << 30;
/// Views kept at hand, in bytes.
const VIEWS: usize = 16 << 20;
/// The place in a split that the mask of a given image is drawn for; no split has as many images.
const GIVEN: u32 = u32::MAX;

/// Answers questions about models and images, with those used last kept at hand.
pub struct Inspector {
    data_dir: PathBuf,
    device: Device,
    models: LruCache<(RunId, u64), Model>,
    /// Images by the settings that name them. Only as many as are compared at a time.
    datasets: LruCache<DataSettings, Dataset>,
    /// By image and model.
    views: LruCache<(Chosen, RunId, u64), Vec<f32>>,
    /// Of validation images, by model: another plane through them is asked for next.
    features: LruCache<(RunId, u64, Feature), Features>,
}

impl Inspector {
    /// One that knows nothing yet of the runs under `data_dir`. Models compute on the CPU, which runs leave a little of.
    pub fn new(data_dir: &Path) -> Inspector {
        Inspector {
            data_dir: data_dir.to_owned(),
            device: Device::flex(),
            models: LruCache::new(MODELS),
            datasets: LruCache::new(0),
            views: LruCache::new(VIEWS),
            features: LruCache::new(VIEWS),
        }
    }

    /// Answers a question. `file` is the image, if it is a given one; `report` hears what takes long.
    ///
    /// # Errors
    /// One sentence: a run without a model, an image that there is not or that cannot be read, a mask that hides all.
    pub fn answer(&mut self, question: &Question, file: &[u8], report: &mut dyn FnMut(&str)) -> Result<Answer> {
        let began = Instant::now();
        let Inspector {
            data_dir,
            device,
            models,
            datasets,
            views,
            ..
        } = self;
        let model = read(models, (&question.run, question.written), data_dir, device, report)?;
        let (mut class, mut images, mut number) = (None, None, GIVEN);
        if let Chosen::Validation { of, index } = &question.image {
            let dataset = open(datasets, data_dir, of, report)?;
            check_index(*index, dataset)?;
            number = *index as u32;
            class = dataset.classes.get(dataset.val.label(*index) as usize).cloned();
            images = Some(dataset.val.len());
        }
        let key = (question.image.clone(), question.run.clone(), question.written);
        let view = views.get(key, |_| {
            let image = match &question.image {
                Chosen::Validation { of, index } => open(datasets, data_dir, of, report)?.val.image(*index)?,
                Chosen::Given { .. } => decode_given(file, MOST_PIXELS)?,
            };
            let side = model.augment.image_size();
            let mut view = vec![0.0; 3 * side * side];
            model.augment.plain(&image, &mut view);
            let bytes = 4 * view.len();
            Ok((view, bytes))
        })?;
        let grid = model.encoder.config().grid();
        let hidden = draw_mask(&question.mask, number)?.on_grid(question.mask.grid, grid);
        let sight = see::see(model, view, &hidden, question.denorm)?;
        Ok(Answer {
            grid,
            hidden,
            class,
            images,
            original: sight.original,
            masked: sight.masked,
            reconstruction: sight.reconstruction,
            attention: sight.attention,
            cka: sight.cka,
            milliseconds: milliseconds(began),
        })
    }

    /// Validation images of a run as points on a plane.
    ///
    /// # Errors
    /// One sentence: a run without a model, or fewer than four images.
    pub fn map(&mut self, mapping: &Mapping, report: &mut dyn FnMut(&str)) -> Result<Map> {
        let began = Instant::now();
        let dataset = open(&mut self.datasets, &self.data_dir, &mapping.run, report)?;
        let (models, data_dir, device) = (&mut self.models, &self.data_dir, &self.device);
        let key = (mapping.run.clone(), mapping.written, mapping.feature);
        let features = self.features.get(key, |_| {
            let model = read(models, (&mapping.run, mapping.written), data_dir, device, report)?;
            let made = map::features(model, dataset, mapping.feature, report)?;
            let bytes = made.bytes();
            Ok((made, bytes))
        })?;
        let plane = map::principal(&features.rows);
        let (places, explained) = match mapping.way {
            Way::Pca => (plane.places, Some(plane.explained)),
            Way::Tsne => (map::neighbors(&features.rows, &plane.places, map::ROUNDS, report), None),
        };
        let point = |(index, [x, y]): (usize, [f64; 2])| Point {
            index,
            label: dataset.val.label(index) as usize,
            x,
            y,
        };
        Ok(Map {
            points: features.indices.iter().copied().zip(places).map(point).collect(),
            classes: dataset.classes.clone(),
            images: dataset.val.len(),
            explained,
            milliseconds: milliseconds(began),
        })
    }

    /// A validation image of a run at the side that its model sees.
    ///
    /// # Errors
    /// One sentence: a run without a record, or an image that there is not.
    pub fn image(&mut self, of: &RunId, index: usize, report: &mut dyn FnMut(&str)) -> Result<Png> {
        let settings = data_of(&self.data_dir, of)?;
        let dataset = open(&mut self.datasets, &self.data_dir, of, report)?;
        check_index(index, dataset)?;
        draw::image(&dataset.val.image(index)?, settings.image_size)
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// The model of a run, that was written at such a time.
fn read<'a>(
    models: &'a mut LruCache<(RunId, u64), Model>,
    (run, written): (&RunId, u64),
    data_dir: &Path,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<&'a Model> {
    let model = models.get((run.clone(), written), |(run, _)| {
        report("reading the model");
        let model = Model::read(&RunDir::of(data_dir, run), device)?;
        let bytes = model.bytes;
        Ok((model, bytes))
    })?;
    Ok(model)
}

/// The images of a run.
fn open<'a>(
    datasets: &'a mut LruCache<DataSettings, Dataset>,
    data_dir: &Path,
    run: &RunId,
    report: &mut dyn FnMut(&str),
) -> Result<&'a Dataset> {
    let spec = RunDir::of(data_dir, run).read().map_err(Error::msg)?.run;
    let mut settings: DataSettings = spec.section("data").map_err(Error::msg)?;
    if settings.source == "builtin" {
        // These are made in memory, and only the validation split is looked at.
        settings.train_images = 1;
    }
    let dataset = datasets.get(settings, |settings| {
        report("opening the images");
        let opened = data::open(settings, &data_dir.join("cache"), &mut |done, total| {
            report(&format!("opening the images, {} %", 100 * done / total.max(1)));
        })?;
        Ok((opened, 1))
    })?;
    dataset.check_for(&spec)?;
    Ok(dataset)
}

fn data_of(data_dir: &Path, run: &RunId) -> Result<DataSettings> {
    let run = RunDir::of(data_dir, run).read().map_err(Error::msg)?.run;
    run.section("data").map_err(Error::msg)
}

fn check_index(index: usize, dataset: &Dataset) -> Result<()> {
    if index >= dataset.val.len() {
        bail!(
            "there is no image {index}: the validation split of `{}` has images 0 to {}",
            dataset.name,
            dataset.val.len() - 1
        );
    }
    Ok(())
}

/// The masked patches of a mask for the image of that number, on the mask's own grid.
fn draw_mask(mask: &Mask, number: u32) -> Result<Patches> {
    let patches = mask.grid * mask.grid;
    match &mask.hidden {
        Hidden::Drawn { ratio, seed } => {
            let masks = Masks::for_evaluation(*seed, &[number], patches, *ratio);
            Ok(Patches(masks.masked.into_iter().flatten().collect()))
        }
        Hidden::Given(given) if given.0.len() == patches => Ok(given.clone()),
        Hidden::Given(given) => bail!("the mask names {} patches: the image has {patches}", given.0.len()),
    }
}

#[cfg(test)]
mod tests;
