//! Every study there is: those that come with Umbra and custom ones, which are TOML files of the same form in the folder
//! `studies` of the data directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{fs, io};

use super::study::Study;

/// Names that addresses below `/studies/` have for other things.
const RESERVED: [&str; 2] = ["new", "check"];
/// Characters of a name, at most.
const LONGEST_NAME: usize = 60;
/// Bytes of a file, at most; the largest built-in one has a tenth of it.
const LARGEST_FILE: u64 = 65_536;

/// The studies. Copies share what they have read.
#[derive(Clone, Debug)]
pub struct Library {
    built_in: Arc<[Arc<Study>]>,
    folder: PathBuf,
    custom: Arc<Mutex<CustomStudies>>,
}

/// What the folder held when it was read last.
#[derive(Clone, Debug, Default)]
struct CustomStudies {
    seen: Vec<(PathBuf, SystemTime, u64)>,
    studies: Vec<Arc<Study>>,
    faults: Vec<String>,
}

impl Library {
    /// The library of a data directory, which need not have a folder of studies.
    pub fn new(data_dir: &Path) -> Library {
        Library {
            built_in: Study::built_in().into_iter().map(Arc::new).collect(),
            folder: data_dir.join("studies"),
            custom: Arc::default(),
        }
    }

    /// All studies: those that come with Umbra, then the custom ones by name.
    pub fn all(&self) -> Vec<Arc<Study>> {
        self.built_in.iter().cloned().chain(self.custom().studies).collect()
    }

    /// The study of that name.
    pub fn find(&self, name: &str) -> Option<Arc<Study>> {
        self.all().into_iter().find(|study| study.name == name)
    }

    /// The names, for a sentence that says what is allowed.
    pub fn names(&self) -> String {
        self.all().iter().map(|study| study.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether the study of that name is a custom one.
    pub fn is_custom(&self, name: &str) -> bool {
        self.custom().studies.iter().any(|study| study.name == name)
    }

    /// What is wrong with files of the folder, a sentence each. Their studies are not there.
    pub fn faults(&self) -> Vec<String> {
        self.custom().faults
    }

    /// Where the study of that name is kept, if it is or becomes a custom one.
    ///
    /// # Errors
    /// A name that cannot be one of a study, is that of a built-in one, or stands for another page.
    pub fn file(&self, name: &str) -> Result<PathBuf, String> {
        let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(sound) {
            return Err(format!(
                "name `{name}` is not allowed: it must be 1 to {LONGEST_NAME} of the characters a to z, 0 to 9, - and _"
            ));
        }
        if RESERVED.contains(&name) || self.built_in.iter().any(|study| study.name == name) {
            return Err(format!("name `{name}` is taken by Umbra: choose another"));
        }
        Ok(self.folder.join(format!("{name}.toml")))
    }

    /// The text of a study to begin another one with: the same under a name that is free.
    pub fn copy_of(&self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let taken = |name: &str| self.find(name).is_some();
        let stem = name.strip_suffix("-copy").unwrap_or(name);
        let numbered = (2..).map(|n| format!("{stem}-copy-{n}"));
        let free = [format!("{stem}-copy")].into_iter().chain(numbered).find(|name| !taken(name))?;
        // The head of the file, before the first table; places are for studies that come with Umbra.
        let head = text.find("\n[").map_or(text.len(), |end| end + 1);
        let lines = text[..head].lines().filter(|line| !line.starts_with("place ="));
        let lines = lines.map(|line| match line.split_once(" = ") {
            Some(("name", _)) => format!("name = \"{free}\"\n"),
            _ => format!("{line}\n"),
        });
        Some(lines.collect::<String>() + &text[head..])
    }

    /// The text of a study's file.
    pub fn text(&self, name: &str) -> Option<String> {
        if let Some(text) = Study::built_in_text(name) {
            return Some(text.to_owned());
        }
        let file = self.file(name).ok().filter(|_| self.is_custom(name))?;
        fs::read_to_string(file).ok()
    }

    /// Reads a study as its file would be read.
    ///
    /// # Errors
    /// One sentence with what is wrong in the text, its name included.
    pub fn read(&self, text: &str) -> Result<Study, String> {
        if text.len() as u64 > LARGEST_FILE {
            return Err(format!(
                "study: it has {} bytes, and at most {LARGEST_FILE} are allowed",
                text.len()
            ));
        }
        let study = Study::parse("study", text)?;
        self.file(&study.name).map_err(|e| format!("study: {e}"))?;
        Ok(study)
    }

    /// The folder's studies, read again if anything in it has changed.
    fn custom(&self) -> CustomStudies {
        let now = listed(&self.folder).unwrap_or_default();
        let mut kept = self.custom.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.seen != now {
            let mut custom = CustomStudies::default();
            for (path, _, bytes) in &now {
                match self.read_file(path, *bytes) {
                    Ok(study) => custom.studies.push(Arc::new(study)),
                    Err(fault) => custom.faults.push(fault),
                }
            }
            custom.seen = now;
            *kept = custom;
        }
        kept.clone()
    }

    fn read_file(&self, path: &Path, bytes: u64) -> Result<Study, String> {
        let file = path.display().to_string();
        if bytes > LARGEST_FILE {
            return Err(format!("{file}: it has {bytes} bytes, and at most {LARGEST_FILE} are allowed"));
        }
        let text = fs::read_to_string(path).map_err(|e| format!("{file}: {e}"))?;
        let study = Study::parse(&file, &text)?;
        if self.file(&study.name).map_err(|e| format!("{file}: {e}"))? != path {
            return Err(format!("{file}: its name is `{}`, so the file must be {0}.toml", study.name));
        }
        Ok(study)
    }
}

/// The TOML files of the folder by name, with what changes when they do.
fn listed(folder: &Path) -> io::Result<Vec<(PathBuf, SystemTime, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("toml")) {
            // A file that goes while it is looked at is not there.
            let Ok(about) = fs::metadata(&path) else { continue };
            files.push((path, about.modified()?, about.len()));
        }
    }
    files.sort();
    Ok(files)
}
