//! The layouts that people's images have: one file each, over the files of a folder or an archive.

mod cifar;
mod class_folders;
mod found;
mod idx;
mod imagenet;
mod known_archives;
mod labels;
mod parquet;
mod pickle;
mod planes;
mod shards;
mod stl10;
mod table;
mod tiny_imagenet;
mod webdataset;

use std::path::Path;

use anyhow::bail;

use super::source::Listing;
use super::tree::Tree;
use crate::experiment::settings::DataSettings;

/// The files that `source` names by a pattern or as a single one that is no archive; nothing if it does neither.
pub(super) fn several(source: &str) -> anyhow::Result<Option<Tree>> {
    let single = || shards::alone(Path::new(source), parquet::MAGIC);
    Ok(shards::named_together(source)?.or_else(single))
}

/// Lists the images of `tree` by the first layout that it has. What has to be unpacked for it goes into `scratch`.
///
/// A layout that is recognized but incomplete is an error that names what is missing, not passed on to the next.
pub(super) fn recognize(mut tree: Tree, settings: &DataSettings, scratch: &Path) -> anyhow::Result<Listing> {
    let mut warnings = std::mem::take(&mut tree.warnings);
    let mut listing = first_of(tree, settings, scratch)?;
    warnings.append(&mut listing.warnings);
    listing.warnings = warnings;
    Ok(listing)
}

/// Asks each layout in turn.
fn first_of(tree: Tree, settings: &DataSettings, scratch: &Path) -> anyhow::Result<Listing> {
    // Layouts of a single file go here.
    if let Some(listing) = stl10::list_unlabeled(&tree)? {
        return Ok(listing);
    }
    if let Some(sentence) = &tree.alone {
        bail!("{sentence}");
    }
    if let Some(listing) = parquet::list(&tree, settings)? {
        return Ok(listing);
    }
    if let Some(listing) = sets(&tree)? {
        return Ok(listing);
    }
    let tree = match known_archives::opened(tree, scratch)? {
        Ok(opened) => match sets(&opened)? {
            Some(listing) => return Ok(listing),
            None => opened,
        },
        Err(tree) => tree,
    };
    if imagenet::is_imagenet(&tree) {
        return imagenet::list(tree, scratch);
    }
    if let Some(listing) = webdataset::list(&tree, settings, scratch)? {
        return Ok(listing);
    }
    let note = match table::list(&tree, settings)? {
        table::Found::Labeled(listing) => return Ok(*listing),
        table::Found::Folders(note) => Some(note),
        table::Found::Nothing => None,
    };
    let mut listing = class_folders::list(tree)?;
    listing.warnings.extend(note);
    Ok(listing)
}

/// Lists the images of a set that has files of its own.
fn sets(tree: &Tree) -> anyhow::Result<Option<Listing>> {
    let mut found: Option<Listing> = None;
    for list in [cifar::list, idx::list, stl10::list, tiny_imagenet::list] {
        match (&found, list(tree)?) {
            (_, None) => {}
            (None, new) => found = new,
            (Some(old), Some(new)) => bail!(
                "`{}` has several data sets, {} and {}: give the folder of one of them",
                tree.root.display(),
                old.layout.title(),
                new.layout.title()
            ),
        }
    }
    Ok(found)
}
