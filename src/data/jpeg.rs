//! JPEG: whole or an error. Decoders fill what a torn file lacks with gray, and say nothing.

use anyhow::{Context, bail};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use memchr::memchr;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::headers::{check_size, orientation_of};

/// Most pixels that a byte of a scan can stand for: a block of 64 takes a bit at least.
const PIXELS_PER_BYTE: u64 = 512;
/// Ones to be read where a scan ends too early, enough for the longest look ahead; no code consists of ones alone.
const ONES: [u8; 128] = {
    let mut ones = [0xff; 128];
    let mut at = 1;
    while at < 128 {
        ones[at] = 0; // What follows 0xff in a scan, where it is no marker.
        at += 2;
    }
    ones
};
const END: [u8; 2] = [0xff, 0xd9];

/// Decodes a JPEG of at most so many pixels; the way up that its camera says is told, not followed.
pub(super) fn decode(bytes: &[u8], most_pixels: u64) -> anyhow::Result<(DynamicImage, Orientation)> {
    let Frame { end, scans } = frame(bytes).context("it is a torn JPEG: the file ends before the image does")?;
    // A last scan of ones: a decoder that runs past the end of the data stumbles, rather than to take what is missing for gray.
    let ones: &[u8] = if scans.progressive && scans.count == 1 { &[] } else { &ONES };
    let data = [&bytes[..end], ones, &END].concat();
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&data[..]), options);
    decoder.decode_headers().context("it is a damaged JPEG")?;
    let (width, height) = decoder.dimensions().context("it is a JPEG without a size")?;
    let size = [width as u32, height as u32];
    check_size(size, most_pixels)?;
    if width as u64 * height as u64 > PIXELS_PER_BYTE * bytes.len() as u64 {
        bail!("it is a torn JPEG: {} bytes cannot hold {width} x {height} pixels", bytes.len());
    }
    let out = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        Some(ColorSpace::YCbCr | ColorSpace::RGB | ColorSpace::CMYK | ColorSpace::YCCK) => ColorSpace::RGB,
        other => bail!("it is a JPEG of colors that are not read: {other:?}"),
    };
    // Headers may be odd, as everywhere; pixels may not.
    decoder.set_options(options.set_strict_mode(true).jpeg_set_out_colorspace(out));
    let pixels = decoder.decode().context("it is a torn or damaged JPEG")?;
    let orientation = decoder.exif().map_or(Orientation::NoTransforms, |exif| orientation_of(exif));
    let [width, height] = size;
    let image = match out {
        ColorSpace::Luma => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    };
    Ok((
        image.context("it is a damaged JPEG: it has fewer pixels than it says")?,
        orientation,
    ))
}

/// Where an image ends.
#[derive(Debug, PartialEq)]
struct Frame {
    /// Place of the end marker.
    end: usize,
    scans: Scans,
}

/// How an image is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Scans {
    count: usize,
    progressive: bool,
}

/// Goes from marker to marker up to the end of the image; what follows it is no concern of ours.
fn frame(bytes: &[u8]) -> Option<Frame> {
    let mut scans = Scans::default();
    let mut at = 2;
    loop {
        at += memchr(0xff, bytes.get(at..)?)?;
        match *bytes.get(at + 1)? {
            0xff => at += 1,
            0xd9 => return Some(Frame { end: at, scans }),
            // Within a scan; or without contents.
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            marker => {
                scans.progressive |= marker == 0xc2;
                scans.count += usize::from(marker == 0xda);
                let length = bytes.get(at + 2..at + 4)?;
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A JPEG of 40 x 40 pixels, all of them different.
    fn whole() -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let image = RgbImage::from_fn(40, 40, |x, y| {
            image::Rgb([(x * 6) as u8, (y * 6) as u8, ((x * 37 + y * 91) % 251) as u8])
        });
        image.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_file_that_ends_early_is_an_error_wherever_it_ends() {
        let whole = whole();
        decode(&whole, 1600).unwrap();
        decode(&[&whole[..], b"anything"].concat(), 1600).unwrap();
        for end in 2..whole.len() {
            assert!(decode(&whole[..end], 1600).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn an_end_mark_behind_half_of_the_data_does_not_make_it_whole() {
        let whole = whole();
        let scan = whole.windows(2).position(|two| two == [0xff, 0xda]).unwrap();
        // The last few bytes are few enough to be the filling of the last block.
        for end in scan + 14..whole.len() - 8 {
            assert!(decode(&[&whole[..end], &END].concat(), 1600).is_err(), "{end} of {}", whole.len());
        }
    }

    #[test]
    fn a_small_file_of_many_pixels_is_refused_before_they_are_made() {
        let mut bytes = whole();
        let frame = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
        bytes[frame + 5..frame + 9].copy_from_slice(&[0x30, 0, 0x30, 0]);
        let error = decode(&bytes, u64::MAX).unwrap_err().to_string();
        assert!(error.contains("cannot hold 12288 x 12288 pixels"), "{error}");
        let error = decode(&bytes, 1_000_000).unwrap_err().to_string();
        assert!(error.contains("at most 1 million"), "{error}");
    }
}
