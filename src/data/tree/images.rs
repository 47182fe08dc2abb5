//! Which files are images: told by their endings, and where those tell nothing by their first bytes.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::name::is_image_name;
use super::{Entry, Tree};
use crate::data::passed::Reason;

/// Bytes that tell a format.
const FIRST: usize = 16;
/// Endings of images that are not read, unless they are of another format than their names say.
const UNREAD: [&str; 16] = [
    "heic", "heif", "hif", "avif", "jp2", "j2k", "jpx", "jxl", "tga", "ppm", "pgm", "pnm", "psd", "svg", "exr", "ico",
];
/// Endings of raw images of cameras, some of which begin as a TIFF does.
const RAW: [&str; 12] = ["dng", "cr2", "cr3", "nef", "nrw", "arw", "orf", "rw2", "raf", "pef", "srw", "dcm"];
/// Endings of files that lie beside images and are none: they are not opened.
const NO_IMAGES: [&str; 44] = [
    "txt",
    "csv",
    "tsv",
    "json",
    "jsonl",
    "xml",
    "md",
    "rst",
    "html",
    "htm",
    "yaml",
    "yml",
    "toml",
    "ini",
    "cfg",
    "log",
    "py",
    "ipynb",
    "sh",
    "bat",
    "npy",
    "npz",
    "mat",
    "pt",
    "pth",
    "pkl",
    "pickle",
    "h5",
    "hdf5",
    "safetensors",
    "onnx",
    "zip",
    "tar",
    "gz",
    "tgz",
    "zst",
    "7z",
    "rar",
    "parquet",
    "arrow",
    "pdf",
    "mp4",
    "avi",
    "mov",
];

/// The images of a tree.
pub(in crate::data) struct Images {
    /// The images, sorted by name.
    pub entries: Vec<Entry>,
    /// Sentences about formats that are not read.
    pub warnings: Vec<String>,
    /// Folders with files that are no images.
    others: BTreeSet<String>,
    /// Folders with images that are not read.
    unread: BTreeSet<String>,
}

impl Images {
    /// Whether there are other things than images in `folder`, and no images that are not read.
    pub(in crate::data) fn holds_other_files(&self, folder: &str) -> bool {
        let prefix = format!("{folder}/");
        let below = |folders: &BTreeSet<String>| {
            let below = folders.range(prefix.clone()..).next();
            folders.contains(folder) || below.is_some_and(|below| below.starts_with(&prefix))
        };
        below(&self.others) && !below(&self.unread)
    }
}

impl Tree {
    /// Takes the images out of the tree and notes the other files.
    pub(in crate::data) fn take_images(&mut self) -> Images {
        let entries = std::mem::take(&mut self.entries);
        let kinds: Vec<Kind> = entries.par_iter().map(|entry| self.kind(entry)).collect();
        let mut images = Images {
            entries: Vec::new(),
            warnings: Vec::new(),
            others: BTreeSet::new(),
            unread: BTreeSet::new(),
        };
        let mut endings: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (entry, kind) in entries.into_iter().zip(kinds) {
            let name = &entry.name;
            let folder = |name: &str| name.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
            match kind {
                Kind::Image => images.entries.push(entry),
                Kind::OtherFormat => {
                    self.passed.note(Reason::OtherFormat, name);
                    endings.entry(ending(name)).or_insert_with(|| (0, self.show(&folder(name)))).0 += 1;
                    images.unread.insert(folder(name));
                }
                Kind::NoImage => {
                    self.passed.note(Reason::NoImage, name);
                    images.others.insert(folder(name));
                }
            }
        }
        let sentence = |(ending, (count, folder)): (String, (usize, String))| {
            format!("{count} files end in `.{ending}`, which is not read (the first are in `{folder}`): convert them to JPEG, PNG or WebP")
        };
        images.warnings = endings.into_iter().map(sentence).collect();
        images
    }

    fn kind(&self, entry: &Entry) -> Kind {
        let ending = ending(&entry.name);
        let is_one_of = |endings: &[&str]| endings.contains(&ending.as_str());
        if is_image_name(&entry.name) {
            return Kind::Image;
        }
        if is_one_of(&RAW) {
            return Kind::OtherFormat;
        }
        if is_one_of(&NO_IMAGES) {
            return Kind::NoImage;
        }
        if self.first(entry, FIRST).is_ok_and(|first| is_image(&first)) {
            Kind::Image
        } else if is_one_of(&UNREAD) {
            Kind::OtherFormat
        } else {
            Kind::NoImage
        }
    }
}

/// What a file is.
enum Kind {
    Image,
    OtherFormat,
    NoImage,
}

/// What follows the last point of a name, in small letters.
fn ending(name: &str) -> String {
    let own = name.rsplit('/').next().unwrap_or_default();
    own.rsplit_once('.')
        .map_or(String::new(), |(_, ending)| ending.to_ascii_lowercase())
}

/// Whether an image of a format that is read begins so.
pub(super) fn is_image(first: &[u8]) -> bool {
    // A bitmap's third to sixth bytes are its size, and four that are zero follow.
    let bitmap = first.starts_with(b"BM") && first.get(6..10) == Some(&[0; 4]);
    let webp = first.starts_with(b"RIFF") && first.get(8..12) == Some(b"WEBP");
    let magics: [&[u8]; 6] = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"];
    bitmap || webp || magics.iter().any(|magic| first.starts_with(magic))
}
