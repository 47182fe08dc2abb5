//! The playground's pages, without the process behind it.

use axum::http::StatusCode;

use super::*;
use crate::playground::LARGEST_FILE;

const BOUNDARY: &str = "0123456789";

/// A form with a file and a field, as a browser sends it.
fn form(file: &str) -> String {
    format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"seed\"\r\n\r\n3\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.png\"\r\n\r\n{file}\r\n--{BOUNDARY}--\r\n"
    )
}

async fn hand_in(site: &Site, headers: &[(&str, &str)], body: &str) -> Answer {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers = [headers, &[("content-type", kind.as_str())]].concat();
    site.send(request(Method::POST, "/playground/upload", &headers, body)).await
}

#[tokio::test]
async fn without_a_model_the_page_says_how_to_get_one() {
    let site = Site::new(|_| ()).await;
    site.page("/playground")
        .await
        .has(&["No model has finished training yet", "href=\"/launch?stage=pretrain"]);
}

#[tokio::test]
async fn the_page_offers_finished_models_and_the_patches_of_the_first() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let (mae, probe) = (
        find(&smoke_plan(), "mae", Stage::Pretrain).id.clone(),
        find(&smoke_plan(), "mae", Stage::Probe).id.clone(),
    );
    let page = site.page("/playground").await;
    page.has(&[
        &format!("value=\"{mae}\" data-grid=\"8\" selected"),
        "id=\"p-63\"",
        "at most 8 MiB",
        "Press Show",
    ]);
    assert!(!page.text.contains("id=\"p-64\"") && !page.text.contains(probe.as_str()));
    // Chosen patches are ticked before any model was asked.
    let page = site.page("/playground?hide=8000000000000001").await;
    assert_eq!(page.text.matches(" checked autocomplete").count(), 2);
    page.has(&["value=\"63\" id=\"p-63\" aria-label=\"Patch 64\" checked", "value=\"own\" checked"]);
    site.page(&format!("/runs/{mae}"))
        .await
        .has(&[&format!("href=\"/playground?a={mae}\"")]);
}

#[tokio::test]
async fn a_process_that_cannot_be_started_is_a_sentence_on_the_page() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    for address in ["/playground?show=1", "/playground?mask=own&p=3&show=1"] {
        site.page(address)
            .await
            .has(&["no worker is ever started could not be started", "id=\"answer\""]);
    }
    let mae = find(&smoke_plan(), "mae", Stage::Pretrain).id.clone();
    site.page(&format!("/playground/answer?a={mae}"))
        .await
        .has(&["could not be started"]);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let mae = find(&smoke_plan(), "mae", Stage::Pretrain).id.clone();
    for (query, status, reason) in [
        ("", StatusCode::BAD_REQUEST, "a: name the run"),
        ("a=0123456789abcdef", StatusCode::NOT_FOUND, "there is no run 0123456789abcdef"),
        ("a=../../etc", StatusCode::BAD_REQUEST, "a run id is 16 hexadecimal digits"),
        (&format!("a={mae}&ratio=2"), StatusCode::BAD_REQUEST, "from 0 to 0.99"),
        (
            &format!("a={mae}&hide=ff"),
            StatusCode::BAD_REQUEST,
            "64 patches are 16 hexadecimal digits",
        ),
        (&format!("a={mae}&upload=00"), StatusCode::NOT_FOUND, "upload it again"),
    ] {
        let answer = site.get(&format!("/playground/answer?{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
        answer.has(&[reason]);
    }
}

#[tokio::test]
async fn a_image_is_taken_up_to_its_limit_and_named_to_page_and_script() {
    let site = Site::new(|_| ()).await;
    let large = "x".repeat(LARGEST_FILE);
    let taken = hand_in(&site, &[], &form(&large)).await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER, "{}", taken.text);
    let address = taken.header("location").to_owned();
    assert!(
        address.starts_with("/playground?seed=3&upload=") && address.ends_with("&show=1"),
        "{address}"
    );
    let json = ("accept", "application/json");
    let named = hand_in(&site, &[json], &form("x")).await;
    let name = serde_json::from_str::<serde_json::Value>(&named.text).unwrap()["upload"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");

    for (headers, body) in [
        (vec![json], form(&format!("{large}x"))),
        (vec![], form(&"x".repeat(LARGEST_FILE + (1 << 20)))),
        (vec![("content-length", "9999999999")], form("x")),
    ] {
        assert_eq!(hand_in(&site, &headers, &body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    hand_in(&site, &[json], &form("")).await.has(&["choose an image first", "400"]);
    let no_form = site.send(request(Method::POST, "/playground/upload", &[json], "x")).await;
    assert_eq!(no_form.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_embedding_says_what_it_can_be_asked_and_why_there_is_none() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let mae = find(&smoke_plan(), "mae", Stage::Pretrain).id.clone();
    let page = site.page(&format!("/runs/{mae}/embedding?feature=cls&way=tsne")).await;
    page.has(&["value=\"cls\" selected", "value=\"tsne\" selected", "Press Show"]);
    for address in ["embedding?show=1", "embedding/map?way=pca"] {
        site.page(&format!("/runs/{mae}/{address}"))
            .await
            .has(&["could not be started", "id=\"map\""]);
    }
    let wrong = site.get(&format!("/runs/{mae}/embedding/map?way=umap")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    wrong.has(&["way: umap is not allowed: it must be one of pca, tsne"]);
    for file in ["x.png", "-1.png", "1.jpg", "..%2f1.png"] {
        let none = site.get(&format!("/runs/{mae}/validation/{file}")).await;
        assert_eq!(none.status, StatusCode::NOT_FOUND, "{file}");
    }
    site.page(&format!("/runs/{mae}"))
        .await
        .has(&[&format!("href=\"/runs/{mae}/embedding\"")]);
}
