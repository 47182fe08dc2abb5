//! Batches for training and evaluation, made ahead by threads in an order that does not depend on them.

mod meter;
mod order;
mod prefetch;

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;

pub use self::meter::{Made, Meter};
use self::order::BatchOrder;
use self::prefetch::Prefetch;
use super::augment::Augment;
use super::mix::Mix;
use super::{Image, Split};

/// Batches made ahead by few threads ("ours": hides a slow batch, costs little memory).
const AHEAD: usize = 3;

/// Batches that so many threads make ahead: one for each of them and one that waits, or a thread would be idle.
pub fn ahead(threads: usize) -> usize {
    AHEAD.max(threads + 1)
}

/// One batch on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Place of the batch in the whole run, from 0.
    pub step: u64,
    /// Place of its epoch, from 0.
    pub epoch: u64,
    /// Which images of the split.
    pub indices: Vec<u32>,
    /// Their classes.
    pub labels: Vec<u32>,
    /// Normalized images, each view `[batch, 3, side, side]` with a side of its own.
    pub views: Vec<Vec<f32>>,
    /// Soft targets, `[batch, classes]`; there exactly if the loader mixes.
    pub targets: Option<Vec<f32>>,
}

/// What a [`TrainLoader`] reads and how far ahead.
#[derive(Clone, Copy, Debug)]
pub struct LoaderPlan {
    /// The run's seed.
    pub seed: u64,
    /// Images in a batch.
    pub batch_size: usize,
    /// Epochs of the run.
    pub epochs: u64,
    /// Batches of an epoch that begins the split again as often as they take, dropping nothing; `None` is one pass of full
    /// batches.
    pub repeated: Option<u64>,
    /// Place of the first batch that is made, for a run that goes on.
    pub first_batch: u64,
    /// Threads that make batches; 0 counts as 1.
    pub threads: usize,
    /// Batches made and not yet taken, at most; 0 counts as 1.
    pub ahead: usize,
}

/// Full batches in one pass: what is left over after them is dropped (and other images in the next pass).
pub fn batches_per_epoch(images: usize, batch_size: usize) -> u64 {
    (images / batch_size) as u64
}

/// Which images stand in a batch, and in which pass over the split each does.
fn places(order: &BatchOrder, images: usize, plan: &LoaderPlan, step: u64) -> (Vec<u64>, Vec<u32>) {
    let size = plan.batch_size as u64;
    let first = if plan.repeated.is_some() {
        step * size
    } else {
        // A pass ends with its last full batch.
        let per_pass = batches_per_epoch(images, plan.batch_size);
        step / per_pass * images as u64 + step % per_pass * size
    };
    let place = |nth: u64| {
        let (pass, place) = (nth / images as u64, nth % images as u64);
        (pass, order.of(pass)[place as usize])
    };
    (first..first + size).map(place).unzip()
}

/// Augmented batches of shuffled images, epoch after epoch. After an error it ends.
///
/// Batch `n` of two loaders with the same seed, split and recipe is the same, wherever they began.
#[derive(Debug)]
pub struct TrainLoader(Prefetch<Batch>);

impl TrainLoader {
    /// Begins to make batches at once. A batch larger than a split that is not repeated gives none.
    pub fn new(split: Split, augment: Augment, mix: Option<Mix>, plan: LoaderPlan) -> TrainLoader {
        let per_epoch = plan.repeated.unwrap_or_else(|| batches_per_epoch(split.len(), plan.batch_size));
        let order = BatchOrder::new(plan.seed, split.len());
        let batches = plan.first_batch..per_epoch * plan.epochs;
        let make = move |step: u64, stop: &AtomicBool| {
            let (passes, indices) = places(&order, split.len(), &plan, step);
            let sides = augment.sides();
            let mut views: Vec<Vec<f32>> = sides.iter().map(|side| vec![0.0; indices.len() * values(*side)]).collect();
            each(&split, &indices, stop, |place, image| {
                for (nth, view) in views.iter_mut().enumerate() {
                    let mut draws = augment.draws(plan.seed, passes[place], indices[place], nth);
                    augment.view(nth, image, &mut draws, chunk(view, place, sides[nth]));
                }
            })?;
            let labels = labels(&split, &indices);
            let targets = mix.map(|mix| mix.apply(plan.seed, step, &labels, &sides, &mut views));
            Ok(Batch {
                step,
                epoch: step / per_epoch,
                indices,
                labels,
                views,
                targets,
            })
        };
        TrainLoader(Prefetch::new(batches, plan.threads, plan.ahead, make))
    }

    /// What its threads have done, also after the loader was given away.
    pub fn meter(&self) -> Meter {
        self.0.meter()
    }
}

impl Iterator for TrainLoader {
    type Item = anyhow::Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// Batches of the numbers of so many images, one after another.
pub fn in_order(images: usize, batch_size: usize) -> Vec<Vec<u32>> {
    let all: Vec<u32> = (0..images as u32).collect();
    all.chunks(batch_size).map(<[u32]>::to_vec).collect()
}

/// Every image of a split once, in order and unvaried; the last batch may be short. After an error it ends.
#[derive(Debug)]
pub struct EvalLoader(Prefetch<Batch>);

impl EvalLoader {
    /// Begins to make batches at once, at most [`ahead`] of them.
    pub fn new(split: Split, augment: Augment, batch_size: usize, threads: usize) -> EvalLoader {
        let batches = in_order(split.len(), batch_size);
        EvalLoader::of_batches(split, augment, batches, 0, threads)
    }

    /// Begins to make these batches of images, named by their numbers, from a batch number on.
    pub fn of_batches(split: Split, augment: Augment, batches: Vec<Vec<u32>>, first: u64, threads: usize) -> EvalLoader {
        let count = batches.len() as u64;
        let make = move |step: u64, stop: &AtomicBool| {
            let indices = batches[step as usize].clone();
            let side = augment.image_size();
            let mut view = vec![0.0; indices.len() * values(side)];
            each(&split, &indices, stop, |place, image| {
                augment.plain(image, chunk(&mut view, place, side))
            })?;
            let labels = labels(&split, &indices);
            Ok(Batch {
                step,
                epoch: 0,
                indices,
                labels,
                views: vec![view],
                targets: None,
            })
        };
        EvalLoader(Prefetch::new(first..count, threads, ahead(threads), make))
    }
}

impl Iterator for EvalLoader {
    type Item = anyhow::Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// Numbers in one view of one image.
fn values(side: usize) -> usize {
    3 * side * side
}

fn chunk(view: &mut [f32], place: usize, side: usize) -> &mut [f32] {
    let values = values(side);
    &mut view[place * values..][..values]
}

fn labels(split: &Split, indices: &[u32]) -> Vec<u32> {
    indices.iter().map(|index| split.label(*index as usize)).collect()
}

/// Calls `use_image` with the place in the batch and the image; gives up when told to stop.
fn each(split: &Split, indices: &[u32], stop: &AtomicBool, mut use_image: impl FnMut(usize, &Image)) -> anyhow::Result<()> {
    for (place, index) in indices.iter().enumerate() {
        ensure!(!stop.load(Ordering::Relaxed), "the loader was stopped");
        let image = split.image(*index as usize)?;
        use_image(place, &image);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
