//! Mean and standard deviation of the colors of many images, exactly and in any order.

/// Sums over pixels, per color. Whole numbers: the order of adding never matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Colors {
    pixels: u64,
    sums: [u64; 3],
    squares: [u64; 3],
}

impl Colors {
    /// The sums over some RGB pixels.
    pub(super) fn of(pixels: &[u8]) -> Self {
        let mut colors = Colors {
            pixels: (pixels.len() / 3) as u64,
            ..Colors::default()
        };
        for pixel in pixels.chunks_exact(3) {
            for (color, value) in pixel.iter().enumerate() {
                let value = u64::from(*value);
                colors.sums[color] += value;
                colors.squares[color] += value * value;
            }
        }
        colors
    }

    /// The sums over both.
    pub(super) fn with(mut self, other: Colors) -> Self {
        self.pixels += other.pixels;
        for color in 0..3 {
            self.sums[color] += other.sums[color];
            self.squares[color] += other.squares[color];
        }
        self
    }

    /// Mean of red, green and blue, from 0 to 1.
    pub(super) fn mean(&self) -> [f32; 3] {
        self.sums.map(|sum| (sum as f64 / self.count() / 255.0) as f32)
    }

    /// Standard deviation of red, green and blue over all pixels, from 0 to 1; never 0, so that one can divide by it.
    pub(super) fn std(&self) -> [f32; 3] {
        let count = self.count();
        let of = |color: usize| {
            let mean = self.sums[color] as f64 / count;
            let variance = (self.squares[color] as f64 / count - mean * mean).max(0.0);
            // One step of a byte is the least difference that pixels can show.
            (variance.sqrt().max(1.0) / 255.0) as f32
        };
        [of(0), of(1), of(2)]
    }

    fn count(&self) -> f64 {
        self.pixels.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_are_those_of_the_pixels_in_any_order() {
        let both = Colors::of(&[0, 255, 10, 0, 0, 10]).with(Colors::of(&[255, 255, 10, 255, 0, 10]));
        assert_eq!(both, Colors::of(&[255, 0, 10, 0, 255, 10, 255, 255, 10, 0, 0, 10]));
        assert_eq!(both.mean(), [0.5, 0.5, 10.0 / 255.0]);
        assert_eq!(both.std(), [0.5, 0.5, 1.0 / 255.0]);
    }
}
