//! Several charts as one image.

use std::fmt::Write as _;

use super::canvas::escaped;

/// Between two charts, in drawing units of a tenth of a pixel.
const GAP: u32 = 80;

/// Charts of this module beside and below each other, as one SVG element of its own.
///
/// # Panics
/// If one of them is not a chart of this module.
pub fn grid(name: &str, charts: &[String], columns: usize) -> String {
    let sizes: Vec<(u32, u32)> = charts.iter().map(|chart| size(chart).expect("every chart says its size")).collect();
    let columns = columns.clamp(1, charts.len().max(1));
    let (mut body, mut width, mut top) = (String::new(), 0, 0);
    for (charts, sizes) in charts.chunks(columns).zip(sizes.chunks(columns)) {
        let mut left = 0;
        for (chart, (wide, high)) in charts.iter().zip(sizes) {
            let placed = format!("x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{high}\"");
            body.push_str(&chart.replacen("width=\"100%\"", &placed, 1));
            left += wide + GAP;
        }
        width = width.max(left.saturating_sub(GAP));
        top += sizes.iter().map(|size| size.1).max().unwrap_or(0) + GAP;
    }
    let height = top.saturating_sub(GAP);
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"umbra-chart\" viewBox=\"0 0 {width} {height}\" width=\"100%\" role=\"img\" aria-label=\"{}\">\n{body}</svg>\n",
        escaped(name)
    );
    svg
}

/// Width and height of a chart, in drawing units.
pub(super) fn size(chart: &str) -> Option<(u32, u32)> {
    let (_, rest) = chart.split_once("viewBox=\"0 0 ")?;
    let (sizes, _) = rest.split_once('"')?;
    let (width, height) = sizes.split_once(' ')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}
