//! The IDX files of the MNIST family, plain or gzipped; gray becomes RGB.
//!
//! A file is two zero bytes, the type (8 = bytes), the number of dimensions, each dimension as a big-endian 32-bit
//! number, and the bytes.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;

use super::Layout;
use crate::data::source::{Item, Listing, Pools, Reader};
use crate::data::tree::{Entry, Place, Tree};
use crate::data::{Image, SplitName};

/// One file, read.
struct Bytes {
    /// Items, rows, columns; or items alone.
    dims: Vec<usize>,
    data: Vec<u8>,
}

/// Takes `tree` if it has IDX files; all four must be there then.
pub(super) fn list(tree: &Tree) -> anyhow::Result<Option<Listing>> {
    let files: Vec<&Entry> = tree
        .entries
        .iter()
        .filter(|entry| name_of(&entry.name).contains("-ubyte"))
        .collect();
    if files.is_empty() {
        return Ok(None);
    }
    let find = |split: SplitName, what: &str| {
        let marks: &[&str] = match split {
            SplitName::Train => &["train"],
            SplitName::Val => &["t10k", "test"],
        };
        let fits = |entry: &&&Entry| name_of(&entry.name).contains(what) && marks.iter().any(|mark| name_of(&entry.name).contains(mark));
        let found: Vec<&&Entry> = files.iter().filter(fits).collect();
        match found[..] {
            [one] => Ok((*one).clone()),
            _ => bail!(
                "`{}` has {} files of the kind {}-{what}-ubyte, plain or .gz, where one is needed",
                tree.root.display(),
                found.len(),
                marks.join(" or ")
            ),
        }
    };
    let images = [find(SplitName::Train, "images")?, find(SplitName::Val, "images")?];
    let labels = [find(SplitName::Train, "labels")?, find(SplitName::Val, "labels")?];
    let gray = Gray {
        files: [read(tree, &images[0], 3)?, read(tree, &images[1], 3)?],
    };
    let values = [read(tree, &labels[0], 1)?.data, read(tree, &labels[1], 1)?.data];
    let mut known = values[0].clone();
    known.sort_unstable();
    known.dedup();
    let mut splits = [Vec::new(), Vec::new()];
    for (file, split) in splits.iter_mut().enumerate() {
        let (count, pixels) = (gray.files[file].dims[0], gray.pixels(file));
        if values[file].len() != count {
            let (labels_path, images_path) = (tree.show(&labels[file].name), tree.show(&images[file].name));
            bail!(
                "`{labels_path}` has {} labels, but `{images_path}` has {count} images",
                values[file].len()
            );
        }
        for (n, value) in values[file].iter().enumerate() {
            let Ok(label) = known.binary_search(value) else {
                let (here, train) = (tree.show(&labels[file].name), tree.show(&labels[0].name));
                bail!("label {value} in `{here}` does not occur in `{train}`");
            };
            split.push(Item {
                label: label as u32,
                name: format!("{}#{n}", name_of(&images[file].name)),
                place: Place::Part {
                    file: file as u32,
                    offset: (n * pixels) as u64,
                    size: pixels as u64,
                },
            });
        }
    }
    let [train, val] = splits;
    Ok(Some(Listing {
        layout: Layout::Idx,
        classes: known.iter().map(u8::to_string).collect(),
        pools: Pools::Divided { train, val },
        passed: tree.passed.clone(),
        warnings: Vec::new(),
        reader: Arc::new(gray),
        stamp: tree.stamp.clone(),
    }))
}

/// The images, in memory: the largest set of the family has 0.6 GB.
struct Gray {
    files: [Bytes; 2],
}

impl Gray {
    /// Pixels of one image of a file.
    fn pixels(&self, file: usize) -> usize {
        self.files[file].dims[1..].iter().product()
    }
}

impl Reader for Gray {
    fn bytes(&self, item: &Item) -> anyhow::Result<Vec<u8>> {
        let Place::Part { file, offset, size } = item.place else {
            bail!("an image is a part of a file")
        };
        let start = usize::try_from(offset)?;
        Ok(self.files[file as usize].data[start..start + usize::try_from(size)?].to_vec())
    }

    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        let Place::Part { file, .. } = item.place else {
            bail!("an image is a part of a file")
        };
        let dims = &self.files[file as usize].dims;
        let pixels = self.bytes(item)?.iter().flat_map(|gray| [*gray; 3]).collect();
        Ok(Image {
            width: dims[2],
            height: dims[1],
            pixels,
        })
    }
}

/// Reads one file whole and checks that it is what it says.
fn read(tree: &Tree, entry: &Entry, dimensions: usize) -> anyhow::Result<Bytes> {
    let path = tree.show(&entry.name);
    let mut bytes = tree.read(entry)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let packed = std::mem::take(&mut bytes);
        MultiGzDecoder::new(&packed[..])
            .read_to_end(&mut bytes)
            .with_context(|| format!("`{path}` is truncated or damaged"))?;
    }
    let header = 4 + 4 * dimensions;
    if bytes.len() < header || bytes[..4] != [0, 0, 8, dimensions as u8] {
        bail!("`{path}` is not an IDX file of bytes in {dimensions} dimensions");
    }
    let data = bytes.split_off(header);
    let word = |chunk: &[u8]| u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]) as usize;
    let dims: Vec<usize> = bytes[4..].chunks_exact(4).map(word).collect();
    if dims.contains(&0) || dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim)) != Some(data.len()) {
        bail!("`{path}` is truncated: it has {} bytes for dimensions {dims:?}", data.len());
    }
    Ok(Bytes { dims, data })
}

/// The last part of a path.
fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use flate2::write::GzEncoder;

    use super::*;

    fn listed(dir: &Path) -> anyhow::Result<Listing> {
        Ok(list(&Tree::open(dir, dir)?)?.expect("it is IDX"))
    }

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
        let listing = listed(dir.path()).unwrap();
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
            match listed(dir.path()) {
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
