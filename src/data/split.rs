//! The images and labels of one split, or of a part of it, cheap to clone and usable from many threads.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;

use super::Image;
use super::cache::Cache;
use super::source::{Item, Reader};

/// One half of a data set. Clones share everything.
#[derive(Clone, Debug)]
pub struct Split {
    labels: Arc<[u32]>,
    images: Images,
    /// Where the images of a part stand in the whole.
    part: Option<Arc<[u32]>>,
}

/// Where the pixels are.
#[derive(Clone, Debug)]
enum Images {
    /// In memory, one after another.
    Memory { size: [usize; 2], pixels: Arc<[u8]> },
    /// In a mapped cache file, from the `first`th image on.
    Mapped { size: [usize; 2], cache: Arc<Cache>, first: usize },
    /// In the source, to be decoded each time.
    Source(Arc<Demand>),
}

impl Split {
    /// A split in memory: images of `width` x `height` pixels one after another, [image, height, width, 3].
    ///
    /// # Panics
    /// If there are not as many pixels as the labels need.
    pub fn in_memory(width: usize, height: usize, pixels: Vec<u8>, labels: Vec<u32>) -> Self {
        assert_eq!(
            pixels.len(),
            labels.len() * width * height * 3,
            "pixels must be [{}, {height}, {width}, 3]",
            labels.len()
        );
        Split {
            labels: labels.into(),
            images: Images::Memory {
                size: [width, height],
                pixels: pixels.into(),
            },
            part: None,
        }
    }

    /// A split in a cache file.
    pub(super) fn mapped(size: [usize; 2], cache: Arc<Cache>, first: usize, labels: &[u32]) -> Self {
        Split {
            labels: labels.into(),
            images: Images::Mapped { size, cache, first },
            part: None,
        }
    }

    /// A split whose images are decoded when they are asked for; at most `allowed` may turn out unreadable.
    pub(super) fn on_demand(reader: Arc<dyn Reader>, items: Vec<Item>, allowed: usize) -> Self {
        let labels = items.iter().map(|item| item.label).collect();
        let demand = Demand {
            reader,
            items,
            allowed,
            broken: Mutex::default(),
        };
        Split {
            labels,
            images: Images::Source(Arc::new(demand)),
            part: None,
        }
    }

    /// The images at these places, in this order.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn only(&self, places: &[usize]) -> Split {
        Split {
            labels: places.iter().map(|place| self.labels[*place]).collect(),
            images: self.images.clone(),
            part: Some(places.iter().map(|place| self.whole(*place) as u32).collect()),
        }
    }

    /// Where the `i`th image stands in the whole of which this is a part.
    fn whole(&self, i: usize) -> usize {
        self.part.as_ref().map_or(i, |part| part[i] as usize)
    }

    /// The name of the `i`th image: its path in the source, or `#` and its number where the source has no names.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn name(&self, i: usize) -> String {
        let i = self.whole(i);
        let known = match &self.images {
            Images::Memory { .. } => None,
            Images::Mapped { cache, first, .. } => cache.description.names.get(first + i).cloned(),
            Images::Source(demand) => Some(demand.items[i].name.clone()),
        };
        known.unwrap_or_else(|| format!("#{i}"))
    }

    /// Images in the split.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of the `i`th image.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    /// All labels, in order.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The `i`th image, at the size it is kept in.
    ///
    /// Where images are decoded on demand, the next readable one of the same class stands in for an unreadable
    /// one, always the same for the same `i`.
    ///
    /// # Errors
    /// If more images are unreadable than `data.max_broken` allows; the sentence names some.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn image(&self, i: usize) -> anyhow::Result<Image> {
        assert!(i < self.len(), "image {i} of {}", self.len());
        let i = self.whole(i);
        match &self.images {
            Images::Memory {
                size: [width, height],
                pixels,
            } => {
                let bytes = width * height * 3;
                Ok(Image {
                    width: *width,
                    height: *height,
                    pixels: pixels[i * bytes..][..bytes].to_vec(),
                })
            }
            Images::Mapped {
                size: [width, height],
                cache,
                first,
            } => {
                let pixels = cache.pixels(first + i, width * height * 3).to_vec();
                Ok(Image {
                    width: *width,
                    height: *height,
                    pixels,
                })
            }
            Images::Source(demand) => demand.image(i),
        }
    }

    /// Width and height that all images are kept in; `None` if they have sizes of their own.
    pub fn kept_size(&self) -> Option<[usize; 2]> {
        match &self.images {
            Images::Memory { size, .. } | Images::Mapped { size, .. } => Some(*size),
            Images::Source(_) => None,
        }
    }
}

/// Images to be decoded from their source.
struct Demand {
    reader: Arc<dyn Reader>,
    items: Vec<Item>,
    allowed: usize,
    broken: Mutex<BTreeSet<usize>>,
}

impl Demand {
    fn image(&self, i: usize) -> anyhow::Result<Image> {
        let count = self.items.len();
        let stand_ins = (0..count)
            .map(|step| (i + step) % count)
            .filter(|at| self.items[*at].label == self.items[i].label);
        for at in stand_ins {
            match self.reader.image(&self.items[at]) {
                Ok(image) => return Ok(image),
                Err(reason) => self.note(at, &reason)?,
            }
        }
        bail!("no image of the class of `{}` can be read", self.items[i].name)
    }

    /// Remembers that an image is unreadable; an error if these are too many.
    fn note(&self, at: usize, reason: &anyhow::Error) -> anyhow::Result<()> {
        // A set that a panicking thread left is whole all the same.
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.insert(at) {
            tracing::warn!("skipped `{}`: {reason:#}", self.items[at].name);
        }
        if broken.len() > self.allowed {
            let names: Vec<&str> = broken.iter().take(3).map(|at| self.items[*at].name.as_str()).collect();
            let (first, total) = (names.join("`, `"), self.items.len());
            bail!(
                "{} of {total} images cannot be read, more than data.max_broken allows, among them `{first}`",
                broken.len()
            );
        }
        Ok(())
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demand")
            .field("items", &self.items.len())
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads every item but the named ones; the image's one pixel tells which item it was.
    struct Except(&'static [&'static str]);

    impl Reader for Except {
        fn bytes(&self, _: &Item) -> anyhow::Result<Vec<u8>> {
            bail!("has none")
        }

        fn image(&self, item: &Item) -> anyhow::Result<Image> {
            if self.0.contains(&item.name.as_str()) {
                bail!("torn");
            }
            Ok(Image {
                width: 1,
                height: 1,
                pixels: vec![item.name.as_bytes()[0]; 3],
            })
        }
    }

    fn split(broken: &'static [&'static str], allowed: usize) -> Split {
        let item = |(n, name): (usize, &str)| Item {
            label: n as u32 % 2,
            name: name.to_owned(),
            place: crate::data::tree::Place::Own { size: 0 },
        };
        let items = ["a", "b", "c", "d", "e", "f"].into_iter().enumerate().map(item).collect();
        Split::on_demand(Arc::new(Except(broken)), items, allowed)
    }

    #[test]
    fn the_next_image_of_the_same_class_stands_in_for_an_unreadable_one() {
        let split = split(&["c", "e"], 2);
        let shown: Vec<u8> = (0..6).map(|i| split.image(i).unwrap().pixels[0]).collect();
        assert_eq!(shown, b"abadaf");
        assert_eq!(split.labels(), [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn too_many_unreadable_images_are_refused_by_name_but_none_is_counted_twice() {
        let split = split(&["c", "d"], 1);
        (0..5).for_each(|_| drop(split.image(2).unwrap()));
        let error = split.image(3).unwrap_err().to_string();
        assert_eq!(
            error,
            "2 of 6 images cannot be read, more than data.max_broken allows, among them `c`, `d`"
        );
    }

    #[test]
    fn a_split_in_memory_gives_its_own_pixels() {
        let split = Split::in_memory(1, 2, (0..12).collect(), vec![4, 5]);
        assert_eq!(
            split.image(1).unwrap(),
            Image {
                width: 1,
                height: 2,
                pixels: (6..12).collect()
            }
        );
        assert_eq!((split.len(), split.label(1), split.kept_size()), (2, 5, Some([1, 2])));
    }
}
