//! WebDataset shards: tars whose files belong together by their names up to the first dot.

mod sample;
#[cfg(test)]
mod tests;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use self::sample::{Sample, Shard, split};
use super::shards::divide;
use crate::data::layout::Layout;
use crate::data::passed::{PassedOver, Reason};
use crate::data::source::{Item, Listing, Reader};
use crate::data::tree::{Entry, Files, Place, Tree, is_image_name};
use crate::data::{Image, decode};
use crate::experiment::settings::DataSettings;
use written::Written;

/// Endings of shards.
const TARS: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".tar.zst"];

/// Takes `tree` if it is a shard, or has shards. What has to be unpacked goes into `scratch`.
pub(super) fn list(tree: &Tree, settings: &DataSettings, scratch: &Path) -> anyhow::Result<Option<Listing>> {
    let mut passed = tree.passed.clone();
    let Some(shards) = shards(tree, scratch, &mut passed)? else {
        return Ok(None);
    };
    let root = tree.show("");
    let mut samples = Vec::new();
    let mut other = BTreeMap::new();
    for shard in &shards {
        samples.push(gather(shard, &mut other, &mut passed)?);
    }
    let mut written = Written::new(&root, &settings.label_column);
    for (shard, samples) in shards.iter().zip(&samples) {
        samples.iter().try_for_each(|sample| written.take(shard, sample))?;
    }
    let mut warnings = Vec::new();
    if !other.is_empty() {
        let endings: Vec<String> = other.into_iter().map(|(ending, count)| format!("{count} of `.{ending}`")).collect();
        warnings.push(format!("other files of the samples are not read: {}", endings.join(", ")));
    }
    let (classes, labels) = written.classes(&mut warnings)?;
    let mut labels = labels.into_iter();
    let mut files = Vec::with_capacity(shards.len());
    for (number, (shard, samples)) in shards.iter().zip(samples).enumerate() {
        let mut items = Vec::with_capacity(samples.len());
        for (sample, label) in samples.into_iter().zip(&mut labels) {
            match label {
                Some(label) => items.push(item(shard, number, sample.image, label)?),
                None => passed.note(Reason::Unlabeled, &shard.show(&sample.image.name)),
            }
        }
        files.push((shard.name.clone(), items));
    }
    Ok(Some(Listing {
        layout: Layout::WebDataset,
        classes,
        pools: divide(&root, files, &mut passed)?,
        passed,
        warnings,
        reader: Arc::new(Shards(shards.into_iter().map(|shard| shard.files).collect())),
        stamp: tree.stamp.clone(),
    }))
}

/// The shards of a source; nothing if it has none, or if what is in them are no samples.
fn shards(tree: &Tree, scratch: &Path, passed: &mut PassedOver) -> anyhow::Result<Option<Vec<Shard>>> {
    if tree.root.is_file() {
        let labeled = has_labels(&tree.entries);
        return Ok(labeled.then(|| {
            vec![Shard {
                name: String::new(),
                path: tree.show(""),
                entries: tree.entries.clone(),
                files: tree.files.clone(),
            }]
        }));
    }
    let is_tar = |entry: &&Entry| TARS.iter().any(|ending| entry.name.to_ascii_lowercase().ends_with(ending));
    let (tars, others): (Vec<&Entry>, Vec<&Entry>) = tree.entries.iter().partition(is_tar);
    if tars.is_empty() || others.iter().any(|entry| is_image_name(&entry.name)) {
        return Ok(None);
    }
    let mut shards = Vec::with_capacity(tars.len());
    for tar in &tars {
        let inside = tree.open_member(tar, scratch)?;
        passed.add(inside.passed);
        shards.push(Shard {
            name: tar.name.clone(),
            path: tree.show(&tar.name),
            entries: inside.entries,
            files: inside.files,
        });
    }
    let numbered = tars.iter().all(|tar| is_numbered(&tar.name)) && shards.iter().all(|shard| is_flat(&shard.entries));
    if !numbered && !shards.iter().any(|shard| has_labels(&shard.entries)) {
        return Ok(None);
    }
    others.iter().for_each(|entry| passed.note(Reason::NoImage, &entry.name));
    Ok(Some(shards))
}

/// Whether some image has a label beside it.
fn has_labels(entries: &[Entry]) -> bool {
    let keys: BTreeSet<&str> = entries
        .iter()
        .filter(|entry| is_image(&entry.name))
        .map(|entry| split(&entry.name).0)
        .collect();
    entries.iter().any(|entry| {
        let (key, ending) = split(&entry.name);
        ["cls", "json"].contains(&ending) && keys.contains(key)
    })
}

/// Whether there are images, all of them without a folder: as shards of images alone are.
fn is_flat(entries: &[Entry]) -> bool {
    !entries.is_empty() && entries.iter().all(|entry| is_image(&entry.name) && !entry.name.contains('/'))
}

/// Whether a tar is called as a shard is, `name-000001.tar`; `n01440764.tar` is a class of ImageNet.
fn is_numbered(name: &str) -> bool {
    let own = name.rsplit('/').next().unwrap_or(name);
    let stem = own.split('.').next().unwrap_or(own);
    let before = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    before.len() < stem.len() && (before.is_empty() || before.ends_with(['-', '_']))
}

/// Whether a file is the image of a sample: `key.png`, not `key.seg.png`.
fn is_image(name: &str) -> bool {
    let (_, ending) = split(name);
    !ending.contains('.') && is_image_name(name)
}

/// The samples of a shard by their keys; files of other endings are counted in `other`.
fn gather(shard: &Shard, other: &mut BTreeMap<String, usize>, passed: &mut PassedOver) -> anyhow::Result<Vec<Sample>> {
    let mut drafts: BTreeMap<&str, [Option<&Entry>; 3]> = BTreeMap::new();
    for entry in &shard.entries {
        let (key, ending) = split(&entry.name);
        let slot = match ending {
            "cls" => 1,
            "json" => 2,
            _ if is_image(&entry.name) => 0,
            _ => {
                *other.entry(ending.to_owned()).or_default() += 1;
                continue;
            }
        };
        let draft = drafts.entry(key).or_default();
        if let (0, Some(first)) = (slot, draft[0]) {
            bail!(
                "`{}`: the sample `{key}` has two images, `.{}` and `.{ending}`: keep one, or give the other a second ending, such as `.mask.png`",
                shard.path,
                split(&first.name).1
            );
        }
        draft[slot] = Some(entry);
    }
    let mut samples = Vec::with_capacity(drafts.len());
    for [image, number, fields] in drafts.into_values() {
        let Some(image) = image else {
            let lone = number.into_iter().chain(fields);
            lone.for_each(|entry| passed.note(Reason::NoImage, &shard.show(&entry.name)));
            continue;
        };
        samples.push(Sample {
            image: image.clone(),
            number: number.cloned(),
            fields: fields.cloned(),
        });
    }
    Ok(samples)
}

/// An image of the shard of that number.
fn item(shard: &Shard, number: usize, image: Entry, label: u32) -> anyhow::Result<Item> {
    let (offset, size) = match image.place {
        Place::Own { size } => (0, size),
        Place::Part { offset, size, .. } => (offset, size),
        Place::Deflated { .. } => bail!("`{}` is a ZIP archive: a shard must be a tar", shard.path),
    };
    Ok(Item {
        label,
        name: shard.show(&image.name),
        place: Place::Part {
            file: number as u32,
            offset,
            size,
        },
    })
}

/// Gets the images of shards: the number of an item's file is that of its shard, each of which is one file.
struct Shards(Vec<Arc<Files>>);

impl Shards {
    /// The shard of an image, and the image in it.
    fn inside(&self, item: &Item) -> anyhow::Result<(&Files, Item)> {
        let Place::Part { file, offset, size } = item.place else {
            bail!("an image is a part of a shard")
        };
        let place = Place::Part { file: 0, offset, size };
        Ok((&self.0[file as usize], Item { place, ..item.clone() }))
    }
}

impl Reader for Shards {
    fn bytes(&self, item: &Item) -> anyhow::Result<Vec<u8>> {
        let (files, item) = self.inside(item)?;
        files.bytes(&item)
    }

    fn ends(&self, item: &Item, bytes: u64) -> anyhow::Result<Vec<u8>> {
        let (files, item) = self.inside(item)?;
        files.ends(&item, bytes)
    }

    fn upright(&self, item: &Item) -> anyhow::Result<(Image, bool)> {
        decode::decode(&self.bytes(item)?)
    }
}
