//! What a run reads besides its settings: images, and lists of images.
//!
//! Their contents decide the run's result, so a fingerprint of them enters its key; where they lie does not, so their paths leave it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::schema::Values;

/// The settings that name a file or a folder, by section and key.
pub const FILES: [(&str, &str); 3] = [("data", "source"), ("subset", "list"), ("labels", "list")];

/// The paths that these settings name, with the setting. The images that Umbra makes itself are no file.
pub fn files(settings: &Values) -> impl Iterator<Item = (&'static str, &'static str, String)> {
    FILES.into_iter().filter_map(|(section, key)| {
        let path = settings.get(section)?.get(key)?.to_string();
        (!path.is_empty() && path != "builtin").then_some((section, key, path))
    })
}

/// The path as a run's record has it, so that it means the same file wherever the run is carried out.
pub fn absolute(path: &str) -> String {
    if path.is_empty() || path == "builtin" {
        return path.to_owned();
    }
    std::path::absolute(Path::new(path)).map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// The fingerprints of the files that were looked at, by absolute path and, of images, the column of their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fingerprints(Arc<BTreeMap<String, String>>);

impl Fingerprints {
    /// What images are called whose labels stand in that column; empty where none is named.
    pub fn name(path: &str, label_column: &str) -> String {
        match label_column {
            "" => path.to_owned(),
            column => format!("{path}#{column}"),
        }
    }

    /// The fingerprint of what has that name, if it was looked at.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Fingerprints {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Fingerprints(Arc::new(pairs.into_iter().collect()))
    }
}

/// The fingerprints of what a run reads, by the setting that names it, such as `data.source`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inputs(BTreeMap<String, String>);

impl Inputs {
    /// What is known of the files that these settings name.
    pub fn of(settings: &Values, known: &Fingerprints) -> Inputs {
        let column = settings.get("data").and_then(|data| data.get("label_column"));
        let column = column.map(ToString::to_string).unwrap_or_default();
        let found = |(section, key, path): (&str, &str, String)| {
            let column = if section == "data" { column.as_str() } else { "" };
            let fingerprint = known.get(&Fingerprints::name(&absolute(&path), column))?;
            Some((format!("{section}.{key}"), fingerprint.to_owned()))
        };
        Inputs(files(settings).filter_map(found).collect())
    }

    /// The fingerprint of what that setting names.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.0.get(&format!("{section}.{key}")).map(String::as_str)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of the files that these settings name.
    pub fn fitting(&self, settings: &Values) -> Inputs {
        let named = |(section, key, _): (&str, &str, String)| Some((format!("{section}.{key}"), self.get(section, key)?.to_owned()));
        Inputs(files(settings).filter_map(named).collect())
    }

    /// The settings that decide the key beside these: a path whose contents are known is not among them.
    pub(super) fn without_paths(&self, mut settings: Values) -> Values {
        for (section, key) in FILES.iter().filter(|(section, key)| self.get(section, key).is_some()) {
            if let Some(values) = settings.get_mut(*section) {
                values.remove(*key);
            }
        }
        settings
    }
}
