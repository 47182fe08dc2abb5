//! `/psnr`: how good reconstructions are, of several runs: over the mask ratio, over training, and image by image.

use axum::extract::State;
use axum::response::IntoResponse;

use crate::app::runs::titles;
use crate::charts::{LineChart, Series, Theme, color_of};
use crate::experiment::measure::{PSNR_MATRICES, PSNR_VISIBLE_MEAN, PSNR_ZERO, Unit, VAL_PSNR};
use crate::experiment::{RunId, Stage};
use crate::run_dir::{Matrix, State as RunState};
use crate::store::{Run, RunFilter, Store};
use crate::web::charts::curves::{ChartView, INLINE, Look, chart, without_style};
use crate::web::charts::psnr_examples::{Examples, examples};
use crate::web::error::{Error, Result};
use crate::web::fields::{Fields, InQuery, query_of};
use crate::web::file::{File, Kind};
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::runs::selection::named;
use crate::web::runs::view::RunView;
use crate::web::{App, AppState};

/// Runs offered, newest first.
const OFFERED: u64 = 200;
/// Most runs on the page; more lines cannot be told apart, and more images do not fit.
const MOST: usize = 12;
/// The measure that tables of studies show.
const USUAL: &str = "oracle composite mean";

/// A run that scored reconstructions.
pub struct Scored {
    /// The run.
    pub run: Run,
    /// Its name among the others.
    pub title: String,
    model: Matrix,
    zero: Matrix,
    visible_mean: Matrix,
}

#[derive(askama::Template)]
#[template(path = "charts/psnr.html")]
struct PsnrPage {
    layout: Layout,
    /// Every measure of the runs, and the chosen one.
    measures: Vec<String>,
    measure: String,
    scored: Vec<Scored>,
    ratios: Vec<String>,
    charts: Vec<ChartView>,
    examples: Option<Examples>,
    /// Finished runs to select from.
    offered: Vec<Run>,
}

/// The page.
pub async fn psnr(State(app): App, InQuery(query): InQuery) -> Result<impl IntoResponse + use<>> {
    let scored = scored(&app, &query).await?;
    let measures = measures(&scored);
    let measure = measure(&query, &measures)?;
    let filter = RunFilter {
        stage: Some(Stage::Psnr),
        state: Some(RunState::Finished),
        limit: OFFERED,
        ..RunFilter::default()
    };
    let page = PsnrPage {
        layout: Layout::new("psnr", &app),
        ratios: ratios(&scored),
        charts: charts(&app, &scored, &measure).await?,
        examples: examples(&app, &scored).await?,
        offered: app.store.runs(&filter).await?,
        measures,
        measure,
        scored,
    };
    Ok(Page(page).into_response())
}

impl PsnrPage {
    fn is_ticked(&self, run: &Run) -> bool {
        self.scored.iter().any(|one| one.run.id == run.id)
    }

    /// PSNR of a run at a mask ratio: its own, and that of the baselines.
    fn numbers(&self, one: &Scored, ratio: &str) -> Option<[f64; 3]> {
        let [model, zero, mean] = [&one.model, &one.zero, &one.visible_mean].map(|matrix| {
            let column = matrix.columns.labels.iter().position(|label| label == ratio)?;
            row(matrix, &self.measure).and_then(|row| matrix.mean[row][column])
        });
        Some([model?, zero?, mean?])
    }
}

/// The chart over ratios as a file.
pub async fn svg_file(State(app): App, InQuery(query): InQuery) -> Result<File> {
    let scored = scored(&app, &query).await?;
    let look = Look::read(&query)?;
    if scored.is_empty() {
        return Err(Error::NotFound(
            "runs: name at least one run with PSNR results, such as ?runs=0123456789abcdef".to_owned(),
        ));
    }
    let measure = measure(&query, &measures(&scored))?;
    let svg = over_ratios(&scored, &measure, (look.width, look.height), look.theme);
    Ok(File::new(Kind::Svg, svg))
}

/// Those of the named runs that have scores.
async fn scored(app: &AppState, query: &Fields) -> Result<Vec<Scored>> {
    scored_runs(&app.store, named(app, query, MOST).await?).await
}

/// Those of the runs that have scores.
pub async fn scored_runs(store: &Store, mut runs: Vec<Run>) -> Result<Vec<Scored>> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.id.clone()).collect();
    let mut found = Vec::new();
    for measure in PSNR_MATRICES {
        found.push(store.matrices(&ids, measure.name).await?);
    }
    let matrix = |nth: usize, run: &Run| found[nth].iter().find(|(id, _)| *id == run.id).map(|(_, matrix)| matrix.clone());
    runs.retain(|run| (0..3).all(|nth| matrix(nth, run).is_some()));
    let names = titles(&runs);
    let scored = runs.into_iter().zip(names).filter_map(|(run, title)| {
        Some(Scored {
            model: matrix(0, &run)?,
            zero: matrix(1, &run)?,
            visible_mean: matrix(2, &run)?,
            run,
            title,
        })
    });
    Ok(scored.collect())
}

fn measures(scored: &[Scored]) -> Vec<String> {
    let mut measures: Vec<String> = Vec::new();
    for label in scored.iter().flat_map(|one| &one.model.rows.labels) {
        if !measures.contains(label) {
            measures.push(label.clone());
        }
    }
    measures
}

fn ratios(scored: &[Scored]) -> Vec<String> {
    let mut ratios: Vec<String> = scored.iter().flat_map(|one| one.model.columns.labels.clone()).collect();
    ratios.sort_by(|a, b| number(a).total_cmp(&number(b)));
    ratios.dedup();
    ratios
}

fn number(label: &str) -> f64 {
    label.parse().unwrap_or(f64::NAN)
}

/// The measure that the address names, the usual one, or the first.
fn measure(query: &Fields, measures: &[String]) -> Result<String> {
    let known = |name: &str| measures.iter().any(|measure| measure == name);
    match query.get("measure") {
        Some(name) if known(name) => Ok(name.to_owned()),
        Some(_) if !measures.is_empty() => Err(Error::BadRequest(format!("measure: it must be one of {}", measures.join(", ")))),
        _ if known(USUAL) => Ok(USUAL.to_owned()),
        _ => Ok(measures.first().cloned().unwrap_or_default()),
    }
}

/// The row of a measure. Of models that predict plain pixels it is the same region and mean: they have nothing to undo.
fn row(matrix: &Matrix, measure: &str) -> Option<usize> {
    let plain = |label: &str| label.split_once(' ').map(|(_, rest)| rest.to_owned());
    let labels = &matrix.rows.labels;
    let same = labels.iter().position(|label| label == measure);
    same.or_else(|| {
        labels
            .iter()
            .position(|label| label.starts_with("none ") && plain(label) == plain(measure))
    })
}

async fn charts(app: &AppState, scored: &[Scored], measure: &str) -> Result<Vec<ChartView>> {
    if scored.is_empty() {
        return Ok(Vec::new());
    }
    let ids = scored.iter().map(|one| one.run.id.as_str()).collect::<Vec<_>>().join(",");
    let mut views = vec![ChartView {
        title: "PSNR over the mask ratio".to_owned(),
        href: format!("/charts/psnr.svg?{}", query_of([("runs", ids), ("measure", measure.to_owned())])),
        svg: without_style(over_ratios(scored, measure, INLINE, Theme::Auto)),
    }];
    let mut parents: Vec<Run> = Vec::new();
    for id in scored.iter().filter_map(|one| one.run.parent.as_ref()) {
        let known = parents.iter().any(|run| run.id == *id);
        parents.extend(if known { None } else { app.store.run(id).await? });
    }
    let mut trained = Vec::new();
    for run in parents {
        if !app.store.latest(&run.id, &[VAL_PSNR.name]).await?.is_empty() {
            trained.push(run);
        }
    }
    if !trained.is_empty() {
        let look = Look {
            smooth: 0.0,
            over_time: true,
            ..Look::read(&Fields(Vec::new()))?
        };
        views.push(chart(app, &trained, &[VAL_PSNR.name.to_owned()], &look).await?);
    }
    Ok(views)
}

/// The chart over ratios of the usual measure, for paper; `None` without runs.
pub fn usual_chart(scored: &[Scored], size: (u32, u32)) -> Option<String> {
    let measures = measures(scored);
    let usual = measures.iter().find(|measure| *measure == USUAL).or(measures.first())?;
    Some(over_ratios(scored, usual, size, Theme::Light))
}

/// A line per run, and dashed the baselines of the first.
fn over_ratios(scored: &[Scored], measure: &str, (width, height): (u32, u32), theme: Theme) -> String {
    let line = |name: String, matrix: &Matrix, color: usize, dashed: bool| {
        let row = row(matrix, measure);
        let point = |(column, label): (usize, &String)| (number(label), row.and_then(|row| matrix.mean[row][column]).unwrap_or(f64::NAN));
        Series {
            name,
            points: matrix.columns.labels.iter().enumerate().map(point).collect(),
            color,
            band: Vec::new(),
            dashed,
        }
    };
    let models = scored
        .iter()
        .map(|one| line(one.title.clone(), &one.model, color_of(one.run.id.as_str()), false));
    let baselines = scored.iter().take(1).flat_map(|one| {
        [
            line(PSNR_ZERO.title.to_owned(), &one.zero, color_of(PSNR_ZERO.name), true),
            line(
                PSNR_VISIBLE_MEAN.title.to_owned(),
                &one.visible_mean,
                color_of(PSNR_VISIBLE_MEAN.name),
                true,
            ),
        ]
    });
    LineChart {
        title: format!("PSNR, {measure}"),
        x_label: "mask ratio".to_owned(),
        y_label: Unit::Decibels.to_string(),
        series: models.chain(baselines).collect(),
        smooth: 0.0,
        log_y: false,
        log_x: false,
        y_covers: None,
        width,
        height,
        theme,
    }
    .svg()
}

#[cfg(test)]
mod tests {
    use crate::run_dir::MatrixAxis;
    use crate::web::charts::psnr::*;

    #[test]
    fn a_measure_of_plain_pixels_stands_in_for_that_of_normalized_ones() {
        let matrix = |labels: [&str; 2]| {
            Matrix::of(
                MatrixAxis::new("measure", labels),
                MatrixAxis::new("ratio", [0.5]),
                &[vec![vec![Some(1.0)]], vec![vec![Some(2.0)]]],
            )
        };
        let plain = matrix(["none masked mean", "none composite mean"]);
        assert_eq!(row(&plain, USUAL), Some(1));
        assert_eq!(
            row(
                &matrix(["oracle masked mean", "oracle composite mean"]),
                "visible_stats masked mean"
            ),
            None
        );
    }
}
