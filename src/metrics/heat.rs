//! Colors for what is more or less: the error of a pixel, the attention to a patch.

/// Error of a pixel that is drawn brightest, on a scale where the whole range of a color is 1.
const LARGEST_ERROR: f32 = 0.5;

/// From black over violet and orange to light yellow, evenly brighter, so that it can be read without colors.
pub fn heat(value: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 5] = [
        [0.0, 0.0, 10.0],
        [85.0, 15.0, 110.0],
        [188.0, 55.0, 84.0],
        [249.0, 142.0, 9.0],
        [252.0, 255.0, 180.0],
    ];
    let place = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (place as usize).min(STOPS.len() - 2);
    std::array::from_fn(|color| (STOPS[low][color] + (place - low as f32) * (STOPS[low + 1][color] - STOPS[low][color])) as u8)
}

/// How far `restored` is from `truth`, the mean over the three colors of a pixel, from none (black) to half of the whole
/// range and more (brightest).
///
/// # Shapes
/// all: `[patches, p*p*3]`, values from 0 to 1
pub fn error_map(truth: &[f32], restored: &[f32]) -> Vec<f32> {
    let pixel = |(truth, restored): (&[f32], &[f32])| {
        let error: f32 = truth.iter().zip(restored).map(|(t, r)| (t - r).abs()).sum::<f32>() / 3.0;
        heat(error / LARGEST_ERROR).map(|value| f32::from(value) / 255.0)
    };
    truth.chunks_exact(3).zip(restored.chunks_exact(3)).flat_map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use crate::metrics::heat::*;

    #[test]
    fn heat_grows_brighter_from_end_to_end() {
        let brightness = |value: usize| heat(value as f32 / 20.0).iter().map(|c| u32::from(*c)).sum::<u32>();
        assert!((0..20).all(|value| brightness(value) < brightness(value + 1)));
        assert_eq!((heat(-1.0), heat(7.0)), (heat(0.0), heat(1.0)));
    }

    #[test]
    fn no_error_is_black_and_a_large_one_bright() {
        let (truth, mut restored) = (vec![0.25; 48], vec![0.25; 48]);
        restored[..12].fill(0.9);
        let map = error_map(&truth, &restored);
        let color = |pixel: usize| std::array::from_fn(|channel| (map[3 * pixel + channel] * 255.0).round() as u8);
        assert_eq!((color(3), color(4)), (heat(1.0), heat(0.0)));
    }
}
