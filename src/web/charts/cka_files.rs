//! `/charts/cka.svg`, `.png`, `.csv`, `.json`: the similarity of features, of one run or several side by side.

use axum::Json;
use axum::extract::State;

use crate::app::runs::titles;
use crate::charts::{ColorScale, HeatCell, Heatmap, LineChart, PALETTE, Series, Theme, grid};
use crate::experiment::RunId;
use crate::experiment::csv::field;
use crate::experiment::measure::CKA_MATRIX;
use crate::run_dir::Matrix;
use crate::store::{Run, Store};
use crate::web::charts::curves::{ChartView, INLINE, theme_of, without_style};
use crate::web::error::{Error, Result};
use crate::web::fields::{Fields, InQuery, query_of};
use crate::web::file::{File, Kind};
use crate::web::runs::selection::groups;
use crate::web::{App, AppState};

/// Most runs beside each other.
pub const MOST: usize = 48;
/// Charts beside each other in one image.
const COLUMNS: usize = 3;
/// Pixels of a chart's height inside a page for every block, and besides.
const ROW: u32 = 17;
const AROUND: u32 = 90;

/// What is drawn of the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Blocks by ratios, in colors of one scale from 0 to 1.
    #[default]
    Heatmap,
    /// Blocks from left to right, one line per mask ratio with the range over masks.
    Lines,
    /// What is left when one run's numbers are taken off, in colors around 0.
    Difference,
}

impl View {
    /// All, with their names in addresses and on pages.
    pub const ALL: [(View, &'static str, &'static str); 3] = [
        (View::Heatmap, "heatmap", "heat map"),
        (View::Lines, "lines", "lines"),
        (View::Difference, "difference", "difference"),
    ];

    /// The name in addresses.
    pub fn name(self) -> &'static str {
        View::ALL.iter().find(|(view, ..)| *view == self).map_or("", |(_, name, _)| name)
    }

    /// Reads `view`.
    ///
    /// # Errors
    /// A name of none, with those of all.
    pub fn read(query: &Fields) -> Result<View> {
        let Some(name) = query.get("view") else {
            return Ok(View::default());
        };
        let known = View::ALL.iter().find(|(_, known, _)| *known == name).map(|(view, ..)| *view);
        known.ok_or_else(|| Error::BadRequest(format!("view: it must be one of {}", View::ALL.map(|(_, name, _)| name).join(", "))))
    }
}

/// What a run found, or several that differ in their seeds alone.
#[derive(Clone, Debug)]
pub struct Found {
    /// The runs; at least one.
    pub runs: Vec<Run>,
    /// Their name among the others.
    pub title: String,
    /// Their numbers: the mean of all, and the least and largest of any draw.
    pub matrix: Matrix,
}

impl Found {
    /// How addresses name it.
    pub fn id(&self) -> String {
        self.runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>().join("_")
    }

    /// What files call it: the run's own label, or what several are.
    fn label(&self) -> &str {
        if self.runs.len() == 1 { &self.runs[0].label } else { &self.title }
    }
}

/// What the runs of every group found, named as short as the groups can be told apart; groups without numbers are left out.
///
/// # Errors
/// Runs of one group that did not count the same.
pub async fn found(store: &Store, groups: Vec<Vec<Run>>) -> Result<Vec<Found>> {
    let ids: Vec<RunId> = groups.iter().flatten().map(|run| run.id.clone()).collect();
    let matrices = store.matrices(&ids, CKA_MATRIX.name).await?;
    let of = |run: &Run| matrices.iter().find(|(id, _)| *id == run.id).map(|(_, matrix)| matrix);
    let mut found = Vec::new();
    for mut runs in groups {
        runs.retain(|run| of(run).is_some());
        let own: Vec<&Matrix> = runs.iter().filter_map(of).collect();
        if own.is_empty() {
            continue;
        }
        let different = || Error::BadRequest("runs: only runs with the same blocks and mask ratios can be averaged".to_owned());
        let (matrix, title) = (Matrix::pooled(&own).ok_or_else(different)?, String::new());
        found.push(Found { runs, title, matrix });
    }
    let titles = titles(found.iter().map(|one| &one.runs[0]));
    for (one, title) in found.iter_mut().zip(titles) {
        let own = title
            .split(" · ")
            .filter(|part| one.runs.len() == 1 || *part != format!("seed {}", one.runs[0].seed));
        one.title = own.collect::<Vec<_>>().join(" · ");
        if one.runs.len() > 1 {
            one.title = format!("{}, {} seeds", one.title, one.runs.len());
        }
    }
    Ok(found)
}

/// How the numbers of several runs are drawn.
#[derive(Clone, Debug)]
pub struct Drawing<'a> {
    /// What is drawn.
    pub view: View,
    /// The run that others are compared with.
    pub base: Option<&'a Found>,
    /// Which color a number has, the same for all.
    pub scale: ColorScale,
}

impl<'a> Drawing<'a> {
    /// The drawing of these runs; in a difference, `base` or else the first is what is taken off.
    pub fn new(view: View, found: &'a [Found], base: Option<&str>) -> Drawing<'a> {
        let named = base.and_then(|id| found.iter().find(|one| one.id() == id));
        let base = named.or(found.first()).filter(|_| view == View::Difference);
        let differences = base.into_iter().flat_map(|base| {
            let of = |one: &'a Found| {
                (0..one.matrix.mean.len()).flat_map(move |row| (0..one.matrix.mean[row].len()).map(move |c| (one, row, c)))
            };
            found
                .iter()
                .flat_map(of)
                .filter_map(move |(one, row, column)| value(one, Some(base), row, column))
        });
        let scale = match view {
            View::Difference => ColorScale::around(differences),
            _ => ColorScale::Unit,
        };
        Drawing { view, base, scale }
    }

    /// The runs that are drawn: all but the one that is taken off, unless it is alone.
    pub fn drawn(&self, found: &'a [Found]) -> impl Iterator<Item = &'a Found> {
        let base = self.base.filter(|_| found.len() > 1).map(Found::id);
        found.iter().filter(move |one| Some(one.id()) != base)
    }

    /// The chart of one run.
    pub fn svg(&self, one: &Found, (width, height): (u32, u32), theme: Theme) -> String {
        let [x_label, y_label] = [&one.matrix.columns.title, &one.matrix.rows.title].map(Clone::clone);
        if self.view == View::Lines {
            return LineChart {
                title: one.title.clone(),
                x_label: y_label,
                y_label: CKA_MATRIX.title.to_owned(),
                series: lines(&one.matrix),
                smooth: 0.0,
                log_y: false,
                log_x: false,
                y_covers: Some((0.0, 1.0)),
                width,
                height,
                theme,
            }
            .svg();
        }
        let title = match self.base {
            Some(base) => format!("{} − {}", one.title, base.title),
            None => one.title.clone(),
        };
        let rows = 0..one.matrix.rows.labels.len();
        Heatmap {
            title,
            x_label,
            y_label,
            columns: one.matrix.columns.labels.clone(),
            rows: one.matrix.rows.labels.clone(),
            cells: rows
                .map(|row| {
                    (0..one.matrix.columns.labels.len())
                        .map(|column| self.cell(one, row, column))
                        .collect()
                })
                .collect(),
            scale: self.scale,
            bar: true,
            width,
            height,
            theme,
        }
        .svg()
    }

    fn cell(&self, one: &Found, row: usize, column: usize) -> HeatCell {
        let Matrix {
            rows, columns, low, high, ..
        } = &one.matrix;
        let place = format!("{} {}, {} {}", rows.title, rows.labels[row], columns.title, columns.labels[column]);
        let value = value(one, self.base, row, column);
        let number = match (value, low[row][column].zip(high[row][column])) {
            (None, _) => "undefined".to_owned(),
            (Some(value), Some((low, high))) if self.base.is_none() && low < high => format!("{value:.4} ({low:.4} to {high:.4})"),
            (Some(value), _) => format!("{value:.4}"),
        };
        let tip = format!("{}, {place}: {number}", one.title);
        HeatCell { value, tip }
    }
}

/// A number of a run, less that of `base` at the same block and ratio.
fn value(one: &Found, base: Option<&Found>, row: usize, column: usize) -> Option<f64> {
    let own = one.matrix.mean[row][column]?;
    let Some(base) = base.map(|base| &base.matrix) else {
        return Some(own);
    };
    let at = |labels: &[String], label: &String| labels.iter().position(|known| known == label);
    let row = at(&base.rows.labels, &one.matrix.rows.labels[row])?;
    let column = at(&base.columns.labels, &one.matrix.columns.labels[column])?;
    base.mean[row][column].map(|theirs| own - theirs)
}

/// A line a column.
fn lines(matrix: &Matrix) -> Vec<Series> {
    let x = |row: usize| (row + 1) as f64;
    let rows = || 0..matrix.mean.len();
    let line = |(column, label): (usize, &String)| Series {
        name: format!("{} {label}", matrix.columns.title),
        points: rows().map(|row| (x(row), matrix.mean[row][column].unwrap_or(f64::NAN))).collect(),
        color: column % PALETTE.len(),
        band: rows()
            .filter_map(|row| Some((x(row), matrix.low[row][column]?, matrix.high[row][column]?)))
            .filter(|(_, low, high)| low < high)
            .collect(),
        dashed: false,
    };
    matrix.columns.labels.iter().enumerate().map(line).collect()
}

/// Pixels of a run's chart.
fn size(one: &Found) -> (u32, u32) {
    (INLINE.0, (AROUND + ROW * one.matrix.rows.labels.len() as u32).clamp(INLINE.1, 2000))
}

/// The charts of these runs for a page.
pub fn charts(found: &[Found], drawing: &Drawing) -> Vec<ChartView> {
    let chart = |one: &Found| ChartView {
        title: one.title.clone(),
        href: format!("/charts/cka.svg?{}", address([one].into_iter().chain(drawing.base), drawing)),
        svg: without_style(drawing.svg(one, size(one), Theme::Auto)),
    };
    drawing.drawn(found).map(chart).collect()
}

/// The query for these runs drawn like that.
pub fn address<'a>(runs: impl Iterator<Item = &'a Found>, drawing: &Drawing) -> String {
    let mut ids: Vec<String> = runs.map(Found::id).collect();
    ids.dedup();
    let base = drawing.base.map(Found::id).unwrap_or_default();
    query_of([("runs", ids.join(",")), ("view", drawing.view.name().to_owned()), ("base", base)])
}

async fn asked(app: &AppState, query: &Fields) -> Result<Vec<Found>> {
    let found = found(&app.store, groups(app, query, MOST).await?).await?;
    if found.is_empty() {
        return Err(Error::NotFound(
            "runs: name at least one run with CKA results, such as ?runs=0123456789abcdef".to_owned(),
        ));
    }
    Ok(found)
}

/// The charts as one SVG, to be sent as that kind of file.
async fn image(app: &AppState, query: &Fields, kind: Kind) -> Result<String> {
    let view = View::read(query)?;
    let base = query.get("base");
    let theme = theme_of(query, kind)?;
    let found = asked(app, query).await?;
    let drawing = Drawing::new(view, &found, base);
    let charts: Vec<String> = drawing.drawn(&found).map(|one| drawing.svg(one, size(one), theme)).collect();
    let name = || found.iter().map(|one| one.title.as_str()).collect::<Vec<_>>().join(", ");
    Ok(match <[String; 1]>::try_from(charts) {
        Ok([chart]) => chart,
        Err(charts) => grid(&name(), &charts, COLUMNS.min(charts.len().isqrt().max(2))),
    })
}

/// The charts as one SVG.
pub async fn svg_file(State(app): App, InQuery(query): InQuery) -> Result<File> {
    Ok(File::new(Kind::Svg, image(&app, &query, Kind::Svg).await?))
}

/// The charts as one PNG.
pub async fn png_file(State(app): App, InQuery(query): InQuery) -> Result<File> {
    File::png(image(&app, &query, Kind::Png).await?).await
}

/// The numbers as a table, a line a number.
pub async fn csv_file(State(app): App, InQuery(query): InQuery) -> Result<File> {
    let found = asked(&app, &query).await?;
    let mut text = String::new();
    for one in &found {
        let table = one.matrix.to_csv();
        let mut lines = table.lines();
        let head = lines.next().unwrap_or_default();
        // Runs that count other things than the first have a head of their own.
        let head = format!("run,label,{head}\n");
        if !text.contains(&head) {
            text.push_str(&head);
        }
        let place = format!("{},{}", one.id(), field(one.label()));
        lines.for_each(|line| text.push_str(&format!("{place},{line}\n")));
    }
    Ok(File::new(Kind::Csv, text).saved_as("cka.csv"))
}

/// The numbers as they are stored.
pub async fn json_file(State(app): App, InQuery(query): InQuery) -> Result<Json<Vec<serde_json::Value>>> {
    let found = asked(&app, &query).await?;
    let one = |one: &Found| {
        let (first, ids) = (&one.runs[0], one.runs.iter().map(|run| &run.id).collect::<Vec<_>>());
        let settings = first.spec.settings.get(first.stage.name());
        serde_json::json!({ "runs": ids, "label": one.label(), "settings": settings, "matrix": one.matrix })
    };
    Ok(Json(found.iter().map(one).collect()))
}
