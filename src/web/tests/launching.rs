//! Orders: launching, cancelling, going on.

mod entries;

use axum::http::StatusCode;

use super::*;
use crate::experiment::{RunId, Value};
use crate::run_dir::State;
use crate::store::RunFilter;

impl Site {
    async fn all_runs(&self) -> Vec<crate::store::Run> {
        self.store.runs(&RunFilter::default()).await.unwrap()
    }

    /// The run that a redirect leads to.
    async fn run_at(&self, answer: &Answer) -> crate::store::Run {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let id: RunId = answer.header("location").trim_start_matches("/runs/").parse().unwrap();
        self.store.run(&id).await.unwrap().unwrap()
    }
}

/// The fields that the form sends along for what it was shown for.
const SHOWN: &str =
    "base.method=mae&base.stage=pretrain&base.scale=smoke&base.seed=0&method=mae&stage=pretrain&scale=smoke&seed=0&data.source=builtin";

/// The epochs of a scale.
fn epochs(scale: &str) -> Value {
    let scale = Scale::built_in().into_iter().find(|known| known.name == scale).unwrap();
    scale.all["train"]["epochs"].clone()
}

#[tokio::test]
async fn one_click_queues_a_study_and_a_second_shares_its_runs() {
    let site = Site::new(|_| ()).await;
    let first = site.post("/studies/mae-vs-scratch/launch", "scale=smoke&data=builtin&seeds=").await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    assert!(
        first.header("location").ends_with("&queued=7&shared=0"),
        "{}",
        first.header("location")
    );
    site.page(first.header("location")).await.has(&[">7 runs queued.", "◷"]);
    assert_eq!(site.all_runs().await.len(), 7);
    let second = site.post("/studies/mae-vs-scratch/launch", "scale=smoke&data=builtin").await;
    assert!(
        second.header("location").ends_with("&queued=0&shared=7"),
        "{}",
        second.header("location")
    );
    site.page("/queue").await.has(&["its pretraining", "value=\"1\"", "value=\"-1\""]);
}

#[tokio::test]
async fn a_fault_stands_at_its_field_and_nothing_is_queued() {
    let site = Site::new(|_| ()).await;
    let cases = [
        ("scale=smoke&seeds=0", "0 is not allowed"),
        ("scale=smoke&seeds=many", "`many` is not a whole number"),
        ("scale=huge", "`huge` is not known: it must be one of smoke"),
        ("scale=smoke&data=/no/such/folder", "`/no/such/folder` is not there"),
    ];
    for (form, sentence) in cases {
        let answer = site.post("/studies/mae-vs-scratch/launch", form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        answer.has(&[sentence, "aria-invalid=\"true\""]);
    }
    let answer = site
        .post(
            "/launch",
            &format!("{SHOWN}&method.mask_ratio=1.2&train.epochs=three&model.patch_size=5"),
        )
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    answer.has(&[
        "value=\"1.2\"",
        "1.2 is not allowed: it must be a number from 0 to 0.999",
        "value=\"three\"",
        "three is not allowed",
    ]);
    let together = site.post("/launch", &format!("{SHOWN}&model.patch_size=5")).await;
    together.has(&["it does not divide data.image_size = 32", "value=\"5\""]);
    assert!(site.all_runs().await.is_empty());
}

#[tokio::test]
async fn the_form_sends_only_what_was_changed() {
    let site = Site::new(|_| ()).await;
    let answer = site
        .post(
            "/launch",
            &format!("{SHOWN}&method.mask_ratio=0.5&train.epochs={}&train.batch_size=", epochs("smoke")),
        )
        .await;
    let run = site.run_at(&answer).await;
    assert_eq!(run.spec.value("method", "mask_ratio"), Some(&Value::Float(0.5)));
    assert_eq!(run.spec.value("train", "epochs"), Some(&epochs("smoke")), "as the scale has it");
    assert_eq!((run.state, run.seed, run.scale.as_str()), (State::Queued, 0, "smoke"));
}

#[tokio::test]
async fn another_scale_brings_its_own_settings_and_keeps_the_edits() {
    let site = Site::new(|_| ()).await;
    let shown = SHOWN.replace("&scale=smoke", "&scale=laptop");
    let (smoke, laptop) = (epochs("smoke"), epochs("laptop"));
    assert_ne!(smoke, laptop);
    let form = format!("{shown}&action=update&method.mask_ratio=0.5&train.epochs={smoke}");
    let page = site.post("/launch", &form).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    page.has(&[
        &format!("id=\"train.epochs\" name=\"train.epochs\" inputmode=\"numeric\" value=\"{laptop}\""),
        "value=\"0.5\"",
        ">1 changed</span>",
    ]);
    assert!(site.all_runs().await.is_empty(), "an update queues nothing");
}

#[tokio::test]
async fn a_child_can_start_from_a_run_or_bring_its_pretraining() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let parent = find(&smoke_plan(), "mae", Stage::Pretrain).id.clone();
    site.page(&format!("/launch?stage=finetune&method=mae&parent={parent}"))
        .await
        .has(&["Inherited from the parent run", "disabled"]);
    let base = SHOWN.replace("stage=pretrain", "stage=finetune");
    let child = site
        .run_at(
            &site
                .post(
                    "/launch",
                    &format!("{base}&base.parent={parent}&parent={parent}&seed=7&train.epochs=1"),
                )
                .await,
        )
        .await;
    assert_eq!((child.parent, child.stage), (Some(parent.clone()), Stage::Finetune));
    let base = base.replace("seed=0", "seed=9");
    let before = site.all_runs().await.len();
    let alone = site.run_at(&site.post("/launch", &format!("{base}&parent=")).await).await;
    assert_eq!(site.all_runs().await.len(), before + 2, "its own pretraining came along");
    assert_ne!(alone.parent, Some(parent.clone()));
    for (method, sentence) in [("random_init", "that run is of the method mae"), ("nonsense", "not nonsense")] {
        let form = base.replace("method=mae", &format!("method={method}"));
        let answer = site.post("/launch", &format!("{form}&parent={parent}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        answer.has(&[sentence]);
    }
}

#[tokio::test]
async fn a_copy_of_a_run_has_its_settings() {
    let site = Site::new(|_| ()).await;
    let run = site
        .run_at(&site.post("/launch", &format!("{SHOWN}&method.mask_ratio=0.6&seed=0")).await)
        .await;
    site.page(&format!("/launch?from={}", run.id))
        .await
        .has(&["value=\"0.6\"", ">1 changed</span>"]);
    assert_eq!(site.get("/launch?from=0123456789abcdef").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn runs_are_cancelled_moved_and_continued_from_pages() {
    let site = Site::new(|_| ()).await;
    site.post("/studies/mae-vs-scratch/launch", "scale=smoke").await;
    let id = find(&smoke_plan(), "mae", Stage::Pretrain).id.clone();
    let state = async || site.store.run(&id).await.unwrap().unwrap();
    assert_eq!(
        site.post(&format!("/runs/{id}/priority"), "priority=5&from=queue")
            .await
            .header("location"),
        "/queue"
    );
    assert_eq!(state().await.priority, 5);
    assert_eq!(
        site.post(&format!("/runs/{id}/cancel"), "").await.header("location"),
        format!("/runs/{id}")
    );
    assert_eq!(state().await.state, State::Cancelled);
    let again = site.post(&format!("/runs/{id}/cancel"), "").await;
    assert_eq!(again.status, StatusCode::CONFLICT, "it has ended");
    assert_eq!(site.post(&format!("/runs/{id}/retry"), "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(state().await.state, State::Queued);
    assert_eq!(
        site.post(&format!("/runs/{id}/priority"), "priority=high").await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(site.post("/runs/0123456789abcdef/cancel", "").await.status, StatusCode::NOT_FOUND);
}

impl Site {
    async fn post_json(&self, body: &str) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(request(Method::POST, "/api/v1/launch", &headers, body)).await
    }
}

#[tokio::test]
async fn programs_launch_with_json() {
    let site = Site::new(|_| ()).await;
    let study = site.post_json(r#"{"study": "mae-vs-scratch", "scale": "smoke", "seeds": 2}"#).await;
    assert_eq!(study.status, StatusCode::CREATED, "{}", study.text);
    assert_eq!(site.all_runs().await.len(), 14);
    let single = r#"{"method": "mae", "scale": "smoke", "seed": 3, "set": {"method": {"mask_ratio": 0.5}}}"#;
    let single: serde_json::Value = serde_json::from_str(&site.post_json(single).await.text).unwrap();
    let id = single["queued"][0].as_str().unwrap();
    let run = site.store.run(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((run.seed, run.spec.value("method", "mask_ratio")), (3, Some(&Value::Float(0.5))));
    let cancel = request(Method::POST, &format!("/api/v1/runs/{id}/cancel"), &[], "");
    site.send(cancel).await.has(&["\"state\":\"cancelled\""]);
}

#[tokio::test]
async fn what_a_program_gets_wrong_is_said_in_json() {
    let site = Site::new(|_| ()).await;
    let cases = [
        (r#""set": {"method": {"mask_ratio": 1.2}}"#, 422, "method.mask_ratio"),
        (r#""stage": "finetune""#, 422, "parent"),
        (r#""seed": 9223372036854775808"#, 422, "seed"),
        (r#""data": "/no/such/folder""#, 422, "data.source"),
        (
            r#""parent": "0123456789abcdef", "stage": "probe""#,
            422,
            "there is no run 0123456789abcdef",
        ),
        (r#""study": "mae-vs-scratch""#, 400, "name a study"),
        (r#""shell": "rm""#, 400, "unknown field"),
        (r#""method": "mae""#, 400, "duplicate field"),
        ("", 400, "trailing comma"),
    ];
    for (asked, status, part) in cases {
        let answer = site.post_json(&format!(r#"{{"method": "mae", "scale": "smoke", {asked}}}"#)).await;
        let kind = answer.header("content-type");
        assert_eq!(
            (answer.status.as_u16(), kind),
            (status, "application/json"),
            "{asked}: {}",
            answer.text
        );
        answer.has(&[part]);
    }
    for (body, part) in [
        (
            r#"{"study": "table9", "scale": "smoke"}"#,
            "study: `table9` is not known: it must be one of ",
        ),
        (
            r#"{"method": "mea", "scale": "smoke"}"#,
            "method: `mea` is not known: it must be one of mae, ",
        ),
        (
            r#"{"method": "mae", "scale": "huge"}"#,
            "scale: `huge` is not known: it must be one of smoke, ",
        ),
    ] {
        let answer = site.post_json(body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        answer.has(&[part]);
    }
    let form = request(Method::POST, "/api/v1/launch", &[("content-type", "text/plain")], "{}");
    let refused = site.send(form).await.status;
    assert_eq!(refused, StatusCode::BAD_REQUEST, "a form cannot pretend to be a program");
    assert!(site.all_runs().await.is_empty());
}
