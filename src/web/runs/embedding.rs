//! `/runs/{id}/embedding`: validation images of a run as points on a plane, colored by class.
//!
//! As in the playground, the page asks nothing: its script asks `/runs/{id}/embedding/map`, and a browser without script
//! sends the form with `show`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::charts::PALETTE;
use crate::experiment::RunId;
use crate::jobs::Unanswered;
use crate::playground::{Feature, Map, Mapping, Point, Reply, Request, Way};
use crate::store::Run;
use crate::web::error::{Error, Failure, Result};
use crate::web::fields::{Fields, InPath, InQuery};
use crate::web::file::{Cache, File, Kind};
use crate::web::page::{Layout, Page};
use crate::web::playground::page::{run_of, written};
use crate::web::runs::view::RunView;
use crate::web::{App, AppState};

/// How long a script waits before it is told what is being done.
const BRIEF: Duration = Duration::from_secs(1);
/// How long a page without script waits.
const LONG: Duration = Duration::from_secs(600);
/// Sides of the map, in units of its drawing.
const SIZE: (f64, f64) = (640.0, 480.0);
/// Free space around the points, in the same units.
const MARGIN: f64 = 14.0;
/// Classes that a legend can list; more cannot be told apart.
const LISTED: usize = 24;

/// What may stand for an image.
const FEATURES: [(Feature, &str); 2] = [(Feature::MeanPatch, "mean of patch tokens"), (Feature::Cls, "class token")];
/// How features become points.
const WAYS: [(Way, &str); 2] = [
    (Way::Pca, "PCA: first two principal components"),
    (Way::Tsne, "t-SNE: keeps neighbors together"),
];

#[derive(askama::Template)]
#[template(path = "runs/embedding.html")]
struct EmbeddingPage {
    layout: Layout,
    run: Run,
    feature: Feature,
    way: Way,
    seen: Option<MapFragment>,
}

/// What the script puts into the page.
#[derive(askama::Template)]
#[template(path = "runs/embedding_map.html")]
struct MapFragment {
    run: RunId,
    marks: Vec<Mark>,
    legend: Vec<Mark>,
    /// Classes that the legend leaves out.
    unlisted: usize,
    /// What one must know to read it.
    note: String,
    trouble: String,
}

/// A point as it is drawn.
struct Mark {
    index: usize,
    class: String,
    shape: &'static str,
    color: &'static str,
    x: String,
    y: String,
}

/// What the address asks for.
fn read(query: &Fields) -> Result<(Feature, Way)> {
    Ok((query.parse("feature")?.unwrap_or_default(), query.parse("way")?.unwrap_or_default()))
}

/// The page.
pub async fn embedding(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<impl IntoResponse> {
    let (run, (feature, way)) = (run_of(&app, &path.run()?).await?, read(&query)?);
    let seen = match query.get("show") {
        Some(_) => ask(&app, &run, feature, way, LONG).await.ok(),
        None => None,
    };
    Ok(Page(EmbeddingPage {
        layout: Layout::new("runs", &app),
        run,
        feature,
        way,
        seen,
    }))
}

/// The map alone; 202 and what is being done while it is worked out, to be asked again.
pub async fn map(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<Response, Failure> {
    let (run, (feature, way)) = (run_of(&app, &path.run()?).await?, read(&query)?);
    Ok(match ask(&app, &run, feature, way, BRIEF).await {
        Ok(fragment) => Page(fragment).into_response(),
        Err(news) => (StatusCode::ACCEPTED, news).into_response(),
    })
}

/// `/runs/{id}/validation/{file}`: a validation image by its number, as the run's model sees it.
pub async fn image(State(app): App, path: InPath) -> Result<File> {
    let none = || Error::NotFound("the run has no such image".to_owned());
    let run = run_of(&app, &path.run()?).await?;
    let number = path.text("file")?.strip_suffix(".png").ok_or_else(none)?;
    let index = number.parse().map_err(|_| none())?;
    match app.jobs.look(Request::Image { of: run.id, index }, Arc::default(), LONG).await {
        Ok(reply) => match &*reply {
            Reply::Image(png) => Ok(File::new(Kind::Png, png.0.clone()).cached(Cache::Hour)),
            _ => Err(none()),
        },
        Err(Unanswered::Refused(reason)) => Err(Error::NotFound(reason)),
        Err(unanswered) => Err(Error::Internal(anyhow::anyhow!("{unanswered}"))),
    }
}

/// The map, or what is being done for it.
async fn ask(app: &AppState, run: &Run, feature: Feature, way: Way, patience: Duration) -> Result<MapFragment, String> {
    let mapping = Mapping {
        run: run.id.clone(),
        written: written(app, run),
        feature,
        way,
    };
    match app.jobs.look(Request::Map(mapping), Arc::default(), patience).await {
        Ok(reply) => Ok(match &*reply {
            Reply::Map(map) => MapFragment::new(run, way, map),
            _ => MapFragment::trouble(run, "the playground's process gave another answer".to_owned()),
        }),
        Err(Unanswered::Working(news)) => Err(news),
        Err(unanswered) => Ok(MapFragment::trouble(run, unanswered.to_string())),
    }
}

impl MapFragment {
    fn new(run: &Run, way: Way, map: &Map) -> MapFragment {
        let used: Vec<usize> = (0..map.classes.len())
            .filter(|class| map.points.iter().any(|point| point.label == *class))
            .collect();
        let legend = used.iter().take(LISTED).map(|class| Mark::of_class(*class, map));
        MapFragment {
            run: run.id.clone(),
            marks: marks(map),
            legend: legend.collect(),
            unlisted: used.len().saturating_sub(LISTED),
            note: note(way, map),
            trouble: String::new(),
        }
    }

    fn trouble(run: &Run, trouble: String) -> MapFragment {
        MapFragment {
            run: run.id.clone(),
            marks: Vec::new(),
            legend: Vec::new(),
            unlisted: 0,
            note: String::new(),
            trouble,
        }
    }
}

impl Mark {
    /// The look of a class, at no place: eight colors, then the same with another shape.
    fn of_class(class: usize, map: &Map) -> Mark {
        Mark {
            index: 0,
            class: map.classes.get(class).cloned().unwrap_or_default(),
            shape: ["circle", "square", "triangle"][class / PALETTE.len() % 3],
            color: PALETTE[class % PALETTE.len()],
            x: String::new(),
            y: String::new(),
        }
    }
}

/// Points at their places on the drawing, with one scale for both axes.
fn marks(map: &Map) -> Vec<Mark> {
    let range = |of: fn(&Point) -> f64| {
        let values = map.points.iter().map(of);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let ((left, right), (bottom, top)) = (range(|point| point.x), range(|point| point.y));
    let room = (SIZE.0 - 2.0 * MARGIN, SIZE.1 - 2.0 * MARGIN);
    let scale = (room.0 / (right - left).max(1e-12)).min(room.1 / (top - bottom).max(1e-12));
    let mark = |point: &Point| Mark {
        index: point.index,
        x: format!("{:.1}", SIZE.0 / 2.0 + (point.x - (left + right) / 2.0) * scale),
        y: format!("{:.1}", SIZE.1 / 2.0 - (point.y - (bottom + top) / 2.0) * scale),
        ..Mark::of_class(point.label, map)
    };
    map.points.iter().map(mark).collect()
}

fn note(way: Way, map: &Map) -> String {
    let shown = format!(
        "{} of {} validation images, computed in {:.1} s.",
        map.points.len(),
        map.images,
        map.milliseconds / 1000.0
    );
    match (way, map.explained) {
        (Way::Pca, Some([across, up])) => {
            let (across, up) = (100.0 * across, 100.0 * up);
            format!("{shown} The horizontal axis explains {across:.1} % of the variance of the features, the vertical one {up:.1} %.")
        }
        _ => format!("{shown} Sizes of groups and distances between groups have no meaning in t-SNE."),
    }
}

#[cfg(test)]
mod tests {
    use crate::web::runs::embedding::*;

    fn map(points: &[(f64, f64, usize)]) -> Map {
        let point = |(index, (x, y, label)): (usize, &(f64, f64, usize))| Point {
            index,
            label: *label,
            x: *x,
            y: *y,
        };
        Map {
            points: points.iter().enumerate().map(point).collect(),
            classes: (0..30).map(|class| format!("class {class}")).collect(),
            images: 100,
            explained: Some([0.5, 0.25]),
            milliseconds: 1500.0,
        }
    }

    #[test]
    fn points_fill_the_drawing_with_one_scale_and_up_is_up() {
        let marks = marks(&map(&[(-1.0, 0.0, 0), (1.0, 1.0, 8)]));
        let at: Vec<(&str, &str)> = marks.iter().map(|mark| (mark.x.as_str(), mark.y.as_str())).collect();
        assert_eq!(at, [("14.0", "393.0"), ("626.0", "87.0")]);
        assert_eq!(
            (marks[0].shape, marks[1].shape, marks[0].color),
            ("circle", "square", marks[1].color)
        );
    }

    #[test]
    fn points_that_are_all_alike_stand_in_the_middle() {
        let marks = marks(&map(&[(2.0, 2.0, 0), (2.0, 2.0, 29)]));
        assert!(marks.iter().all(|mark| mark.x == "320.0" && mark.y == "240.0"));
    }

    #[test]
    fn the_note_says_what_the_axes_are() {
        assert!(
            note(Way::Pca, &map(&[(0.0, 0.0, 0)]))
                .contains("1 of 100 validation images, computed in 1.5 s. The horizontal axis explains 50.0 %")
        );
        assert!(note(Way::Tsne, &map(&[])).contains("no meaning"));
    }
}
