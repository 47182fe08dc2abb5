//! What all charts share: ground, title, axes, grid, legend, tips and the finished SVG element.

use std::fmt::Write as _;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::ChartAxis;
use super::canvas::{Canvas, DrawError, Drawn, Plot, Tip, UNIT, bold, clean, escaped, font, text_width, units};
use super::legend::{Legend, LegendKey};
use super::theme::{self, BG, FG, GRID, MUTED, Theme};

/// The parts around a plot.
#[derive(Clone, Debug)]
pub(super) struct ChartFrame {
    pub(super) title: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
    /// Size without a legend below, in pixels.
    pub(super) size: (f64, f64),
    pub(super) legend: Legend,
    /// Free space at the right of the plot besides the legend, in pixels.
    pub(super) right: f64,
    /// Whether the grid has horizontal lines.
    pub(super) rows: bool,
    pub(super) theme: Theme,
}

impl ChartFrame {
    /// A frame of at least 240 by 160 and at most 4096 by 4096 pixels.
    pub(super) fn new(title: &str, (x_label, y_label): (&str, &str), (width, height): (u32, u32), theme: Theme) -> ChartFrame {
        let size = (f64::from(width.clamp(240, 4096)), f64::from(height.clamp(160, 4096)));
        let [title, x_label, y_label] = [title, x_label, y_label].map(clean);
        ChartFrame {
            title,
            x_label,
            y_label,
            size,
            legend: Legend::default(),
            right: 18.0,
            rows: true,
            theme,
        }
    }

    /// Finds room for a legend.
    pub(super) fn with_legend(mut self, keys: Vec<LegendKey>) -> ChartFrame {
        self.legend = Legend::arrange(keys, self.size.0, self.plot_height());
        self
    }

    /// Pixels from the top of the plot to its bottom.
    pub(super) fn plot_height(&self) -> f64 {
        self.size.1 - self.top() - self.bottom()
    }

    /// Draws everything; `body` draws the data and returns the tips.
    pub(super) fn svg(&self, x: &ChartAxis, y: &ChartAxis, body: impl FnOnce(&mut Plot) -> Result<Vec<Tip>, DrawError>) -> String {
        self.svg_with(x, y, |_, plot| body(plot))
    }

    /// As [`ChartFrame::svg`] for a body that also draws beside the plot, where the canvas reaches and the plot does not.
    pub(super) fn svg_with(
        &self,
        x: &ChartAxis,
        y: &ChartAxis,
        body: impl FnOnce(&Canvas, &mut Plot) -> Result<Vec<Tip>, DrawError>,
    ) -> String {
        self.element(|canvas| {
            let mut tips = self.legend(canvas)?;
            let mut plot = self.plot(canvas, x, y)?;
            tips.extend(body(canvas, &mut plot)?);
            Ok(tips)
        })
    }

    /// The chart with a sentence in the place of its plot.
    pub(super) fn empty(&self, sentence: &str) -> String {
        self.element(|canvas| {
            let style = font(13.0, &MUTED).pos(Pos::new(HPos::Center, VPos::Center));
            let middle = (units(self.size.0 / 2.0), units(self.top() + self.plot_height() / 2.0));
            canvas.draw(&Text::new(sentence.to_owned(), middle, style))?;
            self.legend(canvas)
        })
    }

    /// The element with title and labels on its ground; `draw` draws the rest and returns the tips.
    pub(super) fn element(&self, draw: impl FnOnce(&Canvas) -> Result<Vec<Tip>, DrawError>) -> String {
        let (width, height) = (units(self.size.0) as u32, units(self.size.1 + self.legend.below) as u32);
        let mut svg = String::new();
        let canvas = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let drawn = canvas.fill(&BG).and_then(|()| self.headings(&canvas)).and_then(|()| draw(&canvas));
        let tips = drawn.expect("a String takes everything that is written to it");
        canvas.present().expect("a String takes everything that is written to it");
        drop(canvas);
        self.finished(&svg, (width, height), &tips)
    }

    fn headings(&self, canvas: &Canvas) -> Drawn {
        if !self.title.is_empty() {
            canvas.draw(&Text::new(self.title.clone(), (units(12.0), units(10.0)), bold(14.0, &FG)))?;
        }
        if !self.y_label.is_empty() {
            let place = (units(12.0), units(self.top() - 22.0));
            canvas.draw(&Text::new(self.y_label.clone(), place, font(11.0, &MUTED)))?;
        }
        if !self.x_label.is_empty() {
            let style = font(11.0, &MUTED).pos(Pos::new(HPos::Right, VPos::Top));
            let place = (units(self.size.0 - self.right - self.legend.right), units(self.size.1 - 18.0));
            canvas.draw(&Text::new(self.x_label.clone(), place, style))?;
        }
        Ok(())
    }

    fn legend(&self, canvas: &Canvas) -> Result<Vec<Tip>, DrawError> {
        let (width, height) = self.size;
        if self.legend.right > 0.0 {
            return self.legend.draw(canvas, (width - self.legend.right, self.top()), self.legend.right);
        }
        self.legend.draw(canvas, (12.0, height), width - 24.0)
    }

    fn plot<'a>(&self, canvas: &Canvas<'a>, x: &ChartAxis, y: &ChartAxis) -> Result<Plot<'a>, DrawError> {
        let widest = y.labels.iter().map(|label| text_width(label, 11.0)).fold(0.0, f64::max);
        let mut plot = ChartBuilder::on(canvas)
            .margin_top(units(self.top()))
            .margin_left(units(6.0))
            .margin_right(units(self.right + self.legend.right))
            .margin_bottom(units(self.bottom() - 20.0 + self.legend.below))
            .set_label_area_size(LabelAreaPosition::Left, units(widest + 12.0))
            .set_label_area_size(LabelAreaPosition::Bottom, units(20.0))
            .build_cartesian_2d(x.clone(), y.clone())?;
        let mut mesh = plot.configure_mesh();
        if !self.rows {
            mesh.disable_y_mesh();
        }
        mesh.bold_line_style(GRID.stroke_width(UNIT))
            .light_line_style(TRANSPARENT)
            .axis_style(MUTED.stroke_width(UNIT))
            .set_all_tick_mark_size(units(4.0))
            .label_style(font(11.0, &MUTED))
            .draw()?;
        Ok(plot)
    }

    fn top(&self) -> f64 {
        let title = if self.title.is_empty() { 0.0 } else { 24.0 };
        let label = if self.y_label.is_empty() { 0.0 } else { 20.0 };
        10.0 + title + label
    }

    fn bottom(&self) -> f64 {
        if self.x_label.is_empty() { 26.0 } else { 40.0 }
    }

    /// Gives the drawing its own root element, tips and colors.
    fn finished(&self, drawing: &str, (width, height): (u32, u32), tips: &[Tip]) -> String {
        let inner = drawing
            .split_once(">\n")
            .map_or("", |(_, inner)| inner)
            .trim_end()
            .trim_end_matches("</svg>");
        let name = if self.title.is_empty() { &self.y_label } else { &self.title };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"umbra-chart\" viewBox=\"0 0 {width} {height}\" width=\"100%\" role=\"img\" aria-label=\"{}\">\n",
            escaped(name)
        );
        svg.push_str(&theme::style(self.theme));
        svg.push_str(&theme::paint(inner.to_owned(), self.theme, UNIT));
        for Tip { at: (x, y), size, text } in tips {
            let (radius, text) = (units(7.0), escaped(text));
            let _ = match size {
                None => writeln!(
                    svg,
                    "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill-opacity=\"0\"><title>{text}</title></circle>"
                ),
                Some((width, height)) => writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill-opacity=\"0\"><title>{text}</title></rect>"
                ),
            };
        }
        svg.push_str("</svg>\n");
        svg
    }
}
