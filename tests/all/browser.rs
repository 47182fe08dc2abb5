//! A person with a browser: headless Chromium, driven through its driver, on a real server.
//!
//! Without Chromium and its driver the test says so and passes, unless `UMBRA_REQUIRE_BROWSER` is set.

mod cka;
mod claims;
mod datasets;
mod own;
mod psnr;
mod tables;

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use umbra::experiment::Stage;
use umbra::run_dir::{EventKind, RunDir};

use crate::support::{Server, events, wait_for};

/// A browser with its driver, both gone on drop.
pub struct Browser {
    driver: Child,
    pub client: Client,
}

impl Browser {
    /// Starts both, or says that they are not installed.
    pub async fn start(profile: &std::path::Path) -> Option<Browser> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(driver) = driver else {
            assert!(std::env::var_os("UMBRA_REQUIRE_BROWSER").is_none(), "chromedriver is not installed");
            eprintln!("passed over: install Chromium and its driver (Debian: chromium, chromium-driver) to run the browser test");
            return None;
        };
        wait_for("chromedriver", Duration::from_secs(30), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1200,900",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), serde_json::json!({ "args": arguments }));
        let address = format!("http://127.0.0.1:{port}");
        let client = ClientBuilder::new(fantoccini_connector())
            .capabilities(capabilities)
            .connect(&address)
            .await
            .expect("Chromium starts");
        Some(Browser { driver, client })
    }

    async fn text(&self, css: &str) -> String {
        self.client
            .wait()
            .for_element(Locator::Css(css))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    pub async fn click(&self, css: &str) {
        self.client
            .wait()
            .for_element(Locator::Css(css))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    pub async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// Waits until the page itself, never reloaded, shows what is asked for.
    pub async fn until(&self, what: &str, css: &str, shown: impl Fn(&str) -> bool) {
        let mut last = String::new();
        for _ in 0..2400 {
            if let Ok(element) = self.client.find(Locator::Css(css)).await {
                last = element.text().await.unwrap_or_default();
                if shown(&last) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("waited for {what}; {css} says {last:?}");
    }

    /// Writes into a field of a form, also one in a section that is folded away.
    pub async fn fill(&self, name: &str, value: &str) {
        let field = format!("[name='{name}']");
        let field = self.client.wait().for_element(Locator::Css(&field)).await.unwrap();
        let open = "const section = arguments[0].closest('details'); if (section) section.open = true";
        let argument = serde_json::to_value(&field).unwrap();
        self.client.execute(open, vec![argument]).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    pub async fn choose(&self, css: &str, value: &str) {
        self.client
            .wait()
            .for_element(Locator::Css(css))
            .await
            .unwrap()
            .select_by_value(value)
            .await
            .unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn fantoccini_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

/// Launches a run through the API and waits for its end.
fn launch(server: &Server, asked: serde_json::Value) -> String {
    let answer = server.api("/launch", Some(&asked.to_string()));
    let id = answer["runs"][0].as_str().expect("a run is named").to_owned();
    wait_for("the run's end", Duration::from_secs(240), || {
        let state = server.api(&format!("/runs/{id}"), None)["run"]["state"].clone();
        assert_ne!(state, "failed", "{id}");
        state == "finished"
    });
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_launches_the_smoke_study_and_watches_it_finish() {
    let (data_dir, profile) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(browser) = Browser::start(profile.path()).await else {
        return;
    };
    let server = Server::start(data_dir.path());

    browser.client.goto(&server.address).await.unwrap();
    assert!(browser.text("#main").await.contains("No runs yet"));
    let form = "form[action='/studies/mae-vs-scratch/launch']";
    browser.choose(&format!("{form} select[name=scale]"), "smoke").await;
    browser.click(&format!("{form} button.primary")).await;
    browser.until("the study's page", "h1", |text| text.contains("MAE against")).await;

    // A mark that a reload would wipe out: everything below must arrive live.
    browser.client.execute("window.mark = 1", vec![]).await.unwrap();
    browser.until("a run at work", "#runs", |text| text.contains("running")).await;
    browser.until("a number in the table", "#table", |text| text.contains("n=1")).await;
    let study = browser.client.current_url().await.unwrap();
    // Reloading mid-way changes nothing for the runs.
    browser.client.refresh().await.unwrap();
    browser.client.execute("window.mark = 2", vec![]).await.unwrap();
    browser
        .until("every run finished", "#runs", |text| {
            text.matches("finished").count() == 7 && !text.contains("running")
        })
        .await;
    assert_eq!(
        browser.client.execute("return window.mark", vec![]).await.unwrap(),
        2,
        "the page was reloaded, not live"
    );
    assert_eq!(browser.count("#table .value").await, 6);

    tables::use_the_table(&browser).await;
    look_at_a_run(&browser).await;
    cancel_a_run(&browser, &server).await;
    browser.client.goto(study.as_str()).await.unwrap();
    assert_eq!(browser.count("#table .value").await, 6);
    browser.client.clone().close().await.unwrap();
}

/// Follows the first run of the list: curves, reconstructions that load, settings.
async fn look_at_a_run(browser: &Browser) {
    browser.click("#runs a.row-link").await;
    browser.until("the run's page", "h1", |text| text.contains("MAE · pretrain")).await;
    assert!(
        browser.count("svg[role=img] polyline, svg[role=img] path").await > 0,
        "no curve is drawn"
    );
    assert!(browser.count("#images img").await > 0, "no reconstruction is shown");
    let loaded = "const i = document.querySelector('#images img'); i.loading = 'eager'; i.scrollIntoView(); return i.decode().then(() => i.naturalWidth)";
    let width = browser.client.execute(loaded, vec![]).await.unwrap();
    assert!(width.as_u64().unwrap() > 100, "the reconstruction does not load: {width}");
    assert!(browser.text("#settings-method").await.contains("mask_ratio"));
}

/// Launches one long run through the form, sees it work, cancels it.
async fn cancel_a_run(browser: &Browser, server: &Server) {
    browser
        .client
        .goto(&format!("{}/launch?method=mae&scale=smoke&stage=pretrain", server.address))
        .await
        .unwrap();
    browser.fill("train.epochs", "5000").await;
    browser.click("#main form button.primary").await;
    browser
        .until("progress", "#head", |text| text.contains("running") && text.contains('%'))
        .await;
    browser.click("#cancel").await;
    browser.until("the end", "#head", |text| text.contains("cancelled")).await;
    let cancelled = RunDir::all(&server.data_dir)
        .unwrap()
        .iter()
        .any(|dir| events(dir).iter().any(|e| matches!(e.kind, EventKind::Cancelled { .. })));
    assert!(cancelled, "the page says cancelled, the run directory does not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_launches_every_method_from_the_form() {
    let (data_dir, profile) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(browser) = Browser::start(profile.path()).await else {
        return;
    };
    let server = Server::start(data_dir.path());
    let form = format!("{}/launch?scale=smoke&stage=pretrain", server.address);
    browser.client.goto(&form).await.unwrap();
    let script = "return [...document.querySelector('select[name=method]').options].map(option => option.value)";
    let methods = browser.client.execute(script, vec![]).await.unwrap();
    let methods: Vec<String> = serde_json::from_value(methods).unwrap();
    assert!(methods.len() >= 13, "{methods:?}");
    for method in &methods {
        browser.client.goto(&format!("{form}&method={method}")).await.unwrap();
        browser.fill("data.train_images", "64").await;
        browser.fill("data.val_images", "64").await;
        if method != "random_init" {
            browser.fill("train.epochs", "1").await;
            browser.fill("train.warmup_epochs", "0").await;
        }
        browser.click("#main form button.primary").await;
        browser.until("the run's page", "h1", |text| text.contains("pretrain")).await;
    }
    // The run of the last method waits for those before it, and is no slower than they are.
    browser.until("its end", "#head", |text| text.contains("finished")).await;
    let mut finished: Vec<String> = RunDir::all(&server.data_dir)
        .unwrap()
        .iter()
        .filter(|dir| events(dir).iter().any(|e| matches!(e.kind, EventKind::Finished { .. })))
        .map(|dir| dir.read().unwrap().run)
        .filter(|run| run.stage == Stage::Pretrain)
        .map(|run| run.method)
        .collect();
    finished.sort();
    let mut methods = methods;
    methods.sort();
    assert_eq!(finished, methods, "every method trains to its end");
    browser.client.clone().close().await.unwrap();
}
