//! The report: everything in it, nothing outside of it.

use super::claims::fill_seeds;
use super::*;

#[tokio::test]
async fn the_report_has_every_table_and_every_claim() {
    let site = Site::new(|dir| fill_seeds(dir, 3)).await;
    let report = site.page("/report.html?scale=smoke").await;
    for study in Study::built_in() {
        report.has(&[&format!("id=\"{}\"", study.name)]);
        for claim in &study.claims {
            report.has(&[&format!("id=\"{}-{}\"", study.name, claim.id)]);
        }
    }
    report.has(&[
        "Results at scale smoke",
        "Dataset: builtin. 3 seeds.",
        "83.1",
        "n = 3 pairs",
        "class=\"interval\"",
        "train.layer_decay",
        "all: model.dim",
        "No run has a warning",
        "cpu",
        "Not started",
        &format!("Written by Umbra {}", env!("CARGO_PKG_VERSION")),
    ]);
    let first = find(&super::claims::seeds_plan(3), "mae", Stage::Finetune).id.to_string();
    report.has(&[&first]);
}

#[tokio::test]
async fn the_report_stands_alone() {
    let site = Site::new(|dir| fill_seeds(dir, 2)).await;
    let report = site.page("/report.html?scale=smoke").await;
    assert_eq!(report.header("content-disposition"), "attachment; filename=\"umbra-smoke.html\"");
    // The name of SVG is no address that anything is fetched from.
    let text = report.text.replace("http://www.w3.org/2000/svg", "");
    for outside in ["<script", "<link", "src=", "url(", "@import", "://"] {
        assert!(!text.contains(outside), "{outside} is in the report");
    }
    for place in text.split("href=\"").skip(1) {
        let target = place.split('"').next().unwrap();
        let id = target
            .strip_prefix('#')
            .unwrap_or_else(|| panic!("{target} leads out of the report"));
        assert!(text.contains(&format!("id=\"{id}\"")), "{target} leads nowhere");
    }
    assert!(text.contains("@media print"));
}

#[tokio::test]
async fn warnings_of_runs_stand_in_the_report_and_bad_choices_are_refused() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    site.page("/report.html?scale=smoke").await.has(&["one image was skipped", "61.2"]);
    for choice in ["scale=huge", "scale=smoke&seeds=0", "scale=smoke&data=/no/such/folder"] {
        let answer = site.get(&format!("/report.html?{choice}")).await;
        assert_eq!(answer.status, axum::http::StatusCode::UNPROCESSABLE_ENTITY, "{choice}");
    }
}
