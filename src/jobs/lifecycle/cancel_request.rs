//! The file `cancel` of a run directory: a person asked that its worker stop, and nobody has written yet that it did.
//!
//! A worker that is asked to stop says `stopped`, whoever asked, and then its run waits again. The file lets the next server
//! know that a person asked, if this one ends before it has added `cancelled`.

use std::{fs, io};

use anyhow::Context;

use crate::run_dir::{RunDir, remove_if_present, write_atomic};

/// Writes the request. It needs no lock: the worker holds that.
pub fn write(dir: &RunDir, reason: &str) -> io::Result<()> {
    write_atomic(&dir.cancel_file(), reason.as_bytes())
}

/// The reason of a pending request.
pub fn pending(dir: &RunDir) -> Option<String> {
    fs::read_to_string(dir.cancel_file()).ok()
}

/// Removes the request: the worker has stopped, or the run is wanted again.
pub fn withdraw(dir: &RunDir) -> anyhow::Result<()> {
    let path = dir.cancel_file();
    remove_if_present(&path).with_context(|| format!("{} cannot be removed", path.display()))
}
