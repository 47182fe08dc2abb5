//! Pictures: where they come from, how they are varied, and how they reach the training loop.

use std::sync::Arc;

pub mod augment;
pub mod loader;
pub mod mix;

/// One RGB picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`, rows from the top.
    pub pixels: Vec<u8>,
}

/// Labelled pictures of one size in memory; cheap to clone.
#[derive(Clone, Debug)]
pub struct Split {
    labels: Arc<[u32]>,
    size: [usize; 2],
    pixels: Arc<[u8]>,
}

impl Split {
    /// Pictures of `width` x `height` pixels one after another, `[picture, height, width, 3]`.
    pub fn in_memory(width: usize, height: usize, pixels: Vec<u8>, labels: Vec<u32>) -> Split {
        Split {
            labels: labels.into(),
            size: [width, height],
            pixels: pixels.into(),
        }
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no picture at all.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of picture `i`.
    pub fn label(&self, i: usize) -> u32 {
        self.labels[i]
    }

    /// Picture `i`.
    pub fn picture(&self, i: usize) -> anyhow::Result<Picture> {
        let [width, height] = self.size;
        let bytes = width * height * 3;
        Ok(Picture {
            width,
            height,
            pixels: self.pixels[i * bytes..][..bytes].to_vec(),
        })
    }
}
