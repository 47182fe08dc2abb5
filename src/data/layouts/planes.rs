//! Images kept as planes of raw bytes, one color after the other, in larger files.

use std::sync::Arc;

use anyhow::bail;

use crate::data::Image;
use crate::data::source::{Item, Reader};
use crate::data::tree::{Entry, Files, Place};

/// One of the larger files.
pub(super) enum Stored {
    /// Read where it lies.
    File(Entry),
    /// Kept in memory: its bytes stand nowhere as they are.
    Memory(Vec<u8>),
}

/// Reads images of `side` x `side` pixels. The file of an item's place is its number in `stored`.
pub(super) struct Planes {
    /// Gets bytes.
    pub files: Arc<Files>,
    /// The larger files.
    pub stored: Vec<Stored>,
    /// Width and height of every image.
    pub side: usize,
    /// Whether a plane goes column by column.
    pub by_columns: bool,
}

impl Reader for Planes {
    fn bytes(&self, item: &Item) -> anyhow::Result<Vec<u8>> {
        let Place::Part { file, offset, size } = item.place else {
            bail!("an image is a part of a file")
        };
        match &self.stored[file as usize] {
            Stored::File(whole) => Ok(self.files.part(&whole.name, whole.place, offset, size)?),
            Stored::Memory(bytes) => {
                let start = usize::try_from(offset)?;
                match bytes.get(start..).and_then(|rest| rest.get(..size as usize)) {
                    Some(part) => Ok(part.to_vec()),
                    None => bail!("it ends early"),
                }
            }
        }
    }

    fn image(&self, item: &Item) -> anyhow::Result<Image> {
        let planes = self.bytes(item)?;
        let (side, plane) = (self.side, self.side * self.side);
        if planes.len() != 3 * plane {
            bail!("it has {} bytes instead of {}", planes.len(), 3 * plane);
        }
        let place = |at: usize| if self.by_columns { at % side * side + at / side } else { at };
        let color = |at: usize| [planes[at], planes[plane + at], planes[2 * plane + at]];
        Ok(Image {
            width: side,
            height: side,
            pixels: (0..plane).flat_map(|at| color(place(at))).collect(),
        })
    }
}
