//! The layout of a folder inside a .tar, .tar.gz or .tgz, read in place.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::source::{Item, Reader, Source, SourceListing, stamp_of};
use super::{Image, decode, layout};

/// Bytes of compressed-archive contents held in memory while the cache is built; larger ones are refused (ours).
const HELD: u64 = 2 << 30;

/// Bytes of a tar record; everything in a tar starts at a multiple.
const RECORD: u64 = 512;

/// An archive of class folders.
pub(super) struct Archive {
    path: PathBuf,
    gzipped: bool,
}

/// The inside of an archive.
#[derive(Default)]
struct ArchiveContents {
    items: Vec<Item>,
    folders: BTreeSet<String>,
}

impl Archive {
    /// Takes `path` if its name is that of an archive.
    pub(super) fn recognize(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let gzipped = name.ends_with(".tar.gz") || name.ends_with(".tgz");
        (gzipped || name.ends_with(".tar")).then(|| Archive {
            path: path.to_owned(),
            gzipped,
        })
    }

    /// Opens the file, naming it if that fails.
    fn file(&self) -> anyhow::Result<File> {
        File::open(&self.path).with_context(|| format!("cannot read `{}`", self.path.display()))
    }

    /// Lists a plain archive by seeking from header to header.
    fn scan(&self) -> anyhow::Result<ArchiveContents> {
        let file = self.file()?;
        let length = file.metadata()?.len();
        let mut contents = ArchiveContents::default();
        let mut end = 0;
        let mut archive = tar::Archive::new(file);
        for entry in archive.entries_with_seek().with_context(|| self.damaged())? {
            let entry = entry.with_context(|| self.damaged())?;
            end = (entry.raw_file_position() + entry.size()).next_multiple_of(RECORD);
            contents.take(&entry)?;
        }
        // An archive ends with empty records; without one, something is missing even if no entry is torn.
        if end + RECORD > length {
            bail!("{}: it ends before its end mark", self.damaged());
        }
        Ok(contents)
    }

    /// Lists a compressed archive and keeps its images' bytes, since it can only be read from front to back.
    fn load(&self) -> anyhow::Result<(ArchiveContents, Vec<u8>)> {
        let mut contents = ArchiveContents::default();
        let mut bytes = Vec::new();
        let mut archive = tar::Archive::new(MultiGzDecoder::new(io::BufReader::new(self.file()?)));
        for entry in archive.entries().with_context(|| self.damaged())? {
            let mut entry = entry.with_context(|| self.damaged())?;
            if !contents.take(&entry)? {
                continue;
            }
            if bytes.len() as u64 + entry.size() > HELD {
                bail!("{}", self.too_large());
            }
            let item = contents.items.last_mut().expect("take has just pushed it");
            item.offset = bytes.len() as u64;
            let read = entry.read_to_end(&mut bytes).with_context(|| self.damaged())?;
            if read as u64 != item.size {
                bail!("{}: `{}` is cut short", self.damaged(), item.name);
            }
        }
        // Read to the very end, so that gzip's own checksum is compared.
        io::copy(&mut archive.into_inner(), &mut io::sink()).with_context(|| self.damaged())?;
        Ok((contents, bytes))
    }

    /// What is said of an archive that cannot be read to its end.
    fn damaged(&self) -> String {
        format!("the archive `{}` is truncated or damaged", self.path.display())
    }

    /// What is said of an archive that would have to be decompressed for every image.
    fn too_large(&self) -> String {
        format!(
            "`{}` is too large to be read compressed: unpack it into a folder or gunzip it to a plain .tar",
            self.path.display()
        )
    }
}

impl ArchiveContents {
    /// Takes one entry in; true if it is an image.
    fn take<R: Read>(&mut self, entry: &tar::Entry<'_, R>) -> anyhow::Result<bool> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.trim_start_matches("./").trim_end_matches('/').to_owned();
        let kind = entry.header().entry_type();
        let parents = if kind == EntryType::Directory {
            name.len()
        } else {
            name.rfind('/').unwrap_or(0)
        };
        for (at, _) in name[..parents].match_indices('/').chain([(parents, "")]) {
            if at > 0 && !self.folders.contains(&name[..at]) {
                self.folders.insert(name[..at].to_owned());
            }
        }
        let image = matches!(kind, EntryType::Regular | EntryType::Continuous) && layout::is_image(&name);
        if image {
            self.items.push(Item {
                label: 0,
                name,
                file: 0,
                offset: entry.raw_file_position(),
                size: entry.size(),
            });
        }
        Ok(image)
    }
}

impl Source for Archive {
    fn fingerprint(&self) -> anyhow::Result<String> {
        stamp_of(&self.path)
    }

    fn list(&self) -> anyhow::Result<SourceListing> {
        let (contents, reader): (ArchiveContents, Arc<dyn Reader>) = if self.gzipped {
            let (contents, bytes) = self.load()?;
            (contents, Arc::new(Held { bytes }))
        } else {
            (self.scan()?, self.reader()?)
        };
        let (classes, pools) = layout::arrange(&self.path, contents.items, &contents.folders)?;
        Ok(SourceListing { classes, pools, reader })
    }

    fn reader(&self) -> anyhow::Result<Arc<dyn Reader>> {
        if self.gzipped {
            bail!("{}", self.too_large());
        }
        Ok(Arc::new(Spans { file: self.file()? }))
    }
}

/// Images at known places in a plain archive.
struct Spans {
    file: File,
}

impl Reader for Spans {
    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        let mut bytes = vec![0; usize::try_from(item.size)?];
        self.file.read_exact_at(&mut bytes, item.offset)?;
        decode::decode(&bytes)
    }
}

/// Images of a compressed archive, in memory.
struct Held {
    bytes: Vec<u8>,
}

impl Reader for Held {
    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        let start = usize::try_from(item.offset)?;
        decode::decode(&self.bytes[start..start + usize::try_from(item.size)?])
    }
}
