//! Who works on a run: whoever holds the lock of its directory is running, whatever a database says.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id on `host`.
    pub pid: u32,
    /// Machine.
    pub host: String,
}

impl Holder {
    /// This process.
    pub fn me() -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Holder {
            pid: std::process::id(),
            host,
        }
    }
}

/// Why a lock was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error("held by process {} on {}", .0.pid, .0.host)]
    Held(Holder),
    /// The file cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A held lock; dropping it, or dying, gives it back.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing alone would leave it held by a child that is just being started and has a copy of the file.
    fn drop(&mut self) {
        // What cannot be unlocked is free when the file is closed.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the lock file `lock` in `dir`, or says who holds it.
    pub fn take(dir: &Path) -> Result<Lock, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join("lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(read_holder(&mut file))),
            Err(TryLockError::Error(e)) => return Err(e.into()),
        }
        file.set_len(0)?;
        file.write_all(serde_json::to_string(&Holder::me()).map_err(io::Error::other)?.as_bytes())?;
        Ok(Lock { file })
    }

    /// Who holds the lock of `dir` now, if anybody does.
    pub fn holder(dir: &Path) -> io::Result<Option<Holder>> {
        let mut file = match File::open(dir.join("lock")) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        // A shared try-lock fails only against the worker's exclusive one, not against another asker's.
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map(|()| None),
            Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&mut file))),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}

/// Reads the holder's own note; one still being written is an unknown process.
fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    let known = read.ok().and_then(|_| serde_json::from_str(&text).ok());
    known.unwrap_or_else(|| Holder {
        pid: 0,
        host: "unknown".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_given_back_on_drop() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Lock::holder(dir.path()).unwrap(), None);
        let lock = Lock::take(dir.path()).unwrap();
        assert_eq!(Lock::holder(dir.path()).unwrap(), Some(Holder::me()));
        assert!(matches!(Lock::take(dir.path()), Err(LockError::Held(holder)) if holder == Holder::me()));
        drop(lock);
        assert_eq!(Lock::holder(dir.path()).unwrap(), None);
        Lock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_lock_is_given_back_whoever_has_a_copy_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        let _copy = lock.file.try_clone().unwrap();
        drop(lock);
        Lock::take(dir.path()).unwrap();
    }
}
