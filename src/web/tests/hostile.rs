//! What strangers put into fields, addresses, labels and logs.

use axum::http::StatusCode;

use super::*;
use crate::experiment::{Request, Value, single_run};

const SCRIPT: &str = "<script>alert(1)</script>";

/// Ways to leave a directory or to break a parser, percent-encoded for a path.
const PATHS: &[&str] = &[
    "..",
    "%2e%2e",
    "%252e%252e",
    "..%2f..%2f..%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "%2fetc%2fpasswd",
    "..;%2f",
    "C:%5cwindows",
    "%00",
    "a%00b",
    "%ff%fe",
    "file:%2f%2f%2fetc%2fpasswd",
    "%23",
    "%0d%0aSet-Cookie:x=1",
];

#[tokio::test]
async fn no_path_leads_out_of_a_run() {
    let site = Site::new(|dir| drop(fill_study(dir))).await;
    let id = find(&smoke_plan(), "mae", Stage::Pretrain).id.to_string();
    std::fs::write(site.dir.path().join("secret"), "secret").unwrap();
    let long = "a".repeat(5000);
    for hostile in PATHS.iter().copied().chain([long.as_str()]) {
        let routes = [
            format!("/runs/{hostile}"),
            format!("/runs/{hostile}/log"),
            format!("/runs/{hostile}/model.safetensors"),
            format!("/runs/{hostile}/subset.tsv"),
            format!("/runs/{id}/images/8/{hostile}"),
            format!("/runs/{id}/images/8/{hostile}.png"),
            format!("/runs/{id}/images/{hostile}/reconstruction.png"),
            format!("/studies/{hostile}"),
            format!("/studies/mae-vs-scratch/{hostile}"),
            format!("/static/{hostile}"),
            format!("/api/v1/runs/{hostile}"),
        ];
        for path in routes {
            let answer = site.get(&path).await;
            assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
            assert!(
                !answer.text.contains("secret") && !answer.headers.contains_key("set-cookie"),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_image_is_served_only_from_the_runs_own_folder() {
    let plan = smoke_plan();
    let run = find(&plan, "mae", Stage::Pretrain);
    let site = Site::new(|dir| {
        std::fs::write(dir.join("secret"), "secret").unwrap();
        let image = |name: &str, file: &str| EventKind::Image {
            name: name.to_owned(),
            step: 1,
            file: file.to_owned(),
        };
        let files = vec![
            queued(),
            image("up", "../../../secret"),
            image("root", "/etc/passwd"),
            image("link", "link.png"),
        ];
        let made = write_run(dir, run, files);
        std::fs::create_dir_all(made.images()).unwrap();
        std::os::unix::fs::symlink(dir.join("secret"), made.images().join("link.png")).unwrap();
    })
    .await;
    for name in ["up", "root", "link"] {
        let answer = site.get(&format!("/runs/{}/images/1/{name}.png", run.id)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
    }
}

/// A run that says a script wherever a run can say something.
fn write_hostile_run(data_dir: &Path) {
    let mut request = Request::default();
    let source = Value::Text(format!("/{SCRIPT}\"'>"));
    request
        .set
        .entry("data".to_owned())
        .or_default()
        .insert("source".to_owned(), source);
    let mut run = single_run(Stage::Pretrain, "mae", &Scale::built_in()[0], &catalog(), &request, 0, None).unwrap();
    run.label = format!("{SCRIPT}\"'><img src=x onerror=alert(1)>");
    let name = format!("{SCRIPT}/loss");
    let image = EventKind::Image {
        name: format!("\"><script>{SCRIPT}"),
        step: 1,
        file: "x.png".to_owned(),
    };
    let warning = EventKind::Warning {
        message: SCRIPT.to_owned(),
    };
    let failed = EventKind::Failed {
        reason: SCRIPT.to_owned(),
        causes: vec![],
    };
    let numbers = [metric(&name, 1, 2.0), metric(&name, 2, f64::NAN), summary(SCRIPT, f64::INFINITY)];
    let kinds = [queued(), started()].into_iter().chain(numbers).chain([image, warning, failed]);
    let made = write_run(data_dir, &run, kinds.collect());
    std::fs::write(made.log_file(), format!("{SCRIPT}\u{1b}[31m\0\n</pre>{SCRIPT}")).unwrap();
}

#[tokio::test]
async fn text_of_runs_is_shown_as_text() {
    let site = Site::new(write_hostile_run).await;
    let runs = site.store.runs(&Default::default()).await.unwrap();
    let id = &runs[0].id;
    let paths = [
        "/",
        "/runs",
        "/runs?q=%3Cscript%3E",
        "/queue",
        &format!("/runs/{id}"),
        &format!("/compare?runs={id}"),
        &format!("/launch?from={id}"),
    ];
    for path in paths {
        let answer = site.page(path).await;
        assert!(
            !answer.text.contains("<script>alert") && !answer.text.contains("<img src=x"),
            "{path}:\n{}",
            answer.text
        );
    }
    let chart = site
        .page(&format!(
            "/charts/curves.svg?runs={id}&metric=%3Cscript%3Ealert(1)%3C/script%3E/loss"
        ))
        .await;
    assert!(!chart.text.contains("<script"), "{}", chart.text);
    assert_eq!(
        site.page(&format!("/runs/{id}/log")).await.header("content-type"),
        "text/plain; charset=utf-8"
    );
}

#[tokio::test]
async fn text_of_requests_is_shown_as_text_or_refused() {
    let site = Site::new(|_| ()).await;
    let script = "%3Cscript%3Ealert(1)%3C/script%3E";
    let gets = [
        "/runs?q=S",
        "/runs?state=S",
        "/runs?study=S",
        "/launch?method=S",
        "/launch?scale=S",
        "/launch?stage=S",
        "/studies/S",
        "/login?next=/S",
        "/studies/mae-vs-scratch?data=S",
        "/studies/mae-vs-scratch?seeds=S",
        "/charts/curves.svg?runs=S",
        "/S",
        "/studies/mae-vs-scratch?queued=S&shared=1",
    ];
    for path in gets {
        let answer = site.get(&path.replace('S', script)).await;
        assert!(
            !answer.status.is_server_error() && !answer.text.contains("<script>alert"),
            "{path}: {}",
            answer.text
        );
    }
    let posts = [
        ("/launch", "scale=smoke&stage=pretrain&method=S"),
        ("/launch", "base.method=mae&method=mae&scale=smoke&stage=pretrain&train.epochs=S"),
        ("/launch", "method=mae&stage=pretrain&scale=smoke&seed=S"),
        ("/launch", "method=mae&scale=smoke&parent=S&stage=finetune"),
        ("/studies/mae-vs-scratch/launch", "scale=S"),
        ("/studies/mae-vs-scratch/launch", "scale=smoke&data=S%00"),
        ("/login", "token=S&next=S"),
    ];
    for (path, form) in posts {
        let answer = site.post(path, &form.replace('S', script)).await;
        assert!(
            answer.status.is_client_error() || path == "/login",
            "{path} {form}: {}",
            answer.status
        );
        assert!(!answer.text.contains("<script>alert"), "{path} {form}: {}", answer.text);
    }
    assert_eq!(
        site.post("/launch", "a=%ff").await.status,
        StatusCode::BAD_REQUEST,
        "a form without its choices is none"
    );
    assert!(site.store.runs(&Default::default()).await.unwrap().is_empty());
}
