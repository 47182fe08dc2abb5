//! What every part of a chart is drawn with: drawing units, text and tips.

use std::io;

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

use super::axis::ChartAxis;

/// Drawing units in a pixel: plotters draws at whole units, and whole pixels would make lines jagged.
pub(super) const UNIT: u32 = 10;
/// Text that no font of the reader's system lacks.
const FONT: &str = "system-ui, sans-serif";

pub(super) type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Plot<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<ChartAxis, ChartAxis>>;
pub(super) type DrawError = DrawingAreaErrorKind<io::Error>;
pub(super) type Drawn = Result<(), DrawError>;

/// A text shown while the pointer is at a place, given in drawing units.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tip {
    pub(super) at: (i32, i32),
    /// Width and height from there; `None` is a spot around it.
    pub(super) size: Option<(i32, i32)>,
    pub(super) text: String,
}

impl Tip {
    /// A text at a spot.
    pub(super) fn at(at: (i32, i32), text: String) -> Tip {
        Tip { at, size: None, text }
    }

    /// A text over an area, given by its corner.
    pub(super) fn over(at: (i32, i32), size: (i32, i32), text: String) -> Tip {
        Tip {
            at,
            size: Some(size),
            text,
        }
    }
}

/// Pixels in drawing units.
pub(super) fn units(pixels: f64) -> i32 {
    (pixels * f64::from(UNIT)).round() as i32
}

/// Text of `pixels` height in an ink.
pub(super) fn font(pixels: f64, ink: &RGBColor) -> TextStyle<'static> {
    styled(pixels, ink, FontStyle::Normal)
}

/// Bold text of `pixels` height in an ink.
pub(super) fn bold(pixels: f64, ink: &RGBColor) -> TextStyle<'static> {
    styled(pixels, ink, FontStyle::Bold)
}

fn styled(pixels: f64, ink: &RGBColor, style: FontStyle) -> TextStyle<'static> {
    // The SVG backend divides by 1.24, its guess of a line's height.
    FontDesc::new(FontFamily::Name(FONT), f64::from(units(pixels)) * 1.24, style).color(ink)
}

/// About how wide a text is, in pixels: nobody here knows the reader's font.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let width = |c: char| match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | 't' | 'f' | 'r' | '(' | ')' | '·' => 0.36,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' => 0.92,
        'A'..='Z' | '—' | '±' => 0.72,
        c if !c.is_ascii() => 1.0,
        _ => 0.6,
    };
    text.chars().map(width).sum::<f64>() * size
}

/// Text without the control characters that XML forbids.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') {
                ' '
            } else {
                c
            }
        })
        .collect()
}

pub(super) fn escaped(text: &str) -> String {
    clean(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
