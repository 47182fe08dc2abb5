//! Tokenizers: learned on the training split as it is, and judged on the validation split.
//!
//! Reports `tokenizer.usage`, the share of the tokens that occur; `tokenizer.perplexity`, how many equally frequent ones
//! would be as hard to guess; and `tokenizer.psnr`, how much of an image its tokens keep, in decibels.

use std::collections::BTreeMap;

use anyhow::{Context as _, Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use crate::data::Dataset;
use crate::data::loader::{Batch, in_order};
use crate::experiment::choices::{Precision, TokenizerKind};
use crate::experiment::measure;
use crate::experiment::settings::{DataSettings, TokenizerSettings, TrainSettings};
use crate::methods::tokenizer::kmeans::clustered;
use crate::methods::tokenizer::{Clustering, Dvae, KMeans, Tokenizer, Usage, Vq, patch_size};
use crate::methods::{Inputs, Trainable};
use crate::metrics::pixels::PixelSpace;
use crate::metrics::psnr::decibels;
use crate::rng::{Purpose, place, stream};
use crate::stages::examples::{IMAGES, some_images, write_sheet};
use crate::stages::{Work, image_list, model_file};
use crate::train::evaluation::{Accumulator, Part, Sums};
use crate::train::learner::{Learner, Learning};
use crate::train::length::Length;
use crate::train::optimizer::Optimizer;
use crate::train::report::Reporter;
use crate::train::{At, Course, Ended, upload};
use crate::vit::patchify;
use crate::weights::{HostTensor, Weights, to_timm};

/// Images read or judged at a time; ours.
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
    let trained = match settings.kind {
        TokenizerKind::Vq => train(
            work,
            &dataset,
            &settings,
            Vq::new(&settings, space.patch_size, work.run.seed, &device),
        )?,
        TokenizerKind::Dvae => train(
            work,
            &dataset,
            &settings,
            Dvae::new(&settings, space.patch_size, work.run.seed, &device),
        )?,
        TokenizerKind::KMeans => cluster(work, &dataset, &settings, &space)?.map(|means| to_timm(&means)),
    };
    let Some(trained) = trained else {
        return Ok(Ended::Cancelled);
    };
    let tokenizer = Tokenizer::new(work.run, &device).and_then(|tokenizer| tokenizer.with_weights(&trained));
    let tokenizer = tokenizer.map_err(Error::msg)?;
    if !judge(work, &dataset, &tokenizer, &space)? {
        return Ok(Ended::Cancelled);
    }
    show(work, &dataset, &tokenizer, &space)?;
    model_file::write(work, &dataset, &tokenizer.weights())?;
    Ok(Ended::Done(BTreeMap::new()))
}

/// Clusters patches of the training split; nothing if somebody asked to stop.
fn cluster(work: &mut Work, dataset: &Dataset, settings: &TokenizerSettings, space: &PixelSpace) -> Result<Option<KMeans>> {
    let Some(rows) = sample(work, dataset, settings, space)? else {
        return Ok(None);
    };
    let part = Part {
        name: "clusters",
        phase: "training",
        batches: settings.rounds,
        images: dataset.train.len().min(settings.sample),
    };
    let mut rounds = Rounds {
        rows,
        clustering: None,
        vocabulary: settings.vocabulary,
        seed: work.run.seed,
        is_still: false,
    };
    let ended = work
        .session
        .evaluate(&part, &mut rounds, |first| (first + 1..=settings.rounds).map(Ok))?;
    let means = |clustering: Clustering| KMeans::of(clustering.centroids(), settings.normalize);
    Ok(rounds.clustering.filter(|_| ended != Ended::Cancelled).map(means))
}

/// Lloyd's rounds, until nothing moves.
struct Rounds {
    /// `[count, values]`
    rows: Tensor<2>,
    /// There from the beginning of the first round.
    clustering: Option<Clustering>,
    vocabulary: usize,
    seed: u64,
    /// Whether the last round moved nothing.
    is_still: bool,
}

impl Accumulator for Rounds {
    type Batch = u64;
    type Ready = u64;

    fn begin(&mut self, _reporter: &mut Reporter) -> Result<()> {
        let clustering = Clustering::begin(self.rows.clone(), self.vocabulary, self.seed);
        self.clustering = Some(clustering.map_err(Error::msg)?);
        Ok(())
    }

    fn ready(&self, round: u64) -> Result<u64> {
        Ok(round)
    }

    fn add(&mut self, round: &u64, _pass: u64, reporter: &mut Reporter) -> Result<()> {
        let done = self.clustering.as_mut().context("no centers were chosen")?.round();
        self.is_still = done.moved == 0;
        reporter.metric(&measure::TRAIN_LOSS, *round, done.error)?;
        reporter.metric(&measure::MOVED, *round, done.moved as f64)
    }

    fn is_done(&self) -> bool {
        self.is_still
    }

    fn save(&self) -> Sums {
        let Some(clustering) = &self.clustering else {
            return Sums::default();
        };
        let places: Vec<[f64; 1]> = clustering.places().iter().map(|place| [*place as f64]).collect();
        Sums::default()
            .with_tensor("centroids", HostTensor::from_tensor(&clustering.centroids()))
            .with("places", &places)
            .with("is_still", &[[f64::from(self.is_still)]])
    }

    fn restore(&mut self, saved: &Sums) -> Result<(), String> {
        let mut is_still = [[0.0]];
        saved.fill("is_still", &mut is_still)?;
        let mut places = vec![[0.0]; saved.numbers.get("places").map_or(0, Vec::len)];
        saved.fill("places", &mut places)?;
        self.is_still = is_still != [[0.0]];
        let places = places.into_iter().map(|[place]| place as i64).collect();
        self.clustering = Some(Clustering::resume(self.rows.clone(), saved.tensor("centroids")?.clone(), places)?);
        Ok(())
    }
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
        precision: Precision::Float32,
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
    let (all, images) = (dataset.train.len(), dataset.train.len().min(settings.sample));
    let indices: Vec<u32> = (0..images).map(|nth| (nth * all / images) as u32).collect();
    let batches: Vec<Vec<u32>> = indices.chunks(BATCH).map(<[u32]>::to_vec).collect();
    let part = Part {
        name: "patches",
        phase: "reading patches",
        batches: batches.len() as u64,
        images: BATCH.min(images),
    };
    let mut sample = Sample {
        space,
        each: (settings.sample / images.max(1)).min(space.patches()),
        seed: work.run.seed,
        rows: HostTensor {
            shape: vec![0, space.patch_values()],
            data: Vec::new(),
        },
    };
    let load = work.plain(dataset, &dataset.train, batches)?;
    if work.session.evaluate(&part, &mut sample, load)? == Ended::Cancelled {
        return Ok(None);
    }
    let rows = Tensor::<2>::from_data(sample.rows.into_data(), &work.session.device.clone().inner());
    Ok(Some(clustered(rows.unsqueeze_dim(0), settings.normalize).squeeze_dim::<2>(0)))
}

/// Patches that are being drawn.
struct Sample<'a> {
    space: &'a PixelSpace,
    /// Patches of an image.
    each: usize,
    seed: u64,
    /// `[count, values]`
    rows: HostTensor,
}

impl Accumulator for Sample<'_> {
    type Batch = Batch;
    type Ready = Batch;

    fn ready(&self, batch: Batch) -> Result<Batch> {
        Ok(batch)
    }

    fn add(&mut self, batch: &Batch, _pass: u64, _reporter: &mut Reporter) -> Result<()> {
        let (space, values) = (self.space, self.space.patch_values());
        for (index, view) in batch.indices.iter().zip(batch.views[0].chunks(3 * space.side * space.side)) {
            let patches = space.cut(view);
            let mut rng = stream(self.seed, Purpose::Tokenizer, place("patches"), u64::from(*index));
            for first in 0..self.each {
                // One patch of each of `each` equal stretches, so that none is drawn twice.
                let stretch = |part: usize| part * space.patches() / self.each;
                let (start, end) = (stretch(first), stretch(first + 1));
                let patch = (start + (rng.random::<f64>() * (end - start) as f64) as usize).min(end - 1);
                self.rows.data.extend_from_slice(&patches[patch * values..][..values]);
            }
            self.rows.shape[0] += self.each;
        }
        Ok(())
    }

    fn save(&self) -> Sums {
        Sums::default().with_tensor("patches", self.rows.clone())
    }

    fn restore(&mut self, saved: &Sums) -> Result<(), String> {
        self.rows = saved.tensor("patches")?.clone();
        Ok(())
    }
}

/// Reports how the validation split is tokenized; says whether it came to the end.
fn judge(work: &mut Work, dataset: &Dataset, tokenizer: &Tokenizer, space: &PixelSpace) -> Result<bool> {
    let val = &dataset.val;
    let part = Part {
        name: "validation",
        phase: "evaluating",
        batches: val.len().div_ceil(BATCH) as u64,
        images: BATCH.min(val.len()),
    };
    let mut judgment = Judgment {
        tokenizer,
        space,
        device: work.session.device.clone(),
        usage: Usage::of(tokenizer.vocabulary()),
        quality: [0.0; 2],
    };
    let load = work.plain(dataset, val, in_order(val.len(), BATCH))?;
    if work.session.evaluate(&part, &mut judgment, load)? == Ended::Cancelled {
        return Ok(false);
    }
    let (usage, [decibels, images]) = (judgment.usage, judgment.quality);
    for (measure, value) in [
        (measure::TOKENIZER_USAGE, usage.share()),
        (measure::TOKENIZER_PERPLEXITY, usage.perplexity()),
        (measure::TOKENIZER_PSNR, decibels / images),
    ] {
        work.session.reporter.summary(&measure, value)?;
    }
    Ok(true)
}

/// How a tokenizer does on the images so far.
struct Judgment<'a> {
    tokenizer: &'a Tokenizer,
    space: &'a PixelSpace,
    device: Device,
    usage: Usage,
    /// The sum of the images' decibels, and how many images there were.
    quality: [f64; 2],
}

impl Accumulator for Judgment<'_> {
    type Batch = Batch;
    type Ready = Tensor<4>;

    fn ready(&self, batch: Batch) -> Result<Tensor<4>> {
        Ok(upload(batch, &self.device).views.swap_remove(0))
    }

    fn add(&mut self, images: &Tensor<4>, _pass: u64, _reporter: &mut Reporter) -> Result<()> {
        let space = self.space;
        self.usage.add(&self.tokenizer.tokens(images.clone()));
        let restored = self.tokenizer.reconstruct(images.clone());
        let truth = patchify(images.clone(), space.patch_size);
        let [restored, truth] = [restored, truth].map(|patches| patches.into_data().iter::<f32>().collect::<Vec<f32>>());
        let values = space.patches() * space.patch_values();
        for (restored, truth) in restored.chunks(values).zip(truth.chunks(values)) {
            let (restored, truth) = (space.to_unit(restored), space.to_unit(truth));
            let squares = restored.iter().zip(&truth).map(|(r, t)| f64::from(r - t).powi(2));
            self.quality[0] += decibels(squares.sum::<f64>() / values as f64);
            self.quality[1] += 1.0;
        }
        Ok(())
    }

    fn save(&self) -> Sums {
        let counts: Vec<[f64; 1]> = self.usage.counts().iter().map(|count| [*count as f64]).collect();
        Sums::default().with("counts", &counts).with("quality", &[self.quality])
    }

    fn restore(&mut self, saved: &Sums) -> Result<(), String> {
        let mut counts = vec![[0.0]; self.usage.counts().len()];
        saved.fill("counts", &mut counts)?;
        self.usage = Usage::counted(counts.into_iter().map(|[count]| count as u64).collect());
        saved.fill("quality", [&mut self.quality])
    }
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
    write_sheet(&measure::TOKENS, &versions, space.side, work.dir, 0, work.session.reporter)
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
