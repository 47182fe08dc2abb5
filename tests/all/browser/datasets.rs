//! A person's own images, lying as they do: the form says what was found, what does not fit is refused, and what fits runs.

use std::path::Path;

use super::*;

/// A wrapping folder, splits in capitals, a text beside the images and an image outside of the classes.
fn put_awkward(root: &Path) {
    for (split, images) in [("Train", 24), ("Val", 12)] {
        for class in 0..2_u8 {
            let folder = root.join("pets-v2").join(split).join(["cat", "dog"][usize::from(class)]);
            std::fs::create_dir_all(&folder).unwrap();
            for n in 0..images {
                let shade = image::Rgb([class * 200, n * 5, if split == "Val" { 9 } else { 0 }]);
                image::RgbImage::from_pixel(32, 32, shade)
                    .save(folder.join(format!("{n}.png")))
                    .unwrap();
            }
        }
    }
    std::fs::write(root.join("pets-v2/Train/cat/notes.txt"), "from my phone").unwrap();
    image::RgbImage::new(32, 32).save(root.join("pets-v2/Train/loose.png")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_awkward_folder_is_checked_mended_and_trained_on() {
    let [data_dir, profile, images] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    put_awkward(images.path());
    let folder = images.path().to_str().unwrap();
    let Some(browser) = Browser::start(profile.path()).await else {
        return;
    };
    let server = Server::start(data_dir.path());
    browser
        .client
        .goto(&format!("{}/studies/mae-vs-scratch?scale=smoke", server.address))
        .await
        .unwrap();
    browser.fill("data", folder).await;
    browser.click("button[formaction$='/check']").await;
    browser
        .until("what was found", "#source", |text| {
            text.contains("2 classes, 48 + 24 images") && text.contains("2 files passed over")
        })
        .await;

    // More images than there are: refused with what would fit, which is one click away.
    browser.fill("data.train_images", "2000").await;
    browser.click("button[formaction$='/launch']:not([name])").await;
    browser
        .until("the refusal", "form.card", |text| {
            text.contains("2000 is more than there are") && text.contains("All of it fits with")
        })
        .await;
    browser.click("button[name=fit]").await;
    browser.until("the launch", ".notice", |text| text.contains("queued")).await;
    browser
        .until("the last run", "#done", |text| text.contains("7 of 7 runs done"))
        .await;

    // The data set has a page, which leads to these runs.
    browser.click("#source a").await;
    browser.until("its page", "h1", |text| text.contains(folder)).await;
    browser
        .until("the text that is none of the images", ".warnings", |text| {
            text.contains("notes.txt")
        })
        .await;
    let loaded = "return document.querySelector('img.sheet').decode().then(() => true, () => false)";
    assert_eq!(
        browser.client.execute(loaded, vec![]).await.unwrap(),
        true,
        "the contact sheet is drawn"
    );
    browser.click("dl.numbers a[href^='/runs?images=']").await;
    browser.until("the runs", "#list", |text| text.contains("of 7 runs")).await;
    browser.client.clone().close().await.unwrap();
}
