//! The contact sheet: ten images of every class in a row.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use image::{ImageFormat, RgbImage, imageops};

use super::fingerprint::fingerprint;
use super::source::{Item, Pools};
use super::{Dataset, Image, builtin, decode, locate};
use crate::experiment::settings::DataSettings;

/// Images in a row.
const COLUMNS: usize = 10;
/// Rows of images that have no labels.
const UNLABELED_ROWS: usize = 4;
/// Classes on a sheet in a file; more would make a sheet nobody can open.
const ROWS: usize = 100;
/// Classes on a sheet for a page.
pub const PAGE_ROWS: usize = 20;
/// Side of a shown image and space between two, in pixels.
const CELL: usize = 64;
const GAP: usize = 4;

/// Writes the contact sheet of the training images as a PNG: one row a class, in the order of the labels.
///
/// # Errors
/// A file that cannot be written, or no image that can be read.
pub fn write_sheet(dataset: &Dataset, path: &Path) -> anyhow::Result<()> {
    let png = draw(dataset.classes.len(), ROWS, dataset.train.labels().iter().copied(), |index| {
        dataset.train.image(index)
    })?;
    // Whole or not at all: written beside, then renamed.
    let part = path.with_extension("part");
    let written = std::fs::write(&part, png).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written.with_context(|| format!("the contact sheet `{}` cannot be written", path.display()))
}

/// Where the sheet for a page is kept of the images of that fingerprint.
pub fn kept_sheet(fingerprint: &str, cache_dir: &Path) -> PathBuf {
    let name = if fingerprint.is_empty() { "builtin" } else { fingerprint };
    cache_dir.join(format!("{name}.sheet"))
}

/// The sheet for a page of the first classes of a source, as a PNG: drawn from the source, and kept in `cache_dir`.
///
/// # Errors
/// A source that is gone, or whose images have another fingerprint by now.
pub fn page_sheet(settings: &DataSettings, print: &str, cache_dir: &Path) -> anyhow::Result<Vec<u8>> {
    let kept = kept_sheet(print, cache_dir);
    if let Ok(png) = std::fs::read(&kept) {
        return Ok(png);
    }
    let png = if settings.source == "builtin" {
        of_builtin(settings)?
    } else {
        of_source(settings, print, cache_dir)?
    };
    let cannot = || format!("the cache folder `{}` cannot be written", cache_dir.display());
    std::fs::create_dir_all(cache_dir).with_context(cannot)?;
    let mut part = tempfile::NamedTempFile::with_suffix_in(".tmp", cache_dir).with_context(cannot)?;
    std::io::Write::write_all(&mut part, &png).with_context(cannot)?;
    part.persist(&kept).with_context(cannot)?;
    Ok(png)
}

fn of_builtin(settings: &DataSettings) -> anyhow::Result<Vec<u8>> {
    let few = DataSettings {
        image_size: CELL,
        train_images: PAGE_ROWS * COLUMNS,
        val_images: 1,
        ..settings.clone()
    };
    let dataset = builtin::open(&few)?;
    draw(dataset.classes.len(), PAGE_ROWS, dataset.train.labels().iter().copied(), |index| {
        dataset.train.image(index)
    })
}

fn of_source(settings: &DataSettings, print: &str, cache_dir: &Path) -> anyhow::Result<Vec<u8>> {
    let listing = locate::locate(settings, cache_dir)?;
    let now = fingerprint(&listing, cache_dir, &mut |_, _| {})?.digits;
    if now != print {
        bail!("the images at `{}` are others now (fingerprint {now})", settings.source);
    }
    let items: &[Item] = match &listing.pools {
        Pools::Divided { train, .. } => train,
        Pools::Whole(items) => items,
    };
    draw(listing.classes.len(), PAGE_ROWS, items.iter().map(|item| item.label), |index| {
        listing.reader.image(&items[index])
    })
}

/// Draws the first images of each class that can be read.
fn draw(
    classes: usize,
    most: usize,
    labels: impl Iterator<Item = u32>,
    image: impl Fn(usize) -> anyhow::Result<Image>,
) -> anyhow::Result<Vec<u8>> {
    let rows = if classes == 1 { UNLABELED_ROWS } else { classes.min(most) };
    let edge = |cells: usize| (GAP + cells * (CELL + GAP)) as u32;
    let mut sheet = RgbImage::from_pixel(edge(COLUMNS), edge(rows), image::Rgb([255; 3]));
    let (mut shown, room) = (vec![0; classes], if classes == 1 { rows * COLUMNS } else { COLUMNS });
    let (mut full, mut fault) = (0, None);
    for (index, label) in labels.enumerate() {
        let class = label as usize;
        if (classes > 1 && class >= rows) || shown[class] == room {
            continue;
        }
        let cell = match image(index).and_then(|image| decode::cover(image, CELL, CELL)) {
            Ok(cell) => cell,
            // One that cannot be read is told of elsewhere; the next takes its place.
            Err(why) => {
                fault.get_or_insert(why);
                continue;
            }
        };
        let cell = RgbImage::from_raw(CELL as u32, CELL as u32, cell.pixels).context("a cell has CELL x CELL pixels")?;
        let (column, row) = (shown[class] % COLUMNS, class + shown[class] / COLUMNS);
        imageops::replace(&mut sheet, &cell, i64::from(edge(column)), i64::from(edge(row)));
        shown[class] += 1;
        full += usize::from(shown[class] == room);
        if full == rows || (classes == 1 && full == 1) {
            break;
        }
    }
    if let Some(fault) = fault.filter(|_| shown.iter().all(|shown| *shown == 0)) {
        return Err(fault);
    }
    let mut png = Cursor::new(Vec::new());
    sheet.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}
