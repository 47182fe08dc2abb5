//! `/studies/{name}/export.csv`, `.json`, `.md`, `.tex`, `.svg`, `.png`: the study's table to take along, as the page shows it.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::charts::{TableCell, TableChart, TableHead, Theme, png};
use crate::experiment::table::Entry;
use crate::experiment::{Caption, Table};
use crate::web::App;
use crate::web::charts::curves::{FILE_POLICY, theme_of};
use crate::web::error::{Error, Result};
use crate::web::fields::{InPath, InQuery};
use crate::web::studies::arrangement::View;
use crate::web::studies::choice::Choice;
use crate::web::studies::sheet::sheet;
use crate::web::studies::tabs::with_seeds;

/// The formats: ending, name on pages, what it is.
pub const FORMATS: [(&str, &str, &str); 6] = [
    ("csv", "CSV", "text/csv; charset=utf-8"),
    ("json", "JSON", "application/json"),
    ("md", "Markdown", "text/markdown; charset=utf-8"),
    ("tex", "LaTeX", "text/x-tex; charset=utf-8"),
    ("svg", "SVG", "image/svg+xml"),
    ("png", "PNG", "image/png"),
];

/// The table in the format that the file's name says.
pub async fn study_export(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<Response> {
    let study = app.study(path.text("name")?)?;
    let asked = path.text("file")?.strip_prefix("export.");
    let Some((ending, _, kind)) = FORMATS.into_iter().find(|(ending, ..)| asked == Some(ending)) else {
        let known = FORMATS.map(|(ending, ..)| format!("export.{ending}")).join(", ");
        return Err(Error::NotFound(format!("there is no such export: it must be one of {known}")));
    };
    let choice = with_seeds(&app, &study, Choice::read(&query)).await?;
    let table = sheet(&app, &study, &choice, &View::read(&query, &study)).await??.own.table;
    let caption = Caption::of(&study, &choice.scale, &choice.data);
    let text = match ending {
        "csv" => table.to_csv(),
        "json" => serde_json::to_string_pretty(&table).map_err(|e| Error::Internal(e.into()))?,
        "md" => table.to_markdown(),
        "tex" => table.to_latex(&caption),
        _ => {
            let theme = theme_of(&query)?;
            return image(chart(&caption, &table, theme), kind, ending == "png").await;
        }
    };
    let name = format!("attachment; filename=\"{}-{}.{ending}\"", study.name, choice.scale);
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, name)], text).into_response())
}

async fn image(mut chart: TableChart, kind: &'static str, as_png: bool) -> Result<Response> {
    if !as_png {
        let headers = [
            (CONTENT_TYPE, kind),
            (CACHE_CONTROL, "no-store"),
            (CONTENT_SECURITY_POLICY, FILE_POLICY),
        ];
        return Ok((headers, chart.svg()).into_response());
    }
    if chart.theme == Theme::Auto {
        // An image knows no page whose colors it could take.
        chart.theme = Theme::Light;
    }
    // Drawing takes about as long as a page may take in all, so it is not done where requests are answered.
    let drawn = tokio::task::spawn_blocking(move || png(&chart.svg())).await;
    let bytes = drawn.map_err(|e| Error::Internal(e.into()))?.map_err(Error::BadRequest)?;
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], bytes).into_response())
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
    let bold = if table.has_best() { " Bold: the best of ours." } else { "" };
    let mut notes = vec![match usual {
        0 => format!("{}. No number yet.", caption.setting),
        1 => format!("{}: one seed (n=1) where nothing else is said.{bold}", caption.setting),
        n => format!(
            "{}: mean ± standard deviation over n={n} seeds where nothing else is said.{bold}",
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
