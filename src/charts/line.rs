//! Line charts: metrics over steps, one line a run.

use plotters::prelude::*;

use super::axis::{ChartAxis, number};
use super::canvas::{DrawError, Plot, Tip, clean, units};
use super::frame::ChartFrame;
use super::legend::LegendKey;
use super::smooth::{downsample, smooth};
use super::theme::{SeriesStyle, Theme};

/// Points kept of a long series: more than that no screen shows apart.
const SHOWN: usize = 800;
/// Series of at most this many points tell every value to the pointer, longer ones their last.
const TOLD: usize = 100;
/// Series of at most this many points show each as a dot, longer ones their last.
const MARKED: usize = 30;
/// Opacity of the raw line behind its smoothed one.
const FAINT: f64 = 0.28;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    /// x and y. A y that is not finite (or not positive on a logarithmic axis) is a gap in the line.
    pub points: Vec<(f64, f64)>,
    /// Place in the palette, best from [`color_of`](super::color_of); wraps around.
    pub color: usize,
    /// x, low and high of a range around the line; may be empty.
    pub band: Vec<(f64, f64, f64)>,
    /// Whether the line is dashed. Further lines of one color get dashes of their own without asking.
    pub dashed: bool,
}

/// Several series over one x.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// The heading, may be empty.
    pub title: String,
    /// What x is, may be empty.
    pub x_label: String,
    /// What y is, may be empty.
    pub y_label: String,
    /// The lines, in the order of the legend.
    pub series: Vec<Series>,
    /// Weight of the smoothing average, 0 (off) to below 1: see [`smooth`]. The raw line stays, faint.
    pub smooth: f64,
    /// Logarithmic y.
    pub log_y: bool,
    /// Logarithmic x.
    pub log_x: bool,
    /// What the y axis covers at least, such as 0 to 1, so that charts beside each other can be compared.
    pub y_covers: Option<(f64, f64)>,
    /// Width in pixels, at least 240.
    pub width: u32,
    /// Height in pixels, at least 160; a legend below comes on top of it.
    pub height: u32,
    /// Colors of ground and text.
    pub theme: Theme,
}

/// What is drawn of one series: places on both axes, gaps as NaN.
struct Line<'a> {
    series: &'a Series,
    style: SeriesStyle,
    /// In order of x; y is NaN where there is a gap.
    points: Vec<(f64, f64)>,
}

impl LineChart {
    /// The chart as one SVG element.
    pub fn svg(&self) -> String {
        let lines = self.lines();
        let keys = lines
            .iter()
            .map(|line| LegendKey {
                name: clean(&line.series.name),
                style: line.style,
            })
            .collect();
        let frame = ChartFrame::new(&self.title, (&self.x_label, &self.y_label), (self.width, self.height), self.theme).with_legend(keys);
        let drawn = lines.iter().flat_map(|line| &line.points).filter(|(_, y)| y.is_finite());
        let x_ticks = (frame.size.0 - frame.legend.right - 80.0) / 65.0;
        let x = ChartAxis::over(drawn.clone().map(|point| point.0), self.log_x, 0.0, x_ticks as usize);
        let covered = self.y_covers.iter().flat_map(|(low, high)| [*low, *high]);
        let has_points = drawn.clone().next().is_some();
        let y = ChartAxis::over(
            drawn.map(|point| point.1).chain(covered.filter(|_| has_points)),
            self.log_y,
            0.04,
            (frame.plot_height() / 36.0).max(4.0) as usize,
        );
        let (Some(x), Some(y)) = (x, y) else {
            return frame.empty("No points yet");
        };
        frame.svg(&x, &y, |plot| {
            // All raw lines first, so that none of them covers a smoothed one.
            for line in lines.iter().filter(|line| self.weight(line) > 0.0) {
                let style = line.style.ink().mix(FAINT).stroke_width(units(1.2) as u32);
                polyline(plot, &downsample(&line.points, SHOWN), (&x, &y), style)?;
            }
            for line in &lines {
                band(plot, line, (&x, &y))?;
            }
            let mut tips = Vec::new();
            for line in &lines {
                tips.extend(self.draw(plot, line, (&x, &y))?);
            }
            Ok(tips)
        })
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let mut used = Vec::new();
        let lines = self.series.iter().map(|series| {
            let same = used.iter().filter(|color| **color == series.color).count();
            used.push(series.color);
            Line {
                series,
                style: SeriesStyle::new(series.color, same + usize::from(series.dashed)),
                points: self.points(series),
            }
        });
        lines.collect()
    }

    fn points(&self, series: &Series) -> Vec<(f64, f64)> {
        let there = |value: f64, log: bool| value.is_finite() && (!log || value > 0.0);
        let with_x = series.points.iter().filter(|(x, _)| there(*x, self.log_x));
        let mut points: Vec<_> = with_x.map(|&(x, y)| (x, if there(y, self.log_y) { y } else { f64::NAN })).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0)); // Stable: points of one step keep their order.
        points
    }

    fn draw(&self, plot: &mut Plot, line: &Line, axes: (&ChartAxis, &ChartAxis)) -> Result<Vec<Tip>, DrawError> {
        let ink = line.style.ink();
        let points = smooth(&line.points, self.weight(line));
        polyline(plot, &downsample(&points, SHOWN), axes, ink.stroke_width(units(1.8) as u32))?;
        let there: Vec<usize> = (0..points.len()).filter(|&i| points[i].1.is_finite()).collect();
        let told = if there.len() > TOLD {
            &there[there.len() - 1..]
        } else {
            &there[..]
        };
        let mut tips = Vec::new();
        for &i in told {
            let Some(place) = both(points[i], axes) else { continue };
            let last = there.last() == Some(&i);
            if last || there.len() <= MARKED {
                let radius = if last { 3.0 } else { 2.2 };
                plot.draw_series([Circle::new(place, units(radius), ink.filled())])?;
            }
            tips.push(Tip::at(plot.backend_coord(&place), self.tip(line, points[i], line.points[i].1)));
        }
        Ok(tips)
    }

    /// The smoothing of a line. A series whose points are all marked is measurements, each of which
    /// counts, so it stays as it is: an evaluation once an epoch is not noise.
    fn weight(&self, line: &Line) -> f64 {
        let there = line.points.iter().filter(|(_, y)| y.is_finite()).count();
        if there <= MARKED { 0.0 } else { self.smooth }
    }

    fn tip(&self, line: &Line, (x, y): (f64, f64), raw: f64) -> String {
        let name = |label: &str, default: &str| if label.is_empty() { default.to_owned() } else { label.to_owned() };
        let (x_name, y_name) = (name(&self.x_label, "x"), name(&self.y_label, "y"));
        let raw = if self.weight(line) > 0.0 {
            format!(" (raw {})", number(raw, 5))
        } else {
            String::new()
        };
        format!("{}: {y_name} {}{raw} at {x_name} {}", line.series.name, number(y, 5), number(x, 7))
    }
}

/// Draws the range around a line, where the axes can show it.
fn band(plot: &mut Plot, line: &Line, axes: (&ChartAxis, &ChartAxis)) -> Result<(), DrawError> {
    let band = &line.series.band;
    let low = band.iter().filter_map(|&(x, low, _)| both((x, low), axes));
    let high = band.iter().rev().filter_map(|&(x, _, high)| both((x, high), axes));
    let corners: Vec<(f64, f64)> = low.chain(high).collect();
    if corners.len() > 2 {
        plot.draw_series([Polygon::new(corners, line.style.ink().mix(FAINT))])?;
    }
    Ok(())
}

/// Draws a line with a break at every gap; a point alone between gaps becomes a dot.
fn polyline(plot: &mut Plot, points: &[(f64, f64)], axes: (&ChartAxis, &ChartAxis), style: ShapeStyle) -> Result<(), DrawError> {
    let places: Vec<Option<(f64, f64)>> = points.iter().map(|point| both(*point, axes)).collect();
    for piece in places.split(Option::is_none) {
        let piece: Vec<(f64, f64)> = piece.iter().copied().flatten().collect();
        match piece[..] {
            [] => {}
            [point] => drop(plot.draw_series([Circle::new(point, units(2.0), style.filled())])?),
            _ => drop(plot.draw_series([PathElement::new(piece, style)])?),
        }
    }
    Ok(())
}

fn both((x, y): (f64, f64), axes: (&ChartAxis, &ChartAxis)) -> Option<(f64, f64)> {
    Some((axes.0.place(x)?, axes.1.place(y)?))
}
