//! The contact sheet: ten images of every class in a row.

use std::io::Cursor;
use std::path::Path;

use anyhow::Context;
use image::{ImageFormat, RgbImage, imageops};

use super::{Dataset, decode};

/// Images in a row.
const COLUMNS: usize = 10;
/// Classes shown; more would make a sheet nobody can open.
const ROWS: usize = 100;
/// Side of a shown image and space between two, in pixels.
const CELL: usize = 64;
const GAP: usize = 4;

/// Writes the contact sheet of the training images as a PNG: one row a class, in the order of the labels.
pub(super) fn write(dataset: &Dataset, path: &Path) -> anyhow::Result<()> {
    let rows = dataset.classes.len().min(ROWS);
    let edge = |cells: usize| (GAP + cells * (CELL + GAP)) as u32;
    let mut sheet = RgbImage::from_pixel(edge(COLUMNS), edge(rows), image::Rgb([255; 3]));
    let mut shown = vec![0; rows];
    for (index, label) in dataset.train.labels().iter().enumerate() {
        let row = *label as usize;
        if row >= rows || shown[row] == COLUMNS {
            continue;
        }
        let cell = decode::cover(dataset.train.image(index)?, CELL, CELL)?;
        let cell = RgbImage::from_raw(CELL as u32, CELL as u32, cell.pixels).context("a cell has CELL x CELL pixels")?;
        imageops::replace(&mut sheet, &cell, i64::from(edge(shown[row])), i64::from(edge(row)));
        shown[row] += 1;
    }
    let mut png = Cursor::new(Vec::new());
    sheet.write_to(&mut png, ImageFormat::Png)?;
    // Whole or not at all: written beside, then renamed.
    let part = path.with_extension("part");
    let written = std::fs::write(&part, png.into_inner()).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written.with_context(|| format!("the contact sheet `{}` cannot be written", path.display()))
}
