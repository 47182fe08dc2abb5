//! From a source on disk to an opened data set: choosing images, decoding them once, describing them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cache::{self, Cache, Contents, Description, Writer};
use super::colors::Colors;
use super::fingerprint::fingerprint;
use super::source::{Item, Listing, Pools, Reader};
use super::stamp::hex;
use super::survey::duplicates;
use super::{Dataset, Image, Sizes, Split, SplitName, decode, sampling};
use crate::experiment::settings::DataSettings;

/// Part of every cache's key; to be raised when the same source would be cached differently.
const FORMAT: u32 = 5;
/// Decoded bytes up to which a data set counts as small (ours: fits in the page cache of an ordinary machine).
pub(super) const SMALL: u64 = 4 << 30;
/// Short side in pixels up to which images are kept as they are (ours: STL-10's 96 is the largest such set).
const NATIVE: usize = 96;
/// Images whose sizes are looked at before the kept size is chosen.
const PROBED: usize = 64;
/// Images that tell mean and deviation of a set too large to be decoded whole.
const MEASURED: usize = 1024;
/// How many times smaller or larger than usual an image is that has no say in the kept size (ours).
const ODD: usize = 4;
/// Images decoded between two reports.
const ROUND: usize = 256;
/// Skipped images that are named one by one.
const NAMED: usize = 20;

/// Opens `source`, decoding it into a cache file first if that is not there.
pub(super) fn open(
    listing: Listing,
    settings: &DataSettings,
    small: u64,
    cache_dir: &Path,
    report: &mut dyn FnMut(usize, usize),
) -> anyhow::Result<Dataset> {
    let reader = listing.reader.clone();
    let print = fingerprint(&listing, cache_dir, report)?;
    let doubled = duplicates(&listing, print.duplicates, print.duplicate.as_deref());
    // These are about this source; the same images may lie elsewhere in another way.
    let mut warnings: Vec<String> = doubled.into_iter().chain(listing.passed.sentences()).collect();
    warnings.extend(listing.warnings.iter().cloned());
    let key = key(&print.digits, settings, small);
    forget_other_places(&cache_dir.join(cache::file_name(&key)), &stamp_of(&listing))?;
    let cache = Cache::open(cache_dir, &key, |writer| fill(listing, settings, small, writer, report))?;
    let cache = Arc::new(cache);
    let Description {
        layout,
        labeled,
        classes,
        train,
        val,
        mean,
        std,
        sizes,
        warnings: of_decoding,
        contents,
        names: _,
    } = &cache.description;
    let (train, val) = match contents {
        Contents::Images { width, height } => {
            let size = [*width, *height];
            (
                Split::mapped(size, cache.clone(), 0, train),
                Split::mapped(size, cache.clone(), train.len(), val),
            )
        }
        Contents::Places { train, val, stamp: _ } => {
            let split = |items: &Vec<Item>| Split::on_demand(reader.clone(), items.clone(), allowed(items.len(), settings));
            (split(train), split(val))
        }
    };
    let (name, classes) = (settings.source.clone(), classes.clone());
    warnings.extend(of_decoding.iter().cloned());
    Ok(Dataset {
        name,
        fingerprint: print.digits,
        layout: *layout,
        labeled: *labeled,
        classes,
        train,
        val,
        mean: *mean,
        std: *std,
        sizes: *sizes,
        warnings,
    })
}

/// What tells whether the files of a listing are those of a cache that remembers places in them.
fn stamp_of(listing: &Listing) -> String {
    hex(&Sha256::digest(&listing.stamp), 16)
}

/// Removes a cache of places in files that changed since, though their images did not.
fn forget_other_places(path: &Path, stamp: &str) -> anyhow::Result<()> {
    if let Some((description, _)) = cache::describe(path)
        && let Contents::Places { stamp: then, .. } = description.contents
        && then != stamp
    {
        std::fs::remove_file(path)
            .with_context(|| format!("the image cache `{}` is of other files and cannot be removed", path.display()))?;
    }
    Ok(())
}

/// The name of the cache: everything that decides what stands in it.
pub(super) fn key(fingerprint: &str, settings: &DataSettings, small: u64) -> String {
    let DataSettings {
        source: _,
        image_size,
        train_images,
        val_images,
        val_fraction,
        max_broken,
        label_column,
    } = settings;
    let choices = format!("{FORMAT} {small} {image_size} {train_images} {val_images} {val_fraction} {max_broken} {label_column}");
    hex(&Sha256::digest(format!("{choices}\n{fingerprint}")), 12)
}

/// Lists and chooses images and decodes them into `writer`, or notes their places if they are too many for that.
fn fill(
    listing: Listing,
    settings: &DataSettings,
    small: u64,
    writer: &mut Writer,
    report: &mut dyn FnMut(usize, usize),
) -> anyhow::Result<Description> {
    let (layout, labeled, stamp) = (listing.layout, listing.is_labeled(), stamp_of(&listing));
    let classes = listing.classes;
    let (mut train, mut val) = chosen(listing.pools, classes.len(), settings)?;
    let mut work = Decoding::of(listing.reader.as_ref(), &train, settings);
    let size = work.size;
    let total = train.len() + val.len();
    let colors;
    let contents;
    if total as u64 * (size[0] * size[1] * 3) as u64 <= small {
        let limit = allowed(total, settings);
        let mut keep = |image: &Image| writer.write(&image.pixels);
        colors = work.run(&mut train, limit, &mut keep, &mut |done| report(done, total))?;
        let done = train.len() + work.broken.len();
        work.run(&mut val, limit, &mut keep, &mut |more| report(done + more, total))?;
        let [width, height] = size;
        contents = Contents::Images { width, height };
    } else {
        let mut sample = spread(&train, MEASURED);
        let total = sample.len();
        work.size = [settings.image_size; 2];
        colors = work.run(&mut sample, allowed(total, settings), &mut |_| Ok(()), &mut |done| {
            report(done, total)
        })?;
        contents = Contents::Places {
            train: train.clone(),
            val: val.clone(),
            stamp,
        };
    }
    let mut warnings = work.warnings();
    warnings.extend(check_splits(&train, &val, classes.len(), &settings.source)?);
    let names = names(&contents, &train, &val);
    let labels = |items: Vec<Item>| items.into_iter().map(|item| item.label).collect();
    Ok(Description {
        layout,
        labeled,
        classes,
        train: labels(train),
        val: labels(val),
        names,
        mean: colors.mean(),
        std: colors.std(),
        sizes: work.sizes,
        warnings,
        contents,
    })
}

/// The names of decoded images; those of others stand beside their places.
fn names(contents: &Contents, train: &[Item], val: &[Item]) -> Vec<String> {
    match contents {
        Contents::Images { .. } => train.iter().chain(val).map(|item| item.name.clone()).collect(),
        Contents::Places { .. } => Vec::new(),
    }
}

/// Refuses a split without an image, and warns of classes without one.
fn check_splits(train: &[Item], val: &[Item], classes: usize, source: &str) -> anyhow::Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (name, items) in [(SplitName::Train, train), (SplitName::Val, val)] {
        if items.is_empty() {
            bail!("`{source}` has no readable image for {}", name.as_str());
        }
        warnings.extend(absent(items, name, classes));
    }
    Ok(warnings)
}

/// The images of both splits that the settings ask for.
fn chosen(pools: Pools, classes: usize, settings: &DataSettings) -> anyhow::Result<(Vec<Item>, Vec<Item>)> {
    let source = &settings.source;
    let (train, val) = match pools {
        Pools::Divided { train, val } => (train, val),
        Pools::Whole(items) => match sampling::divide(items, classes, settings.val_fraction) {
            Some(halves) => halves,
            None => bail!("`{source}` has a single image: at least two are needed, one for training and one for validation"),
        },
    };
    let subset = |items: Vec<Item>, wanted: usize, name: SplitName| {
        let have = items.len();
        let sentence = || {
            format!(
                "data.{0}_images is {wanted}, but `{source}` has {have} images for {0} (0 uses all)",
                name.as_str()
            )
        };
        sampling::subset(items, classes, wanted, name).with_context(sentence)
    };
    Ok((
        subset(train, settings.train_images, SplitName::Train)?,
        subset(val, settings.val_images, SplitName::Val)?,
    ))
}

/// The width and height images are kept in.
///
/// Small images that all have one size stay as they are. Others are scaled and cut to a square of twice the
/// model's size, so that a random crop still has pixels to choose from, or of their own short side if that is less.
/// A few odd images do not decide for all. Besides, the usual short side.
fn kept_size(reader: &dyn Reader, items: &[Item], image_size: usize) -> ([usize; 2], usize) {
    let sizes: Vec<[usize; 2]> = spread(items, PROBED)
        .par_iter()
        .filter_map(|item| reader.image(item).ok().map(|image| [image.width, image.height]))
        .collect();
    let short = |[width, height]: &[usize; 2]| *width.min(height);
    let mut sides: Vec<usize> = sizes.iter().map(short).collect();
    sides.sort_unstable();
    let usual = sides.get(sides.len() / 2).copied().unwrap_or(image_size);
    let mut even = sizes.iter().filter(|size| short(size) * ODD >= usual && short(size) <= usual * ODD);
    let shortest = even.clone().map(short).min().unwrap_or(image_size);
    let size = match even.next() {
        Some(first) if shortest <= NATIVE && even.all(|size| size == first) => *first,
        _ => [(2 * image_size).min(shortest).max(image_size); 2],
    };
    (size, usual)
}

/// Up to `count` items, at even distances.
fn spread(items: &[Item], count: usize) -> Vec<Item> {
    let count = count.min(items.len());
    (0..count).map(|n| items[n * items.len() / count].clone()).collect()
}

/// How many of `total` images may be unreadable.
fn allowed(total: usize, settings: &DataSettings) -> usize {
    (total as f64 * settings.max_broken) as usize
}

/// A sentence about classes that a split lacks.
fn absent(items: &[Item], name: SplitName, classes: usize) -> Option<String> {
    let mut present = vec![false; classes];
    items.iter().for_each(|item| present[item.label as usize] = true);
    let absent = present.iter().filter(|present| !**present).count();
    (absent > 0).then(|| format!("{absent} of {classes} classes have no image for {}", name.as_str()))
}

/// Decodes items and keeps count of what was found.
struct Decoding<'a> {
    reader: &'a dyn Reader,
    settings: &'a DataSettings,
    size: [usize; 2],
    /// The usual short side in the source.
    usual: usize,
    sizes: Sizes,
    /// Images far smaller than usual: how many, and the first few by name.
    tiny: (usize, Vec<String>),
    /// Name of each unreadable image, and what is wrong with it.
    broken: Vec<(String, String)>,
}

impl<'a> Decoding<'a> {
    /// Nothing decoded yet; `items` tell the kept size.
    fn of(reader: &'a dyn Reader, items: &[Item], settings: &'a DataSettings) -> Self {
        let (size, usual) = kept_size(reader, items, settings.image_size);
        Decoding {
            reader,
            settings,
            size,
            usual,
            sizes: Sizes::default(),
            tiny: (0, Vec::new()),
            broken: Vec::new(),
        }
    }

    /// Decodes `items` on all processors and hands the images to `keep` in their order.
    ///
    /// Unreadable ones leave `items`; more than `limit` of them since the start are an error.
    fn run(
        &mut self,
        items: &mut Vec<Item>,
        limit: usize,
        keep: &mut dyn FnMut(&Image) -> anyhow::Result<()>,
        report: &mut dyn FnMut(usize),
    ) -> anyhow::Result<Colors> {
        let mut colors = Colors::default();
        let mut readable = Vec::with_capacity(items.len());
        let mut done = 0;
        for round in items.chunks(ROUND) {
            let decoded: Vec<_> = round.par_iter().map(|item| self.decode(item)).collect();
            for (item, image) in round.iter().zip(decoded) {
                match image {
                    Ok((image, source_size, turned, of_image)) => {
                        self.see(item, source_size, turned);
                        colors = colors.with(of_image);
                        keep(&image)?;
                        readable.push(item.clone());
                    }
                    Err(reason) => self.broken.push((item.name.clone(), format!("{reason:#}"))),
                }
            }
            self.check(limit)?;
            done += round.len();
            report(done);
        }
        *items = readable;
        Ok(colors)
    }

    /// Notes the size of one image, and whether it was turned.
    fn see(&mut self, item: &Item, size: [usize; 2], turned: bool) {
        self.sizes.see(size, turned);
        if size.into_iter().min() < Some(self.usual.div_ceil(ODD)) {
            self.tiny.0 += 1;
            if self.tiny.1.len() < 3 {
                self.tiny.1.push(item.name.clone());
            }
        }
    }

    /// One image at the kept size, its size in the source, whether it was turned, and its colors.
    fn decode(&self, item: &Item) -> anyhow::Result<(Image, [usize; 2], bool, Colors)> {
        let (image, turned) = self.reader.upright(item)?;
        let source_size = [image.width, image.height];
        let image = decode::cover(image, self.size[0], self.size[1])?;
        let colors = Colors::of(&image.pixels);
        Ok((image, source_size, turned, colors))
    }

    /// An error if more than `limit` images were unreadable.
    fn check(&self, limit: usize) -> anyhow::Result<()> {
        if self.broken.len() <= limit {
            return Ok(());
        }
        let named: Vec<String> = self
            .broken
            .iter()
            .take(3)
            .map(|(name, reason)| format!("`{name}` ({reason})"))
            .collect();
        bail!(
            "more images of `{}` cannot be read than data.max_broken = {} allows: {}",
            self.settings.source,
            self.settings.max_broken,
            named.join(", ")
        )
    }

    /// A sentence for each of the first unreadable images, one for the rest, and one for tiny images.
    fn warnings(&self) -> Vec<String> {
        let named = self
            .broken
            .iter()
            .take(NAMED)
            .map(|(name, reason)| format!("skipped `{name}`: {reason}"));
        let rest = self.broken.len().saturating_sub(NAMED);
        let (tiny, names) = &self.tiny;
        let small = || {
            let (names, more) = (names.join("`, `"), if *tiny > names.len() { ", …" } else { "" });
            let usual = self.usual;
            format!("{tiny} images are less than a quarter as large as usual (short side {usual}) and are enlarged: `{names}`{more}")
        };
        named
            .chain((rest > 0).then(|| format!("skipped {rest} more unreadable images")))
            .chain((*tiny > 0).then(small))
            .collect()
    }
}
