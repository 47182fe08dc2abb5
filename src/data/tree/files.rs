//! The bytes behind a source's files.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader, Error, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::DeflateDecoder;

use super::Place;
use super::packed::{MOST_TIMES, SUSPICIOUS};
use super::window::{Larger, Window};

/// Larger files that are open at once (ours: systems allow 1024 to a process, of which others need some).
const OPEN: usize = 256;

/// Bytes of a deflated file that is unpacked anew whenever a part of it is wanted (ours: an image's); larger ones, such as
/// those of CIFAR, are unpacked once.
const INFLATED_AT_ONCE: u64 = 16 << 20;

/// Gets the bytes of files.
#[derive(Debug, Default)]
pub(in crate::data) struct Files {
    /// The folder that files of their own lie in.
    pub root: PathBuf,
    /// Paths of those that `root` and their names do not tell.
    pub raw: BTreeMap<String, PathBuf>,
    /// The larger files that others are parts of.
    pub larger: Vec<Arc<Larger>>,
    /// Where what has to be unpacked goes.
    pub scratch: PathBuf,
    /// Those of the larger files that are open, the longest first.
    pub open: Mutex<VecDeque<(u32, Arc<File>)>>,
    /// Deflated files that were asked for in parts, unpacked into files that end with this.
    pub inflated: Mutex<BTreeMap<Place, Arc<File>>>,
}

impl Files {
    /// The files of the folder `root`, with the paths of those that their names do not tell.
    pub(super) fn of_folder(root: PathBuf, raw: BTreeMap<String, PathBuf>) -> Files {
        Files {
            root,
            raw,
            ..Files::default()
        }
    }

    /// The parts of what `window` shows. What has to be unpacked goes into `scratch`.
    pub(super) fn parts_of(window: &Window, scratch: &Path) -> Files {
        Files {
            larger: vec![window.larger.clone()],
            scratch: scratch.to_owned(),
            open: Mutex::new(VecDeque::from([(0, window.file.clone())])),
            ..Files::default()
        }
    }

    /// All bytes of a file.
    pub(in crate::data) fn read(&self, name: &str, place: Place) -> io::Result<Vec<u8>> {
        match place {
            Place::Own { .. } => std::fs::read(self.path(name)),
            Place::Part { size, .. } => self.part(name, place, 0, size),
            Place::Deflated { packed, size, .. } => {
                if size > SUSPICIOUS && size / MOST_TIMES > packed {
                    return Err(Error::other(format!("its {packed} bytes unpack to {size}: this is no image")));
                }
                let mut bytes = Vec::with_capacity(usize::try_from(size.min(SUSPICIOUS)).map_err(Error::other)?);
                self.inflate(place)?.read_to_end(&mut bytes)?;
                checked(bytes.len() as u64, size)?;
                Ok(bytes)
            }
        }
    }

    /// The first bytes of a file, as many of `count` as it has.
    pub(super) fn first(&self, name: &str, place: Place, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count);
        let count = count as u64;
        match place {
            Place::Own { .. } => File::open(self.path(name))?.take(count).read_to_end(&mut bytes)?,
            Place::Part { size, .. } => return self.part(name, place, 0, count.min(size)),
            Place::Deflated { .. } => self.inflate(place)?.take(count).read_to_end(&mut bytes)?,
        };
        Ok(bytes)
    }

    /// `size` bytes of a file from `from` on.
    pub(in crate::data) fn part(&self, name: &str, place: Place, from: u64, size: u64) -> io::Result<Vec<u8>> {
        if from.checked_add(size).is_none_or(|end| end > place.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if matches!(place, Place::Deflated { .. }) && place.size() <= INFLATED_AT_ONCE {
            let mut bytes = self.read(name, place)?;
            bytes.truncate((from + size) as usize);
            return Ok(bytes.split_off(from as usize));
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(Error::other)?];
        match place {
            Place::Own { .. } => File::open(self.path(name))?.read_exact_at(&mut bytes, from)?,
            Place::Part { file, offset, .. } => self.larger(file)?.read_exact_at(&mut bytes, offset + from)?,
            Place::Deflated { .. } => self.inflated(place)?.read_exact_at(&mut bytes, from)?,
        }
        Ok(bytes)
    }

    /// Where a file of its own lies.
    pub(in crate::data) fn path(&self, name: &str) -> PathBuf {
        self.raw.get(name).cloned().unwrap_or_else(|| self.root.join(name))
    }

    /// One of the larger files, opened if it is not.
    pub(super) fn larger(&self, index: u32) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = open.iter().find(|(open, _)| *open == index) {
            return Ok(file.clone());
        }
        let larger = self.larger.get(index as usize).ok_or(io::ErrorKind::NotFound)?;
        let file = Arc::new(larger.reopened()?);
        if open.len() == OPEN {
            open.pop_front();
        }
        open.push_back((index, file.clone()));
        Ok(file)
    }

    /// What a deflated file unpacks to, one byte more than it should at most.
    fn inflate(&self, place: Place) -> io::Result<impl Read + use<>> {
        let Place::Deflated {
            file,
            offset,
            packed,
            size,
        } = place
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let larger = self.larger.get(file as usize).ok_or(io::ErrorKind::NotFound)?.clone();
        let window = Window::new(PathBuf::new(), larger, self.larger(file)?, offset, packed);
        Ok(DeflateDecoder::new(BufReader::new(window)).take(size.saturating_add(1)))
    }

    /// A deflated file, unpacked at its first use.
    fn inflated(&self, place: Place) -> io::Result<Arc<File>> {
        let mut inflated = self.inflated.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = inflated.get(&place) {
            return Ok(file.clone());
        }
        std::fs::create_dir_all(&self.scratch)?;
        let mut file = tempfile::tempfile_in(&self.scratch)?;
        checked(io::copy(&mut self.inflate(place)?, &mut file)?, place.size())?;
        let file = Arc::new(file);
        inflated.insert(place, file.clone());
        Ok(file)
    }
}

/// An error if a file has another size than its archive says.
fn checked(found: u64, stated: u64) -> io::Result<()> {
    if found == stated {
        return Ok(());
    }
    Err(Error::other(format!(
        "it does not unpack to the {stated} bytes that its archive says"
    )))
}
