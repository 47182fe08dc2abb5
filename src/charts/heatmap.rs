//! Heat maps: a number for every row and column as a color, with the number itself in the cell and under the pointer.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::ChartAxis;
use super::canvas::{Canvas, DrawError, Drawn, Plot, Tip, clean, font, units};
use super::colors::ColorScale;
use super::frame::ChartFrame;
use super::theme::{FG, GRID, MUTED, Theme};

/// Pixels of the color bar with its labels, at the right of the plot.
const BAR: f64 = 64.0;
/// Of the bar alone.
const BAR_WIDTH: f64 = 12.0;
/// Steps of the bar.
const STEPS: i32 = 64;
/// Size of the numbers in the cells, in pixels, and the room that one needs.
const TEXT: f64 = 10.0;
const ROOM: (f64, f64) = (30.0, 13.0);
/// Between two cells, in pixels.
const GAP: f64 = 0.6;

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatCell {
    /// The number; `None` where it is not defined.
    pub value: Option<f64>,
    /// What the pointer is told.
    pub tip: String,
}

/// Numbers by row and column, the first row at the bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Heatmap {
    /// The heading, may be empty.
    pub title: String,
    /// What the columns are.
    pub x_label: String,
    /// What the rows are.
    pub y_label: String,
    /// One label a column.
    pub columns: Vec<String>,
    /// One label a row.
    pub rows: Vec<String>,
    /// `[row][column]`.
    pub cells: Vec<Vec<HeatCell>>,
    /// Which color a number has.
    pub scale: ColorScale,
    /// Whether the color bar stands at the right.
    pub bar: bool,
    /// Width in pixels, at least 240.
    pub width: u32,
    /// Height in pixels, at least 160.
    pub height: u32,
    /// Colors of ground and text.
    pub theme: Theme,
}

impl Heatmap {
    /// The chart as one SVG element.
    pub fn svg(&self) -> String {
        let mut frame = ChartFrame::new(&self.title, (&self.x_label, &self.y_label), (self.width, self.height), self.theme);
        frame.rows = false;
        if self.bar {
            frame.right = BAR;
        }
        if self.rows.is_empty() || self.columns.is_empty() {
            return frame.empty("No numbers yet");
        }
        let labels = |names: &[String]| names.iter().map(|name| clean(name)).collect::<Vec<_>>();
        let room = frame.size.0 - frame.right - 60.0;
        let (x, y) = (
            ChartAxis::cells(labels(&self.columns), (room / 26.0) as usize),
            ChartAxis::cells(labels(&self.rows), (frame.plot_height() / 15.0) as usize),
        );
        frame.svg_with(&x, &y, |canvas, plot| {
            let mut tips = Vec::new();
            for (row, cells) in self.cells.iter().enumerate() {
                for (column, cell) in cells.iter().enumerate() {
                    tips.push(self.cell(canvas, plot, cell, (column as f64, row as f64))?);
                }
            }
            if self.bar {
                self.draw_bar(canvas, plot)?;
            }
            Ok(tips)
        })
    }

    fn cell(&self, canvas: &Canvas, plot: &Plot, cell: &HeatCell, (x, y): (f64, f64)) -> Result<Tip, DrawError> {
        let (top, bottom) = (plot.backend_coord(&(x, y + 1.0)), plot.backend_coord(&(x + 1.0, y)));
        let (width, height) = (bottom.0 - top.0, bottom.1 - top.1);
        let value = cell.value.filter(|value| value.is_finite());
        let (gap, color) = (units(GAP), value.map_or(GRID, |value| self.scale.color(value)));
        let ends = [(top.0 + gap, top.1 + gap), (bottom.0 - gap, bottom.1 - gap)];
        canvas.draw(&Rectangle::new(ends, color.filled()))?;
        if width >= units(ROOM.0) && height >= units(ROOM.1) {
            let ink = value.map_or(MUTED, |value| self.scale.ink(value));
            let style = font(TEXT, &ink).pos(Pos::new(HPos::Center, VPos::Center));
            // Adding zero makes 0 of the -0 that a small negative number is rounded to.
            let text = value.map_or("–".to_owned(), |value| format!("{:.2}", (value * 100.0).round() / 100.0 + 0.0));
            canvas.draw(&Text::new(text, (top.0 + width / 2, top.1 + height / 2), style))?;
        }
        Ok(Tip::over(top, (width, height), cell.tip.clone()))
    }

    /// The color bar, beside the plot.
    fn draw_bar(&self, canvas: &Canvas, plot: &Plot) -> Drawn {
        let (x, y) = plot.plotting_area().get_pixel_range();
        let (low, high) = self.scale.ends();
        let (left, right) = (x.end + units(12.0), x.end + units(12.0 + BAR_WIDTH));
        let at = |share: f64| y.end - (f64::from(y.end - y.start) * share).round() as i32;
        let value = |share: f64| low + (high - low) * share;
        // From the top, each step down to the bottom, so that no ground shines through between two of them.
        for step in (0..STEPS).rev() {
            let (from, to) = (f64::from(step) / f64::from(STEPS), f64::from(step + 1) / f64::from(STEPS));
            let color = self.scale.color(value((from + to) / 2.0));
            canvas.draw(&Rectangle::new([(left, at(to)), (right, y.end)], color.filled()))?;
        }
        for share in [0.0, 0.5, 1.0] {
            let style = font(TEXT, &FG).pos(Pos::new(HPos::Left, VPos::Center));
            let text = super::axis::number(value(share), 3);
            canvas.draw(&Text::new(text, (right + units(5.0), at(share)), style))?;
        }
        Ok(())
    }
}
