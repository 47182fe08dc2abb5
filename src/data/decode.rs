//! From the bytes of a file to pixels of a wanted size.

use std::io::Cursor;

use anyhow::Context;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions};
use image::ImageReader;

use super::Picture;
use super::resizer::with_resizer;

/// Decodes a JPEG or PNG, whatever its name says; transparency is dropped, grey and CMYK become RGB.
pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<Picture> {
    let decoded = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?.decode()?.into_rgb8();
    Ok(Picture {
        width: decoded.width() as usize,
        height: decoded.height() as usize,
        pixels: decoded.into_raw(),
    })
}

/// Scales a picture until it covers `width` x `height` pixels and cuts the rest away evenly on both sides.
///
/// Bicubic with a filter as wide as the reduction, as MAE's evaluation does it.
pub(super) fn cover(picture: Picture, width: usize, height: usize) -> anyhow::Result<Picture> {
    if (picture.width, picture.height) == (width, height) {
        return Ok(picture);
    }
    let source = ImageRef::new(picture.width as u32, picture.height as u32, &picture.pixels, PixelType::U8x3)?;
    let mut scaled = Image::new(width as u32, height as u32, PixelType::U8x3);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(false)
        .fit_into_destination(Some((0.5, 0.5)));
    with_resizer(|resizer| resizer.resize(&source, &mut scaled, &options)).context("the picture cannot be resized")?;
    Ok(Picture {
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
        // Three columns of one colour each: cut to a square, only the middle one is left.
        let pixels = [[255, 0, 0], [0, 255, 0], [0, 0, 255]].concat();
        let square = cover(
            Picture {
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
    fn a_picture_of_the_right_size_is_left_alone() {
        let picture = Picture {
            width: 2,
            height: 1,
            pixels: vec![1, 2, 3, 4, 5, 6],
        };
        assert_eq!(cover(picture.clone(), 2, 1).unwrap(), picture);
    }

    #[test]
    fn grey_and_transparent_pictures_become_rgb() {
        let mut bytes = Cursor::new(Vec::new());
        image::GrayAlphaImage::from_raw(1, 1, vec![7, 128])
            .unwrap()
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        assert_eq!(decode(bytes.get_ref()).unwrap().pixels, [7, 7, 7]);
    }

    #[test]
    fn a_torn_file_is_an_error() {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::new(16, 16).write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        assert!(decode(&bytes.get_ref()[..40]).is_err());
        assert!(decode(b"not a picture").is_err());
    }
}
