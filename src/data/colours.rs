//! Mean and standard deviation of the colours of many pictures, exactly and in any order.

/// Sums over pixels, per colour. Whole numbers: the order of adding never matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Colours {
    pixels: u64,
    sums: [u64; 3],
    squares: [u64; 3],
}

impl Colours {
    /// The sums over some RGB pixels.
    pub(super) fn of(pixels: &[u8]) -> Self {
        let mut colours = Colours {
            pixels: (pixels.len() / 3) as u64,
            ..Colours::default()
        };
        for pixel in pixels.chunks_exact(3) {
            for (colour, value) in pixel.iter().enumerate() {
                let value = u64::from(*value);
                colours.sums[colour] += value;
                colours.squares[colour] += value * value;
            }
        }
        colours
    }

    /// The sums over both.
    pub(super) fn with(mut self, other: Colours) -> Self {
        self.pixels += other.pixels;
        for colour in 0..3 {
            self.sums[colour] += other.sums[colour];
            self.squares[colour] += other.squares[colour];
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
        let of = |colour: usize| {
            let mean = self.sums[colour] as f64 / count;
            let variance = (self.squares[colour] as f64 / count - mean * mean).max(0.0);
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
        let both = Colours::of(&[0, 255, 10, 0, 0, 10]).with(Colours::of(&[255, 255, 10, 255, 0, 10]));
        assert_eq!(both, Colours::of(&[255, 0, 10, 0, 255, 10, 255, 255, 10, 0, 0, 10]));
        assert_eq!(both.mean(), [0.5, 0.5, 10.0 / 255.0]);
        assert_eq!(both.std(), [0.5, 0.5, 1.0 / 255.0]);
    }
}
