//! Changes of each level on its own: tables of 256 entries.

use crate::data::Image;

/// Inverts the levels from `from` on; 256 inverts none.
pub(super) fn solarize(image: &mut Image, from: u16) {
    map(image, |level| if u16::from(level) < from { level } else { 255 - level });
}

/// Brightens the levels below 128 by `add`.
pub(super) fn solarize_add(image: &mut Image, add: u8) {
    map(image, |level| if level < 128 { level.saturating_add(add) } else { level });
}

/// The negative.
pub(super) fn invert(image: &mut Image) {
    map(image, |level| 255 - level);
}

/// Keeps the `bits` highest bits of each level, 0 to 8; 0 is black.
pub(super) fn posterize(image: &mut Image, bits: u32) {
    let mask = 255u8.checked_shl(8 - bits).unwrap_or(0);
    map(image, |level| level & mask);
}

/// Stretches each channel to the full range.
pub(super) fn autocontrast(image: &mut Image) {
    map_channels(image, |histogram| {
        let low = histogram.iter().position(|n| *n > 0)?;
        let high = histogram.iter().rposition(|n| *n > 0)?;
        if high <= low {
            return None;
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        // `as` truncates and saturates at 0 and 255.
        Some(std::array::from_fn(|level| (level as f64 * scale + offset) as u8))
    });
}

/// Flattens the histogram of each channel.
pub(super) fn equalize(image: &mut Image) {
    map_channels(image, |histogram| {
        // The brightest level is left out of the step, as in Pillow.
        let brightest = histogram.iter().rposition(|n| *n > 0)?;
        let step = histogram[..brightest].iter().sum::<u32>() / 255;
        if step == 0 {
            return None;
        }
        let mut seen = step / 2;
        Some(std::array::from_fn(|level| {
            let target = (seen / step).min(255) as u8;
            seen += histogram[level];
            target
        }))
    });
}

fn map(image: &mut Image, change: impl Fn(u8) -> u8) {
    for level in &mut image.pixels {
        *level = change(*level);
    }
}

/// Replaces the levels of each channel by a table made from its histogram, if there is one.
fn map_channels(image: &mut Image, table: impl Fn(&[u32; 256]) -> Option<[u8; 256]>) {
    for channel in 0..3 {
        let mut histogram = [0u32; 256];
        for pixel in image.pixels.chunks_exact(3) {
            histogram[usize::from(pixel[channel])] += 1;
        }
        let Some(table) = table(&histogram) else { continue };
        for pixel in image.pixels.chunks_exact_mut(3) {
            pixel[channel] = table[usize::from(pixel[channel])];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pixels: &[u8], change: impl Fn(&mut Image)) -> Vec<u8> {
        let mut image = Image {
            width: pixels.len() / 3,
            height: 1,
            pixels: pixels.to_vec(),
        };
        change(&mut image);
        image.pixels
    }

    #[test]
    fn solarizing_inverts_from_its_threshold_on() {
        assert_eq!(after(&[0, 127, 128], |p| solarize(p, 128)), [0, 127, 127]);
        assert_eq!(after(&[0, 254, 255], |p| solarize(p, 256)), [0, 254, 255]);
        assert_eq!(after(&[0, 127, 128], |p| solarize(p, 0)), [255, 128, 127]);
        assert_eq!(after(&[1, 2, 255], invert), [254, 253, 0]);
    }

    #[test]
    fn solarize_add_brightens_the_dark_half_only() {
        assert_eq!(after(&[0, 127, 128], |p| solarize_add(p, 110)), [110, 237, 128]);
    }

    #[test]
    fn posterizing_keeps_the_high_bits() {
        assert_eq!(after(&[255, 130, 7], |p| posterize(p, 4)), [240, 128, 0]);
        assert_eq!(after(&[255, 130, 7], |p| posterize(p, 8)), [255, 130, 7]);
        assert_eq!(after(&[255, 130, 7], |p| posterize(p, 0)), [0, 0, 0]);
    }

    // The numbers of this test and the next are Pillow 13's.
    #[test]
    fn autocontrast_stretches_each_channel_and_leaves_a_flat_one() {
        assert_eq!(
            after(&[50, 0, 9, 100, 128, 9, 75, 255, 9], autocontrast),
            [0, 0, 9, 254, 128, 9, 127, 255, 9]
        );
    }

    #[test]
    fn equalising_is_pillows() {
        // Red squares crowd the dark end; green is flat; blue already spans the range.
        let pixels: Vec<u8> = (0..1024u32).flat_map(|i| [((i * i) >> 13) as u8, 42, (i >> 2) as u8]).collect();
        let flat = after(&pixels, equalize);
        let at = |i: usize| flat[i * 3..i * 3 + 3].to_vec();
        let got: Vec<_> = [0, 200, 512, 900, 1023].into_iter().map(at).collect();
        assert_eq!(got, PILLOW_EQUALIZE);
        assert_eq!(
            after(&[1, 2, 3, 9, 9, 9], equalize),
            [1, 2, 3, 9, 9, 9],
            "too few pixels for a step"
        );
    }

    const PILLOW_EQUALIZE: [[u8; 3]; 5] = [[0, 42, 0], [46, 42, 50], [128, 42, 128], [224, 42, 225], [255, 42, 255]];
}
