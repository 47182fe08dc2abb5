//! Claims on the work of a real server: nothing yet, then what one claim needs, queued from the page and judged.

use umbra::experiment::{Plan, Request, Scale, Study, plan};
use umbra::methods::catalog;
use umbra::run_dir::EventLog;

use super::*;

/// Finished runs of the first study at smoke as a worker would have left them, without the training.
fn fill(data_dir: &std::path::Path, seeds: u64) {
    let request = Request {
        seeds: Some(seeds),
        ..Request::default()
    };
    let Plan { runs, .. } = plan(&Study::built_in()[0], &Scale::built_in()[0], &catalog(), &request).unwrap();
    for run in &runs {
        let number = |name: &str, value: f64| EventKind::Summary {
            name: name.to_owned(),
            value,
        };
        let noise = [0.0, 0.6, -0.5][run.seed as usize] * if run.method == "mae" { 1.0 } else { 0.8 };
        let better = if run.method == "mae" { 6.0 } else { 0.0 };
        let mut kinds = vec![EventKind::Queued { priority: 0 }];
        kinds.extend(match run.stage {
            Stage::Finetune => vec![number("finetune.top1", 50.0 + better + noise)],
            Stage::Probe => vec![number("probe.top1", 40.0 - better + noise)],
            Stage::Psnr => vec![number("psnr.composite", 20.0 + noise), number("psnr.composite_zero", 15.0)],
            _ => Vec::new(),
        });
        kinds.push(EventKind::Finished { seconds: 1.0 });
        let mut log = EventLog::open(&RunDir::create(data_dir, run).unwrap().events_file()).unwrap();
        for kind in kinds {
            log.append(kind).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_what_claims_are_worth_and_queues_what_one_needs() {
    let (data_dir, profile) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(browser) = Browser::start(profile.path()).await else {
        return;
    };
    fill(data_dir.path(), 3);
    let server = Server::start(data_dir.path());
    browser.client.goto(&server.address).await.unwrap();
    browser.click(".bar nav a[href='/claims']").await;
    browser.until("the claims", "h1", |text| text == "Claims").await;
    assert!(browser.text("#counts").await.contains("3 seeds"));
    let judged = browser.text("#mae-vs-scratch-mae-rebuilds").await;
    assert!(judged.contains("supported") && judged.contains("n = 3 pairs"), "{judged}");
    // Better fine-tuned, worse probed: one broken part is enough.
    assert!(browser.text("#mae-vs-scratch-mae-beats-scratch").await.contains("contradicted"));
    let drawn = "const mark = document.querySelector('#mae-vs-scratch-mae-rebuilds svg.interval circle'); return mark.getBoundingClientRect().width";
    let width = browser.client.execute(drawn, vec![]).await.unwrap();
    assert!(width.as_f64().unwrap() > 4.0, "the interval is not drawn: {width}");

    browser.click("#counts a.verdict-supported").await;
    browser
        .until("supported claims alone", "#claims", |text| !text.contains("From scratch"))
        .await;
    assert_eq!(browser.count("article.claim").await, 1);
    browser.click("#counts a.verdict-not-enough").await;
    let queue = "form[action='/claims/table1/second-view-does-not-matter/launch'] button";
    browser
        .until("claims without numbers", "#claims", |text| text.contains("hardly matters"))
        .await;
    browser.click(queue).await;
    browser
        .until("its runs in the queue", "#main", |text| text.contains("runs queued"))
        .await;
    browser
        .until("them under way", "#claims", |text| text.contains("runs in progress"))
        .await;
    let waiting = server.api("/queue", None)["queue"].as_array().unwrap().len();
    assert!(
        waiting >= 11,
        "three encoders of two seeds, pretrained and fine-tuned, of which one may be at work: {waiting}"
    );
    for run in server.api("/queue", None)["queue"].as_array().unwrap() {
        server.api(&format!("/runs/{}/cancel", run["id"].as_str().unwrap()), Some("{}"));
    }
    browser.client.clone().close().await.unwrap();
}
