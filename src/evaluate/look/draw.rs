//! Small pictures of what a model makes of a picture.

use std::io::Cursor;

use anyhow::{Context as _, Result};
use image::{GrayImage, ImageFormat, RgbImage, imageops};

use super::super::pixels::PixelSpace;
use crate::playground::Png;

/// Side of the largest picture under a map of attention, in pixels; dozens of them stand on a page.
const MAP: usize = 64;
/// Grey of hidden patches, as on the sheets of reconstructions.
const GREY: u8 = 128;
/// Error of a pixel that is drawn brightest, on a scale where the whole range of a colour is 1.
const LARGEST_ERROR: f32 = 0.5;

/// A picture of patches with values from 0 to 1.
pub(super) fn patches(space: &PixelSpace, patches: &[f32]) -> Result<Png> {
    colours(space.side, space.bytes(patches))
}

/// How far `restored` is from `truth`, the mean over the three colours of a pixel, from none (black) to half of the
/// whole range and more (brightest).
pub(super) fn error(space: &PixelSpace, truth: &[f32], restored: &[f32]) -> Result<Png> {
    let pixel = |(truth, restored): (&[f32], &[f32])| {
        let error: f32 = truth.iter().zip(restored).map(|(t, r)| (t - r).abs()).sum::<f32>() / 3.0;
        heat(error / LARGEST_ERROR).map(|value| f32::from(value) / 255.0)
    };
    let heats: Vec<f32> = truth.chunks_exact(3).zip(restored.chunks_exact(3)).flat_map(pixel).collect();
    patches(space, &heats)
}

/// The brightness of a picture of patches, at most [`MAP`] pixels wide, to lay maps over.
pub(super) fn ground(space: &PixelSpace, patches: &[f32]) -> Result<GrayImage> {
    let side = space.side as u32;
    let whole = RgbImage::from_raw(side, side, space.bytes(patches)).context("a picture has three bytes for each pixel")?;
    let grey = imageops::grayscale(&whole);
    let most = side.min(MAP as u32);
    Ok(imageops::resize(&grey, most, most, imageops::FilterType::Triangle))
}

/// Attention over a picture: `shares` of all patches row by row, nothing for a hidden one. The most attended patch is
/// brightest.
pub(super) fn attention(ground: &GrayImage, grid: usize, shares: &[Option<f32>]) -> Result<Png> {
    let side = ground.width() as usize;
    let largest = shares.iter().flatten().fold(f32::MIN_POSITIVE, |most, share| most.max(*share));
    let bytes = ground.pixels().enumerate().flat_map(|(at, pixel)| {
        let patch = at / side * grid / side * grid + at % side * grid / side;
        match shares[patch] {
            None => [GREY; 3],
            Some(share) => heat(share / largest).map(|colour| (0.35 * f32::from(pixel.0[0]) + 0.65 * f32::from(colour)) as u8),
        }
    });
    colours(side, bytes.collect())
}

fn colours(side: usize, bytes: Vec<u8>) -> Result<Png> {
    let picture = RgbImage::from_raw(side as u32, side as u32, bytes).context("a picture has three bytes for each pixel")?;
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png)?;
    Ok(Png(png.into_inner()))
}

/// From black over violet and orange to light yellow, evenly brighter, so that it can be read without colours.
fn heat(value: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 5] = [
        [0.0, 0.0, 10.0],
        [85.0, 15.0, 110.0],
        [188.0, 55.0, 84.0],
        [249.0, 142.0, 9.0],
        [252.0, 255.0, 180.0],
    ];
    let place = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (place as usize).min(STOPS.len() - 2);
    std::array::from_fn(|colour| (STOPS[low][colour] + (place - low as f32) * (STOPS[low + 1][colour] - STOPS[low][colour])) as u8)
}

#[cfg(test)]
mod tests {
    use super::super::super::pixels::tests::SPACE;
    use super::*;

    fn pixels(png: &Png) -> RgbImage {
        image::load_from_memory(&png.0).unwrap().to_rgb8()
    }

    #[test]
    fn heat_grows_brighter_from_end_to_end() {
        let brightness = |value: usize| heat(value as f32 / 20.0).iter().map(|c| u32::from(*c)).sum::<u32>();
        assert!((0..20).all(|value| brightness(value) < brightness(value + 1)));
        assert_eq!((heat(-1.0), heat(7.0)), (heat(0.0), heat(1.0)));
    }

    #[test]
    fn hidden_patches_are_grey_and_the_most_attended_one_is_brightest() {
        let ground = ground(&SPACE, &[0.5; 48]).unwrap();
        let map = pixels(&attention(&ground, 2, &[None, Some(0.1), Some(0.3), Some(0.0)]).unwrap());
        assert_eq!(map.dimensions(), (4, 4));
        let at = |x, y| map.get_pixel(x, y).0.iter().map(|c| u32::from(*c)).sum::<u32>();
        assert_eq!(map.get_pixel(0, 0).0, [GREY; 3]);
        assert!(at(0, 3) > at(3, 0) && at(3, 0) > at(3, 3));
    }

    #[test]
    fn no_error_is_black_and_a_large_one_bright() {
        let (truth, mut restored) = (vec![0.25; 48], vec![0.25; 48]);
        restored[..12].fill(0.9);
        let map = pixels(&error(&SPACE, &truth, &restored).unwrap());
        assert_eq!((map.get_pixel(1, 1).0, map.get_pixel(2, 1).0), (heat(1.0), heat(0.0)));
    }
}
