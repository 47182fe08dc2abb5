//! What an image says of itself before it is decoded: its size, and the way up.

use anyhow::bail;
use image::metadata::Orientation;

/// An error if an image is too large to be decoded.
pub(super) fn check_size([width, height]: [u32; 2], most_pixels: u64) -> anyhow::Result<()> {
    if u64::from(width) * u64::from(height) > most_pixels {
        let most = most_pixels / 1_000_000;
        bail!("it has {width} x {height} pixels: at most {most} million are allowed");
    }
    Ok(())
}

/// How an image is to be turned, by the notes of its camera.
pub(super) fn orientation_of(exif: &[u8]) -> Orientation {
    // The prefix belongs into JPEG alone, but some programs write it elsewhere too.
    let notes = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(notes).unwrap_or(Orientation::NoTransforms)
}
