//! What a model makes of one image with some patches masked: pixels, their quality, attention, and how much its
//! representation of the visible patches changes.

use anyhow::{Result, bail};
use burn::tensor::{Tensor, TensorData};

use crate::experiment::choices::PatchStatistics;
use crate::inspect::draw;
use crate::inspect::model::Model;
use crate::methods::Masks;
use crate::metrics::cka::{Cka, FEWEST, Gram};
use crate::metrics::pixels::{Denorm, PixelSpace};
use crate::metrics::psnr::Region;
use crate::metrics::psnr::errors;
use crate::playground::{Decibels, Head, Patches, Png, Reconstruction, Scores};
use crate::vit::Seen;
use crate::weights::HostTensor;

/// Everything that one look shows.
pub(super) struct Sight {
    pub(super) original: Png,
    pub(super) masked: Png,
    pub(super) reconstruction: Option<Reconstruction>,
    pub(super) attention: Vec<Vec<Head>>,
    pub(super) cka: Vec<Option<f64>>,
}

/// Looks at a view `[3, side, side]`, normalized. `statistics` are as `psnr.denorm`.
///
/// # Errors
/// If everything is hidden.
pub(super) fn see(model: &Model, view: &[f32], hidden: &Patches, statistics: PatchStatistics) -> Result<Sight> {
    let config = model.encoder.config();
    if hidden.hidden() == config.patches() {
        bail!("all {} patches are masked: at least one must be visible", config.patches());
    }
    let space = PixelSpace {
        side: config.image_size,
        patch_size: config.patch_size,
        mean: model.notes.mean,
        std: model.notes.std,
    };
    let image = Tensor::<4>::from_data(TensorData::new(view.to_vec(), [1, 3, space.side, space.side]), &model.device);
    let truth = space.cut(view);
    let unit = space.to_unit(&truth);
    let visible = hidden.visible();
    let seen = model.encoder.look(image.clone(), &visible);
    let whole = match hidden.hidden() {
        0 => seen.clone(),
        _ => model.encoder.look(image.clone(), &(0..config.patches()).collect::<Vec<_>>()),
    };
    let reconstruction = match &model.predict {
        Some(predict) => {
            let masks = Masks {
                masked: vec![hidden.0.clone()],
                keep: visible.len(),
            };
            let predicted: Vec<f32> = predict(image, &masks).into_data().iter::<f32>().collect();
            let denorm = Denorm::new(statistics, model.normalizes_targets);
            Some(reconstruction(&space, &truth, &predicted, &hidden.0, denorm)?)
        }
        None => None,
    };
    Ok(Sight {
        original: draw::patches(&space, &unit)?,
        masked: draw::patches(&space, &mixed(&space, &unit, &vec![0.5; unit.len()], &hidden.0))?,
        reconstruction,
        attention: attention(&seen, &space, &unit, &visible)?,
        cka: seen
            .iter()
            .zip(&whole)
            .map(|(seen, whole)| alignment(seen, whole, &visible))
            .collect(),
    })
}

/// The pixels of one set of patches where patches are visible, those of another where they are hidden.
fn mixed(space: &PixelSpace, visible: &[f32], hidden: &[f32], masked: &[bool]) -> Vec<f32> {
    let values = space.patch_values();
    let value = |(at, (visible, hidden)): (usize, (&f32, &f32))| if masked[at / values] { *hidden } else { *visible };
    visible.iter().zip(hidden).enumerate().map(value).collect()
}

/// Pixels of a prediction and their quality, beside two controls that know nothing of the image's content.
fn reconstruction(space: &PixelSpace, truth: &[f32], predicted: &[f32], masked: &[bool], denorm: Denorm) -> Result<Reconstruction> {
    let unit = space.to_unit(truth);
    let restored = space.restored(predicted, truth, masked, denorm);
    let composite = mixed(space, &unit, &restored, masked);
    let scores = masked.contains(&true).then(|| {
        let [model, zero, visible_mean] = errors(space, truth, predicted, masked, denorm).map(|errors| Decibels {
            masked: errors.decibels(Region::Masked),
            composite: errors.decibels(Region::Composite),
        });
        Scores { model, zero, visible_mean }
    });
    Ok(Reconstruction {
        prediction: draw::patches(space, &restored)?,
        composite: draw::patches(space, &composite)?,
        error: draw::error(space, &unit, &composite)?,
        normalized: denorm != Denorm::Raw,
        scores,
    })
}

/// A map for every head of every block.
fn attention(seen: &[Seen], space: &PixelSpace, unit: &[f32], visible: &[usize]) -> Result<Vec<Vec<Head>>> {
    let (ground, grid) = (draw::ground(space, unit)?, space.side / space.patch_size);
    let head = |shares: &[f32]| {
        let mut places = vec![None; space.patches()];
        visible
            .iter()
            .zip(&shares[1..])
            .for_each(|(place, share)| places[*place] = Some(*share));
        Ok(Head {
            map: draw::attention(&ground, grid, &places)?,
            itself: f64::from(shares[0]),
            largest: f64::from(shares[1..].iter().copied().fold(0.0, f32::max)),
        })
    };
    let block = |seen: &Seen| {
        let shares = HostTensor::from_tensor(&seen.attention);
        shares.data.chunks_exact(1 + visible.len()).map(head).collect()
    };
    seen.iter().map(block).collect()
}

/// How alike the visible patches are to themselves in the full image: places are the samples, the class token is none.
/// Undefined for fewer than four places.
fn alignment(seen: &Seen, whole: &Seen, visible: &[usize]) -> Option<f64> {
    if visible.len() < FEWEST {
        return None;
    }
    let rows = |stream: &Tensor<3>, places: &[i64]| {
        let places = Tensor::from_data(TensorData::new(places.to_vec(), [places.len()]), &stream.device());
        let rows = HostTensor::from_tensor(&stream.clone().squeeze_dim::<2>(0).select(0, places));
        Gram::of(&rows.data, visible.len())
    };
    let kept: Vec<i64> = (1..=visible.len() as i64).collect();
    let same: Vec<i64> = visible.iter().map(|place| *place as i64 + 1).collect();
    let mut cka = Cka::default();
    cka.add(&rows(&seen.stream, &kept), &rows(&whole.stream, &same));
    cka.value()
}

#[cfg(test)]
mod tests;
