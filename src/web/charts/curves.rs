//! `/charts/curves.svg`: curves of one run or several, each chart at an address of its own.

use axum::extract::State;

use crate::app::runs::titles;
use crate::charts::{LineChart, Series, Theme, color_of};
use crate::experiment::measure::{self, SECONDS, TRAIN_LOSS, TRAIN_LR, Unit};
use crate::run_dir::State as RunState;
use crate::store::{Point, Run};
use crate::web::error::{Error, Result};
use crate::web::fields::{Fields, InQuery, query_of};
use crate::web::file::{Cache, File, Kind};
use crate::web::runs::selection::named;
use crate::web::{App, AppState};

/// Most runs in one chart; more cannot be told apart.
pub const MOST_RUNS: usize = 20;

/// Pixels of a chart inside a page, where two or three stand side by side.
pub const INLINE: (u32, u32) = (460, 250);

/// How curves are drawn, as the address says.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Weight of the smoothing average, 0 to 0.99.
    pub smooth: f64,
    /// Logarithmic y.
    pub log_y: bool,
    /// Logarithmic x.
    pub log_x: bool,
    /// Whether x is the seconds of training instead of the steps.
    pub over_time: bool,
    /// Ground and text.
    pub theme: Theme,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

impl Look {
    /// Reads `smooth`, `log` (`x`, `y` or `xy`), `x` (`step` or `time`), `theme`, `width` and `height`.
    ///
    /// # Errors
    /// A value that is not allowed, with what is.
    pub fn read(query: &Fields) -> Result<Look> {
        let smooth = query.parse::<f64>("smooth")?.unwrap_or(0.6);
        if !(0.0..=0.99).contains(&smooth) {
            return Err(Error::BadRequest(format!(
                "smooth: {smooth} is not allowed: it must be a number from 0 to 0.99"
            )));
        }
        let log = query.get("log").unwrap_or_default();
        if !matches!(log, "" | "x" | "y" | "xy" | "none") {
            return Err(Error::BadRequest("log: it must be x, y, xy or none".to_owned()));
        }
        let over_time = match query.get("x") {
            None | Some("" | "step") => false,
            Some("time") => true,
            Some(_) => return Err(Error::BadRequest("x: it must be step or time".to_owned())),
        };
        let theme = theme_of(query, Kind::Svg)?;
        let pixels = |name: &str, usual: u32| Ok::<_, Error>(query.parse::<u32>(name)?.unwrap_or(usual).clamp(240, 4000));
        let (width, height) = (pixels("width", 720)?, pixels("height", 300)?);
        let (log_x, log_y) = (log.contains('x'), log != "none" && log.contains('y'));
        Ok(Look {
            smooth,
            log_y,
            log_x,
            over_time,
            theme,
            width,
            height,
        })
    }

    /// The logarithmic axes, as the address has them.
    pub fn log(&self) -> &'static str {
        match (self.log_x, self.log_y) {
            (false, false) => "",
            (false, true) => "y",
            (true, false) => "x",
            (true, true) => "xy",
        }
    }

    /// The address of a chart in this look.
    pub fn href(&self, runs: &[Run], metrics: &[String]) -> String {
        let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
        let (smooth, log) = (self.smooth.to_string(), self.log().to_owned());
        let pairs = [
            ("runs", ids.join(",")),
            ("metric", metrics.join(",")),
            ("smooth", smooth),
            ("log", log),
            ("x", if self.over_time { "time" } else { "step" }.to_owned()),
        ];
        format!("/charts/curves.svg?{}", query_of(pairs))
    }
}

/// Reads `theme` for a chart that is sent as that kind of file.
///
/// # Errors
/// A theme that is none, with those that are.
pub fn theme_of(query: &Fields, kind: Kind) -> Result<Theme> {
    match query.get("theme") {
        // A PNG knows no page whose colors it could take.
        None | Some("auto") if kind == Kind::Png => Ok(Theme::Light),
        None | Some("auto") => Ok(Theme::Auto),
        Some("light") => Ok(Theme::Light),
        Some("dark") => Ok(Theme::Dark),
        Some(_) => Err(Error::BadRequest("theme: it must be auto, light or dark".to_owned())),
    }
}

/// A chart as a page shows it.
pub struct ChartView {
    /// What it shows.
    pub title: String,
    /// Its own address.
    pub href: String,
    /// The SVG element, safe to put into a page.
    pub svg: String,
}

/// The chart as a file.
pub async fn curves(State(app): App, InQuery(query): InQuery) -> Result<File> {
    let runs = runs_of(&app, &query).await?;
    let metrics: Vec<String> = query
        .get("metric")
        .unwrap_or(TRAIN_LOSS.name)
        .split(',')
        .map(str::to_owned)
        .collect();
    if metrics.len() > MOST_RUNS {
        return Err(Error::BadRequest(format!("metric: at most {MOST_RUNS} in one chart")));
    }
    let svg = draw(&app, &runs, &metrics, &Look::read(&query)?).await?;
    let finished = runs.iter().all(|run| run.state == RunState::Finished);
    Ok(File::new(Kind::Svg, svg).cached(if finished { Cache::Hour } else { Cache::Never }))
}

/// The runs that an address names for curves.
///
/// # Errors
/// No run, too many, or one that is not there.
pub async fn runs_of(app: &AppState, query: &Fields) -> Result<Vec<Run>> {
    let runs = named(app, query, MOST_RUNS).await?;
    if runs.is_empty() {
        return Err(Error::BadRequest(format!(
            "runs: name 1 to {MOST_RUNS} runs, such as ?runs=0123456789abcdef,…"
        )));
    }
    Ok(runs)
}

/// A chart inside a page.
pub async fn chart(app: &AppState, runs: &[Run], metrics: &[String], look: &Look) -> Result<ChartView> {
    let small = Look {
        width: INLINE.0,
        height: INLINE.1,
        ..look.clone()
    };
    let svg = without_style(draw(app, runs, metrics, &small).await?);
    Ok(ChartView {
        title: title(metrics),
        href: look.href(runs, metrics),
        svg,
    })
}

/// The titles of curves that share a chart.
fn title(metrics: &[String]) -> String {
    metrics.iter().map(|name| measure::title(name)).collect::<Vec<_>>().join(", ")
}

/// The unit of curves that share a chart, if it is one.
fn unit(metrics: &[String]) -> Unit {
    let first = metrics.first().map_or(Unit::None, |name| measure::unit(name));
    let same = metrics.iter().all(|name| measure::unit(name) == first);
    if same { first } else { Unit::None }
}

async fn draw(app: &AppState, runs: &[Run], metrics: &[String], look: &Look) -> Result<String> {
    let mut series = Vec::new();
    for (run, title) in runs.iter().zip(titles(runs)) {
        let seconds = match look.over_time {
            true => app.store.metrics(&run.id, SECONDS.name).await?,
            false => Vec::new(),
        };
        for metric in metrics {
            let points = app.store.metrics(&run.id, metric).await?;
            let name = match (runs.len(), metrics.len()) {
                (1, _) => measure::title(metric),
                (_, 1) => title.clone(),
                _ => format!("{title} · {}", measure::title(metric)),
            };
            let color = color_of(if runs.len() == 1 { metric } else { run.id.as_str() });
            let x = |step: u64| if look.over_time { at(&seconds, step) } else { Some(step as f64) };
            let points = points.iter().filter_map(|point| Some((x(point.step)?, point.value))).collect();
            series.push(Series {
                name,
                points,
                color,
                band: Vec::new(),
                dashed: false,
            });
        }
    }
    let chart = LineChart {
        title: title(metrics),
        x_label: if look.over_time { "training time (s)" } else { "step" }.to_owned(),
        y_label: unit(metrics).to_string(),
        series,
        // A schedule has no noise.
        smooth: if metrics.iter().all(|name| name == TRAIN_LR.name) {
            0.0
        } else {
            look.smooth
        },
        log_y: look.log_y,
        log_x: look.log_x,
        y_covers: None,
        width: look.width,
        height: look.height,
        theme: look.theme,
    };
    Ok(chart.svg())
}

/// The value of a curve at a step, on the straight line between its neighbors; it begins at 0. Nothing behind its end.
fn at(curve: &[Point], step: u64) -> Option<f64> {
    let after = curve.partition_point(|point| point.step < step);
    let end = curve.get(after).map(|point| (point.step as f64, point.value));
    let (from, start) = if after == 0 {
        (0.0, 0.0)
    } else {
        (curve[after - 1].step as f64, curve[after - 1].value)
    };
    match end {
        _ if step == 0 => Some(0.0),
        Some((to, value)) => Some(start + (value - start) * (step as f64 - from) / (to - from)),
        None => None,
    }
}

/// The page's own style sheet has the chart's colors, and its policy forbids styles inside.
pub fn without_style(svg: String) -> String {
    match (svg.find("<style>"), svg.find("</style>")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &svg[..from], &svg[to + "</style>".len()..]),
        _ => svg,
    }
}
