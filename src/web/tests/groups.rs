//! Runs by what they have in common.

use axum::http::StatusCode;

use super::*;

/// Two seeds of MAE's fine-tuning and one of the scratch encoder's.
fn fill(data_dir: &Path) {
    let request = crate::experiment::Request {
        seeds: Some(2),
        ..Default::default()
    };
    let plan = plan(&Study::built_in()[0], &Scale::built_in()[0], &catalog(), &request).unwrap();
    let runs = plan.runs.iter().filter(|run| run.stage == Stage::Finetune);
    for run in runs {
        let value = match (run.method.as_str(), run.seed) {
            ("mae", seed) => 60.0 + 2.0 * seed as f64,
            (_, 0) => 50.0,
            _ => {
                write_run(data_dir, run, vec![queued()]);
                continue;
            }
        };
        write_run(
            data_dir,
            run,
            vec![queued(), started(), summary("finetune.top1", value), finished()],
        );
    }
}

/// The row of the table of groups that begins with that name.
fn row(page: &str, name: &str) -> String {
    let (_, table) = page.split_once("id=\"groups\"").expect("runs are grouped");
    let begins = |row: &&str| {
        let first = row.split("</td>").next().unwrap_or_default().trim_end_matches("</a>");
        first.ends_with(&format!(">{name}"))
    };
    let rows: Vec<&str> = table.split("<tr>").filter(begins).collect();
    assert_eq!(rows.len(), 1, "{name} in {table}");
    rows[0].split("</tr>").next().unwrap().to_owned()
}

#[tokio::test]
async fn groups_have_counts_and_the_mean_of_a_result() {
    let site = Site::new(fill).await;
    let page = site.page("/runs?group=method&measure=finetune.top1").await.text;
    let mae = row(&page, "mae");
    for part in ["2 finished", "<b>61.00</b> ± 1.41<", "60.00 to 62.00", "href=\"/runs?method=mae\""] {
        assert!(mae.contains(part), "{part} in {mae}");
    }
    let scratch = row(&page, "random_init");
    assert!(
        scratch.contains("1 queued") && scratch.contains("1 finished") && scratch.contains("<b>50.00</b>"),
        "{scratch}"
    );
    // The best first, and the other way round.
    let first = |page: &str| page.find(">mae</a>") < page.find(">random_init</a>");
    assert!(first(&site.page("/runs?group=method&measure=finetune.top1&sort=mean").await.text));
    assert!(!first(
        &site.page("/runs?group=method&measure=finetune.top1&sort=mean&dir=asc").await.text
    ));
}

#[tokio::test]
async fn runs_are_grouped_by_anything_they_have_and_filters_hold() {
    let site = Site::new(fill).await;
    for (group, name, runs) in [
        ("stage", "finetune", 4),
        ("scale", "smoke", 4),
        ("data", "builtin", 4),
        ("state", "queued", 1),
        ("seed", "1", 2),
        ("study", "mae-vs-scratch", 4),
        ("train.epochs", "3", 4),
    ] {
        let page = site.page(&format!("/runs?group={group}")).await.text;
        assert!(
            row(&page, name).contains(&format!("<td class=\"num\">{runs}</td>")),
            "{group}: {page}"
        );
    }
    let page = site.page("/runs?group=seed&method=mae").await.text;
    assert!(row(&page, "1").contains("<td class=\"num\">1</td>"), "{page}");
    let page = site.page("/runs?group=method.mask_ratio").await.text;
    assert!(page.contains(">(none)</a>"), "finetuning has no mask: {page}");
    // A group's link is a list with that many runs.
    site.page("/runs?set=train.epochs%3D3").await.has(&["1–4 of 4 runs"]);
    site.page("/runs?set=train.epochs%3D4").await.has(&["No run matches"]);
    site.page("/runs?set=method.mask_ratio%3D").await.has(&["1–4 of 4 runs"]);
    site.page("/runs?scale=quick").await.has(&["No run matches"]);
}

#[tokio::test]
async fn a_group_or_setting_that_is_none_is_refused_by_name() {
    let site = Site::new(fill).await;
    for (query, part) in [
        ("group=color", "group: `color` is not known"),
        ("set=train.epochs", "must be section.key=value"),
        ("set=train.nothing%3D1", "is of no setting"),
        ("set=train.epochs%3Dmany", "set: train.epochs: "),
    ] {
        let answer = site.get(&format!("/runs?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        answer.has(&[part]);
    }
}
