//! The binary files of CIFAR-10 and CIFAR-100.
//!
//! A record is its label bytes and then 1024 red, 1024 green and 1024 blue bytes, row by row. CIFAR-100 has two
//! label bytes, coarse and fine; the fine one counts.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use super::Image;
use super::source::{Item, Pools, Reader, Source, SourceListing, stamp_of};

/// Side of every image, in pixels.
const SIDE: usize = 32;
/// Pixels of one color.
const PLANE: usize = SIDE * SIDE;

/// What distinguishes the two sets.
struct Variant {
    train: &'static [&'static str],
    test: &'static str,
    label_bytes: usize,
    classes: usize,
    names: &'static str,
}

const VARIANTS: [Variant; 2] = [
    Variant {
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        label_bytes: 1,
        classes: 10,
        names: "batches.meta.txt",
    },
    Variant {
        train: &["train.bin"],
        test: "test.bin",
        label_bytes: 2,
        classes: 100,
        names: "fine_label_names.txt",
    },
];

/// A folder of CIFAR files.
pub(super) struct Cifar {
    root: PathBuf,
    variant: &'static Variant,
}

impl Cifar {
    /// Takes `root` if it has files of CIFAR; all of them must be there then.
    pub(super) fn recognize(root: &Path) -> anyhow::Result<Option<Self>> {
        let there = |name: &&&str| root.join(name).is_file();
        let Some(variant) = VARIANTS.iter().find(|variant| variant.files().iter().any(|name| there(&name))) else {
            return Ok(None);
        };
        if let Some(missing) = variant.files().iter().find(|name| !there(name)) {
            bail!(
                "`{}` is missing: CIFAR-{} needs {}",
                root.join(missing).display(),
                variant.classes,
                variant.files().join(", ")
            );
        }
        Ok(Some(Cifar {
            root: root.to_owned(),
            variant,
        }))
    }

    /// Lists the records of the `index`th file.
    fn records(&self, index: usize) -> anyhow::Result<Vec<Item>> {
        let name = self.variant.files()[index];
        let path = self.root.join(name);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let record = self.variant.label_bytes + 3 * PLANE;
        if bytes.is_empty() || bytes.len() % record != 0 {
            bail!(
                "`{}` is truncated: its {} bytes are not a whole number of records of {record} bytes",
                path.display(),
                bytes.len()
            );
        }
        let item = |(n, bytes): (usize, &[u8])| {
            let label = u32::from(bytes[self.variant.label_bytes - 1]);
            if label as usize >= self.variant.classes {
                bail!(
                    "record {n} of `{}` has label {label}: labels go from 0 to {}",
                    path.display(),
                    self.variant.classes - 1
                );
            }
            let offset = (n * record + self.variant.label_bytes) as u64;
            Ok(Item {
                label,
                name: format!("{name}#{n}"),
                file: index as u32,
                offset,
                size: 3 * PLANE as u64,
            })
        };
        bytes.chunks_exact(record).enumerate().map(item).collect()
    }

    /// Class names from the file that comes with the data, or the numbers.
    fn classes(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.root.join(self.variant.names)).unwrap_or_default();
        let names: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        if names.len() == self.variant.classes {
            names
        } else {
            (0..self.variant.classes).map(|label| label.to_string()).collect()
        }
    }
}

impl Variant {
    /// All files: those of training images, then the one of validation images.
    fn files(&self) -> Vec<&'static str> {
        self.train.iter().copied().chain([self.test]).collect()
    }
}

impl Source for Cifar {
    fn fingerprint(&self) -> anyhow::Result<String> {
        self.variant.files().iter().map(|name| stamp_of(&self.root.join(name))).collect()
    }

    fn list(&self) -> anyhow::Result<SourceListing> {
        let mut train = Vec::new();
        for index in 0..self.variant.train.len() {
            train.append(&mut self.records(index)?);
        }
        let val = self.records(self.variant.train.len())?;
        Ok(SourceListing {
            classes: self.classes(),
            pools: Pools::Divided { train, val },
            reader: self.reader()?,
        })
    }

    fn reader(&self) -> anyhow::Result<Arc<dyn Reader>> {
        let open =
            |name: &&str| File::open(self.root.join(name)).with_context(|| format!("cannot read `{}`", self.root.join(name).display()));
        Ok(Arc::new(Records {
            files: self.variant.files().iter().map(open).collect::<anyhow::Result<_>>()?,
        }))
    }
}

/// Reads single records.
struct Records {
    files: Vec<File>,
}

impl Reader for Records {
    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        let mut planes = [0; 3 * PLANE];
        self.files[item.file as usize].read_exact_at(&mut planes, item.offset)?;
        // [3, height, width] becomes [height, width, 3].
        let pixels = (0..PLANE)
            .flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]])
            .collect();
        Ok(Image {
            width: SIDE,
            height: SIDE,
            pixels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record whose red, green and blue are 1, 2, 3 plus the label, except for its first pixel's red.
    fn record(labels: &[u8]) -> Vec<u8> {
        let label = labels[labels.len() - 1];
        let mut bytes = labels.to_vec();
        (1..=3).for_each(|color| bytes.extend([color + label; PLANE]));
        bytes[labels.len()] = 200;
        bytes
    }

    fn cifar10() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (n, name) in VARIANTS[0].files().iter().enumerate() {
            std::fs::write(dir.path().join(name), [record(&[n as u8]), record(&[9])].concat()).unwrap();
        }
        dir
    }

    #[test]
    fn cifar10_is_read_record_by_record() {
        let dir = cifar10();
        std::fs::write(dir.path().join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
        let listing = Cifar::recognize(dir.path()).unwrap().unwrap().list().unwrap();
        assert_eq!(listing.classes.join(""), "abcdefghij");
        let Pools::Divided { train, val } = listing.pools else {
            panic!("CIFAR is divided")
        };
        assert_eq!((train.len(), val.len()), (10, 2));
        assert_eq!((train[2].label, train[3].label, val[0].label), (1, 9, 5));
        let image = listing.reader.image(&train[2]).unwrap();
        assert_eq!((image.width, image.height), (32, 32));
        assert_eq!(image.pixels[..6], [200, 3, 4, 2, 3, 4]);
    }

    #[test]
    fn cifar100_uses_the_fine_label() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("train.bin"), record(&[3, 77])).unwrap();
        std::fs::write(dir.path().join("test.bin"), record(&[4, 12])).unwrap();
        let listing = Cifar::recognize(dir.path()).unwrap().unwrap().list().unwrap();
        assert_eq!(listing.classes.len(), 100);
        let Pools::Divided { train, val } = listing.pools else {
            panic!("CIFAR is divided")
        };
        assert_eq!((train[0].label, val[0].label), (77, 12));
        assert_eq!(listing.reader.image(&train[0]).unwrap().pixels[..3], [200, 79, 80]);
    }

    #[test]
    fn a_missing_truncated_or_mislabeled_file_is_refused_by_name() {
        let refusal = |dir: &Path| match Cifar::recognize(dir).and_then(|found| found.unwrap().list()) {
            Ok(_) => panic!("must be refused"),
            Err(e) => e.to_string(),
        };
        let dir = cifar10();
        std::fs::write(dir.path().join("data_batch_3.bin"), [0; 3000]).unwrap();
        assert!(refusal(dir.path()).contains("data_batch_3.bin` is truncated"));
        std::fs::write(dir.path().join("data_batch_3.bin"), record(&[10])).unwrap();
        assert!(refusal(dir.path()).contains("data_batch_3.bin` has label 10: labels go from 0 to 9"));
        std::fs::remove_file(dir.path().join("data_batch_3.bin")).unwrap();
        assert!(refusal(dir.path()).contains("data_batch_3.bin` is missing"));
    }
}
