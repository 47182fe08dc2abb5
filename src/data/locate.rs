//! Which layout a source has.

use std::path::Path;

use super::layouts;
use super::source::Listing;
use super::tree::Tree;
use crate::experiment::settings::DataSettings;

/// Lists the images of `settings.source`, whatever its layout. What has to be unpacked for it goes into `scratch`.
pub(super) fn locate(settings: &DataSettings, scratch: &Path) -> anyhow::Result<Listing> {
    layouts::recognize(Tree::open(Path::new(&settings.source), scratch)?, settings, scratch)
}
