//! Features of anybody's images from a run's encoder, for use outside Umbra.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail};
use burn::tensor::{Device, Tensor, TensorData};

use crate::data::Image;
use crate::data::augment::Augment;
use crate::device;
use crate::metrics::validation::plain_views;
use crate::run_dir::RunDir;
use crate::stages::model_file::ModelNotes;
use crate::stages::parent::Parent;
use crate::vit::Vit;
use crate::weights::{self, HostTensor, Weights};

/// Images in one pass.
const BATCH: usize = 64;
/// Endings of files that are taken for images.
const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Writes the features of every image in `images` to the safetensors file `output`.
///
/// `blocks` is `all`, or numbers from 0 such as `0,5,11`, or `pooled`. A block gives `block.K`
/// `[images, 1 + patches, dim]`, its residual stream with the class token first; `pooled` gives `pooled`
/// `[images, dim]`, the mean of the patch tokens after the final norm. File names stand in the metadata
/// as a JSON list under `files`, in order.
///
/// # Errors
/// A run without a model, a folder without images, an image that cannot be read, a block there is not.
pub fn features(run: &RunDir, images: &Path, blocks: &str, output: &Path, device: &str) -> Result<()> {
    let parent = Parent::read(run)?;
    let device = device::open(device)?.inner();
    let encoder = parent.encoder(&parent.run, &device)?;
    let what = What::parse(blocks, encoder.config().depth)?;
    let notes = ModelNotes::read(&parent.notes).with_context(|| parent.file.clone())?;
    let augment = Augment::new(&plain_views(), encoder.config().image_size, notes.mean, notes.std);
    let files = images_in(images)?;
    let mut found = Weights::new();
    for files in files.chunks(BATCH) {
        append(&mut found, what.of(&encoder, views(files, &augment, &device)?));
    }
    let names: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let metadata = BTreeMap::from([("files".to_owned(), serde_json::to_string(&names)?)]);
    weights::write(output, &found, &metadata)
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

/// The images of a folder, sorted by name.
fn images_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("{}: cannot be read as a folder of images", dir.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|path| {
        path.extension()
            .and_then(|e| e.to_str())
            .is_some_and(|e| ENDINGS.contains(&e.to_ascii_lowercase().as_str()))
    });
    files.sort();
    if files.is_empty() {
        bail!(
            "{}: there are no images in it: their names must end in {}",
            dir.display(),
            ENDINGS.join(", ")
        );
    }
    Ok(files)
}

/// Reads a batch, `[files, 3, side, side]`.
fn views(files: &[PathBuf], augment: &Augment, device: &Device) -> Result<Tensor<4>> {
    let side = augment.image_size();
    let mut pixels = vec![0.0; files.len() * 3 * side * side];
    for (path, view) in files.iter().zip(pixels.chunks_mut(3 * side * side)) {
        let decoded = image::open(path)
            .map_err(|e| Error::msg(format!("{}: not an image that can be read: {e}", path.display())))?
            .to_rgb8();
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        augment.plain(
            &Image {
                width,
                height,
                pixels: decoded.into_raw(),
            },
            view,
        );
    }
    Ok(Tensor::from_data(TensorData::new(pixels, [files.len(), 3, side, side]), device))
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

    #[test]
    fn a_folder_without_images_is_refused_by_path() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("notes.txt"), "no image").unwrap();
        assert!(images_in(dir.path()).unwrap_err().to_string().contains("no images"));
    }
}
