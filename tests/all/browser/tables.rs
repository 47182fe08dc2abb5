//! A filled table: sorted, filtered, cut, taken along, and followed to a run and back.

use super::*;

/// The titles of the rows, from top to bottom.
async fn rows(browser: &Browser) -> Vec<String> {
    let titles = "return [...document.querySelectorAll('#table tbody th')].map((title) => title.textContent)";
    let titles = browser.client.execute(titles, vec![]).await.unwrap();
    serde_json::from_value(titles).unwrap()
}

/// Waits until the rows stand in another order.
async fn turned(browser: &Browser, before: &[String]) -> Vec<String> {
    for _ in 0..200 {
        let now = rows(browser).await;
        if now != before {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the rows stayed {before:?}");
}

async fn fetched(browser: &Browser, link: &str) -> String {
    let script = format!("return fetch(document.querySelector({link:?}).href).then((answer) => answer.text())");
    let text = browser.client.execute(&script, vec![]).await.unwrap();
    text.as_str().expect("an export is text").to_owned()
}

/// On the page of the study MAE against scratch, whose numbers are all there. Nothing of it may reload the page.
pub async fn use_the_table(browser: &Browser) {
    let study = browser.client.current_url().await.unwrap();
    browser.client.execute("window.mark = 'table'", vec![]).await.unwrap();
    let usual = rows(browser).await;

    // By the heading, then by it again: the other way round, and the address says so.
    browser.click("#sort-row").await;
    browser.until("the arrow", "#sort-row", |text| text.contains('▴')).await;
    let sorted = rows(browser).await;
    browser.click("#sort-row").await;
    let reversed = turned(browser, &sorted).await;
    assert_eq!(reversed, sorted.iter().rev().cloned().collect::<Vec<_>>());
    let address = browser.client.current_url().await.unwrap();
    assert!(address.query().unwrap().contains("sort=row.title&dir=desc"), "{address}");
    let heads = browser.count("#table th[aria-sort=descending]").await;
    assert_eq!(heads, 1, "one head says how the rows are sorted");

    // Filtered while typing; the order and the page stay.
    browser.fill("rows", "scratch").await;
    browser
        .until("one row", "#table tbody", |text| !text.contains("MAE") && text.contains("scratch"))
        .await;
    browser.client.execute("document.activeElement.blur()", vec![]).await.unwrap();
    assert_eq!(rows(browser).await.len(), 1);
    let latex = fetched(browser, "#exports a[href*='export.tex']").await;
    assert!(
        latex.contains("\\toprule") && latex.contains("scratch &") && !latex.contains("\n    MAE &"),
        "{latex}"
    );

    let mark = browser.client.execute("return window.mark", vec![]).await.unwrap();
    assert_eq!(mark, "table", "the page was reloaded, not swapped");

    // As a link that somebody was sent.
    let link = browser.client.current_url().await.unwrap();
    browser.client.goto(link.as_str()).await.unwrap();
    assert_eq!(rows(browser).await.len(), 1, "the address is the whole view");
    browser.client.goto(study.as_str()).await.unwrap();
    assert_eq!(rows(browser).await, usual);

    let shown = browser.text("#row-mae .value").await;
    let latex = fetched(browser, "#exports a[href*='export.tex']").await;
    assert!(latex.contains(&shown), "{shown} is not in {latex}");
    follow_a_number(browser, &shown).await;
}

/// From the number to its run, whose page has it too and leads back to the row.
async fn follow_a_number(browser: &Browser, shown: &str) {
    browser.click("#row-mae a.value").await;
    browser.until("the run", "#results", |text| text.contains("Fine-tuned top-1")).await;
    let value = "return [...document.querySelectorAll('#results div')].find((one) => one.querySelector('dt').title === 'finetune.top1').querySelector('dd').textContent";
    let value = browser.client.execute(value, vec![]).await.unwrap();
    let [value, short] = [value.as_str().unwrap(), shown].map(|text| text.parse::<f64>().unwrap());
    assert!((value - short).abs() < 0.06, "the run has {value}, the table {short}");
    browser.click("#tables a[href*='mae-vs-scratch'][href$='#row-mae']").await;
    browser.until("the table", "#row-mae", |text| text.contains(shown)).await;
}
