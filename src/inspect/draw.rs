//! Small images of what a model makes of an image.

use std::io::Cursor;

use anyhow::{Context as _, Result};
use image::{GrayImage, ImageFormat, RgbImage, imageops};

use crate::data::Image;
use crate::data::augment::Augment;
use crate::metrics::heat::{error_map, heat};
use crate::metrics::pixels::PixelSpace;
use crate::metrics::validation::plain_views;
use crate::playground::Png;

/// Side of the largest image under a map of attention, in pixels; dozens of them stand on a page.
const MAP: usize = 64;
/// Gray of masked patches, as on the sheets of reconstructions.
const GRAY: u8 = 128;

/// An image as a model of that side sees it.
pub(super) fn image(image: &Image, side: usize) -> Result<Png> {
    const NOTHING: [f32; 3] = [0.0; 3];
    // Neither mean nor deviation: the view's numbers are the colors, plane by plane.
    let mut view = vec![0.0; 3 * side * side];
    Augment::new(&plain_views(), side, NOTHING, [1.0; 3]).plain(image, &mut view);
    let pixel = |at: usize| [0, 1, 2].map(|channel| (255.0 * view[channel * side * side + at]).round() as u8);
    colors(side, (0..side * side).flat_map(pixel).collect())
}

/// An image of patches with values from 0 to 1.
pub(super) fn patches(space: &PixelSpace, patches: &[f32]) -> Result<Png> {
    colors(space.side, space.bytes(patches))
}

/// How far `restored` is from `truth`, pixel by pixel.
pub(super) fn error(space: &PixelSpace, truth: &[f32], restored: &[f32]) -> Result<Png> {
    patches(space, &error_map(truth, restored))
}

/// The brightness of an image of patches, at most [`MAP`] pixels wide, to lay maps over.
pub(super) fn ground(space: &PixelSpace, patches: &[f32]) -> Result<GrayImage> {
    let side = space.side as u32;
    let whole = RgbImage::from_raw(side, side, space.bytes(patches)).context("an image has three bytes for each pixel")?;
    let gray = imageops::grayscale(&whole);
    let most = side.min(MAP as u32);
    Ok(imageops::resize(&gray, most, most, imageops::FilterType::Triangle))
}

/// Attention over an image: `shares` of all patches row by row, nothing for a hidden one. The most attended patch is
/// brightest.
pub(super) fn attention(ground: &GrayImage, grid: usize, shares: &[Option<f32>]) -> Result<Png> {
    let side = ground.width() as usize;
    let largest = shares.iter().flatten().fold(f32::MIN_POSITIVE, |most, share| most.max(*share));
    let bytes = ground.pixels().enumerate().flat_map(|(at, pixel)| {
        let patch = at / side * grid / side * grid + at % side * grid / side;
        match shares[patch] {
            None => [GRAY; 3],
            Some(share) => heat(share / largest).map(|color| (0.35 * f32::from(pixel.0[0]) + 0.65 * f32::from(color)) as u8),
        }
    });
    colors(side, bytes.collect())
}

fn colors(side: usize, bytes: Vec<u8>) -> Result<Png> {
    let image = RgbImage::from_raw(side as u32, side as u32, bytes).context("an image has three bytes for each pixel")?;
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png)?;
    Ok(Png(png.into_inner()))
}

#[cfg(test)]
mod tests {
    use crate::inspect::draw::*;
    use crate::metrics::pixels::tests::SPACE;

    fn pixels(png: &Png) -> RgbImage {
        image::load_from_memory(&png.0).unwrap().to_rgb8()
    }

    #[test]
    fn masked_patches_are_gray_and_the_most_attended_one_is_brightest() {
        let ground = ground(&SPACE, &[0.5; 48]).unwrap();
        let map = pixels(&attention(&ground, 2, &[None, Some(0.1), Some(0.3), Some(0.0)]).unwrap());
        assert_eq!(map.dimensions(), (4, 4));
        let at = |x, y| map.get_pixel(x, y).0.iter().map(|c| u32::from(*c)).sum::<u32>();
        assert_eq!(map.get_pixel(0, 0).0, [GRAY; 3]);
        assert!(at(0, 3) > at(3, 0) && at(3, 0) > at(3, 3));
    }
}
