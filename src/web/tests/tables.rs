//! Tables as people look at them.

use axum::http::StatusCode;

use super::*;

#[tokio::test]
async fn a_table_is_sorted_filtered_and_cut_by_its_address_and_its_links_keep_the_rest() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    let study = "/studies/mae-vs-scratch?scale=smoke";
    let page = site
        .page(&format!("{study}&sort=row.title&columns=finetune,probe&rows=mae&show=seeds"))
        .await;
    page.has(&["aria-sort=\"ascending\"", "seed 0: 61.2", "Columns (2 of 4)"]);
    assert!(
        !page.text.contains("From scratch</th>") && !page.text.contains("PSNR</th>"),
        "{}",
        page.text
    );
    // A click on a head turns the order round, or sorts by another column, and leaves everything else as it is.
    page.has(&[
        "columns=finetune%2Cprobe&#38;rows=mae&#38;sort=row.title&#38;dir=desc&#38;show=seeds",
        "columns=finetune%2Cprobe&#38;rows=mae&#38;sort=probe&#38;show=seeds",
        "/studies/mae-vs-scratch/export.tex?scale=smoke&#38;columns=finetune%2Cprobe&#38;rows=mae&#38;sort=row.title&#38;show=seeds",
    ]);
    let order = |text: &str| text.find("id=\"row-mae\"") < text.find("id=\"row-scratch\"");
    assert!(order(&site.page(&format!("{study}&sort=finetune.paper")).await.text));
    assert!(!order(&site.page(&format!("{study}&sort=finetune.paper&dir=asc")).await.text));
    site.page(&format!("{study}&rows=nothing"))
        .await
        .has(&["No row has “nothing”", "Show all rows"]);
    let refused = site.get(&format!("{study}&sort=nothing")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    refused.has(&["sort: `nothing` is not known"]);
}

#[tokio::test]
async fn a_study_shows_all_seeds_that_were_begun_on_whichever_images() {
    let images = "/data/birds";
    let planned = |seeds: u64| {
        let request = crate::experiment::Request {
            data: Some(images.to_owned()),
            seeds: Some(seeds),
            ..Default::default()
        };
        plan(&Study::built_in()[0], &Scale::built_in()[0], &catalog(), &request).unwrap()
    };
    // Another study may have more seeds there: its runs are no seeds of this one.
    let other = RunSpec::new(Stage::Pretrain, "byol", 2, None, planned(1).runs[0].settings.clone(), &[]);
    let site = Site::new(|dir| {
        for run in planned(2).runs {
            write_run(
                dir,
                &run,
                vec![queued(), started(), summary("finetune.top1", 60.0 + run.seed as f64), finished()],
            );
        }
        write_run(
            dir,
            &RunSpec {
                scale: "smoke".to_owned(),
                ..other
            },
            vec![queued()],
        );
    })
    .await;
    let all = planned(2).runs.len();
    let address = "scale=smoke&#38;data=%2Fdata%2Fbirds&#38;seeds=2";
    site.page("/")
        .await
        .has(&[address, &format!("smoke, birds: {all} of {all} runs done")]);
    let study = site.page("/studies/mae-vs-scratch").await;
    study.has(&["60.5 ± 0.7", "n=2", address, "name=\"seeds\" inputmode=\"numeric\" value=\"2\""]);
    let one = site.page("/studies/mae-vs-scratch?scale=smoke&data=/data/birds&seeds=1").await;
    one.has(&["60.0", "n=1"]);
    let exported = site.page("/studies/mae-vs-scratch/export.md?scale=smoke&data=/data/birds").await;
    exported.has(&["60.5 ± 0.7 (n=2)"]);
}

#[tokio::test]
async fn a_number_leads_to_its_runs_and_each_run_back_to_its_tables() {
    let finetuned = |seed: u64| {
        let (study, scale) = (&Study::built_in()[0], &Scale::built_in()[0]);
        let request = crate::experiment::Request {
            seeds: Some(2),
            ..Default::default()
        };
        let plan = plan(study, scale, &catalog(), &request).unwrap();
        let run = plan
            .runs
            .into_iter()
            .find(|run| (run.method.as_str(), run.stage, run.seed) == ("mae", Stage::Finetune, seed));
        run.unwrap()
    };
    let site = Site::new(|dir| {
        for (seed, value) in [(0, 60.0), (1, 62.0)] {
            write_run(
                dir,
                &finetuned(seed),
                vec![queued(), started(), summary("finetune.top1", value), finished()],
            );
        }
    })
    .await;
    let number = "/studies/mae-vs-scratch/number?scale=smoke&#38;seeds=2&#38;row=mae&#38;column=finetune";
    let study = site.page("/studies/mae-vs-scratch?scale=smoke&seeds=2").await;
    study.has(&["61.0 ± 1.4", "n=2", &format!("class=\"value\" href=\"{number}\"")]);
    let page = site.page(&number.replace("&#38;", "&")).await;
    let [first, second] = [0, 1].map(|seed| format!("/runs/{}", finetuned(seed).id));
    page.has(&["n=2 of 2 seeds", "60.0", "62.0", "paper 83.1", &first, &second, "/compare?runs="]);
    let back = "/studies/mae-vs-scratch?scale=smoke&#38;seeds=2#row-mae";
    page.has(&[back]);
    site.page(&second).await.has(&[back, "Fine-tuned top-1"]);
    // The first seed is part of the table as it is without asking for seeds.
    site.page(&first).await.has(&["/studies/mae-vs-scratch?scale=smoke#row-mae"]);
    assert_eq!(
        site.get("/studies/mae-vs-scratch/number?scale=smoke&row=no&column=finetune")
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn scales_with_runs_are_tabs_and_two_of_them_stand_side_by_side() {
    let site = Site::new(|dir| {
        for (scale, value) in [(0, 60.0), (1, 64.5)] {
            let scale = &Scale::built_in()[scale];
            let plan = plan(&Study::built_in()[0], scale, &catalog(), &Default::default()).unwrap();
            let run = find(&plan, "mae", Stage::Finetune);
            write_run(dir, run, vec![queued(), started(), summary("finetune.top1", value), finished()]);
        }
    })
    .await;
    let page = site
        .page("/studies/mae-vs-scratch?scale=smoke&against=quick&sort=finetune.difference")
        .await;
    page.has(&[
        "aria-label=\"Scales and datasets\"",
        "1 of 7 done",
        "60.0",
        "64.5",
        "+4.5",
        "second − first",
        "aria-sort=\"descending\"",
    ]);
    assert!(
        !page.text.contains("83.1"),
        "the paper's numbers stand beside one scale, never in a difference"
    );
    // A tab is one scale, so it drops what needs two.
    page.has(&["href=\"/studies/mae-vs-scratch?scale=quick\""]);
    site.page("/studies/mae-vs-scratch?scale=smoke").await.has(&["60.0", "83.1"]);
    let refused = site.get("/studies/mae-vs-scratch?scale=smoke&against=huge").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.has(&["against: `huge` is not known"]);
}

#[tokio::test]
async fn exports_have_the_columns_rows_and_order_of_their_address() {
    let mut lock = None;
    let site = Site::new(|dir| lock = Some(fill_study(dir))).await;
    site.page("/studies/mae-vs-scratch/export.tex?scale=smoke").await.has(&[
        "\\toprule",
        "\\label{tab:mae-vs-scratch-smoke}",
        "MAE & $61.2$ & 83.1 &",
    ]);
    let part = "columns=finetune&rows=scratch,mae&sort=row.title";
    let arranged = site
        .page(&format!("/studies/mae-vs-scratch/export.tex?scale=smoke&{part}"))
        .await
        .text;
    assert!(
        arranged.contains("{lrr}") && arranged.find("From scratch") < arranged.find("    MAE"),
        "{arranged}"
    );
    site.page(&format!("/studies/mae-vs-scratch/export.svg?scale=smoke&theme=dark&{part}"))
        .await
        .has(&["<svg", "#14161a", "61.2", "one seed (n=1)"]);
    let png = site.page("/studies/mae-vs-scratch/export.png?scale=smoke").await;
    assert_eq!(png.header("content-type"), "image/png");
    let refused = site.get("/studies/mae-vs-scratch/export.tex?scale=smoke&columns=nothing").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    refused.has(&["`nothing` is not a column"]);
}
