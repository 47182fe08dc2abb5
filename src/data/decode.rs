//! From the bytes of a file to pixels of a wanted size.

use std::io::Cursor;

use anyhow::{Context, bail};
use fast_image_resize::images::{Image as Scaled, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use super::Image;
use super::resizer::with_resizer;

/// Decodes a JPEG or PNG, whatever its name says; transparency is dropped, gray and CMYK become RGB.
pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<Image> {
    let decoded = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?.decode()?.into_rgb8();
    Ok(Image {
        width: decoded.width() as usize,
        height: decoded.height() as usize,
        pixels: decoded.into_raw(),
    })
}

/// Decodes an image that a stranger handed in: of at most so many pixels, the way up that its camera says.
///
/// # Errors
/// One sentence: no JPEG or PNG, torn, or too large. An image that is too large is refused before it is decoded.
pub fn decode_given(bytes: &[u8], most_pixels: u64) -> anyhow::Result<Image> {
    const UNREADABLE: &str = "the image cannot be read: it must be a whole JPEG or PNG file";
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().context(UNREADABLE)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(8 * most_pixels); // Four channels of 16 bits.
    reader.limits(limits);
    let mut decoder = reader.into_decoder().context(UNREADABLE)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > most_pixels {
        bail!(
            "the image has {width} x {height} pixels: at most {} million are allowed",
            most_pixels / 1_000_000
        );
    }
    let orientation = decoder.orientation().context(UNREADABLE)?;
    let mut decoded = DynamicImage::from_decoder(decoder).context(UNREADABLE)?;
    decoded.apply_orientation(orientation);
    let decoded = decoded.into_rgb8();
    Ok(Image {
        width: decoded.width() as usize,
        height: decoded.height() as usize,
        pixels: decoded.into_raw(),
    })
}

/// Scales an image until it covers `width` x `height` pixels and cuts the rest away evenly on both sides.
///
/// Bicubic with a filter as wide as the reduction, as MAE's evaluation does it.
pub(super) fn cover(image: Image, width: usize, height: usize) -> anyhow::Result<Image> {
    if (image.width, image.height) == (width, height) {
        return Ok(image);
    }
    let source = ImageRef::new(image.width as u32, image.height as u32, &image.pixels, PixelType::U8x3)?;
    let mut scaled = Scaled::new(width as u32, height as u32, PixelType::U8x3);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(false)
        .fit_into_destination(Some((0.5, 0.5)));
    with_resizer(|resizer| resizer.resize(&source, &mut scaled, &options)).context("the image cannot be resized")?;
    Ok(Image {
        width,
        height,
        pixels: scaled.into_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covering_keeps_the_middle() {
        // Three columns of one color each: cut to a square, only the middle one is left.
        let pixels = [[255, 0, 0], [0, 255, 0], [0, 0, 255]].concat();
        let square = cover(
            Image {
                width: 3,
                height: 1,
                pixels,
            },
            1,
            1,
        )
        .unwrap();
        assert_eq!(square.pixels, [0, 255, 0]);
    }

    #[test]
    fn a_image_of_the_right_size_is_left_alone() {
        let image = Image {
            width: 2,
            height: 1,
            pixels: vec![1, 2, 3, 4, 5, 6],
        };
        assert_eq!(cover(image.clone(), 2, 1).unwrap(), image);
    }

    #[test]
    fn gray_and_transparent_images_become_rgb() {
        let mut bytes = Cursor::new(Vec::new());
        image::GrayAlphaImage::from_raw(1, 1, vec![7, 128])
            .unwrap()
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        assert_eq!(decode(bytes.get_ref()).unwrap().pixels, [7, 7, 7]);
    }

    #[test]
    fn a_given_image_is_refused_for_its_size_before_it_is_decoded() {
        let png = |width: u32, height: u32| {
            let mut bytes = Cursor::new(Vec::new());
            image::RgbImage::new(width, height)
                .write_to(&mut bytes, image::ImageFormat::Png)
                .unwrap();
            bytes.into_inner()
        };
        let image = decode_given(&png(40, 25), 1000).unwrap();
        assert_eq!((image.width, image.height), (40, 25));
        // Only the head is there: the pixels are not asked for.
        let error = decode_given(&png(4000, 2500)[..60], 9_000_000).unwrap_err().to_string();
        assert_eq!(error, "the image has 4000 x 2500 pixels: at most 9 million are allowed");
        for bytes in [&png(40, 25)[..60], b"GIF89a", b""] {
            let error = decode_given(bytes, 1000).unwrap_err().to_string();
            assert!(error.contains("must be a whole JPEG or PNG"), "{error}");
        }
    }

    #[test]
    fn a_given_image_stands_the_way_up_that_its_camera_says() {
        // Two pixels side by side, dark then bright, with the note "turn by a quarter": the left one comes on top.
        let mut bytes = Cursor::new(Vec::new());
        let wide = image::RgbImage::from_fn(16, 8, |x, _| image::Rgb([if x < 8 { 0 } else { 255 }; 3]));
        wide.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        let jpeg = bytes.into_inner();
        let note: &[u8] = b"\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00";
        let turned = decode_given(&[&jpeg[..2], note, &jpeg[2..]].concat(), 1000).unwrap();
        assert_eq!((turned.width, turned.height), (8, 16));
        assert!(turned.pixels[0] < 50 && turned.pixels[turned.pixels.len() - 1] > 200);
    }

    #[test]
    fn a_torn_file_is_an_error() {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::new(16, 16).write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        assert!(decode(&bytes.get_ref()[..40]).is_err());
        assert!(decode(b"not an image").is_err());
    }
}
