//! The run directory: everything a run is. The truth, of which the database is an index.
//!
//! ```text
//! run.toml           the resolved settings, written once
//! events.jsonl       append-only history, one event a line
//! log.txt            what the worker printed
//! checkpoints/       step-N/ complete sets; `latest` names one
//! model.safetensors  the result
//! snapshots/         the encoder on the way, if that was asked for
//! subset.tsv         names and classes of the training images, if it uses a part of them
//! images/            reconstructions and other images, written once
//! lock               held by the live worker
//! cancel             a person's request that its worker stop, until it has stopped; written by the server
//! ```

mod event;
mod lock;
mod log;
mod matrix;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::experiment::{RunId, RunSpec};

pub use event::{Event, EventKind, History, State};
pub use lock::{Holder, Lock, LockError};
pub use log::{EventLog, EventReader, LogPosition, ReadEvents};
pub use matrix::{Matrix, MatrixAxis};

/// Paths of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

/// What `run.toml` holds: the run and the circumstances of its making.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Version of Umbra that made the run.
    pub umbra: String,
    /// Seconds since 1970 when the run was queued first.
    pub created: u64,
    /// The run.
    pub run: RunSpec,
}

impl RunDir {
    /// The directory of a run that may or may not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        RunDir { path: path.into() }
    }

    /// The directory of run `id` under a data directory.
    pub fn of(data_dir: &Path, id: &RunId) -> Self {
        RunDir::at(data_dir.join("runs").join(id.as_str()))
    }

    /// Every directory where runs lie under a data directory, in order of name, whether it is a run's or not.
    pub fn all(data_dir: &Path) -> io::Result<Vec<RunDir>> {
        let root = data_dir.join("runs");
        if !root.exists() {
            return Ok(Vec::new());
        }
        let mut dirs = Vec::new();
        for entry in fs::read_dir(root)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(RunDir { path });
            }
        }
        dirs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(dirs)
    }

    /// Makes the directory with its `run.toml`, whole or not at all; an existing one is left as it is.
    pub fn create(data_dir: &Path, run: &RunSpec) -> io::Result<RunDir> {
        let dir = RunDir::of(data_dir, &run.id);
        if dir.spec_file().is_file() {
            return Ok(dir);
        }
        let file = RunFile {
            umbra: env!("CARGO_PKG_VERSION").to_owned(),
            created: now() as u64,
            run: run.clone(),
        };
        let text = toml::to_string(&file).map_err(io::Error::other)?;
        fs::create_dir_all(dir.path())?;
        write_atomic(&dir.spec_file(), text.as_bytes())?;
        Ok(dir)
    }

    /// Reads `run.toml`.
    ///
    /// # Errors
    /// Names the file, and the key if it has one too many or too few.
    pub fn read(&self) -> Result<RunFile, String> {
        let path = self.spec_file();
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        toml::from_str(&text).map_err(|e| format!("{}: it is damaged: {}", path.display(), e.message()))
    }

    /// The run, by the directory's name.
    ///
    /// # Errors
    /// A name that is no run id; the path is named.
    pub fn id(&self) -> io::Result<RunId> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.parse()
            .map_err(|e: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", self.path.display())))
    }

    /// What the run's events say; `None` before the first. A run that has [lost](RunDir::lost_record) them has failed.
    ///
    /// # Errors
    /// A file that cannot be read or holds a line that is not an event.
    pub fn history(&self) -> io::Result<Option<History>> {
        let events = EventReader::new(&self.events_file()).read(&LogPosition::default())?.events;
        let lost = || {
            self.lost_record().map(|reason| History {
                state: State::Failed,
                reason: Some(reason),
                ..History::default()
            })
        };
        Ok(History::of(&events).or_else(lost))
    }

    /// Says of a run without any event that it had some, as the results of its work show. Ask only where no event was read.
    pub fn lost_record(&self) -> Option<String> {
        let worked_on = [self.model_file(), self.checkpoints(), self.log_file()]
            .iter()
            .any(|path| path.exists());
        worked_on.then(|| {
            format!(
                "{} is empty or missing, as a full disk or a power cut leaves it: retry the run to go on from its last checkpoint, or \
                 restart it",
                self.events_file().display()
            )
        })
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `run.toml`.
    pub fn spec_file(&self) -> PathBuf {
        self.path.join("run.toml")
    }

    /// `events.jsonl`.
    pub fn events_file(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// `log.txt`.
    pub fn log_file(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// `cancel`.
    pub fn cancel_file(&self) -> PathBuf {
        self.path.join("cancel")
    }

    /// `checkpoints/`.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// `images/`, which was called `pictures/` before 0.2.
    pub fn images(&self) -> PathBuf {
        self.now_or_before("images", "pictures")
    }

    /// `snapshots/`.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// The encoder after so many epochs, if the run kept it.
    pub fn snapshot_file(&self, epoch: u64) -> PathBuf {
        self.snapshots().join(format!("epoch-{epoch:06}.safetensors"))
    }

    /// `subset.tsv`, which was called `chosen.tsv` before 0.2.
    pub fn subset_file(&self) -> PathBuf {
        self.now_or_before("subset.tsv", "chosen.tsv")
    }

    fn now_or_before(&self, now: &str, before: &str) -> PathBuf {
        let older = self.path.join(before);
        if older.exists() { older } else { self.path.join(now) }
    }

    /// `model.safetensors`.
    pub fn model_file(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }
}

/// Writes a file so that a reader, or a crash, meets the old content or the new, never a part.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let scratch = path.with_extension("tmp");
    let mut file = fs::File::create(&scratch)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&scratch, path)?;
    // The parent of a bare name is empty text.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_dir(parent.unwrap_or(Path::new(".")))
}

/// Removes a file, or a directory with all that is in it. One that is not there is no error.
pub fn remove_if_present(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// Makes a rename or a new entry in `dir` outlast a power cut.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Seconds since 1970.
pub fn now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}
