//! One server to a data directory.

use std::path::Path;

use anyhow::{Context, bail};

use crate::run_dir::{Lock, LockError};

/// Takes the data directory for this process, and makes it if it is missing. Take it before the store is
/// opened, so that two versions of Umbra never work on one database.
///
/// # Errors
/// One sentence: who holds it, or why the directory cannot be written.
pub fn lock_data_dir(data_dir: &Path) -> anyhow::Result<Lock> {
    let place = data_dir.display();
    std::fs::create_dir_all(data_dir.join("runs")).with_context(|| format!("the data directory {place} cannot be made"))?;
    match Lock::take(data_dir) {
        Ok(lock) => Ok(lock),
        Err(LockError::Held(holder)) => bail!(
            "the data directory {place} is in use by process {} on {}: stop it, or choose another directory with --data-dir",
            holder.pid,
            holder.host
        ),
        Err(LockError::Io(error)) => Err(error).with_context(|| format!("the data directory {place} cannot be written")),
    }
}

#[cfg(test)]
mod tests {
    use crate::jobs::data_dir_lock::*;

    #[test]
    fn a_second_server_is_refused_with_the_first_ones_process() {
        let dir = tempfile::tempdir().unwrap();
        let _first = lock_data_dir(dir.path()).unwrap();
        let refusal = lock_data_dir(dir.path()).unwrap_err().to_string();
        assert!(refusal.contains(&dir.path().display().to_string()), "{refusal}");
        assert!(
            refusal.contains(&format!("in use by process {} on ", std::process::id())),
            "{refusal}"
        );
    }

    #[test]
    fn a_data_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refusal = format!("{:#}", lock_data_dir(&file).unwrap_err());
        assert!(
            refusal.starts_with(&format!("the data directory {} cannot be made: ", file.display())),
            "{refusal}"
        );
    }
}
