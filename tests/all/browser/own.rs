//! A study that a person makes in the browser.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_makes_a_study_changes_it_and_deletes_it() {
    let (data_dir, profile) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(browser) = Browser::start(profile.path()).await else {
        return;
    };
    let server = Server::start(data_dir.path());
    browser.client.goto(&server.address).await.unwrap();
    browser.click("a[href='/studies/new']").await;
    browser.until("the form", "h1", |text| text.contains("New custom study")).await;

    // What is typed is judged without a button.
    browser.fill("name", "ratios").await;
    browser.fill("title", "Mask ratio").await;
    browser.click("input[name=method][value=mae]").await;
    browser.click("input[name=measure][value=finetune]").await;
    browser.fill("settings", "method.mask_ratio = 0.5, 1.5").await;
    browser
        .until("what is wrong", "#verdict", |text| text.contains("1.5 is not allowed"))
        .await;
    browser.fill("settings", "method.mask_ratio = 0.5, 0.75, 0.9").await;
    browser
        .until("the count", "#verdict", |text| text.contains("3 rows") && text.contains("6 runs"))
        .await;
    browser.click("form[data-check] button.primary").await;
    browser.until("its page", "h1", |text| text == "Mask ratio").await;
    browser.until("its rows", "#table", |text| text.contains("mask_ratio 0.9")).await;
    assert!(data_dir.path().join("studies/ratios.toml").exists());

    browser.click("a[href='/studies/new?edit=ratios']").await;
    browser.until("the file", "h1", |text| text.contains("Edit ratios")).await;
    let cut = "const box = document.querySelector('textarea[name=toml]');
        box.value = box.value.slice(0, box.value.lastIndexOf('[[row]]'));
        box.dispatchEvent(new Event('input', { bubbles: true }))";
    browser.client.execute(cut, vec![]).await.unwrap();
    browser
        .until("the new count", "#verdict", |text| {
            text.contains("2 rows") && text.contains("4 runs")
        })
        .await;
    browser.click("form[data-check] button.primary").await;
    browser.until("its page", "h1", |text| text == "Mask ratio").await;

    browser.click("details.menu summary").await;
    browser.click("#delete").await;
    browser.until("the first page", "#studies-title", |text| text == "Studies").await;
    assert!(!browser.text("#main").await.contains("Mask ratio"));
    assert!(!data_dir.path().join("studies/ratios.toml").exists());
    browser.client.clone().close().await.unwrap();
}
