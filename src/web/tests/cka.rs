//! The page of CKA, its charts and its files.

use axum::http::StatusCode;

use super::*;
use crate::experiment::{Request as PlanRequest, RunId, Value, single_run};
use crate::run_dir::{Matrix, MatrixAxis};

/// A finished run of three blocks and two ratios that found `first` less a little for every block and ratio.
fn compared(data_dir: &Path, method: &str, after: Stage, first: f64) -> RunId {
    let (scale, catalog) = (&Scale::built_in()[0], catalog());
    let single =
        |stage, asked: &PlanRequest, parent: Option<&RunSpec>| single_run(stage, method, scale, &catalog, asked, 0, parent).unwrap();
    let pretrain = single(Stage::Pretrain, &PlanRequest::default(), None);
    let finetune = single(Stage::Finetune, &PlanRequest::default(), Some(&pretrain));
    let parent = if after == Stage::Finetune { &finetune } else { &pretrain };
    let asked = PlanRequest::of(&[("cka", "ratios", Value::Text("0.1, 0.9".to_owned()))]);
    let run = single(Stage::Cka, &asked, Some(parent));
    let value = |block: usize, ratio: usize| first - 0.1 * block as f64 - 0.2 * ratio as f64;
    let draws = |block, ratio| vec![Some(value(block, ratio) - 0.01), Some(value(block, ratio) + 0.01)];
    let mut values: Vec<Vec<Vec<Option<f64>>>> = (0..3).map(|block| (0..2).map(|ratio| draws(block, ratio)).collect()).collect();
    values[2][1] = vec![None, None];
    let matrix = Matrix::of(MatrixAxis::new("block", 1..=3), MatrixAxis::new("ratio", [0.1, 0.9]), &values);
    let name = "cka".to_owned();
    let found = [EventKind::Matrix { name, matrix }, summary("cka.mean", first), finished()];
    write_run(data_dir, &run, [queued(), started()].into_iter().chain(found).collect());
    run.id
}

async fn three() -> (Site, [RunId; 3]) {
    let mut ids = None;
    let site = Site::new(|dir| {
        ids = Some([
            compared(dir, "mae", Stage::Pretrain, 0.9),
            compared(dir, "mae", Stage::Finetune, 0.7),
            compared(dir, "random_init", Stage::Pretrain, 0.5),
        ]);
    })
    .await;
    (site, ids.unwrap())
}

#[tokio::test]
async fn the_page_says_what_to_do_while_nothing_was_compared() {
    let site = Site::new(|_| ()).await;
    let page = site.page("/cka").await;
    page.has(&["No CKA results yet", "/studies/figure1", "/launch?stage=cka"]);
    assert!(!page.text.contains("<svg class=\"umbra-chart\""));
    site.page("/studies/figure1?scale=smoke").await.has(&["0 of 24 runs done"]);
    site.page("/launch?stage=cka")
        .await
        .has(&["mask_seeds", "one or more numbers from 0 to 0.999"]);
}

#[tokio::test]
async fn runs_are_drawn_side_by_side_with_their_numbers_under_the_pointer() {
    let (site, [mae, finetuned, random]) = three().await;
    let page = site.page(&format!("/cka?runs={mae}&runs={finetuned}&runs={random}")).await;
    assert_eq!(page.text.matches("class=\"umbra-chart\"").count(), 3);
    page.has(&[
        "<title>MAE, block 1, ratio 0.1: 0.9000 (0.8900 to 0.9100)</title>",
        "<title>MAE · finetune, block 2, ratio 0.9: 0.4000 (0.3900 to 0.4100)</title>",
        "<title>MAE, block 3, ratio 0.9: undefined</title>",
        "/charts/cka.png?runs=",
        "/charts/cka.csv?runs=",
    ]);
    assert!(!page.text.contains("<style"), "the page's policy forbids styles inside");

    let page = site
        .page(&format!("/cka?runs={mae},{finetuned},{random}&view=difference&base={mae}"))
        .await;
    assert_eq!(
        page.text.matches("class=\"umbra-chart\"").count(),
        2,
        "a run is not compared with itself"
    );
    page.has(&["finetune − MAE", "<title>MAE · finetune, block 1, ratio 0.1: -0.2000</title>"]);

    let page = site.page(&format!("/cka?runs={mae}&view=lines")).await;
    page.has(&["ratio 0.9: CKA 0.6 at block 2", "<polygon"]);

    let page = site.page(&format!("/runs/{mae}")).await;
    assert_eq!(page.text.matches("class=\"umbra-chart\"").count(), 2);
    page.has(&[
        "Feature similarity (CKA)",
        &format!("/runs/{mae}/matrices/cka.csv"),
        &format!("/cka?runs={mae}"),
    ]);
}

#[tokio::test]
async fn charts_and_numbers_have_addresses_of_their_own() {
    let (site, [mae, finetuned, _]) = three().await;
    let at = |ending: &str, more: &str| format!("/charts/cka.{ending}?runs={mae},{finetuned}{more}");
    let svg = site.page(&at("svg", "&theme=dark")).await;
    assert_eq!(svg.header("content-type"), "image/svg+xml");
    assert_eq!(svg.text.matches("<svg").count(), 3, "two in one");
    let png = site.page(&at("png", "&view=lines")).await;
    assert_eq!(png.header("content-type"), "image/png");
    assert!(png.text.contains("PNG"), "{}", &png.text[..20]);
    let csv = site.page(&at("csv", "")).await;
    csv.has(&[
        "run,label,block,ratio,mean,low,high\n",
        &format!("{mae},MAE · cka · smoke · seed 0,1,0.1,0.9,0.89,0.91\n"),
        &format!("{mae},MAE · cka · smoke · seed 0,3,0.9,,,\n"),
    ]);
    assert_eq!(csv.text.lines().count(), 1 + 2 * 6);
    let json: serde_json::Value = serde_json::from_str(&site.page(&at("json", "")).await.text).unwrap();
    assert_eq!(json[0]["matrix"]["mean"][2], serde_json::json!([0.7, null]));
    assert_eq!(json[1]["settings"]["tokens"], "mean_patch");
    let own = site.page(&format!("/runs/{mae}/matrices/cka.csv")).await;
    assert!(own.header("content-disposition").contains(mae.as_str()));
    own.has(&["block,ratio,mean,low,high\n1,0.1,0.9,"]);

    for (bad, status) in [
        ("/charts/cka.svg".to_owned(), StatusCode::NOT_FOUND),
        ("/charts/cka.png?runs=zz".to_owned(), StatusCode::BAD_REQUEST),
        (at("svg", "&view=pie"), StatusCode::BAD_REQUEST),
        (at("svg", "&theme=pink"), StatusCode::BAD_REQUEST),
        (format!("/runs/{mae}/matrices/other.csv"), StatusCode::NOT_FOUND),
        (format!("/runs/{mae}/matrices/cka.exe"), StatusCode::NOT_FOUND),
        ("/cka?study=none".to_owned(), StatusCode::NOT_FOUND),
        ("/cka?runs=0123456789abcdef".to_owned(), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(site.get(&bad).await.status, status, "{bad}");
    }
}

#[tokio::test]
async fn a_studys_runs_are_found_in_the_order_of_its_rows() {
    let study = Study::built_in().into_iter().find(|study| study.name == "figure1").unwrap();
    let plan = plan(&study, &Scale::built_in()[0], &catalog(), &Default::default()).unwrap();
    let site = Site::new(|dir| {
        for run in plan.runs.iter().filter(|run| run.stage == Stage::Cka && run.method != "cmae") {
            let matrix = Matrix::of(
                MatrixAxis::new("block", 1..=1),
                MatrixAxis::new("ratio", [0.1]),
                &[vec![vec![Some(0.5)]]],
            );
            let name = "cka".to_owned();
            write_run(dir, run, vec![queued(), started(), EventKind::Matrix { name, matrix }, finished()]);
        }
    })
    .await;
    let page = site.page("/cka?study=figure1&scale=smoke").await;
    assert_eq!(page.text.matches("class=\"umbra-chart\"").count(), 10);
    page.has(&["10 of 12 runs of this study have finished"]);
    let place = |text: &str| page.text.find(text).unwrap_or_else(|| panic!("{text} is not there"));
    assert!(place("R-MAE, block 1") < place("R-MAE · finetune, block 1"));
    assert!(place("R-MAE · finetune, block 1") < place("MoCo v3, block 1"));
}

#[tokio::test]
async fn seeds_of_one_encoder_are_drawn_as_their_mean_unless_asked_for_one_by_one() {
    let study = Study::built_in().into_iter().find(|study| study.name == "figure1").unwrap();
    let asked = PlanRequest {
        seeds: Some(2),
        ..PlanRequest::default()
    };
    let plan = plan(&study, &Scale::built_in()[0], &catalog(), &asked).unwrap();
    let mut ids = Vec::new();
    let site = Site::new(|dir| {
        for run in plan.runs.iter().filter(|run| run.stage == Stage::Cka && run.method == "rmae") {
            let draws = vec![Some(0.5 + 0.25 * run.seed as f64)];
            let matrix = Matrix::of(MatrixAxis::new("block", 1..=1), MatrixAxis::new("ratio", [0.1]), &[vec![draws]]);
            let name = "cka".to_owned();
            ids.push((run.seed, run.id.clone()));
            write_run(dir, run, vec![queued(), started(), EventKind::Matrix { name, matrix }, finished()]);
        }
    })
    .await;
    let page = site.page("/cka?study=figure1&scale=smoke").await;
    assert_eq!(page.text.matches("class=\"umbra-chart\"").count(), 2, "pretrained and finetuned");
    page.has(&[
        "<title>R-MAE, 2 seeds, block 1, ratio 0.1: 0.6250 (0.5000 to 0.7500)</title>",
        "mean of all",
    ]);
    let each = site.page("/cka?study=figure1&scale=smoke&seed=each").await;
    assert_eq!(each.text.matches("class=\"umbra-chart\"").count(), 4);
    let second = site.page("/cka?study=figure1&scale=smoke&seed=1").await;
    second.has(&["<title>R-MAE, block 1, ratio 0.1: 0.7500</title>"]);

    let [first, other] = [0, 1].map(|seed| &ids.iter().find(|(known, _)| *known == seed).unwrap().1);
    site.page(&format!("/charts/cka.csv?runs={first}_{other}"))
        .await
        .has(&[&format!("{first}_{other},\"R-MAE")]);
}

#[tokio::test]
async fn two_encoders_on_the_page_of_comparison_lead_to_a_form_that_names_both() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let plan = smoke_plan();
    let id = |method: &str, stage: Stage| find(&plan, method, stage).id.clone();
    let (mae, finetuned, failed) = (
        id("mae", Stage::Pretrain),
        id("mae", Stage::Finetune),
        id("random_init", Stage::Pretrain),
    );
    let page = site.page(&format!("/compare?runs={mae}&runs={finetuned}")).await;
    page.has(&["block by block", &format!("compare.other={finetuned}")]);
    let form = site
        .page(&format!(
            "/launch?stage=compare&method=mae&scale=smoke&parent={mae}&compare.other={finetuned}"
        ))
        .await;
    form.has(&[&format!("value=\"{finetuned}\""), "other_epoch"]);

    let send = |other: String| {
        let fields = format!("method=mae&stage=compare&scale=smoke&seed=0&parent={mae}&compare.other={other}");
        let base = format!("base.method=mae&base.stage=compare&base.scale=smoke&base.seed=0&base.parent={mae}");
        let site = &site;
        async move { site.post("/launch", &format!("{fields}&{base}")).await }
    };
    let answer = send(failed.to_string()).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    answer.has(&["that run is failed: it must have finished"]);
    send("nonsense".to_owned()).await.has(&["a run id is 16 hexadecimal digits"]);
    send("0123456789abcdef".to_owned()).await.has(&["there is no run 0123456789abcdef"]);
    let answer = send(finetuned.to_string()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
}
