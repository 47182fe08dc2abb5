//! Safetensors files.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::{HostTensor, Weights};

/// Writes `weights` as float32 with `metadata` in the header. The file is there whole or not at all.
///
/// # Errors
/// Names the path if it cannot be written.
pub fn write(path: &Path, weights: &Weights, metadata: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let bytes = to_bytes(weights, metadata).with_context(|| format!("{}: cannot be made a safetensors file", path.display()))?;
    replace(path, &bytes).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Reads a file of [`write()`] or of any other program, if its tensors are float32.
///
/// # Errors
/// Names the path, and the tensor if one is of another type.
pub fn read(path: &Path) -> anyhow::Result<(Weights, BTreeMap<String, String>)> {
    let bytes = fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    from_bytes(&bytes).with_context(|| format!("{}: not a safetensors file of float32 tensors", path.display()))
}

fn to_bytes(weights: &Weights, metadata: &BTreeMap<String, String>) -> anyhow::Result<Vec<u8>> {
    let raw: Vec<(&String, &HostTensor, Vec<u8>)> = weights
        .iter()
        .map(|(name, tensor)| (name, tensor, tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = raw
        .iter()
        .map(|(name, tensor, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let metadata: HashMap<String, String> = metadata.clone().into_iter().collect();
    Ok(serialize(views, (!metadata.is_empty()).then_some(metadata))?)
}

fn from_bytes(bytes: &[u8]) -> anyhow::Result<(Weights, BTreeMap<String, String>)> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let file = SafeTensors::deserialize(bytes)?;
    let mut weights = Weights::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            bail!("tensor `{name}` is {:?}: it must be F32", view.dtype());
        }
        let data = view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| f32::from_le_bytes(*word))
            .collect();
        weights.insert(
            name.to_owned(),
            HostTensor {
                shape: view.shape().to_vec(),
                data,
            },
        );
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok((weights, metadata))
}

/// Writes beside `path`, makes it durable, then renames over it.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    ensure!(path.file_name().is_some(), "it names no file");
    let mut scratch = path.as_os_str().to_owned();
    scratch.push(".tmp");
    let mut file = File::create(&scratch)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&scratch, path));
    if let Err(error) = written {
        fs::remove_file(&scratch).ok(); // The first error is the one worth reporting.
        return Err(error.into());
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?; // So that the rename outlasts a power cut.
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> Weights {
        let tensor = |shape: &[usize], data: &[f32]| HostTensor {
            shape: shape.to_vec(),
            data: data.to_vec(),
        };
        Weights::from([
            ("a.weight".to_owned(), tensor(&[2, 1], &[1.5, f32::MIN_POSITIVE])),
            ("b".to_owned(), tensor(&[], &[-0.0])),
        ])
    }

    #[test]
    fn a_file_gives_back_the_same_bits_and_metadata() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let metadata = BTreeMap::from([("run".to_owned(), "0123".to_owned())]);
        write(&path, &weights(), &metadata).unwrap();
        assert_eq!(read(&path).unwrap(), (weights(), metadata));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a scratch file was left behind");
    }

    #[test]
    fn a_truncated_file_is_refused_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        write(&path, &weights(), &BTreeMap::new()).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("model.safetensors: not a safetensors file"), "{error}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = write(Path::new("/nowhere/at/all.safetensors"), &weights(), &BTreeMap::new())
            .unwrap_err()
            .to_string();
        assert_eq!(error, "/nowhere/at/all.safetensors: cannot be written");
    }
}
