//! The binary files of CIFAR-10 and CIFAR-100.
//!
//! A record is its label bytes and then 1024 red, 1024 green and 1024 blue bytes, row by row. CIFAR-100 has two
//! label bytes, coarse and fine; the fine one counts.

use std::sync::Arc;

use anyhow::bail;

use super::Layout;
use crate::data::Image;
use crate::data::source::{Item, Listing, Pools, Reader};
use crate::data::tree::{Entry, Files, Place, Tree};

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

/// Takes `tree` if it has files of CIFAR, in whatever folder; all of them must be there then.
pub(super) fn list(tree: &Tree) -> anyhow::Result<Option<Listing>> {
    let folder_of = |entry: &Entry, name: &str| {
        Some(entry.name.strip_suffix(name)?.to_owned()).filter(|folder| folder.is_empty() || folder.ends_with('/'))
    };
    let found = VARIANTS.iter().find_map(|variant| {
        let files = variant.files();
        let folders = tree
            .entries
            .iter()
            .find_map(|entry| files.iter().find_map(|name| folder_of(entry, name)));
        folders.map(|folder| (variant, folder))
    });
    let Some((variant, folder)) = found else { return Ok(None) };
    let mut files = Vec::new();
    for name in variant.files() {
        let name = format!("{folder}{name}");
        match tree.find(&name) {
            Some(entry) => files.push(entry.clone()),
            None => bail!(
                "`{}` is missing: CIFAR-{} needs {}",
                tree.show(&name),
                variant.classes,
                variant.files().join(", ")
            ),
        }
    }
    let mut train = Vec::new();
    for index in 0..variant.train.len() {
        train.append(&mut variant.records(tree, &files, index)?);
    }
    let val = variant.records(tree, &files, variant.train.len())?;
    Ok(Some(Listing {
        layout: Layout::Cifar,
        classes: variant.class_names(tree, &folder)?,
        pools: Pools::Divided { train, val },
        passed: tree.passed.clone(),
        warnings: Vec::new(),
        reader: Arc::new(Records {
            files: tree.files.clone(),
            whole: files,
        }),
        stamp: tree.stamp.clone(),
    }))
}

impl Variant {
    /// Lists the records of the `index`th file.
    fn records(&self, tree: &Tree, files: &[Entry], index: usize) -> anyhow::Result<Vec<Item>> {
        let (entry, name) = (&files[index], self.files()[index]);
        let bytes = tree.read(entry)?;
        let record = self.label_bytes + 3 * PLANE;
        if bytes.is_empty() || bytes.len() % record != 0 {
            bail!(
                "`{}` is truncated: its {} bytes are not a whole number of records of {record} bytes",
                tree.show(&entry.name),
                bytes.len()
            );
        }
        let item = |(n, bytes): (usize, &[u8])| {
            let label = u32::from(bytes[self.label_bytes - 1]);
            if label as usize >= self.classes {
                bail!(
                    "record {n} of `{}` has label {label}: labels go from 0 to {}",
                    tree.show(&entry.name),
                    self.classes - 1
                );
            }
            Ok(Item {
                label,
                name: format!("{name}#{n}"),
                place: Place::Part {
                    file: index as u32,
                    offset: (n * record + self.label_bytes) as u64,
                    size: 3 * PLANE as u64,
                },
            })
        };
        bytes.chunks_exact(record).enumerate().map(item).collect()
    }

    /// Class names from the file that comes with the data, or the numbers.
    fn class_names(&self, tree: &Tree, folder: &str) -> anyhow::Result<Vec<String>> {
        let text = match tree.find(&format!("{folder}{}", self.names)) {
            Some(entry) => String::from_utf8_lossy(&tree.read(entry)?).into_owned(),
            None => String::new(),
        };
        let names: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        if names.len() == self.classes {
            Ok(names)
        } else {
            Ok((0..self.classes).map(|label| label.to_string()).collect())
        }
    }

    /// All files: those of training images, then the one of validation images.
    fn files(&self) -> Vec<&'static str> {
        self.train.iter().copied().chain([self.test]).collect()
    }
}

/// Reads single records.
struct Records {
    files: Arc<Files>,
    whole: Vec<Entry>,
}

impl Reader for Records {
    fn bytes(&self, item: &Item) -> anyhow::Result<Vec<u8>> {
        let Place::Part { file, offset, size } = item.place else {
            bail!("a record is a part of a file")
        };
        let whole = &self.whole[file as usize];
        Ok(self.files.part(&whole.name, whole.place, offset, size)?)
    }

    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        let planes = self.bytes(item)?;
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
    use std::path::Path;

    use super::*;

    fn listed(dir: &Path) -> anyhow::Result<Listing> {
        Ok(list(&Tree::open(dir, dir)?)?.expect("it is CIFAR"))
    }

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
        let listing = listed(dir.path()).unwrap();
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
        let listing = listed(dir.path()).unwrap();
        assert_eq!(listing.classes.len(), 100);
        let Pools::Divided { train, val } = listing.pools else {
            panic!("CIFAR is divided")
        };
        assert_eq!((train[0].label, val[0].label), (77, 12));
        assert_eq!(listing.reader.image(&train[0]).unwrap().pixels[..3], [200, 79, 80]);
    }

    #[test]
    fn a_missing_truncated_or_mislabeled_file_is_refused_by_name() {
        let refusal = |dir: &Path| match listed(dir) {
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
