//! Data sets on their pages and beside the fields that name them.

use axum::http::StatusCode;
use serde_json::Value as Json;

use super::*;
use crate::web::fields::{encode, query_of};

/// Writes a folder of two classes and things that do not belong; `mark` makes other images of it.
fn put_images(root: &Path, mark: u8) {
    for (split, images) in [("train", 8), ("val", 4)] {
        for class in ["cat", "dog"] {
            let folder = root.join(split).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for n in 0..images {
                let shade = image::Rgb([mark, n as u8, split.len() as u8 + u8::from(class == "cat")]);
                image::RgbImage::from_pixel(8, 8, shade)
                    .save(folder.join(format!("{n}.png")))
                    .unwrap();
            }
        }
    }
    std::fs::write(root.join("train/cat/notes.txt"), "not an image").unwrap();
}

impl Site {
    /// Asks for the page until the look at its source has ended.
    async fn looked(&self, path: &str) -> Answer {
        for _ in 0..600 {
            let page = self.page(path).await;
            if !page.text.contains("data-poll") {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the look at {path} does not end");
    }

    /// Looks at a folder from the page of data sets; gives the page of what was found.
    async fn look(&self, folder: &str) -> String {
        let answer = self.post("/datasets/look", &query_of([("source", folder.to_owned())])).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let page = self.looked(answer.header("location")).await;
        page.has(&["class folders, 2 classes, 16 + 8 images; 1 file passed over"]);
        let link = page.text.split("href=\"/datasets/").nth(1).unwrap();
        link.split('"').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_folder_that_was_looked_at_has_a_page() {
    let site = Site::new(|dir| put_images(&dir.join("pets"), 0)).await;
    let folder = site.dir.path().join("pets").display().to_string();
    site.page("/datasets")
        .await
        .has(&["Only the built-in images so far", "/datasets/builtin"]);
    let fingerprint = site.look(&folder).await;
    let page = site.page(&format!("/datasets/{fingerprint}")).await;
    page.has(&[
        &folder,
        &fingerprint,
        "<td>cat</td> <td class=\"num\">8</td><td class=\"num\">4</td>",
        "notes.txt",
    ]);
    let sheet = site.get(&format!("/datasets/{fingerprint}/sheet.png")).await;
    assert_eq!((sheet.status, sheet.header("content-type")), (StatusCode::OK, "image/png"));
    let twin: Json = serde_json::from_str(&site.page(&format!("/api/v1/datasets/{fingerprint}")).await.text).unwrap();
    assert_eq!(twin["report"]["classes"][1]["train"], 8);
    assert_eq!(twin["places"][0]["source"], Json::from(folder.as_str()));
    let all: Json = serde_json::from_str(&site.page("/api/v1/datasets").await.text).unwrap();
    assert_eq!(all["datasets"].as_array().unwrap().len(), 2);
    site.page("/datasets/builtin").await.has(&["built in, 10 classes"]);
    let missing = site.get("/datasets/0123").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn replaced_images_are_another_dataset_and_the_first_one_says_so() {
    let site = Site::new(|dir| put_images(&dir.join("pets"), 0)).await;
    let root = site.dir.path().join("pets");
    let folder = root.display().to_string();
    let before = site.look(&folder).await;
    std::fs::remove_dir_all(&root).unwrap();
    put_images(&root, 200);
    let now = site.look(&folder).await;
    assert_ne!(before, now);
    site.page(&format!("/datasets/{before}"))
        .await
        .has(&["Changed since", &now, "There is no contact sheet"]);
    site.page("/datasets").await.has(&["replaced since"]);
    assert!(!site.page(&format!("/datasets/{now}")).await.text.contains("Changed since"));
}

#[tokio::test]
async fn the_form_of_a_study_says_what_was_found_or_what_is_wrong() {
    let site = Site::new(|dir| {
        put_images(&dir.join("pets"), 0);
        std::fs::create_dir(dir.join("empty")).unwrap();
    })
    .await;
    let folder = site.dir.path().join("pets").display().to_string();
    let study = "/studies/mae-vs-scratch";
    site.page(study).await.has(&["built in, 10 classes"]);
    let form = |folder: &str| query_of([("scale", "smoke".to_owned()), ("data", folder.to_owned())]);
    site.page(&format!("{study}?{}", form(&folder))).await.has(&["Not looked at yet"]);
    let answer = site.post(&format!("{study}/check"), &form(&folder)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let page = site.looked(answer.header("location")).await;
    page.has(&["class folders, 2 classes, 16 + 8 images; 1 file passed over"]);

    let empty = site.dir.path().join("empty").display().to_string();
    let answer = site.post(&format!("{study}/check"), &form(&empty)).await;
    let page = site.looked(answer.header("location")).await;
    page.has(&["class=\"fault\"", &empty]);
    let runs = site.store.counts().await.unwrap();
    assert!(runs.iter().all(|(_, runs)| *runs == 0), "nothing is launched");

    let fields = format!(
        "action=check&method=mae&stage=pretrain&scale=smoke&seed=0&data.source={}",
        encode(&folder)
    );
    let answer = site.post("/launch", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    site.looked(answer.header("location")).await.has(&["16 + 8 images"]);
}

#[tokio::test]
async fn a_study_names_the_runs_on_images_that_were_replaced() {
    let site = Site::new(|dir| put_images(&dir.join("pets"), 0)).await;
    let root = site.dir.path().join("pets");
    let folder = root.display().to_string();
    let form = query_of([("scale", "smoke".to_owned()), ("data", folder.clone()), ("fit", "1".to_owned())]);
    let launched = site.post("/studies/mae-vs-scratch/launch", &form).await;
    assert_eq!(launched.status, StatusCode::SEE_OTHER, "{}", launched.text);
    let before = site.look(&folder).await;
    let runs = site.page(&format!("/runs?images={before}")).await;
    runs.has(&["of 7 runs"]);
    site.page(&format!("/datasets/{before}"))
        .await
        .has(&[&format!("/runs?images={before}")]);
    std::fs::remove_dir_all(&root).unwrap();
    put_images(&root, 200);
    site.look(&folder).await;
    let page = site
        .page(&format!("/studies/mae-vs-scratch?{}", &form[..form.rfind('&').unwrap()]))
        .await;
    page.has(&["7 runs at this path were made with other images", &format!("images={before}")]);
}
