//! From the bytes of a file to pixels of a wanted size.

use std::io::Cursor;

use anyhow::{Context, anyhow, bail};
use fast_image_resize::images::{Image as Scaled, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::guard::guarded;
use super::headers::{check_size, orientation_of};
use super::resizer::with_resizer;
use super::{Image, jpeg};

/// Most pixels of an image (Pillow's: what it refuses as a decompression bomb).
const MOST_PIXELS: u64 = 178_956_970;
/// Bytes that a decoder may take besides what it returns.
const MOST_BYTES: u64 = 1 << 30;

/// Decodes an image, told by its contents and whatever its name says; and whether it was stored turned.
///
/// It stands the way up that its camera says, transparency is dropped, and gray, CMYK and 16 bits become RGB of 8.
pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<(Image, bool)> {
    decode_at_most(bytes, MOST_PIXELS)
}

/// Decodes an image that a stranger handed in, of at most so many pixels, as any other.
///
/// # Errors
/// One sentence: of no format that is read, torn, or too large. An image that is too large is refused before it is decoded.
pub fn decode_given(bytes: &[u8], most_pixels: u64) -> anyhow::Result<Image> {
    let (image, _) = decode_at_most(bytes, most_pixels).map_err(|e| anyhow!("the image cannot be read: {e:#}"))?;
    Ok(image)
}

fn decode_at_most(bytes: &[u8], most_pixels: u64) -> anyhow::Result<(Image, bool)> {
    let (mut image, orientation) = guarded(|| stored(bytes, most_pixels))?;
    image.apply_orientation(orientation);
    let image = rgb(image);
    let upright = Image {
        width: image.width() as usize,
        height: image.height() as usize,
        pixels: image.into_raw(),
    };
    Ok((upright, orientation != Orientation::NoTransforms))
}

/// An image as it is stored, and how it is to be turned.
fn stored(bytes: &[u8], most_pixels: u64) -> anyhow::Result<(DynamicImage, Orientation)> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    match reader.format() {
        None => bail!("it is no {FORMATS} file"),
        Some(ImageFormat::Jpeg) => jpeg::decode(bytes, most_pixels),
        Some(_) => {
            let mut limits = Limits::default();
            limits.max_alloc = Some(MOST_BYTES.min(most_pixels.saturating_mul(8))); // Four channels of 16 bits.
            reader.limits(limits);
            let mut decoder = reader.into_decoder().context(UNREADABLE)?;
            let (width, height) = decoder.dimensions();
            check_size([width, height], most_pixels)?;
            let exif = decoder.exif_metadata().context(UNREADABLE)?;
            let orientation = match exif {
                Some(exif) => orientation_of(&exif),
                None => decoder.orientation().context(UNREADABLE)?,
            };
            Ok((DynamicImage::from_decoder(decoder).context(UNREADABLE)?, orientation))
        }
    }
}

/// The formats that are read.
const FORMATS: &str = "JPEG, PNG, WebP, BMP, GIF or TIFF";
const UNREADABLE: &str = "it is torn, damaged or of a kind that is not read";

/// The colors of an image, those of transparent pixels too; of 16 bits the upper 8.
fn rgb(image: DynamicImage) -> RgbImage {
    let wide = match image {
        DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) | DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) => {
            image.into_rgb16()
        }
        other => return other.into_rgb8(),
    };
    let upper = wide.as_raw().iter().map(|value| (value >> 8) as u8).collect();
    RgbImage::from_raw(wide.width(), wide.height(), upper).expect("as many values as before")
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
    use std::path::Path;

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
        assert_eq!(decode(bytes.get_ref()).unwrap().0.pixels, [7, 7, 7]);
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
        assert_eq!(
            error,
            "the image cannot be read: it has 4000 x 2500 pixels: at most 9 million are allowed"
        );
        for (bytes, reason) in [
            (&png(40, 25)[..60], "torn, damaged or of a kind"),
            (b"GIF89a", "torn, damaged or of a kind"),
            (b"", "no JPEG, PNG, WebP, BMP, GIF or TIFF file"),
        ] {
            let error = decode_given(bytes, 1000).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
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
    fn every_format_is_decoded_as_pillow_decodes_it() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images");
        let expected = std::fs::read_to_string(dir.join("expected.json")).unwrap();
        // Width, height, mean color, first pixel, first pixel of the last row.
        type Expected = (usize, usize, [f64; 3], [u8; 3], [u8; 3]);
        let expected: std::collections::BTreeMap<String, Expected> = serde_json::from_str(&expected).unwrap();
        for (name, (width, height, mean, first, last)) in expected {
            let (image, turned) = decode(&std::fs::read(dir.join(&name)).unwrap()).unwrap_or_else(|e| panic!("{name}: {e:#}"));
            assert_eq!(
                (image.width, image.height, turned),
                (width, height, name.starts_with("turned")),
                "{name}"
            );
            let count = (width * height) as f64;
            let sum = |color: usize| {
                image
                    .pixels
                    .iter()
                    .skip(color)
                    .step_by(3)
                    .map(|value| f64::from(*value))
                    .sum::<f64>()
            };
            let found = [0, 1, 2].map(|color| sum(color) / count);
            let tolerance = if name.contains("jpg") || name == "lossy.webp" { 0.6 } else { 0.01 };
            assert!(
                found.iter().zip(mean).all(|(a, b)| (a - b).abs() < tolerance),
                "{name}: {found:?}, not {mean:?}"
            );
            for (pixel, at) in [(first, 0), (last, (height - 1) * width * 3)] {
                let near = image.pixels[at..at + 3]
                    .iter()
                    .zip(pixel)
                    .all(|(a, b)| a.abs_diff(b) <= if tolerance > 0.1 { 6 } else { 0 });
                assert!(near, "{name}: {:?}, not {pixel:?}", &image.pixels[at..at + 3]);
            }
        }
    }

    #[test]
    fn a_torn_file_is_an_error_in_every_format() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images");
        for name in [
            "rgb.jpg",
            "progressive.jpg",
            "cmyk.jpg",
            "alpha.png",
            "lossy.webp",
            "alpha.webp",
            "palette.gif",
            "rgb.tif",
            "lzw.tif",
            "rgb.bmp",
        ] {
            let whole = std::fs::read(dir.join(name)).unwrap();
            // What is behind the pixels of a PNG or GIF is no loss.
            let needed = whole.len() - if name.ends_with(".png") { 16 } else { 4 };
            for length in (0..needed).step_by(7) {
                assert!(decode(&whole[..length]).is_err(), "{length} of {} bytes of {name}", whole.len());
            }
        }
        assert!(decode(b"not an image").is_err());
    }

    #[test]
    fn damaged_bytes_are_no_panic() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images");
        let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut random = 1_u64;
        let mut next = |below: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        for file in files {
            let whole = std::fs::read(file).unwrap();
            for _ in 0..40 {
                let mut bytes = whole.clone();
                (0..1 + next(4)).for_each(|_| bytes[next(whole.len())] = next(256) as u8);
                // Most of them are errors; some are images all the same.
                let _ = decode(&bytes);
            }
        }
    }
}
