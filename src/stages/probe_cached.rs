//! Linear probing of features that are read once: fast enough to try many learning rates, and not MAE's protocol.
//!
//! Views are plain, so there is nothing to read twice. Features are normalized by their mean and deviation over the training
//! images. All pairs of a learning rate and a weight decay learn side by side on all training images but a held-out
//! part, whose accuracy decides; the best pair then learns from all. The validation split is looked at once, at the end.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use anyhow::{Result, ensure};
use burn::tensor::{Int, Tensor, TensorData};

use crate::data::Split;
use crate::data::augment::Augment;
use crate::data::pick::{self, For};
use crate::experiment::settings::CachedSettings;
use crate::metrics::batch_norm::BatchNorm;
use crate::metrics::frozen::{Features, Frozen};
use crate::metrics::linear_heads::{Heads, Pair, pairs};
use crate::metrics::validation::Validation;
use crate::stages::parent::Parent;
use crate::stages::{Work, model_file};
use crate::train::{Ended, first_phase};

/// Images read at a time; ours.
const BATCH: usize = 256;

/// Probes the parent's encoder and reports `probe_cached.top1`, the pair that was chosen as `probe_cached.rate` and
/// `probe_cached.weight_decay`, and the accuracy that chose it as `probe_cached.held_out_top1`.
///
/// It keeps no checkpoints: what was stopped begins anew.
///
/// # Errors
/// A parent without a fitting model, or an image that cannot be read.
pub fn run(work: &mut Work) -> Result<Ended> {
    let parent = Parent::of(work)?;
    let dataset = work.open_data()?;
    let (settings, classes): (CachedSettings, _) = (work.section("cached")?, dataset.classes.len());
    let images = dataset.train.len();
    let held_out = (images as f64 * settings.held_out).round() as usize;
    ensure!(
        (1..images).contains(&held_out),
        "cached.held_out = {} leaves none of {images} training images on one side",
        settings.held_out
    );
    let (device, augment) = (work.session.device.clone().inner(), work.augment(&dataset)?);
    let frozen = Frozen::new(parent.encoder(work.run, &device)?, &settings.feature);
    work.session.reporter.phase(first_phase(&work.session.device, "reading features"))?;
    let total = images + dataset.val.len();
    let train = read(work, &frozen, &augment, &dataset.train, [0, total])?;
    let val = read(work, &frozen, &augment, &dataset.val, [images, total])?;
    let (Some(train), Some(val)) = (train, val) else {
        return Ok(Ended::Cancelled);
    };
    let norm = BatchNorm::of(&train.rows);
    let normalized = |features: Features| Features {
        rows: norm.evaluate(features.rows),
        ..features
    };
    let (train, val) = (normalized(train), normalized(val));

    let (judged, learned) = divided(&train, &pick::always(&dataset.train, classes, held_out, For::HeldOut));
    let Some((chosen, held_out_top1)) = choose(work, &learned, &judged, classes, &settings)? else {
        return Ok(Ended::Cancelled);
    };
    work.session.reporter.phase("training")?;
    let Some(head) = learn(work, &train, &[chosen], classes, &settings)? else {
        return Ok(Ended::Cancelled);
    };
    let mut model = head.save();
    model.extend(norm.save());
    model_file::write(work, &dataset, &model)?;
    for (name, value) in [
        ("top1", head.top1(&val)[0]),
        ("rate", chosen.rate),
        ("weight_decay", chosen.weight_decay),
        ("held_out_top1", held_out_top1),
    ] {
        work.session.reporter.summary(&format!("probe_cached.{name}"), value)?;
    }
    Ok(Ended::Done(BTreeMap::new()))
}

/// The pair whose head, having learned from the one part, is best on the other, and its accuracy there in percent; nothing if
/// somebody asked to stop.
fn choose(
    work: &mut Work,
    learned: &Features,
    judged: &Features,
    classes: usize,
    settings: &CachedSettings,
) -> Result<Option<(Pair, f64)>> {
    let pairs = pairs(settings);
    work.session.reporter.phase("choosing the learning rate")?;
    let Some(heads) = learn(work, learned, &pairs, classes, settings)? else {
        return Ok(None);
    };
    let found = heads.top1(judged);
    for (Pair { rate, weight_decay }, top1) in pairs.iter().zip(&found) {
        tracing::info!("learning rate {rate}, weight decay {weight_decay}: {top1:.2} % of the held-out images");
    }
    let best = best(&found);
    let rate = pairs[best].rate;
    if is_largest(rate, &pairs) {
        let message = format!("the best learning rate, {rate}, is the largest that was tried: add larger ones to cached.learning_rates");
        work.session.reporter.warning(message)?;
    }
    Ok(Some((pairs[best], found[best])))
}

/// The place of the best; of equals the first, which has the smallest rate.
fn best(found: &[f64]) -> usize {
    (0..found.len()).fold(0, |best, pair| if found[pair] > found[best] { pair } else { best })
}

/// Whether it is the largest of several rates, so that a larger one might be better.
fn is_largest(rate: f64, pairs: &[Pair]) -> bool {
    let others = || pairs.iter().map(|pair| pair.rate);
    others().any(|other| other < rate) && others().all(|other| other <= rate)
}

/// Features of a split, before which so many of all images were read; nothing if somebody asked to stop.
fn read(work: &mut Work, frozen: &Frozen, augment: &Augment, split: &Split, [before, all]: [usize; 2]) -> Result<Option<Features>> {
    let images = Validation {
        split: split.clone(),
        augment: augment.clone(),
        batch_size: BATCH,
        threads: work.loader_threads(),
    };
    let (device, stop) = (work.session.device.clone(), work.session.stop);
    let reporter = &mut *work.session.reporter;
    reporter.begin(before as u64);
    frozen.read(&images, &device, &mut |done| {
        reporter.tick((before + done) as u64, all as u64, 1.0)?;
        Ok(stop.load(Ordering::Relaxed))
    })
}

/// Heads after all epochs; nothing if somebody asked to stop.
fn learn(work: &mut Work, features: &Features, pairs: &[Pair], classes: usize, settings: &CachedSettings) -> Result<Option<Heads>> {
    let (seed, stop, images) = (work.run.seed, work.session.stop, features.labels.len() as f64);
    let reporter = &mut *work.session.reporter;
    reporter.begin(0);
    Heads::learn(features, pairs, classes, settings, seed, &mut |epoch| {
        reporter.tick(epoch, settings.epochs, images)?;
        Ok(stop.load(Ordering::Relaxed))
    })
}

/// The features at these ascending places, and the rest.
fn divided(features: &Features, places: &[usize]) -> (Features, Features) {
    let rest: Vec<usize> = (0..features.labels.len())
        .filter(|place| places.binary_search(place).is_err())
        .collect();
    let part = |places: &[usize]| {
        let rows: Vec<i64> = places.iter().map(|place| *place as i64).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [places.len()]), &features.rows.device());
        Features {
            rows: features.rows.clone().select(0, rows),
            labels: places.iter().map(|place| features.labels[*place]).collect(),
        }
    };
    (part(places), part(&rest))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use crate::stages::probe_cached::*;
    use crate::weights::HostTensor;

    #[test]
    fn of_equal_rates_the_smallest_is_chosen_and_the_largest_of_several_is_warned_of() {
        assert_eq!(best(&[10.0, 40.0, 40.0, f64::NAN]), 1);
        let pairs = [0.1, 1.0, 10.0].map(|rate| Pair { rate, weight_decay: 0.0 });
        assert!(is_largest(10.0, &pairs) && !is_largest(1.0, &pairs) && !is_largest(0.1, &pairs));
        assert!(!is_largest(0.1, &pairs[..1]));
    }

    #[test]
    fn held_out_images_and_the_rest_are_all_there_are() {
        let device = Device::flex();
        let features = Features {
            rows: Tensor::from_floats([[0.0], [1.0], [2.0], [3.0]], &device),
            labels: vec![0, 1, 2, 3],
        };
        let (held_out, rest) = divided(&features, &[1, 2]);
        assert_eq!((held_out.labels, rest.labels), (vec![1, 2], vec![0, 3]));
        assert_eq!(HostTensor::from_tensor(&rest.rows).data, [0.0, 3.0]);
        assert_eq!(HostTensor::from_tensor(&held_out.rows).data, [1.0, 2.0]);
    }
}
