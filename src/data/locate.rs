//! Which format a path is.

use std::path::Path;

use anyhow::bail;

use super::archive::Archive;
use super::cifar::Cifar;
use super::folder::Folder;
use super::idx::Idx;
use super::source::Source;

/// Finds out which format `path` is.
pub(super) fn locate(path: &Path) -> anyhow::Result<Box<dyn Source>> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(e) => bail!(
            "data.source is `{}`, which cannot be opened ({e}): give `builtin` or the path of a folder or an archive",
            path.display()
        ),
    };
    if metadata.is_file() {
        return match Archive::recognize(path) {
            Some(archive) => Ok(Box::new(archive)),
            None => bail!(
                "data.source is the file `{}`, but only .tar, .tar.gz and .tgz files are read",
                path.display()
            ),
        };
    }
    if let Some(cifar) = Cifar::recognize(path)? {
        return Ok(Box::new(cifar));
    }
    if let Some(idx) = Idx::recognize(path)? {
        return Ok(Box::new(idx));
    }
    Ok(Box::new(Folder::open(path)?))
}
