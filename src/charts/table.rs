//! Tables as images: rules above and below, numbers at the right of their columns, the best in bold.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{Canvas, Drawn, bold, clean, font, text_width, units};
use super::frame::ChartFrame;
use super::theme::{FG, MUTED, Theme};

/// Size of text and of what is said below the table, in pixels.
const TEXT: f64 = 13.0;
const SMALL: f64 = 11.0;
/// Height of a row.
const ROW: f64 = 23.0;
/// Around the table, and between two columns.
const MARGIN: f64 = 14.0;
const GAP: f64 = 22.0;
/// From the top of the image to the first rule, under the title.
const TOP: f64 = 40.0;
/// Thickness of the outer rules and of those within.
const THICK: f64 = 1.4;
const THIN: f64 = 0.8;

/// A head over one column or several.
#[derive(Clone, Debug, PartialEq)]
pub struct TableHead {
    /// What they have in common.
    pub title: String,
    /// A name a column; empty ones need no line of their own.
    pub parts: Vec<String>,
}

/// One place of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableCell {
    /// What stands there, may be empty.
    pub text: String,
    /// Whether it stands out.
    pub strong: bool,
    /// Whether it stands back.
    pub muted: bool,
}

/// A table to be looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct TableChart {
    /// The heading.
    pub title: String,
    /// The columns, from left to right.
    pub heads: Vec<TableHead>,
    /// What each row is, and a cell for each part of each head.
    pub rows: Vec<(String, Vec<TableCell>)>,
    /// Sentences below the table.
    pub notes: Vec<String>,
    /// Colors of ground and text.
    pub theme: Theme,
}

/// Where things are, in pixels.
struct Places {
    /// Left and right of each column of numbers.
    columns: Vec<(f64, f64)>,
    /// The columns of each head: the first, and the one after the last.
    spans: Vec<(usize, usize)>,
    /// Height of the lines of heads.
    heads: f64,
    width: f64,
}

impl TableChart {
    /// The table as one SVG element, as wide as its text needs.
    pub fn svg(&self) -> String {
        let places = self.places();
        let notes: Vec<String> = self
            .notes
            .iter()
            .flat_map(|note| wrapped(&clean(note), places.width - 2.0 * MARGIN))
            .collect();
        let bottom = TOP + places.heads + ROW * self.rows.len().max(1) as f64;
        let height = bottom + MARGIN + notes.len() as f64 * (SMALL + 5.0);
        let mut frame = ChartFrame::new(&self.title, ("", ""), (0, 0), self.theme);
        frame.size = (places.width.ceil(), height.ceil());
        frame.element(|canvas| {
            self.draw(canvas, &places, bottom)?;
            for (line, note) in notes.iter().enumerate() {
                let y = bottom + 8.0 + line as f64 * (SMALL + 5.0);
                canvas.draw(&Text::new(note.clone(), (units(MARGIN), units(y)), font(SMALL, &MUTED)))?;
            }
            Ok(Vec::new())
        })
    }

    fn places(&self) -> Places {
        let widest = |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| text_width(text, TEXT)).fold(0.0, f64::max);
        let mut left = MARGIN + widest(&mut self.rows.iter().map(|(title, _)| title.as_str())).max(40.0) * 1.05;
        let (mut columns, mut spans) = (Vec::new(), Vec::new());
        for head in &self.heads {
            let first = columns.len();
            let widths: Vec<f64> = head
                .parts
                .iter()
                .enumerate()
                .map(|(part, name)| {
                    let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(first + part));
                    // Bold text is wider by about a tenth.
                    widest(&mut cells.map(|cell| cell.text.as_str()).chain([name.as_str()])) * 1.1
                })
                .collect();
            let inner = widths.iter().sum::<f64>() + GAP * widths.len().saturating_sub(1) as f64;
            let more = (text_width(&head.title, TEXT) * 1.1 - inner).max(0.0) / widths.len().max(1) as f64;
            for width in widths {
                left += GAP;
                columns.push((left, left + width + more));
                left += width + more;
            }
            spans.push((first, columns.len()));
        }
        let named = self.heads.iter().flat_map(|head| &head.parts).any(|part| !part.is_empty());
        Places {
            columns,
            spans,
            heads: if named { 2.0 * ROW } else { ROW },
            width: (left + MARGIN).max(text_width(&self.title, 14.0) * 1.1 + 2.0 * MARGIN),
        }
    }

    fn draw(&self, canvas: &Canvas, places: &Places, bottom: f64) -> Drawn {
        let rule = |from: f64, to: f64, y: f64, thickness: f64| {
            canvas.draw(&PathElement::new(
                vec![(units(from), units(y)), (units(to), units(y))],
                FG.stroke_width(units(thickness) as u32),
            ))
        };
        let (left, right) = (MARGIN, places.width - MARGIN);
        rule(left, right, TOP, THICK)?;
        for (head, (first, end)) in self.heads.iter().zip(&places.spans) {
            let (Some(from), Some(to)) = (places.columns.get(*first), places.columns.get(end.saturating_sub(1))) else {
                continue;
            };
            let style = font(TEXT, &FG).pos(Pos::new(HPos::Center, VPos::Center));
            canvas.draw(&Text::new(
                clean(&head.title),
                (units((from.0 + to.1) / 2.0), units(TOP + ROW / 2.0)),
                style,
            ))?;
            if places.heads > ROW {
                rule(from.0, to.1, TOP + ROW, THIN)?;
            }
            for (name, (_, end)) in head.parts.iter().zip(&places.columns[*first..*end]) {
                let style = font(SMALL, &MUTED).pos(Pos::new(HPos::Right, VPos::Center));
                canvas.draw(&Text::new(clean(name), (units(*end), units(TOP + ROW * 1.5)), style))?;
            }
        }
        rule(left, right, TOP + places.heads, THIN)?;
        for (row, (title, cells)) in self.rows.iter().enumerate() {
            let y = TOP + places.heads + (row as f64 + 0.5) * ROW;
            let style = font(TEXT, &FG).pos(Pos::new(HPos::Left, VPos::Center));
            canvas.draw(&Text::new(clean(title), (units(left), units(y)), style))?;
            for (cell, (_, end)) in cells.iter().zip(&places.columns).filter(|(cell, _)| !cell.text.is_empty()) {
                let ink = if cell.muted { &MUTED } else { &FG };
                let style = if cell.strong { bold(TEXT, ink) } else { font(TEXT, ink) };
                let style = style.pos(Pos::new(HPos::Right, VPos::Center));
                canvas.draw(&Text::new(clean(&cell.text), (units(*end), units(y)), style))?;
            }
        }
        rule(left, right, bottom, THICK)
    }
}

/// The text in lines of about that many pixels.
fn wrapped(text: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(line, SMALL) + text_width(word, SMALL) + SMALL * 0.4 <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
