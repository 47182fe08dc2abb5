//! What a listing passes over: counted by reason, with a few names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Names kept of each reason.
const NAMED: usize = 3;

/// Why a file is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Left by an operating system or a file manager, such as `._*`, `.DS_Store`, `Thumbs.db`, `@eaDir`.
    SystemFile,
    /// No image that is read.
    NoImage,
    /// An image outside of the class folders.
    OutsideClasses,
    /// A link to a folder above itself, or to nothing.
    Link,
    /// Reached before under another name.
    Again,
    /// Images without a label, beside others that have one.
    Unlabeled,
    /// A split that is neither trained on nor validated on.
    OtherSplit,
    /// An image in a format that is not read, such as HEIC or AVIF.
    OtherFormat,
    /// No file, such as a pipe, a socket or a device.
    NoFile,
    /// A member of an archive that is stored with holes.
    Sparse,
    /// A member of an archive that leads out of it.
    Outside,
}

impl Reason {
    /// What the files of this reason are, for a sentence that begins with their number.
    fn what(self) -> &'static str {
        match self {
            Reason::SystemFile => "files of operating systems were ignored",
            Reason::NoImage => "files are no images and were passed over",
            Reason::OutsideClasses => "images stand outside of the class folders and were passed over",
            Reason::Link => "links lead upwards or to nothing and were not followed",
            Reason::Again => "names lead to images or folders that are read already and count once",
            Reason::Unlabeled => "images have no label and were passed over",
            Reason::OtherSplit => "images are of a split that is not used",
            Reason::OtherFormat => "images are in a format that is not read",
            Reason::NoFile => "entries are pipes, sockets or devices and were not opened",
            Reason::Sparse => "members of the archive are stored with holes and were passed over (unpack it to have them)",
            Reason::Outside => "members of the archive lead out of it by `..` and were passed over",
        }
    }
}

/// The files of one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// How many.
    pub count: usize,
    /// The first few by name.
    pub names: Vec<String>,
}

/// All files that were passed over, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PassedOver(pub BTreeMap<Reason, Passed>);

impl PassedOver {
    /// Counts one more.
    pub(super) fn note(&mut self, reason: Reason, name: &str) {
        let passed = self.0.entry(reason).or_default();
        passed.count += 1;
        if passed.names.len() < NAMED {
            passed.names.push(name.to_owned());
        }
    }

    /// Counts so many more, all in one file.
    pub(super) fn note_many(&mut self, reason: Reason, count: usize, name: &str) {
        self.note(reason, name);
        if let Some(passed) = self.0.get_mut(&reason) {
            passed.count += count.saturating_sub(1);
        }
    }

    /// Takes in what another part of the listing passed over.
    pub(super) fn add(&mut self, other: PassedOver) {
        for (reason, Passed { count, names }) in other.0 {
            let passed = self.0.entry(reason).or_default();
            passed.count += count;
            passed.names.extend(names);
            passed.names.truncate(NAMED);
        }
    }

    /// A sentence for each reason, with the first names.
    pub fn sentences(&self) -> Vec<String> {
        let sentence = |(reason, passed): (&Reason, &Passed)| {
            let more = if passed.count > passed.names.len() { ", …" } else { "" };
            format!("{} {}: `{}`{more}", passed.count, reason.what(), passed.names.join("`, `"))
        };
        self.0.iter().map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_over_is_counted_and_named() {
        let mut passed = PassedOver::default();
        (0..5).for_each(|n| passed.note(Reason::NoImage, &format!("a/{n}.txt")));
        let mut other = PassedOver::default();
        other.note(Reason::NoImage, "b/1.txt");
        other.note(Reason::Link, "loop");
        passed.add(other);
        assert_eq!(
            passed.sentences(),
            [
                "6 files are no images and were passed over: `a/0.txt`, `a/1.txt`, `a/2.txt`, …",
                "1 links lead upwards or to nothing and were not followed: `loop`",
            ]
        );
    }
}
