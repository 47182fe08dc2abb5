//! Linear probing of features that are read once: fast enough to try many learning rates, and not MAE's protocol.
//!
//! Views are plain, so there is nothing to read twice. Features are normalized by their mean and deviation over the training
//! images. All pairs of a learning rate and a weight decay learn side by side on all training images but a held-out
//! part, whose accuracy decides; the best pair then learns from all. The validation split is looked at once, at the end.

use anyhow::{Result, ensure};
use burn::tensor::{Int, Tensor, TensorData};

use crate::data::subset::{self, For};
use crate::experiment::measure;
use crate::experiment::settings::CachedSettings;
use crate::metrics::batch_norm::BatchNorm;
use crate::metrics::frozen::{Features, Frozen};
use crate::metrics::linear_heads::{HeadTraining, Heads, Pair, pairs};
use crate::stages::parent::Parent;
use crate::stages::{Work, model_file, reading};
use crate::train::Ended;
use crate::train::evaluation::Part;

/// Images read at a time; ours.
const BATCH: usize = 256;

/// Probes the parent's encoder and reports accuracy, the selected pair and the accuracy that selected it.
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
    let frozen = Frozen::new(parent.encoder(work.run, &work.session.device.clone().inner())?, settings.feature);
    let Some([train, val]) = reading::features(work, &frozen, &dataset, [&dataset.train, &dataset.val], BATCH)? else {
        return Ok(Ended::Cancelled);
    };
    let norm = BatchNorm::of(&train.rows);
    let normalized = |features: Features| Features {
        rows: norm.evaluate(features.rows),
        ..features
    };
    let (train, val) = (normalized(train), normalized(val));

    let (judged, learned) = divided(&train, &subset::always(&dataset.train, classes, held_out, For::HeldOut));
    let pairs = pairs(&settings);
    let Some(heads) = learn(work, &CHOICE, &learned, &pairs, classes, &settings)? else {
        return Ok(Ended::Cancelled);
    };
    let found = heads.top1(&judged);
    for (Pair { rate, weight_decay }, top1) in pairs.iter().zip(&found) {
        tracing::info!("learning rate {rate}, weight decay {weight_decay}: {top1:.2} % of the held-out images");
    }
    let chosen = best(&found);
    let (pair, held_out_top1) = (pairs[chosen], found[chosen]);
    let Some(head) = learn(work, &FINAL, &train, &[pair], classes, &settings)? else {
        return Ok(Ended::Cancelled);
    };
    warn_of_largest(work, pair.rate, &pairs)?;
    let mut model = head.save();
    model.extend(norm.save());
    model_file::write(work, &dataset, &model)?;
    for (measure, value) in [
        (measure::PROBE_CACHED_TOP1, head.top1(&val)[0]),
        (measure::PROBE_CACHED_RATE, pair.rate),
        (measure::PROBE_CACHED_WEIGHT_DECAY, pair.weight_decay),
        (measure::PROBE_CACHED_HELD_OUT_TOP1, held_out_top1),
    ] {
        work.session.reporter.summary(&measure, value)?;
    }
    Ok(Ended::Done(Default::default()))
}

/// The place of the best; of equals the first, which has the smallest rate.
fn best(found: &[f64]) -> usize {
    (0..found.len()).fold(0, |best, pair| if found[pair] > found[best] { pair } else { best })
}

fn warn_of_largest(work: &mut Work, rate: f64, pairs: &[Pair]) -> Result<()> {
    if !is_largest(rate, pairs) {
        return Ok(());
    }
    let message = format!("the best learning rate, {rate}, is the largest that was tried: add larger ones to cached.learning_rates");
    work.session.reporter.warning(message)
}

/// Whether it is the largest of several rates, so that a larger one might be better.
fn is_largest(rate: f64, pairs: &[Pair]) -> bool {
    let others = || pairs.iter().map(|pair| pair.rate);
    others().any(|other| other < rate) && others().all(|other| other <= rate)
}

/// Folder and phase of the heads of which one is chosen, and of the one that learns from all images.
const CHOICE: [&str; 2] = ["choice", "choosing the learning rate"];
const FINAL: [&str; 2] = ["head", "training"];

/// Heads after all epochs; nothing if somebody asked to stop.
fn learn(
    work: &mut Work,
    [name, phase]: &[&'static str; 2],
    features: &Features,
    pairs: &[Pair],
    classes: usize,
    settings: &CachedSettings,
) -> Result<Option<Heads>> {
    let part = Part {
        name,
        phase,
        batches: settings.epochs,
        images: features.labels.len(),
    };
    let mut training = HeadTraining::new(features, pairs, classes, settings, work.run.seed);
    let ended = work
        .session
        .evaluate(&part, &mut training, |first| (first..settings.epochs).map(Ok))?;
    Ok((ended != Ended::Cancelled).then(|| training.heads()))
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
