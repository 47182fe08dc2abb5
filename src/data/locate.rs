//! Which layout a source has.

use std::path::Path;

use super::layouts;
use super::source::Listing;
use super::tree::Tree;
use crate::experiment::settings::DataSettings;

/// Lists the images of `settings.source`, whatever its layout. What has to be unpacked for it goes into `scratch`.
pub(super) fn locate(settings: &DataSettings, scratch: &Path) -> anyhow::Result<Listing> {
    let tree = match layouts::several(&settings.source)? {
        Some(tree) => tree,
        None => Tree::open(Path::new(&settings.source), scratch)?,
    };
    layouts::recognize(tree, settings, scratch)
}
