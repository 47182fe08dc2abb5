//! CKA of features, from the launch of the runs to the number under the pointer.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_compares_features_of_two_encoders_in_colors_lines_and_differences() {
    let (data_dir, profile) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(browser) = Browser::start(profile.path()).await else {
        return;
    };
    let server = Server::start(data_dir.path());
    browser.client.goto(&format!("{}/cka", server.address)).await.unwrap();
    assert!(browser.text("#main").await.contains("No CKA results yet"));

    let model = serde_json::json!({ "dim": 16, "depth": 3, "heads": 2, "decoder_dim": 16, "patch_size": 8 });
    let data = serde_json::json!({ "train_images": 64, "val_images": 40 });
    let train = serde_json::json!({ "epochs": 2, "batch_size": 16 });
    let mut compared = Vec::new();
    for method in ["mae", "random_init"] {
        let mut set = serde_json::json!({ "model": model, "data": data });
        if method == "mae" {
            set["train"] = train.clone();
        }
        let parent = launch(&server, serde_json::json!({ "method": method, "scale": "smoke", "set": set }));
        let set = serde_json::json!({ "data": { "val_images": 40 }, "cka": { "ratios": "0, 0.5, 0.9", "mask_seeds": 2 } });
        let asked = serde_json::json!({ "method": method, "stage": "cka", "scale": "smoke", "parent": parent, "set": set });
        compared.push(launch(&server, asked));
    }

    choose_what_finished(&browser, &compared).await;
    point_at_a_number(&browser).await;
    look_at_other_views(&browser).await;
    let address = format!("{}/runs/{}", server.address, compared[0]);
    browser.client.goto(&address).await.unwrap();
    browser
        .until("the run's own charts", "#cka-title", |text| text.contains("CKA"))
        .await;
    assert_eq!(browser.count("#cka figure svg").await, 2);
    browser.client.clone().close().await.unwrap();
}

/// The page offers what has finished; ticked and sent, both are drawn.
async fn choose_what_finished(browser: &Browser, compared: &[String]) {
    browser.client.refresh().await.unwrap();
    for id in compared {
        browser.click(&format!("#tick-{id}")).await;
    }
    browser.click("form .small").await;
    browser.until("the charts", "#cka-files", |text| text.contains("PNG")).await;
    assert_eq!(browser.count("#cka figure svg").await, 2);
    assert_eq!(browser.count("#cka rect title").await, 2 * 3 * 3);
}

/// What the pointer is told is what the file has, and nothing hidden is 1.
async fn point_at_a_number(browser: &Browser) {
    let under = "const box = document.querySelector('#cka figure rect title').parentNode; box.scrollIntoView({ block: 'center' });
        const place = box.getBoundingClientRect();
        const hit = document.elementFromPoint(place.x + place.width / 2, place.y + place.height / 2);
        return hit.querySelector('title').textContent";
    let told = browser.client.execute(under, vec![]).await.unwrap();
    assert!(told.as_str().unwrap().ends_with("block 1, ratio 0: 1.0000"), "{told}");
    let file = "return fetch(document.querySelector('#cka-files a[href*=json]').href).then((answer) => answer.json())
        .then((found) => found.map((one) => one.matrix.mean[2]))";
    let last: Vec<Vec<f64>> = serde_json::from_value(browser.client.execute(file, vec![]).await.unwrap()).unwrap();
    for [whole, half, little] in last.iter().map(|row| <[f64; 3]>::try_from(row.clone()).unwrap()) {
        assert!((whole - 1.0).abs() < 1e-5 && half < 0.9999 && little < half, "{last:?}");
    }
}

/// Other views come without a reload, and an image is drawn.
async fn look_at_other_views(browser: &Browser) {
    browser.client.execute("window.mark = 1", vec![]).await.unwrap();
    browser.choose("#cka-view", "lines").await;
    browser
        .until("the lines", "#cka .note", |text| text.contains("One line per mask ratio"))
        .await;
    assert!(browser.count("#cka figure polyline").await > 4);
    browser.choose("#cka-view", "difference").await;
    browser
        .until("the difference", "#cka .note", |text| {
            text.contains("Difference from the chosen run")
        })
        .await;
    assert_eq!(browser.count("#cka figure svg").await, 1);
    assert_eq!(
        browser.client.execute("return window.mark", vec![]).await.unwrap(),
        1,
        "the page was reloaded"
    );

    let drawn = "const image = new Image(); image.src = document.querySelector('#cka-files a[href*=png]').href;
        return image.decode().then(() => image.naturalWidth)";
    assert!(browser.client.execute(drawn, vec![]).await.unwrap().as_u64().unwrap() > 800);
}
