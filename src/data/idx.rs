//! The IDX files of the MNIST family, plain or gzipped; gray becomes RGB.
//!
//! A file is two zero bytes, the type (8 = bytes), the number of dimensions, each dimension as a big-endian 32-bit
//! number, and the bytes.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;

use super::source::{Item, Pools, Reader, Source, SourceListing, stamp_of};
use super::{Image, SplitName};

/// The four files.
pub(super) struct Idx {
    /// Training images, validation images.
    images: [PathBuf; 2],
    /// Their labels.
    labels: [PathBuf; 2],
}

/// One file, read.
struct Bytes {
    /// Items, rows, columns; or items alone.
    dims: Vec<usize>,
    data: Vec<u8>,
}

impl Idx {
    /// Takes `root` if it has IDX files; all four must be there then.
    pub(super) fn recognize(root: &Path) -> anyhow::Result<Option<Self>> {
        let sentence = || format!("cannot read the folder `{}`", root.display());
        let mut files = Vec::new();
        for entry in std::fs::read_dir(root).with_context(sentence)? {
            let path = entry.with_context(sentence)?.path();
            if path.is_file() && name_of(&path).contains("-ubyte") {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Ok(None);
        }
        let find = |split: SplitName, what: &str| {
            let marks: &[&str] = match split {
                SplitName::Train => &["train"],
                SplitName::Val => &["t10k", "test"],
            };
            let fits = |path: &&PathBuf| name_of(path).contains(what) && marks.iter().any(|mark| name_of(path).contains(mark));
            let found: Vec<&PathBuf> = files.iter().filter(fits).collect();
            match found[..] {
                [one] => Ok(one.clone()),
                _ => bail!(
                    "`{}` has {} files of the kind {}-{what}-ubyte, plain or .gz, where one is needed",
                    root.display(),
                    found.len(),
                    marks.join(" or ")
                ),
            }
        };
        let images = [find(SplitName::Train, "images")?, find(SplitName::Val, "images")?];
        let labels = [find(SplitName::Train, "labels")?, find(SplitName::Val, "labels")?];
        Ok(Some(Idx { images, labels }))
    }

    /// The labels of both splits as they stand in the files.
    fn labels(&self) -> anyhow::Result<[Vec<u8>; 2]> {
        let [train, val] = &self.labels;
        Ok([read(train, 1)?.data, read(val, 1)?.data])
    }

    /// Both files of images.
    fn images(&self) -> anyhow::Result<Gray> {
        let [train, val] = &self.images;
        Ok(Gray {
            files: [read(train, 3)?, read(val, 3)?],
        })
    }
}

impl Source for Idx {
    fn fingerprint(&self) -> anyhow::Result<String> {
        self.images.iter().chain(&self.labels).map(|path| stamp_of(path)).collect()
    }

    fn list(&self) -> anyhow::Result<SourceListing> {
        let images = self.images()?;
        let labels = self.labels()?;
        let mut known = labels[0].clone();
        known.sort_unstable();
        known.dedup();
        let mut splits = [Vec::new(), Vec::new()];
        for (file, split) in splits.iter_mut().enumerate() {
            let count = images.files[file].dims[0];
            if labels[file].len() != count {
                let (labels_path, images_path) = (self.labels[file].display(), self.images[file].display());
                bail!(
                    "`{labels_path}` has {} labels, but `{images_path}` has {count} images",
                    labels[file].len()
                );
            }
            for (n, value) in labels[file].iter().enumerate() {
                let Ok(label) = known.binary_search(value) else {
                    bail!(
                        "label {value} in `{}` does not occur in `{}`",
                        self.labels[file].display(),
                        self.labels[0].display()
                    );
                };
                let name = format!("{}#{n}", name_of(&self.images[file]));
                split.push(Item {
                    label: label as u32,
                    name,
                    file: file as u32,
                    offset: n as u64,
                    size: 1,
                });
            }
        }
        let [train, val] = splits;
        let classes = known.iter().map(u8::to_string).collect();
        Ok(SourceListing {
            classes,
            pools: Pools::Divided { train, val },
            reader: Arc::new(images),
        })
    }

    fn reader(&self) -> anyhow::Result<Arc<dyn Reader>> {
        Ok(Arc::new(self.images()?))
    }
}

/// The images, in memory: the largest set of the family has 0.6 GB.
struct Gray {
    files: [Bytes; 2],
}

impl Reader for Gray {
    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        let Bytes { dims, data } = &self.files[item.file as usize];
        let (height, width) = (dims[1], dims[2]);
        let start = usize::try_from(item.offset)? * height * width;
        let pixels = data[start..start + height * width].iter().flat_map(|gray| [*gray; 3]).collect();
        Ok(Image { width, height, pixels })
    }
}

/// Reads one file whole and checks that it is what it says.
fn read(path: &Path, dimensions: usize) -> anyhow::Result<Bytes> {
    let sentence = || format!("`{}` is truncated or damaged", path.display());
    let mut file = BufReader::new(File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?);
    let mut bytes = Vec::new();
    if name_of(path).ends_with(".gz") {
        MultiGzDecoder::new(file).read_to_end(&mut bytes).with_context(sentence)?;
    } else {
        file.read_to_end(&mut bytes).with_context(sentence)?;
    }
    let header = 4 + 4 * dimensions;
    if bytes.len() < header || bytes[..4] != [0, 0, 8, dimensions as u8] {
        bail!("`{}` is not an IDX file of bytes in {dimensions} dimensions", path.display());
    }
    let data = bytes.split_off(header);
    let word = |chunk: &[u8]| u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]) as usize;
    let dims: Vec<usize> = bytes[4..].chunks_exact(4).map(word).collect();
    if dims.contains(&0) || dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim)) != Some(data.len()) {
        bail!(
            "`{}` is truncated: it has {} bytes for dimensions {dims:?}",
            path.display(),
            data.len()
        );
    }
    Ok(Bytes { dims, data })
}

/// The last part of a path.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    /// Two training images of 2 x 3 pixels with labels 4 and 2, one for validation with label 4, gzipped.
    fn mnist() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        put(
            "train-images-idx3-ubyte",
            &idx(&[2, 2, 3], &[0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]),
        );
        put("train-labels-idx1-ubyte", &idx(&[2], &[4, 2]));
        put("t10k-labels-idx1-ubyte", &idx(&[1], &[4]));
        let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&idx(&[1, 2, 3], &[9; 6])).unwrap();
        put("t10k-images-idx3-ubyte.gz", &gz.finish().unwrap());
        dir
    }

    #[test]
    fn gray_images_become_rgb_and_labels_become_places() {
        let dir = mnist();
        let listing = Idx::recognize(dir.path()).unwrap().unwrap().list().unwrap();
        assert_eq!(listing.classes, ["2", "4"]);
        let Pools::Divided { train, val } = listing.pools else {
            panic!("IDX is divided")
        };
        assert_eq!((train[0].label, train[1].label, val[0].label), (1, 0, 1));
        let image = listing.reader.image(&train[1]).unwrap();
        assert_eq!((image.width, image.height), (3, 2));
        assert_eq!(image.pixels[..6], [10, 10, 10, 11, 11, 11]);
        assert_eq!(listing.reader.image(&val[0]).unwrap().pixels, [9; 18]);
    }

    #[test]
    fn a_missing_truncated_or_contradicting_file_is_refused_by_name() {
        let refusal = |name: &str, bytes: Option<&[u8]>| {
            let dir = mnist();
            match bytes {
                Some(bytes) => std::fs::write(dir.path().join(name), bytes).unwrap(),
                None => std::fs::remove_file(dir.path().join(name)).unwrap(),
            }
            match Idx::recognize(dir.path()).and_then(|found| found.unwrap().list()) {
                Ok(_) => panic!("must be refused"),
                Err(e) => e.to_string(),
            }
        };
        let labels = "train-labels-idx1-ubyte";
        assert!(refusal(labels, Some(&idx(&[2], &[4]))).contains("train-labels-idx1-ubyte` is truncated"));
        assert!(refusal(labels, Some(&idx(&[1], &[4]))).contains("has 1 labels, but"));
        assert!(refusal(labels, Some(b"hello")).contains("is not an IDX file"));
        assert!(refusal(labels, Some(&idx(&[2], &[2, 3]))).contains("label 4 in"));
        assert!(refusal(labels, None).contains("has 0 files of the kind train-labels-ubyte"));
        assert!(refusal("t10k-images-idx3-ubyte.gz", Some(&[0x1f, 0x8b, 8, 0])).contains("t10k-images-idx3-ubyte.gz` is truncated"));
    }
}
