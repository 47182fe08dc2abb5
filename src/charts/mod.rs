//! Charts: numbers in, SVG text or a PNG out. Knows nothing of runs, stores or pages.
//!
//! Every chart is one `<svg>` element with a `viewBox`: inlined in a page it takes the width it is
//! given, saved to a file it stands alone. All text is real text, so a page's search finds a run.

mod axis;
mod bars;
mod canvas;
mod colors;
mod frame;
mod grid;
mod heatmap;
mod interval;
mod legend;
mod line;
mod palette;
mod png;
mod smooth;
mod table;
mod theme;

pub use bars::{Bar, BarChart};
pub use colors::ColorScale;
pub use grid::grid;
pub use heatmap::{HeatCell, Heatmap};
pub use interval::IntervalMark;
pub use line::{LineChart, Series};
pub use palette::{PALETTE, color_of};
pub use png::{missing_signs, png};
pub use smooth::{downsample, smooth};
pub use table::{TableCell, TableChart, TableHead};
pub use theme::Theme;

#[cfg(test)]
mod tests;
