//! The legend: which line is whose. To the right where there is room, else below in rows.

use plotters::prelude::*;

use super::canvas::{Canvas, DrawError, Tip, font, text_width, units};
use super::theme::{FG, SeriesStyle};

/// Height of one row, in pixels.
const ROW: f64 = 18.0;
/// The line before a name, with the space around it, in pixels.
const SWATCH: f64 = 28.0;
/// Size of the text, in pixels.
const TEXT: f64 = 12.0;

/// A name and how its line looks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LegendKey {
    pub(super) name: String,
    pub(super) style: SeriesStyle,
}

/// Where every key stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Legend {
    /// Width taken from the plot at its right, in pixels.
    pub(super) right: f64,
    /// Height added below the chart, in pixels.
    pub(super) below: f64,
    /// Left end and middle line of each key: from the right edge of the plot, or from the chart's lower left corner.
    places: Vec<(f64, f64)>,
    keys: Vec<LegendKey>,
}

impl Legend {
    /// Finds room for `keys` around a chart of `width` and a plot of `plot_height` pixels.
    pub(super) fn arrange(keys: Vec<LegendKey>, width: f64, plot_height: f64) -> Legend {
        let keys: Vec<LegendKey> = keys.into_iter().filter(|key| !key.name.is_empty()).collect();
        let widest = keys.iter().map(|key| text_width(&key.name, TEXT)).fold(0.0, f64::max) + SWATCH;
        if keys.is_empty() {
            return Legend::default();
        }
        if width >= 480.0 && widest <= width * 0.3 && keys.len() as f64 * ROW <= plot_height {
            let places = (0..keys.len()).map(|row| (0.0, (row as f64 + 0.5) * ROW)).collect();
            return Legend {
                right: widest + 20.0,
                below: 0.0,
                places,
                keys,
            };
        }
        let (mut places, mut x, mut row) = (Vec::new(), 0.0, 0.0);
        for key in &keys {
            let taken = text_width(&key.name, TEXT).min(width - 2.0 * SWATCH) + SWATCH + 14.0;
            if x > 0.0 && x + taken > width - 12.0 {
                (x, row) = (0.0, row + 1.0);
            }
            places.push((x, (row + 0.5) * ROW));
            x += taken;
        }
        Legend {
            right: 0.0,
            below: (row + 1.0) * ROW + 8.0,
            places,
            keys,
        }
    }

    /// Draws the keys from `corner` (pixels) on; names too long for `room` pixels are cut, their tips are not.
    pub(super) fn draw(&self, canvas: &Canvas, corner: (f64, f64), room: f64) -> Result<Vec<Tip>, DrawError> {
        let mut tips = Vec::new();
        for (key, (x, y)) in self.keys.iter().zip(&self.places) {
            let (x, y) = (corner.0 + x, corner.1 + y);
            let line = vec![(units(x), units(y)), (units(x + 20.0), units(y))];
            canvas.draw(&PathElement::new(line, key.style.ink().stroke_width(units(2.5) as u32)))?;
            let name = cut(&key.name, room - SWATCH);
            canvas.draw(&Text::new(name.clone(), (units(x + 26.0), units(y - TEXT * 0.5)), font(TEXT, &FG)))?;
            if name != key.name {
                tips.push(Tip::at((units(x + 10.0), units(y)), key.name.clone()));
            }
        }
        Ok(tips)
    }
}

/// The text, cut to about `width` pixels.
pub(super) fn cut(text: &str, width: f64) -> String {
    if text_width(text, TEXT) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if text_width(&kept, TEXT) + TEXT > width {
            break;
        }
    }
    format!("{}…", kept.trim_end())
}
