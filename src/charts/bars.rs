//! Bar charts: one number a run or a row, with its spread over seeds.

use plotters::prelude::*;

use super::axis::ChartAxis;
use super::canvas::{DrawError, Plot, Tip, clean, font, text_width, units};
use super::frame::ChartFrame;
use super::legend::cut;
use super::theme::{FG, MUTED, SeriesStyle, Theme};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Height of a bar with the space around it, in pixels.
const BAND: f64 = 30.0;
/// Size of names and numbers, in pixels.
const TEXT: f64 = 11.0;

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What stands at the left.
    pub name: String,
    /// The number, or the mean of several; `None` while there is none.
    pub mean: Option<f64>,
    /// Standard deviation over seeds, if there are several.
    pub sd: Option<f64>,
    /// How many seeds the mean is of.
    pub n: usize,
    /// Place in the palette, best from [`color_of`](super::color_of); wraps around.
    pub color: usize,
}

/// Horizontal bars from zero, so that a bar's length is its number.
#[derive(Clone, Debug, PartialEq)]
pub struct BarChart {
    /// The heading, may be empty.
    pub title: String,
    /// What is measured, with its unit, may be empty.
    pub label: String,
    /// The bars, from top to bottom.
    pub bars: Vec<Bar>,
    /// Digits after the point.
    pub decimals: usize,
    /// Width in pixels, at least 240.
    pub width: u32,
    /// Height in pixels; the chart is at least as high as its bars need.
    pub height: u32,
    /// Colors of ground and text.
    pub theme: Theme,
}

impl BarChart {
    /// The chart as one SVG element.
    pub fn svg(&self) -> String {
        let height = self.height.max(70 + (BAND * self.bars.len() as f64) as u32);
        let mut frame = ChartFrame::new(&self.title, ("", &self.label), (self.width, height), self.theme);
        if self.bars.iter().all(|bar| finite(bar).is_none()) {
            return frame.empty("No numbers yet");
        }
        let widest = self.bars.iter().map(|bar| text_width(&self.text(bar), TEXT)).fold(0.0, f64::max);
        frame.rows = false;
        frame.right = (widest + 20.0).min(frame.size.0 * 0.4);
        let ends = self.bars.iter().filter_map(finite).flat_map(|(mean, sd)| [mean - sd, mean + sd]);
        let names = self.bars.iter().map(|bar| cut(&clean(&bar.name), frame.size.0 * 0.3)).collect();
        let (x, y) = (ChartAxis::from_zero(ends, (frame.size.0 / 120.0) as usize), ChartAxis::names(names));
        frame.svg(&x, &y, |plot| {
            let mut tips = Vec::new();
            for (index, bar) in self.bars.iter().enumerate() {
                tips.extend(self.draw(plot, bar, ChartAxis::name_place(self.bars.len(), index))?);
            }
            Ok(tips)
        })
    }

    fn draw(&self, plot: &mut Plot, bar: &Bar, y: f64) -> Result<Option<Tip>, DrawError> {
        let Some((mean, sd)) = finite(bar) else {
            self.say(plot, bar, (0.0, y), &MUTED)?;
            return Ok(None);
        };
        let fill = SeriesStyle::new(bar.color, 0).ink().filled();
        plot.draw_series([Rectangle::new([(0.0, y - 0.32), (mean, y + 0.32)], fill)])?;
        if sd > 0.0 {
            let (low, high, line) = (mean - sd, mean + sd, FG.stroke_width(units(1.2) as u32));
            plot.draw_series([
                PathElement::new([(low, y), (high, y)], line),
                PathElement::new([(low, y - 0.14), (low, y + 0.14)], line),
                PathElement::new([(high, y - 0.14), (high, y + 0.14)], line),
            ])?;
        }
        self.say(plot, bar, ((mean + sd).max(0.0), y), &FG)?;
        let text = format!("{}: {}", bar.name, self.text(bar));
        Ok(Some(Tip::at(plot.backend_coord(&(mean, y)), text)))
    }

    fn say(&self, plot: &mut Plot, bar: &Bar, place: (f64, f64), ink: &RGBColor) -> Result<(), DrawError> {
        let style = font(TEXT, ink).pos(Pos::new(HPos::Left, VPos::Center));
        let text = EmptyElement::at(place) + Text::new(self.text(bar), (units(6.0), 0), style);
        plot.plotting_area().draw(&text)
    }

    /// `83.1 ± 0.2 (n=3)`, or that there is no number.
    fn text(&self, bar: &Bar) -> String {
        let decimals = self.decimals;
        match finite(bar) {
            None => "no number yet".to_owned(),
            Some((mean, _)) if bar.n < 2 => format!("{mean:.decimals$}"),
            Some((mean, sd)) => format!("{mean:.decimals$} ± {sd:.decimals$} (n={})", bar.n),
        }
    }
}

/// Mean and spread, if they can be drawn.
fn finite(bar: &Bar) -> Option<(f64, f64)> {
    let mean = bar.mean.filter(|mean| mean.is_finite())?;
    Some((mean, bar.sd.filter(|sd| sd.is_finite()).unwrap_or(0.0)))
}
