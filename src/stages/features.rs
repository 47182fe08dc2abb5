//! Features of anybody's images from a run's encoder, for use outside Umbra.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Error, Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::data::augment::Augment;
use crate::data::{Image, Loose};
use crate::device;
use crate::experiment::settings::DataSettings;
use crate::metrics::validation::plain_views;
use crate::run_dir::RunDir;
use crate::stages::model_file::ModelNotes;
use crate::stages::parent::Parent;
use crate::vit::Vit;
use crate::weights::{self, HostTensor, Weights};

/// Images in one pass.
const BATCH: usize = 64;

/// Writes the features of every image in the folder or archive `images` to the safetensors file `output`, and says what
/// was not read; archives are unpacked into `scratch`.
///
/// `blocks` is `all`, or numbers from 0 such as `0,5,11`, or `pooled`. A block gives `block.K`
/// `[images, 1 + patches, dim]`, its residual stream with the class token first; `pooled` gives `pooled`
/// `[images, dim]`, the mean of the patch tokens after the final norm. Names stand in the metadata
/// as a JSON list under `files`, in order. Images are read as training reads them; those that cannot be read have no row.
///
/// # Errors
/// A run without a model, a place without images, more unreadable images than the run's `data.max_broken` allows, a block
/// there is not.
pub fn features(run: &RunDir, images: &Path, scratch: &Path, blocks: &str, output: &Path, device: &str) -> Result<Vec<String>> {
    let parent = Parent::read(run)?;
    let device = device::open(device)?.inner();
    let encoder = parent.encoder(&parent.run, &device)?;
    let what = What::parse(blocks, encoder.config().depth)?;
    let notes = ModelNotes::read(&parent.notes).with_context(|| parent.file.clone())?;
    let augment = Augment::new(&plain_views(), encoder.config().image_size, notes.mean, notes.std);
    let settings: DataSettings = parent.run.section("data").map_err(Error::msg)?;
    let images = Loose::open(images, scratch)?;
    let mut found = Weights::new();
    let (mut names, mut broken) = (Vec::new(), Vec::new());
    for first in (0..images.len()).step_by(BATCH) {
        let batch: Vec<usize> = (first..images.len().min(first + BATCH)).collect();
        let decoded: Vec<_> = batch.par_iter().map(|i| (*i, images.image(*i))).collect();
        let mut readable = Vec::with_capacity(BATCH);
        for (i, image) in decoded {
            match image {
                Ok(image) => {
                    names.push(images.name(i));
                    readable.push(image);
                }
                Err(reason) => broken.push(format!("`{}` ({reason:#})", images.name(i))),
            }
        }
        if broken.len() as f64 > images.len() as f64 * settings.max_broken {
            broken.truncate(3);
            bail!(
                "more images cannot be read than the run's data.max_broken = {} allows: {}",
                settings.max_broken,
                broken.join(", ")
            );
        }
        if !readable.is_empty() {
            append(&mut found, what.of(&encoder, views(&readable, &augment, &device)));
        }
    }
    let metadata = BTreeMap::from([("files".to_owned(), serde_json::to_string(&names)?)]);
    weights::write(output, &found, &metadata)?;
    let mut said = images.passed_over();
    said.extend(broken.iter().map(|image| format!("skipped {image}")));
    Ok(said)
}

/// Which features.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// The stream after these blocks.
    Blocks(Vec<usize>),
    /// The mean of the final patch tokens.
    Pooled,
}

impl What {
    fn parse(text: &str, depth: usize) -> Result<What> {
        let number = |part: &str| match part.trim().parse::<usize>() {
            Ok(block) if block < depth => Ok(block),
            _ => bail!(
                "--blocks {text}: `{part}` is not a block: it must be all, pooled or numbers from 0 to {}",
                depth - 1
            ),
        };
        match text.trim() {
            "all" => Ok(What::Blocks((0..depth).collect())),
            "pooled" => Ok(What::Pooled),
            list => list.split(',').map(number).collect::<Result<_>>().map(What::Blocks),
        }
    }

    /// Features of a batch `[batch, 3, side, side]`, by name.
    fn of(&self, encoder: &Vit, images: Tensor<4>) -> Weights {
        let tokens = encoder.embed(images);
        match self {
            What::Blocks(blocks) => {
                let stream = encoder.stream(tokens);
                blocks
                    .iter()
                    .map(|block| (format!("block.{block}"), HostTensor::from_tensor(&stream[*block])))
                    .collect()
            }
            What::Pooled => {
                let tokens = encoder.encode(tokens, None);
                let [_, count, _] = tokens.dims();
                let pooled = tokens.narrow(1, 1, count - 1).mean_dim(1).squeeze_dim::<2>(1);
                Weights::from([("pooled".to_owned(), HostTensor::from_tensor(&pooled))])
            }
        }
    }
}

/// Adds a batch's features behind those of the batches before.
fn append(found: &mut Weights, batch: Weights) {
    for (name, tensor) in batch {
        match found.get_mut(&name) {
            Some(all) => {
                all.shape[0] += tensor.shape[0];
                all.data.extend(tensor.data);
            }
            None => {
                found.insert(name, tensor);
            }
        }
    }
}

/// A batch, `[images, 3, side, side]`.
fn views(images: &[Image], augment: &Augment, device: &Device) -> Tensor<4> {
    let side = augment.image_size();
    let mut pixels = vec![0.0; images.len() * 3 * side * side];
    let views = pixels.chunks_mut(3 * side * side);
    images.iter().zip(views).for_each(|(image, view)| augment.plain(image, view));
    Tensor::from_data(TensorData::new(pixels, [images.len(), 3, side, side]), device)
}

#[cfg(test)]
mod tests {
    use crate::stages::features::*;

    #[test]
    fn blocks_are_all_pooled_or_a_list_within_the_depth() {
        assert_eq!(What::parse("all", 3).unwrap(), What::Blocks(vec![0, 1, 2]));
        assert_eq!(What::parse("2, 0", 3).unwrap(), What::Blocks(vec![2, 0]));
        assert_eq!(What::parse("pooled", 3).unwrap(), What::Pooled);
        assert!(What::parse("0,3", 3).unwrap_err().to_string().contains("numbers from 0 to 2"));
        assert!(What::parse("", 3).is_err());
    }

    #[test]
    fn batches_are_joined_along_the_images() {
        let batch = |images: usize| {
            Weights::from([(
                "pooled".to_owned(),
                HostTensor {
                    shape: vec![images, 2],
                    data: vec![images as f32; 2 * images],
                },
            )])
        };
        let mut found = Weights::new();
        append(&mut found, batch(2));
        append(&mut found, batch(1));
        assert_eq!(
            found["pooled"],
            HostTensor {
                shape: vec![3, 2],
                data: vec![2.0, 2.0, 2.0, 2.0, 1.0, 1.0]
            }
        );
    }
}
