//! Reconstructions of two runs: charts, numbers and the same images.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_compares_reconstructions_of_two_runs() {
    let (data_dir, profile) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(browser) = Browser::start(profile.path()).await else {
        return;
    };
    let server = Server::start(data_dir.path());
    browser.client.goto(&format!("{}/psnr", server.address)).await.unwrap();
    assert!(browser.text("#main").await.contains("No PSNR results yet"));

    let model = serde_json::json!({ "dim": 16, "depth": 2, "heads": 2, "decoder_dim": 16, "patch_size": 8 });
    let data = serde_json::json!({ "train_images": 64, "val_images": 24 });
    let mut scored = Vec::new();
    for method in ["mae", "rmae"] {
        let set = serde_json::json!({ "model": model, "data": data, "train": { "epochs": 2, "batch_size": 16 } });
        let parent = launch(&server, serde_json::json!({ "method": method, "scale": "smoke", "set": set }));
        let set = serde_json::json!({ "data": { "val_images": 24 } });
        let asked = serde_json::json!({ "method": method, "stage": "psnr", "scale": "smoke", "parent": parent, "set": set });
        scored.push(launch(&server, asked));
    }

    browser.client.refresh().await.unwrap();
    for id in &scored {
        browser.click(&format!("#tick-{id}")).await;
    }
    browser.click("form .small").await;
    browser
        .until("the charts", "#psnr", |text| text.contains("predict-zero baseline"))
        .await;
    look_at_the_chart(&browser).await;
    choose_a_measure(&browser).await;
    let loaded = "const sheets = [...document.querySelectorAll('table.tiles image')].map((image) => image.href.baseVal);
        return Promise.all([...new Set(sheets)].map((sheet) => { const image = new Image(); image.src = sheet; return image.decode(); }))
            .then((all) => all.length)";
    let sheets = browser.client.execute(loaded, vec![]).await.unwrap();
    assert_eq!(sheets, 2, "a sheet of images a run");
    assert!(browser.text("table.tiles").await.contains(" dB ("));
    browser.client.clone().close().await.unwrap();
}

/// A line a run and two dashed ones, over training too; what is written below is what the files say.
async fn look_at_the_chart(browser: &Browser) {
    assert_eq!(browser.count("#psnr figure svg").await, 2, "over ratios and over training");
    assert!(browser.count("#psnr figure:first-child polyline").await >= 4);
    let file = "return fetch(document.querySelector('a[aria-label=\"model as JSON\"]').href).then((answer) => answer.json())
        .then((matrix) => matrix.mean[matrix.rows.labels.indexOf('oracle composite mean')][0].toFixed(2))";
    let stored = browser.client.execute(file, vec![]).await.unwrap();
    let shown = "return document.querySelector('table.list td.num').textContent";
    assert_eq!(browser.client.execute(shown, vec![]).await.unwrap(), stored);
    let alone = "return fetch(document.querySelector('#psnr figcaption a').href).then((answer) => answer.text())";
    let svg = browser.client.execute(alone, vec![]).await.unwrap();
    assert!(svg.as_str().unwrap().starts_with("<svg"), "{svg}");
}

/// Another measure is another chart and other numbers.
async fn choose_a_measure(browser: &Browser) {
    let before = browser.text("table.list tbody").await;
    browser.choose("#psnr-measure", "oracle masked mean").await;
    browser
        .until("its numbers", "#numbers-title", |text| text.contains("oracle masked mean"))
        .await;
    assert_ne!(browser.text("table.list tbody").await, before);
}
