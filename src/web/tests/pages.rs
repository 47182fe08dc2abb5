//! What pages show.

use axum::http::StatusCode;
use futures::StreamExt;

use super::*;
use crate::experiment::RunId;
use crate::web::page::MENU;

fn id_of(method: &str, stage: Stage) -> RunId {
    find(&smoke_plan(), method, stage).id.clone()
}

#[tokio::test]
async fn pages_say_what_to_do_while_nothing_has_run() {
    let site = Site::new(|_| ()).await;
    site.page("/").await.has(&[
        "No runs yet",
        "MAE against training from scratch",
        "smoke: Seconds a run",
        "value=\"builtin\"",
    ]);
    site.page("/runs").await.has(&["No runs yet"]);
    site.page("/queue").await.has(&["The queue is empty", "This server has no device"]);
    site.page("/studies/mae-vs-scratch")
        .await
        .has(&["not queued", "0 of 7 runs done", "83.1", "ViT-B, ImageNet"]);
    site.page("/launch").await.has(&[
        "mask_ratio",
        "Default <code>0.75</code>",
        "a number between 0 and 1, neither included",
    ]);
}

#[tokio::test]
async fn the_study_shows_numbers_and_the_state_of_every_missing_run() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let page = site.page("/studies/mae-vs-scratch?scale=smoke").await;
    insta::assert_snapshot!("study_done", read(&page.text, "done", "</p>"));
    insta::assert_snapshot!("study_table", read(&page.text, "table", "</table>"));
    page.has(&["failed</span>", "<span class=\"muted\">the loss is not a number at step 3</span>"]);
    page.has(&[&format!("href=\"/runs/{}\"", id_of("mae", Stage::Probe))]);
    // The largest scale that was begun is what the address without a scale shows.
    site.page("/studies/mae-vs-scratch").await.has(&["61.2"]);
    site.page("/")
        .await
        .has(&["smoke: 2 of 7 runs done", "Running now", "1 min 30 s left", "812.50 images/s"]);
}

#[tokio::test]
async fn a_runs_page_has_curves_images_settings_log_and_lineage() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let (id, child) = (id_of("mae", Stage::Pretrain), id_of("mae", Stage::Finetune));
    let page = site.page(&format!("/runs/{id}?smooth=0.3&log=y")).await;
    page.has(&[
        "<svg",
        "Training loss",
        "Learning rate",
        "pretrain.loss",
        "Pretraining loss",
        "0.2500",
        "one image was skipped",
        "step 2",
        "mask_ratio",
        "changed",
        "Data loader: up to 5\u{2009}310 images/s; training: up to 812.50 images/s, waiting for data 0.4 % of the time",
        "Data loader throughput, Training throughput",
    ]);
    page.has(&[
        &format!("/runs/{id}/images/24/reconstruction.png"),
        &format!("href=\"/runs/{child}\""),
        "those of 2 runs made from it",
        "umbra work again/runs/",
        "--threads 2",
    ]);
    assert!(!page.text.contains("<style"), "the page's policy forbids styles inside");
    let image = site.page(&format!("/runs/{id}/images/24/reconstruction.png")).await;
    assert_eq!(
        (image.header("content-type"), image.header("content-length")),
        ("image/png", PNG.len().to_string().as_str())
    );
    assert_eq!(site.page(&format!("/runs/{id}/log")).await.text, "step 1\nstep 2\n");
    let model = site.page(&format!("/runs/{id}/model.safetensors")).await;
    assert_eq!(
        (model.text.as_str(), model.header("content-disposition").contains(id.as_str())),
        ("weights", true)
    );
    site.page(&format!("/runs/{id}/run.toml")).await.has(&["mask_ratio = 0.75"]);
    assert_eq!(
        site.get(&format!("/runs/{child}/model.safetensors")).await.status,
        StatusCode::NOT_FOUND
    );
    site.page(&format!("/runs/{}", id_of("mae", Stage::Probe))).await.has(&[
        "running 43 %",
        "id=\"cancel\"",
        "<td class=\"wrap\">running</td>",
    ]);
    site.page(&format!("/runs/{}", id_of("random_init", Stage::Pretrain)))
        .await
        .has(&["id=\"retry\"", "the loss is not a number at step 3"]);
}

#[tokio::test]
async fn the_list_of_a_runs_images_is_offered_where_there_is_one() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let (id, child) = (id_of("mae", Stage::Pretrain), id_of("mae", Stage::Finetune));
    site.page(&format!("/runs/{id}")).await.has(&["Training images (list)"]);
    let list = site.page(&format!("/runs/{id}/subset.tsv")).await;
    assert_eq!(list.text.lines().count(), 2);
    assert!(list.header("content-disposition").contains(id.as_str()));
    assert!(!site.page(&format!("/runs/{child}")).await.text.contains("Training images (list)"));
    let none = site.get(&format!("/runs/{child}/subset.tsv")).await;
    assert!(none.status == StatusCode::NOT_FOUND && none.text.contains("no list of images"));
}

#[tokio::test]
async fn the_list_of_runs_is_filtered_and_sorted_by_its_address() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let rows = |answer: &Answer| answer.text.matches("class=\"row-link\"").count();
    for (query, expected) in [
        ("", 5),
        ("?state=finished", 2),
        ("?method=mae&stage=probe", 1),
        ("?q=FROM SCRATCH", 1),
        ("?study=mae-vs-scratch", 5),
        ("?page=2", 0),
    ] {
        assert_eq!(
            rows(&site.page(&format!("/runs{}", query.replace(' ', "%20"))).await),
            expected,
            "{query}"
        );
    }
    let by_label = site.page("/runs?sort=label&dir=desc").await;
    assert!(by_label.text.find("MAE · psnr").unwrap() < by_label.text.find("MAE · finetune").unwrap());
    by_label.has(&["aria-sort=\"descending\"", "sort=label&#38;dir=asc"]);
    for (query, what) in [
        ("?state=lost", "must be one of running"),
        ("?page=x", "page"),
        ("?study=none", "must be one of mae-vs-scratch"),
    ] {
        let answer = site.get(&format!("/runs{query}")).await;
        assert!(answer.status.is_client_error(), "{query}");
        answer.has(&[what]);
    }
}

#[tokio::test]
async fn charts_and_comparison_have_addresses_of_their_own() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let (a, b) = (id_of("mae", Stage::Pretrain), id_of("mae", Stage::Finetune));
    let chart = site
        .page(&format!(
            "/charts/curves.svg?runs={a},{b}&metric=train/loss&smooth=0.6&log=y&theme=dark"
        ))
        .await;
    assert_eq!(chart.header("content-type"), "image/svg+xml");
    assert!(chart.header("cache-control").contains("max-age"), "both runs are finished");
    chart.has(&["<svg", "MAE · pretrain"]);
    for bad in [
        "",
        "?runs=zz",
        "?runs=0123456789abcdef",
        &format!("?runs={a}&smooth=2"),
        &format!("?runs={a}&theme=pink"),
    ] {
        assert!(
            site.get(&format!("/charts/curves.svg{bad}")).await.status.is_client_error(),
            "{bad}"
        );
    }
    site.page(&format!("/compare?runs={a}&runs={b}"))
        .await
        .has(&["Fine-tuned top-1 (%)", "61.25", "train.min_lr"]);
}

#[tokio::test]
async fn a_table_can_be_taken_along_in_every_format() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    site.page("/studies/mae-vs-scratch/export.csv?scale=smoke")
        .await
        .has(&["mae,finetune,0,", ",finished,61.25,%,83.1"]);
    site.page("/studies/mae-vs-scratch/export.md?scale=smoke")
        .await
        .has(&["| MAE |", "61.2"]);
    site.page("/studies/mae-vs-scratch/export.json?scale=smoke")
        .await
        .has(&["\"value\": 61.25"]);
    assert_eq!(
        site.get("/studies/mae-vs-scratch/export.exe?scale=smoke").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_pages_show_is_there_as_json_too() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let id = id_of("mae", Stage::Pretrain);
    let json = async |path: &str| serde_json::from_str::<serde_json::Value>(&site.page(path).await.text).unwrap();
    assert_eq!(json("/api/v1/studies").await["studies"][0]["name"], "mae-vs-scratch");
    assert_eq!(
        json("/api/v1/studies/mae-vs-scratch?scale=smoke").await["table"]["rows"][0]["entries"][0]["values"][0]["value"],
        61.25
    );
    assert_eq!(json("/api/v1/runs?state=finished").await["total"], 2);
    assert_eq!(json(&format!("/api/v1/runs/{id}")).await["results"]["pretrain.loss"], 0.25);
    assert_eq!(
        json(&format!("/api/v1/runs/{id}/metrics?name=train/loss")).await["points"][1],
        serde_json::json!([2, 0.5])
    );
    assert_eq!(json("/api/v1/queue").await["queue"].as_array().unwrap().len(), 1);
    assert_eq!(json("/api/v1/methods").await["methods"][0]["name"], "mae");
    assert_eq!(json("/api/v1/scales").await["scales"][0]["name"], "smoke");
    assert!(json("/api/v1/devices").await["devices"].as_array().unwrap().is_empty());
    let missing = site.get("/api/v1/runs/0123456789abcdef").await;
    assert_eq!(
        (missing.status, missing.header("content-type")),
        (StatusCode::NOT_FOUND, "application/json")
    );
    assert_eq!(site.get("/api/v1/nothing").await.header("content-type"), "application/json");
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_says_so() {
    let site = Site::new(|_| ()).await;
    for path in [
        "/nothing",
        "/runs/0123456789abcdef",
        "/runs/xyz",
        "/studies/none",
        "/static/none.js",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        answer.has(&["<h1>Not Found</h1>"]);
    }
    assert_eq!(site.post("/queue", "").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_menu_marks_the_page_that_is_open_and_lists_every_key() {
    let site = Site::new(|_| ()).await;
    for entry in MENU {
        let page = site.page(entry.href).await;
        page.has(&[&format!("data-key=\"{}\" aria-current=\"page\">{}</a>", entry.key, entry.text)]);
        assert_eq!(page.text.matches("aria-current=\"page\"").count(), 1, "{}", entry.href);
        page.has(&[&format!("<kbd>{}</kbd></dt><dd>{}</dd>", entry.key, entry.what)]);
    }
}

#[tokio::test]
async fn the_event_stream_tells_of_changes() {
    let site = Site::new(|_| ()).await;
    let response = site.router.clone().oneshot(request(Method::GET, "/live", &[], "")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    assert!(String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()).contains("event: hello"));
    let plan = smoke_plan();
    site.jobs.submit(&plan.runs[..1], 0).await.unwrap();
    let event = tokio::time::timeout(Duration::from_secs(20), stream.next())
        .await
        .expect("a change is told")
        .unwrap()
        .unwrap();
    let text = String::from_utf8_lossy(&event).into_owned();
    assert!(
        text.contains("event: runs") && text.contains(plan.runs[0].id.as_str()) && text.contains("queued"),
        "{text}"
    );
}
