//! The claims page, its orders and its JSON.

use axum::http::StatusCode;

use super::*;
use crate::experiment::Request as PlanRequest;

/// The first study at smoke with that many seeds.
pub fn seeds_plan(seeds: u64) -> Plan {
    let request = PlanRequest {
        seeds: Some(seeds),
        ..PlanRequest::default()
    };
    plan(&Study::built_in()[0], &Scale::built_in()[0], &catalog(), &request).unwrap()
}

/// Writes every run of the first study at smoke, finished; MAE is above scratch in fine-tuning and not in the probe.
pub fn fill_seeds(data_dir: &Path, seeds: u64) {
    for run in &seeds_plan(seeds).runs {
        let mae = if run.method == "mae" { 1.0 } else { 0.0 };
        let noise = [0.0, 0.7, -0.4, 0.3][run.seed as usize % 4] + mae * [0.2, -0.1, 0.1, 0.0][run.seed as usize % 4];
        let numbers = match run.stage {
            Stage::Finetune => vec![("finetune.top1", 60.0 + 8.0 * mae + noise)],
            Stage::Probe => vec![("probe.top1", 40.0 + noise)],
            Stage::Psnr => vec![("psnr.composite", 21.0 + noise), ("psnr.composite_zero", 15.0)],
            _ => Vec::new(),
        };
        let results = numbers.into_iter().map(|(name, value)| summary(name, value));
        let kinds = [queued(), started()].into_iter().chain(results).chain([finished()]).collect();
        write_run(data_dir, run, kinds);
    }
}

#[tokio::test]
async fn before_anything_ran_the_page_lists_all_claims_and_what_each_needs() {
    let site = Site::new(|_| ()).await;
    let page = site.page("/claims").await;
    page.has(&["No runs yet", "not enough data"]);
    insta::assert_snapshot!("claims_before_any_run", read(&page.text, "counts", "</p>"));
    let studies = Study::built_in();
    for (study, claim) in studies
        .iter()
        .flat_map(|study| study.claims.iter().map(move |claim| (study, claim)))
    {
        page.has(&[
            &format!("id=\"{}-{}\"", study.name, claim.id),
            &format!("action=\"/claims/{}/{}/launch\"", study.name, claim.id),
        ]);
    }
    // MAE and scratch, pretrained, fine-tuned and probed with two seeds.
    page.has(&["12 runs of seeds 0, 1"]);
    site.page("/claims?verdict=supported").await.has(&["No claim is supported here"]);
}

#[tokio::test]
async fn claims_are_judged_on_all_seeds_that_were_begun() {
    let site = Site::new(|dir| fill_seeds(dir, 4)).await;
    let page = site.page("/claims").await;
    insta::assert_snapshot!("claims_of_four_seeds", read(&page.text, "counts", "</p>"));
    page.has(&[
        "n = 4 pairs",
        "+8.0",
        "class=\"interval\"",
        "95 % interval",
        &format!("href=\"/runs/{}\"", find(&seeds_plan(4), "mae", Stage::Finetune).id),
    ]);
    let answer = site.page("/api/v1/claims").await;
    let json: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(
        (json["scale"].as_str(), json["data"].as_str(), json["seeds"].as_u64()),
        (Some("smoke"), Some("builtin"), Some(4))
    );
    let claim = |id: &str| {
        let all = json["claims"].as_array().unwrap();
        all.iter().find(|one| one["claim"]["id"] == id).unwrap().clone()
    };
    let rebuilds = claim("mae-rebuilds");
    assert_eq!(rebuilds["verdict"], "supported");
    assert_eq!(rebuilds["next"]["runs"].as_array().unwrap().len(), 0);
    // Fine-tuning alone would support it; the probe does not.
    let both = claim("mae-beats-scratch");
    assert_eq!(
        (both["verdict"].as_str(), both["findings"][0]["verdict"].as_str()),
        (Some("not_separated"), Some("supported"))
    );
    assert_eq!(both["findings"][1]["verdict"], "not_separated");
    let runs = both["next"]["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4, "both encoders and their probes, and no fine-tuning: {runs:?}");
    assert!(runs.iter().all(|run| run["label"].as_str().unwrap().contains("seed 4")), "{runs:?}");
    assert!(both["next"]["seeds_estimate"].is_null() || both["next"]["seeds_estimate"].as_u64() > Some(4));
}

#[tokio::test]
async fn fewer_seeds_can_be_chosen_and_verdicts_filtered() {
    let site = Site::new(|dir| fill_seeds(dir, 4)).await;
    site.page("/claims?scale=smoke&seeds=1")
        .await
        .has(&["1 seed<", "Needs two seeds each."]);
    let page = site.page("/claims?verdict=supported").await;
    page.has(&["MAE reconstructs masked patches better than the predict-zero baseline"]);
    assert!(!page.text.contains("id=\"mae-vs-scratch-mae-beats-scratch\""));
    assert_eq!(site.get("/claims?verdict=true").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(site.get("/claims?scale=huge").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        site.get("/claims?scale=smoke&seeds=none").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn what_a_claim_needs_is_queued_from_the_page() {
    let site = Site::new(|dir| fill_seeds(dir, 2)).await;
    let answer = site
        .post("/claims/mae-vs-scratch/mae-beats-scratch/launch", "scale=smoke&data=builtin")
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(
        answer.header("location"),
        "/claims?scale=smoke&data=builtin&queued=4#mae-vs-scratch-mae-beats-scratch",
        "two encoders of seed 2 and their probes; fine-tuning is decided"
    );
    let waiting = site.store.queue().await.unwrap();
    assert!(waiting.iter().all(|run| run.seed == 2) && waiting.len() == 4);
    let page = site.page(answer.header("location").split('#').next().unwrap()).await;
    page.has(&["4 runs queued", "4 runs in progress"]);
    // Asking again queues nothing twice.
    site.post("/claims/mae-vs-scratch/mae-beats-scratch/launch", "scale=smoke&data=builtin")
        .await;
    assert_eq!(site.store.queue().await.unwrap().len(), 4);
    let cancelled = &waiting[0].id;
    site.jobs.cancel(cancelled).await.unwrap();
    let again = site
        .post("/claims/mae-vs-scratch/mae-beats-scratch/launch", "scale=smoke&data=builtin")
        .await;
    assert!(again.header("location").contains("queued=1"), "what was cancelled is retried");
    assert_eq!(
        site.post("/claims/mae-vs-scratch/no-such/launch", "").await.status,
        StatusCode::NOT_FOUND
    );
}

/// What no interval can tell stands where claims are explained, on the page and in the report.
#[tokio::test]
async fn what_intervals_leave_out_is_said() {
    let site = Site::new(|dir| fill_seeds(dir, 2)).await;
    for path in ["/claims", "/report.html?scale=smoke"] {
        site.page(path).await.has(&[
            "An interval is over seeds alone",
            "on the same subset, which all seeds share",
            "about 15 % instead of 5 %",
            "Deciding the number of seeds beforehand",
        ]);
    }
}

#[tokio::test]
async fn a_study_shows_its_own_claims() {
    let site = Site::new(|dir| fill_seeds(dir, 3)).await;
    let page = site.page("/studies/mae-vs-scratch?scale=smoke&seeds=3").await;
    page.has(&[
        "id=\"claims\"",
        "MAE pretraining beats random initialization",
        "n = 3 pairs",
        "supported",
    ]);
    assert!(!page.text.contains("id=\"table5-masks-matter-most\""), "a claim of another study");
}
