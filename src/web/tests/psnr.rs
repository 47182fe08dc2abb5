//! The page of reconstructions, its chart and its images.

use axum::http::StatusCode;

use super::*;
use crate::experiment::{Request as PlanRequest, RunId, single_run};
use crate::run_dir::{Matrix, MatrixAxis};

/// A finished run that scored two ratios, the model `gain` decibels above its baselines.
fn scored(data_dir: &Path, method: &str, seed: u64, denorm: &str, gain: f64) -> RunId {
    let (scale, catalog) = (&Scale::built_in()[0], catalog());
    let single =
        |stage, parent: Option<&RunSpec>| single_run(stage, method, scale, &catalog, &PlanRequest::default(), seed, parent).unwrap();
    let pretrain = single(Stage::Pretrain, None);
    let run = single(Stage::Psnr, Some(&pretrain));
    let measures = ["masked mean", "composite mean", "composite pooled"].map(|measure| format!("{denorm} {measure}"));
    let matrix = |name: &str, above: f64| {
        let value = |row: usize, column: usize| vec![Some(18.0 + row as f64 - 3.0 * column as f64 + above)];
        let values: Vec<Vec<Vec<Option<f64>>>> = (0..3).map(|row| (0..2).map(|column| value(row, column)).collect()).collect();
        EventKind::Matrix {
            name: name.to_owned(),
            matrix: Matrix::of(
                MatrixAxis::new("measure", &measures),
                MatrixAxis::new("ratio", [0.5, 0.75]),
                &values,
            ),
        }
    };
    let images = MatrixAxis::new("image", ["<b>circle</b> 0", "square 64"]);
    let decibels = [21.26, 22.5, 19.0].map(|value| vec![Some(value)]).to_vec();
    let examples = EventKind::Matrix {
        name: "examples".to_owned(),
        matrix: Matrix::of(
            images,
            MatrixAxis::new("measure", ["masked", "composite", "composite zero"]),
            &[decibels.clone(), decibels],
        ),
    };
    let found = [
        matrix("psnr", gain),
        matrix("psnr_zero", 0.0),
        matrix("psnr_visible_mean", -4.0),
        examples,
        finished(),
    ];
    write_run(data_dir, &run, [queued(), started()].into_iter().chain(found).collect());
    let followed =
        [(8, 18.0), (24, 21.0)].map(|(step, value)| [metric("val/psnr", step, value), metric("speed/seconds", step, step as f64 / 2.0)]);
    write_run(
        data_dir,
        &pretrain,
        [queued(), started()]
            .into_iter()
            .chain(followed.concat())
            .chain([finished()])
            .collect(),
    );
    run.id
}

#[tokio::test]
async fn the_page_says_what_to_do_while_nothing_was_scored() {
    let site = Site::new(|_| ()).await;
    site.page("/psnr").await.has(&["No PSNR results yet", "/launch?stage=psnr"]);
    assert_eq!(site.get("/charts/psnr.svg").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn runs_stand_beside_each_other_and_their_baselines() {
    let mut ids = None;
    let site = Site::new(|dir| {
        ids = Some([
            scored(dir, "mae", 0, "oracle", 2.5),
            scored(dir, "rmae", 0, "none", 3.5),
            scored(dir, "mae", 1, "oracle", 2.0),
        ])
    })
    .await;
    let [mae, rmae, other] = ids.unwrap();
    let page = site.page(&format!("/psnr?runs={mae}&runs={rmae}&runs={other}")).await;
    page.has(&[
        // The usual measure: row 1, at 0.75 less 3; plain pixels stand in for normalized ones.
        ">18.50<",
        ">19.50<",
        ">16.00<",
        "predict-zero baseline",
        "/matrices/psnr_visible_mean.csv",
        "ratio 0.75",
        "training time (s)",
        "Validation PSNR",
        "22.5 dB (21.3)",
        "viewBox=\"64 32 32 32\"",
        "Not shown, because they used other images or masks: MAE",
    ]);
    assert!(
        !page.text.contains("<b>circle") && !page.text.contains("<style"),
        "names are text, and styles are the page's own"
    );
    let chart = format!("/charts/psnr.svg?runs={mae}&measure=oracle+masked+mean");
    site.page(&chart).await.has(&["PSNR, oracle masked mean", "visible-mean baseline"]);
    let wrong = site.get(&format!("/psnr?runs={mae}&measure=luck")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    wrong.has(&["it must be one of oracle masked mean, oracle composite mean, oracle composite pooled"]);
}

#[tokio::test]
async fn curves_are_drawn_over_the_seconds_of_training() {
    let site = Site::new(|dir| drop(scored(dir, "mae", 0, "oracle", 2.5))).await;
    let run = &smoke_plan()
        .runs
        .iter()
        .find(|run| run.method == "mae" && run.stage == Stage::Pretrain)
        .unwrap()
        .id
        .clone();
    let over = |x: &str| format!("/charts/curves.svg?runs={run}&metric=val/psnr&x={x}");
    site.page(&over("time")).await.has(&["at training time (s) 12"]);
    site.page(&over("step")).await.has(&["at step 24"]);
    assert_eq!(site.get(&over("luck")).await.status, StatusCode::BAD_REQUEST);
}
