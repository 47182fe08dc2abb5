//! `/studies/{name}/export.csv`, `.json`, `.md`, `.tex`, `.svg`, `.png`: the study's table to take along, as the page shows it.

use axum::extract::State;

use crate::app::studies::{Choice, TableOptions, sheet, with_seeds};
use crate::charts::{TableCell, TableChart, TableHead, Theme, missing_signs};
use crate::experiment::table::Entry;
use crate::experiment::{Caption, Table};
use crate::web::App;
use crate::web::charts::curves::theme_of;
use crate::web::error::{Error, Result};
use crate::web::fields::{InPath, InQuery};
use crate::web::file::{File, Kind, code_points};

/// The formats: ending, name on pages, what it is.
pub const FORMATS: [(&str, &str, Format); 6] = [
    ("csv", "CSV", Format::Csv),
    ("json", "JSON", Format::Json),
    ("md", "Markdown", Format::Markdown),
    ("tex", "LaTeX", Format::Latex),
    ("svg", "SVG", Format::Svg),
    ("png", "PNG", Format::Png),
];

/// What a table can be exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line for every seed of every number.
    Csv,
    /// Everything the table knows.
    Json,
    /// A table for a text.
    Markdown,
    /// A table for a paper.
    Latex,
    /// A drawing of the table.
    Svg,
    /// The same drawing in pixels.
    Png,
}

/// The table in the format that the file's name says.
pub async fn study_export(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<File> {
    let study = app.study(path.text("name")?)?;
    let asked = path.text("file")?.strip_prefix("export.");
    let Some((ending, _, format)) = FORMATS.into_iter().find(|(ending, ..)| asked == Some(ending)) else {
        let known = FORMATS.map(|(ending, ..)| format!("export.{ending}")).join(", ");
        return Err(Error::NotFound(format!("there is no such export: it must be one of {known}")));
    };
    let choice = with_seeds(&app, &study, Choice::read(&query)).await?;
    let table = sheet(&app, &study, &choice, &TableOptions::read(&query, &study)).await??.own.table;
    let caption = Caption::of(&study, &choice.scale, &choice.data);
    let drawn = |kind: Kind| Ok::<_, Error>(chart(&caption, &table, theme_of(&query, kind)?));
    let file = match format {
        Format::Csv => File::new(Kind::Csv, table.to_csv()),
        Format::Json => File::json(&table)?,
        Format::Markdown => File::new(Kind::Markdown, table.to_markdown()),
        Format::Latex => File::new(Kind::Latex, table.to_latex(&caption)),
        // Drawings are shown, not saved.
        Format::Svg => return Ok(File::new(Kind::Svg, drawn(Kind::Svg)?.svg())),
        Format::Png => return File::png(with_missing_signs(drawn(Kind::Png)?).svg()).await,
    };
    Ok(file.saved_as(format!("{}-{}.{ending}", study.name, choice.scale)))
}

/// The chart with a note on the signs that it cannot show as an image.
fn with_missing_signs(mut chart: TableChart) -> TableChart {
    chart.notes.extend(missing_signs_note(&chart.svg()));
    chart
}

/// Says of the signs of a text which an image cannot show here, if any.
pub fn missing_signs_note(text: &str) -> Option<String> {
    let missing = missing_signs(text);
    let all = code_points(&missing).join(", ");
    (!missing.is_empty()).then(|| format!("No font of this machine has these signs, so a PNG shows boxes: {all}."))
}

fn chart(caption: &Caption, table: &Table, theme: Theme) -> TableChart {
    let usual = table.usual_n();
    let heads = table.columns.iter().enumerate().map(|(index, column)| {
        let parts: &[&str] = if table.has_paper(index) { &["ours", "paper"] } else { &["ours"] };
        TableHead {
            title: column.heading(),
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        }
    });
    let rows = table.rows.iter().map(|row| {
        let cells = row.entries.iter().enumerate().flat_map(|(index, entry)| {
            let decimals = table.columns[index].decimals;
            let paper = table.has_paper(index).then(|| TableCell {
                text: entry.paper_text(decimals).unwrap_or_default(),
                muted: true,
                ..TableCell::default()
            });
            [ours(entry, decimals, usual)].into_iter().chain(paper)
        });
        (row.title.clone(), cells.collect())
    });
    let bold = if table.has_best() { " Bold: our best." } else { "" };
    let mut notes = vec![match usual {
        0 => format!("{}. No results yet.", caption.setting),
        1 => format!("{}: one seed (n=1) unless noted.{bold}", caption.setting),
        n => format!(
            "{}: mean ± standard deviation over n={n} seeds unless noted.{bold}",
            caption.setting
        ),
    }];
    if !caption.paper.is_empty() {
        notes.push(format!("Paper: {}.", caption.paper.trim_end_matches('.')));
    }
    TableChart {
        title: table.title.clone(),
        heads: heads.collect(),
        rows: rows.collect(),
        notes,
        theme,
    }
}

fn ours(entry: &Entry, decimals: usize, usual: usize) -> TableCell {
    let Some(text) = entry.mean_text(decimals) else {
        let states = entry
            .missing
            .first()
            .map(|missing| missing.state.split(':').next().unwrap_or_default().to_owned());
        return TableCell {
            text: states.unwrap_or_default(),
            muted: true,
            ..TableCell::default()
        };
    };
    let n = entry.values.len();
    TableCell {
        text: if n == usual { text } else { format!("{text} (n={n})") },
        strong: entry.best,
        muted: false,
    }
}
