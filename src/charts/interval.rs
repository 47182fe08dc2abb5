//! Interval marks: one difference with its interval on a line, small enough for a row of a table.

use super::canvas::escaped;

/// Size in pixels; text is the row's.
const SIZE: (f64, f64) = (220.0, 22.0);
/// Free at both ends.
const PAD: f64 = 6.0;

/// A difference and its interval. Marks that stand above each other share `range`.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalMark {
    /// The difference.
    pub mean: f64,
    /// The ends of its interval.
    pub interval: (f64, f64),
    /// Where a difference must lie for what is claimed; an end may be infinite.
    pub wanted: (f64, f64),
    /// What is shown from left to right; zero is always within.
    pub range: (f64, f64),
    /// What the mark says, for people who do not see it and under the pointer.
    pub says: String,
}

impl IntervalMark {
    /// The range that shows all of these numbers and zero.
    pub fn range(numbers: impl IntoIterator<Item = f64>) -> (f64, f64) {
        let finite = numbers.into_iter().filter(|number| number.is_finite());
        let (low, high) = finite.fold((0.0f64, 0.0f64), |(low, high), number| (low.min(number), high.max(number)));
        if low == high { (-1.0, 1.0) } else { (low, high) }
    }

    /// The mark as one SVG element in the color of the text around it, with what is wanted as a shaded ground.
    pub fn svg(&self) -> String {
        let (width, height) = SIZE;
        let (low, high) = self.range;
        let x = |value: f64| PAD + (value.clamp(low, high) - low) / (high - low) * (width - 2.0 * PAD);
        let edge = |value: f64| match value {
            f64::NEG_INFINITY => 0.0,
            f64::INFINITY => width,
            value => x(value),
        };
        let (from, to) = (edge(self.wanted.0), edge(self.wanted.1));
        let (left, right) = (x(self.interval.0), x(self.interval.1));
        let (middle, zero, mean) = (height / 2.0, x(0.0), x(self.mean));
        let says = escaped(&self.says);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"interval\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-label=\"{says}\"><title>{says}</title>\
             <rect x=\"{from:.1}\" width=\"{:.1}\" height=\"{height}\" fill=\"currentColor\" fill-opacity=\".12\"/>\
             <path d=\"M{zero:.1} 0V{height}\" stroke=\"currentColor\" stroke-opacity=\".55\" stroke-dasharray=\"2 2\"/>\
             <path d=\"M{left:.1} {middle}H{right:.1}M{left:.1} {:.1}v8M{right:.1} {:.1}v8\" stroke=\"currentColor\" stroke-width=\"1.6\" fill=\"none\"/>\
             <circle cx=\"{mean:.1}\" cy=\"{middle}\" r=\"3.6\" fill=\"currentColor\"/></svg>",
            (to - from).max(0.0),
            middle - 4.0,
            middle - 4.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(mean: f64, interval: (f64, f64), wanted: (f64, f64)) -> IntervalMark {
        IntervalMark {
            mean,
            interval,
            wanted,
            range: (-10.0, 10.0),
            says: "A & B".to_owned(),
        }
    }

    #[test]
    fn a_mark_stands_where_its_numbers_are() {
        let svg = mark(5.0, (0.0, 10.0), (0.0, f64::INFINITY)).svg();
        // 220 pixels with 6 free at both ends: zero at 110, 5 at 162, 10 at 214; what is wanted runs to the edge.
        for part in ["cx=\"162.0\"", "M110.0 11H214.0", "x=\"110.0\" width=\"110.0\"", "A &amp; B"] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        let equal = mark(-5.0, (-10.0, 0.0), (-5.0, 5.0)).svg();
        assert!(
            equal.contains("x=\"58.0\" width=\"104.0\"") && equal.contains("cx=\"58.0\""),
            "{equal}"
        );
    }

    #[test]
    fn what_leaves_the_range_ends_at_its_edge() {
        let svg = mark(50.0, (-90.0, 90.0), (30.0, f64::INFINITY)).svg();
        assert!(svg.contains("cx=\"214.0\"") && svg.contains("M6.0 11H214.0"), "{svg}");
        assert_eq!(IntervalMark::range([2.0, f64::NAN, 3.0]), (0.0, 3.0));
        assert_eq!(IntervalMark::range([]), (-1.0, 1.0));
    }
}
