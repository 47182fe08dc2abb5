//! The playground in a real browser, on a real model.

use std::path::Path;

use fantoccini::Locator;
use fantoccini::key::Key;
use umbra::experiment::Stage;

use crate::browser::Browser;
use crate::playground::work;
use crate::support::{Server, tiny_run};

impl Browser {
    async fn key(&self, css: &str, key: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().send_keys(key).await.unwrap();
    }

    async fn address(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    async fn is_hidden(&self, patch: usize) -> bool {
        let script = format!("return document.getElementById('p-{patch}').checked");
        self.client.execute(&script, vec![]).await.unwrap().as_bool().unwrap()
    }

    async fn some_patches(&self) -> [bool; 3] {
        [self.is_hidden(0).await, self.is_hidden(9).await, self.is_hidden(30).await]
    }

    /// Waits for an answer that says this of the patches.
    async fn answered(&self, hidden: &str) {
        let hidden = format!("{hidden} of 64 patches masked");
        self.until("an answer", "#answer", |text| text.contains(&hidden)).await;
        self.until("its time", "#status", |text| text.contains("answered in")).await;
    }
}

fn image(dir: &Path) -> String {
    let path = dir.join("mine.png");
    image::RgbImage::from_fn(120, 80, |x, y| image::Rgb([(2 * x) as u8, (3 * y) as u8, 40]))
        .save(&path)
        .unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_hides_patches_and_compares_two_models() {
    let (data_dir, profile) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(browser) = Browser::start(profile.path()).await else {
        return;
    };
    let (mae, random) = (
        tiny_run(Stage::Pretrain, "mae", None, &[]),
        tiny_run(Stage::Pretrain, "random_init", None, &[]),
    );
    work(data_dir.path(), &mae);
    work(data_dir.path(), &random);
    let server = Server::start(data_dir.path());

    // From the run's page to the first answer, with the mask that was drawn.
    browser.client.goto(&format!("{}/runs/{}", server.address, mae.id)).await.unwrap();
    browser.click("a[href^='/playground']").await;
    browser.answered("48").await;
    assert_eq!(browser.count("#answer .shots img").await, 5);
    assert_eq!(browser.count("#answer .maps img").await, 8);
    assert_eq!(browser.count("#patches input:checked").await, 48);
    browser
        .until("ratios", "#answer .ratios", |text| text.contains("gain over zero"))
        .await;

    let chosen = choose_patches(&browser).await;
    compare(&browser, random.id.as_str()).await;
    // The address alone brings everything back.
    let address = browser.address().await;
    browser.client.goto("about:blank").await.unwrap();
    browser.client.goto(&address).await.unwrap();
    browser.until("both models", "#side-B", |text| text.contains("Random")).await;
    assert_eq!(browser.some_patches().await, chosen);
    hand_in_a_image(&browser, &image(profile.path())).await;

    // The embedding shows the image that is pointed at.
    browser
        .client
        .goto(&format!("{}/runs/{}/embedding", server.address, mae.id))
        .await
        .unwrap();
    browser
        .until("the map", "#map .note", |text| text.contains("32 of 32 validation images"))
        .await;
    assert_eq!(browser.count("#map a[data-index]").await, 32);
    let point = "document.querySelector('#map a[data-index=\"7\"]').dispatchEvent(new PointerEvent('pointerover', {bubbles: true})); \
                 const i = document.querySelector('#peek img'); return i.decode().then(() => i.naturalWidth)";
    assert_eq!(browser.client.execute(point, vec![]).await.unwrap(), 32);
    browser.until("its class", "#peek", |text| text.contains("image 7")).await;
    browser.client.clone().close().await.unwrap();
}

/// Clicks and keys choose patches, and the address keeps them.
async fn choose_patches(browser: &Browser) -> [bool; 3] {
    let drawn = browser.is_hidden(0).await;
    browser.click("#p-0").await;
    browser.answered(if drawn { "47" } else { "49" }).await;
    assert_ne!(browser.is_hidden(0).await, drawn);
    let before = browser.is_hidden(9).await;
    browser.key("#p-0", &Key::Right).await;
    browser.key("#p-1", &Key::Down).await;
    browser.key("#p-9", " ").await;
    assert_ne!(browser.is_hidden(9).await, before);
    let hidden = 48 + [drawn, before].map(|was| if was { -1 } else { 1 }).iter().sum::<i32>();
    browser.answered(&hidden.to_string()).await;
    assert!(browser.address().await.contains("hide="));
    browser.some_patches().await
}

/// A second model, without a decoder, beside the first.
async fn compare(browser: &Browser, other: &str) {
    browser.choose("select[name=b]", other).await;
    browser.until("the second model", "#side-B", |text| text.contains("Random")).await;
    let lacks = "no decoder that predicts pixels";
    browser.until("what it has not", "#answer", |text| text.contains(lacks)).await;
    assert_eq!(browser.count("#answer .side").await, 2);
}

/// An image of one's own, then back to those of the data.
async fn hand_in_a_image(browser: &Browser, path: &str) {
    browser.key("input[name=file]", path).await;
    browser
        .until("the own image", "#answer", |text| text.contains("image of your own"))
        .await;
    assert!(browser.address().await.contains("upload="));
    browser.click("#own-off").await;
    browser.until("a validation image", "#answer", |text| text.contains("class")).await;
    browser.click("button[value=next]").await;
    browser.until("the next image", "#answer a[href*='image=1']", |_| true).await;
}
