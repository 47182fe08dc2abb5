//! Tokenizers: learned on the training split as it is, and judged on the validation split.
//!
//! Reports `tokenizer.usage`, the share of the tokens that occur; `tokenizer.perplexity`, how many equally frequent ones
//! would be as hard to guess; and `tokenizer.psnr`, how much of an image its tokens keep, in decibels.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use anyhow::{Error, Result};
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use crate::data::Dataset;
use crate::data::loader::{Batch, EvalLoader};
use crate::experiment::settings::{DataSettings, TokenizerSettings, TrainSettings};
use crate::methods::tokenizer::kmeans::clustered;
use crate::methods::tokenizer::{Clustering, Dvae, KMeans, Tokenizer, Usage, Vq, patch_size};
use crate::methods::{Inputs, Trainable};
use crate::metrics::pixels::PixelSpace;
use crate::metrics::psnr::decibels;
use crate::rng::{Purpose, place, stream};
use crate::stages::examples::{IMAGES, some_images, write_sheet};
use crate::stages::{Work, image_list, model_file};
use crate::train::learner::{Learner, Learning};
use crate::train::length::Length;
use crate::train::optimizer::Optimizer;
use crate::train::report::Reporter;
use crate::train::{At, Course, Ended, upload};
use crate::vit::patchify;
use crate::weights::{Weights, to_timm};

/// Images read between two looks at whether to stop, and judged at a time; ours.
const BATCH: usize = 100;

/// Trains the run's tokenizer.
///
/// # Errors
/// Settings that do not fit the data, or an image that cannot be read.
pub fn run(work: &mut Work) -> Result<Ended> {
    let mut dataset = work.open_data()?;
    if let Some(few) = image_list::subset(work, &dataset)? {
        dataset.train = few;
    }
    let settings: TokenizerSettings = work.section("tokenizer")?;
    let space = space_of(work, &dataset)?;
    let device = work.session.device.clone();
    let trained = match settings.kind.as_str() {
        "vq" => train(
            work,
            &dataset,
            &settings,
            Vq::new(&settings, space.patch_size, work.run.seed, &device),
        )?,
        "dvae" => train(
            work,
            &dataset,
            &settings,
            Dvae::new(&settings, space.patch_size, work.run.seed, &device),
        )?,
        _ => cluster(work, &dataset, &settings, &space)?.map(|means| to_timm(&means)),
    };
    let Some(trained) = trained else {
        return Ok(Ended::Cancelled);
    };
    let tokenizer = Tokenizer::new(work.run, &device).and_then(|tokenizer| tokenizer.with_weights(&trained));
    let tokenizer = tokenizer.map_err(Error::msg)?;
    work.session.reporter.phase("evaluating")?;
    if !judge(work, &dataset, &tokenizer, &space)? {
        return Ok(Ended::Cancelled);
    }
    show(work, &dataset, &tokenizer, &space)?;
    model_file::write(work, &dataset, &tokenizer.weights())?;
    Ok(Ended::Done(BTreeMap::new()))
}

/// Clusters patches of the training split; nothing if somebody asked to stop. It is short and starts anew then.
fn cluster(work: &mut Work, dataset: &Dataset, settings: &TokenizerSettings, space: &PixelSpace) -> Result<Option<KMeans>> {
    let stopped = |work: &Work| work.session.stop.load(Ordering::Relaxed);
    let Some(rows) = sample(work, dataset, settings, space)? else {
        return Ok(None);
    };
    work.session.reporter.phase("training")?;
    let mut clustering = Clustering::begin(rows, settings.vocabulary, work.run.seed).map_err(Error::msg)?;
    let images = dataset.train.len().min(settings.sample) as f64;
    work.session.reporter.begin(0);
    for round in 1..=settings.rounds {
        if stopped(work) {
            return Ok(None);
        }
        let done = clustering.round();
        work.session.reporter.metric("train/loss", round, done.error)?;
        work.session.reporter.metric("train/moved", round, done.moved as f64)?;
        work.session.reporter.tick(round, settings.rounds, images)?;
        if done.moved == 0 {
            break;
        }
    }
    Ok(Some(KMeans::of(clustering.centroids(), settings.normalize)))
}

/// Trains a tokenizer with gradients on images as they are; nothing if somebody asked to stop, after a checkpoint.
fn train<T: Trainable>(work: &mut Work, dataset: &Dataset, settings: &TokenizerSettings, model: T) -> Result<Option<Weights>> {
    let train = loop_settings(settings, dataset.train.len());
    let length = Length::new(&train, dataset.train.len()).map_err(Error::msg)?;
    let mut load = work.loader(&dataset.train, &work.augment(dataset)?, None, &train, None);
    let optimizer = Optimizer::adamw(&train, &model);
    let mut course = TokenizerCourse {
        learning: Learning::new(model, optimizer, work.session.device.clone()),
    };
    Ok(match work.session.train(&mut course, &train, length, &mut load)? {
        Ended::Done(_) => Some(course.learning.export()),
        Ended::Cancelled => None,
    })
}

/// The loop's settings: AdamW as in pretraining without decay, and a warm-up of a tenth; ours.
fn loop_settings(settings: &TokenizerSettings, images: usize) -> TrainSettings {
    let batch_size = settings.batch_size.min(images);
    TrainSettings {
        epochs: settings.epochs,
        warmup_epochs: 0.1 * settings.epochs as f64,
        batch_size,
        gradient_accumulation: 1,
        activation_checkpointing: false,
        base_lr: settings.lr * 256.0 / batch_size as f64,
        min_lr: 0.0,
        weight_decay: 0.0,
        weight_decay_end: -1.0,
        beta1: 0.9,
        beta2: 0.999,
        clip_grad_norm: 0.0,
        clip_grad_norm_per_parameter: 0.0,
        precision: "float32".to_owned(),
        layer_decay: 1.0,
        drop_path: 0.0,
    }
}

struct TokenizerCourse<T> {
    learning: Learning<T>,
}

impl<T: Trainable> Course for TokenizerCourse<T> {
    fn learner(&mut self) -> &mut dyn Learner {
        &mut self.learning
    }

    fn inputs(&mut self, batch: Batch) -> Inputs {
        upload(batch, &self.learning.device())
    }

    fn look(&mut self, _at: &At, _reporter: &mut Reporter, _values: &mut BTreeMap<String, f64>) -> Result<()> {
        Ok(())
    }
}

/// Patches to cluster, `[count, values]`: equally many of each image, of images spread evenly over the split.
fn sample(work: &mut Work, dataset: &Dataset, settings: &TokenizerSettings, space: &PixelSpace) -> Result<Option<Tensor<2>>> {
    let (augment, device) = (work.augment(dataset)?, work.session.device.clone().inner());
    let images = dataset.train.len().min(settings.sample);
    let each = (settings.sample / images.max(1)).min(space.patches());
    let mut rows = Vec::with_capacity(images * each * space.patch_values());
    for nth in 0..images {
        if nth % BATCH == 0 && work.session.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let index = nth * dataset.train.len() / images;
        let mut view = vec![0.0; 3 * space.side * space.side];
        augment.plain(&dataset.train.image(index)?, &mut view);
        let patches = space.cut(&view);
        let mut rng = stream(work.run.seed, Purpose::Tokenizer, place("patches"), index as u64);
        for first in 0..each {
            // One patch of each of `each` equal stretches, so that none is drawn twice.
            let stretch = |part: usize| part * space.patches() / each;
            let (start, end) = (stretch(first), stretch(first + 1));
            let patch = (start + (rng.random::<f64>() * (end - start) as f64) as usize).min(end - 1);
            rows.extend_from_slice(&patches[patch * space.patch_values()..][..space.patch_values()]);
        }
    }
    let count = images * each;
    let rows: Tensor<3> = Tensor::from_data(TensorData::new(rows, [1, count, space.patch_values()]), &device);
    Ok(Some(clustered(rows, settings.normalize).squeeze_dim::<2>(0)))
}

/// Reports how the validation split is tokenized; says whether it came to the end.
fn judge(work: &mut Work, dataset: &Dataset, tokenizer: &Tokenizer, space: &PixelSpace) -> Result<bool> {
    let (augment, device) = (work.augment(dataset)?, work.session.device.clone());
    let mut usage = Usage::of(tokenizer.vocabulary());
    let (mut sum, mut count) = (0.0, 0.0);
    for batch in EvalLoader::new(dataset.val.clone(), augment, BATCH, work.loader_threads()) {
        if work.session.stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let images = upload(batch?, &device).views[0].clone();
        usage.add(&tokenizer.tokens(images.clone()));
        let (restored, truth) = (tokenizer.reconstruct(images.clone()), patchify(images, space.patch_size));
        let [restored, truth] = [restored, truth].map(|patches| patches.into_data().iter::<f32>().collect::<Vec<f32>>());
        let values = space.patches() * space.patch_values();
        for (restored, truth) in restored.chunks(values).zip(truth.chunks(values)) {
            let (restored, truth) = (space.to_unit(restored), space.to_unit(truth));
            let squares = restored.iter().zip(&truth).map(|(r, t)| f64::from(r - t).powi(2));
            sum += decibels(squares.sum::<f64>() / values as f64);
            count += 1.0;
        }
    }
    for (name, value) in [
        ("tokenizer.usage", usage.share()),
        ("tokenizer.perplexity", usage.perplexity()),
        ("tokenizer.psnr", sum / count),
    ] {
        work.session.reporter.summary(name, value)?;
    }
    Ok(true)
}

/// Draws some validation images beside what their tokens keep.
fn show(work: &mut Work, dataset: &Dataset, tokenizer: &Tokenizer, space: &PixelSpace) -> Result<()> {
    let (_, images) = some_images(dataset, &work.augment(dataset)?, space.side, IMAGES)?;
    let shape = [images.len(), 3, space.side, space.side];
    let batch = Tensor::from_data(TensorData::new(images.concat(), shape), &work.session.device.clone().inner());
    let restored: Vec<f32> = tokenizer.reconstruct(batch).into_data().iter::<f32>().collect();
    let versions: Vec<[Vec<u8>; 2]> = images
        .iter()
        .zip(restored.chunks(space.patches() * space.patch_values()))
        .map(|(image, restored)| [&space.cut(image)[..], restored].map(|patches| space.bytes(&space.to_unit(patches))))
        .collect();
    write_sheet("tokens", &versions, space.side, work.dir, 0, work.session.reporter)
}

/// A tokenizer's run has of the model's settings the patch alone.
fn space_of(work: &Work, dataset: &Dataset) -> Result<PixelSpace> {
    let data: DataSettings = work.section("data")?;
    Ok(PixelSpace {
        side: data.image_size,
        patch_size: patch_size(work.run).map_err(Error::msg)?,
        mean: dataset.mean,
        std: dataset.std,
    })
}
