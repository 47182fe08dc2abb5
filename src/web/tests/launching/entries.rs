//! The same run through every entry is one run.

use serde_json::{Value as Json, json};

use super::*;
use crate::app::datasets::Datasets;
use crate::experiment::{Library, Request, plan};
use crate::web::fields::query_of;

/// A server with a folder of as many files as the scale asks for that pass for images: nothing decodes them here.
async fn site_with_images() -> (Site, String) {
    let site = Site::new(|dir| put_images(&dir.join("images"), "")).await;
    let folder = site.dir.path().join("images").display().to_string();
    (site, folder)
}

/// Two classes of files whose contents are their names and `mark`.
fn put_images(root: &Path, mark: &str) {
    for (split, count) in [("train", 2048), ("val", 512)] {
        for n in 0..count {
            let path = root.join(format!("{split}/{}/{n}.png", n % 2));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, format!("{split} {n} {mark}")).unwrap();
        }
    }
}

impl Site {
    /// The id of the single run that a program launches.
    async fn launched(&self, body: &Json) -> RunId {
        let answer = self.post_json(&body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let answer: Json = serde_json::from_str(&answer.text).unwrap();
        answer["runs"][0].as_str().unwrap().parse().unwrap()
    }

    async fn spec(&self, id: &RunId) -> RunSpec {
        (*self.store.run(id).await.unwrap().unwrap().spec).clone()
    }

    /// Sends the form on a page as it stands, with some fields filled in otherwise.
    async fn post_form(&self, page: &Answer, filled: &[(&str, &str)]) -> Answer {
        let mut fields = fields_of(&page.text);
        for (name, value) in filled {
            fields.retain(|(known, _)| known != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        self.post(
            "/launch",
            &query_of(fields.iter().map(|(name, value)| (name.as_str(), value.clone()))),
        )
        .await
    }
}

/// What a browser sends of the launch form, but for its buttons.
fn fields_of(page: &str) -> Vec<(String, String)> {
    let form = page.split_once("action=\"/launch\"").expect("the form is there").1;
    let form = form.split_once("</form>").expect("the form ends").0;
    let (mut fields, mut select) = (Vec::new(), None);
    for tag in form.split('<') {
        let (head, text) = tag.split_once('>').unwrap_or((tag, ""));
        let attribute = |name: &str| Some(head.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0.to_owned());
        let name = attribute("name").filter(|_| !head.contains(" disabled"));
        if head.starts_with("input ") {
            fields.extend(name.zip(attribute("value")));
        } else if head.starts_with("select ") {
            select = name;
        } else if head.starts_with("option") && head.contains(" selected") {
            fields.extend(select.clone().map(|name| (name, attribute("value").unwrap_or(text.to_owned()))));
        }
    }
    fields
}

#[tokio::test]
async fn a_child_is_one_run_through_every_entry_and_has_its_parents_dataset() {
    let (site, folder) = site_with_images().await;
    let part = json!({ "train_images": 256, "val_fraction": 0.3 });
    let pretraining = json!({ "method": "mae", "scale": "smoke", "seed": 3, "data": folder, "set": { "data": part } });
    let parent = site.launched(&pretraining).await;
    let asked =
        json!({ "method": "mae", "stage": "finetune", "scale": "smoke", "seed": 7, "parent": parent, "set": { "train": { "epochs": 2 } } });
    let child = site.launched(&asked).await;
    let spec = site.spec(&child).await;
    assert_eq!(spec.settings["data"], site.spec(&parent).await.settings["data"], "the API's child");
    assert_eq!(spec.value("data", "source"), Some(&Value::Text(folder.clone())));

    let page = site
        .page(&format!("/launch?stage=finetune&method=mae&scale=smoke&parent={parent}&seed=7"))
        .await;
    page.has(&[&format!("placeholder=\"{folder}\""), "Source: the run it starts from."]);
    let by_form = site.run_at(&site.post_form(&page, &[("train.epochs", "2")]).await).await;
    assert_eq!(by_form.spec.key, spec.key, "the form's");

    // The parent may be chosen after the form was shown without one.
    let blank = site.page("/launch?stage=finetune&method=mae&scale=smoke&seed=7").await;
    let chosen = [("parent", parent.as_str()), ("action", "update")];
    let chosen = site.post_form(&blank, &chosen).await;
    let by_choice = site.run_at(&site.post_form(&chosen, &[("train.epochs", "2")]).await).await;
    assert_eq!(by_choice.spec.key, spec.key, "the form's, with the parent chosen there");

    for id in [&parent, &child] {
        let copy = site.page(&format!("/launch?from={id}")).await;
        let by_copy = site.run_at(&site.post_form(&copy, &[]).await).await;
        assert_eq!(by_copy.id, *id, "a copy of {}", by_copy.label);
    }

    assert_eq!(site.post(&format!("/runs/{child}/restart"), "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(site.spec(&child).await.key, spec.key, "after a restart");
    assert_eq!(site.all_runs().await.len(), 2, "parent and child, and nothing else");
}

#[tokio::test]
async fn a_studys_run_is_the_same_by_hand() {
    let (site, folder) = site_with_images().await;
    let fields = format!("scale=smoke&data={folder}");
    let queued = site.post("/studies/mae-vs-scratch/launch", &fields).await;
    assert!(queued.header("location").ends_with("&queued=7&shared=0"));
    let together = site.post("/plan", &format!("{fields}&study=mae-vs-scratch")).await;
    assert!(together.header("location").ends_with("&queued=0&shared=7"));

    // As `umbra run` plans it.
    let request = Request {
        data: Some(folder),
        fingerprints: Datasets::new(site.dir.path()).fingerprints(),
        ..Request::default()
    };
    let (library, scales) = (Library::new(site.dir.path()), Scale::built_in());
    let named = ["mae-vs-scratch".to_owned()];
    let plans = crate::app::launch::plan_studies(&library, &scales, &catalog(), &named, "smoke", &request).unwrap();
    let by_study = &plans[0].1;
    assert_eq!(*by_study, plan(&plans[0].0, &scales[0], &catalog(), &request).unwrap());
    let known: Vec<RunId> = site.all_runs().await.into_iter().map(|run| run.id).collect();
    assert!(by_study.runs.len() == 7 && by_study.ids().iter().all(|id| known.contains(id)));

    let parent = &find(by_study, "mae", Stage::Pretrain).id;
    for stage in [Stage::Finetune, Stage::Probe, Stage::Psnr] {
        let asked = json!({ "method": "mae", "stage": stage, "scale": "smoke", "parent": parent });
        assert_eq!(site.launched(&asked).await, find(by_study, "mae", stage).id, "{stage}");
    }
    assert_eq!(site.all_runs().await.len(), 7);
}

#[tokio::test]
async fn a_child_may_have_images_of_its_own_which_must_be_there() {
    let (site, folder) = site_with_images().await;
    let small = json!({ "data": { "train_images": 256 } });
    let parent = site
        .launched(&json!({ "method": "mae", "scale": "smoke", "data": folder, "set": small }))
        .await;
    let child = json!({ "method": "mae", "stage": "probe", "scale": "smoke", "parent": parent });
    let with = |key: &str, value: Json| {
        let mut asked = child.clone();
        asked[key] = value;
        asked
    };
    let other = site.spec(&site.launched(&with("data", json!("builtin"))).await).await;
    assert_eq!(other.value("data", "source"), Some(&Value::Text("builtin".to_owned())));
    assert_eq!(
        other.value("data", "train_images"),
        Some(&Scale::built_in()[0].all["data"]["train_images"]),
        "how many images of another source are used is not the parent's to say"
    );
    let said = site.launched(&with("set", json!({ "data": { "source": "builtin" } }))).await;
    assert_eq!(said, other.id, "the setting is the same request");
    let missing = site
        .post_json(&with("set", json!({ "data": { "source": "/no/such" } })).to_string())
        .await;
    assert_eq!(missing.status, StatusCode::UNPROCESSABLE_ENTITY);
    missing.has(&["\"place\":\"data.source\"", "`/no/such` is not there"]);

    let child = site.launched(&child).await;
    site.post(&format!("/runs/{child}/cancel"), "").await;
    std::fs::remove_dir_all(&folder).unwrap();
    for order in ["retry", "restart"] {
        let refused = site.post(&format!("/runs/{child}/{order}"), "").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{order}");
        refused.has(&["is not there"]);
    }
    let run = site.store.run(&child).await.unwrap().unwrap();
    assert_eq!(run.state, State::Cancelled);
}

#[tokio::test]
async fn other_images_under_the_same_path_are_other_runs() {
    let (site, folder) = site_with_images().await;
    let fields = format!("scale=smoke&data={folder}");
    assert!(
        site.post("/studies/mae-vs-scratch/launch", &fields)
            .await
            .header("location")
            .ends_with("&queued=7&shared=0")
    );
    let old: Vec<RunId> = site.all_runs().await.into_iter().map(|run| run.id).collect();
    put_images(Path::new(&folder), "replaced");
    let parent = &site
        .all_runs()
        .await
        .into_iter()
        .find(|run| run.method == "mae" && run.stage == Stage::Pretrain)
        .unwrap()
        .id;

    // What stands on the images of before is refused.
    let child = json!({ "method": "mae", "stage": "psnr", "scale": "smoke", "parent": parent, "set": { "psnr": { "batch_size": 8 } } });
    let refused = site.post_json(&child.to_string()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.has(&["data.source", "have changed since MAE"]);
    let again = site.post(&format!("/runs/{parent}/restart"), "").await;
    again.has(&["has changed since MAE", "launch it again"]);

    // The same order is other runs, and the table shows theirs alone.
    assert!(
        site.post("/studies/mae-vs-scratch/launch", &fields)
            .await
            .header("location")
            .ends_with("&queued=7&shared=0")
    );
    let table = site.page(&format!("/studies/mae-vs-scratch?{fields}")).await;
    assert!(
        old.iter().all(|id| !table.text.contains(id.as_str())),
        "no run of the images of before"
    );

    // A folder that moved is the same data.
    let moved = site.dir.path().join("moved");
    std::fs::rename(&folder, &moved).unwrap();
    let fields = format!("scale=smoke&data={}", moved.display());
    assert!(
        site.post("/studies/mae-vs-scratch/launch", &fields)
            .await
            .header("location")
            .ends_with("&queued=0&shared=7")
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anything_is_queued_with_what_would() {
    let site = Site::new(|dir| {
        for n in 0..40 {
            let path = dir.join(format!("few/{}/{n}.png", n % 2));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, n.to_string()).unwrap();
        }
    })
    .await;
    let few = site.dir.path().join("few").display().to_string();
    let fields = format!("scale=smoke&data={few}");
    let refused = site.post("/studies/mae-vs-scratch/launch", &fields).await;
    refused.has(&[
        "2048 is more than there are",
        "has 32 images for training",
        "data.train_images=0",
        "train.batch_size=32",
        "name=\"fit\"",
    ]);
    assert!(site.all_runs().await.is_empty());
    let fitted = site.post("/studies/mae-vs-scratch/launch", &format!("{fields}&fit=1")).await;
    let location = fitted.header("location").to_owned();
    assert!(
        location.ends_with("&queued=7&shared=0") && location.contains("data.train_images=0"),
        "{location}"
    );
    // The page opens with what was typed at the launch.
    site.page("/studies/mae-vs-scratch")
        .await
        .has(&["name=\"train.batch_size\" value=\"32\"", "0 of 7 runs done"]);
}

#[tokio::test]
async fn stages_that_learn_classes_are_left_out_where_there_are_none() {
    let site = Site::new(|dir| {
        std::fs::create_dir_all(dir.join("one/cat")).unwrap();
        (0..3000).for_each(|n| std::fs::write(dir.join(format!("one/cat/{n}.png")), n.to_string()).unwrap());
    })
    .await;
    let one = site.dir.path().join("one").display().to_string();
    let launched = site
        .post("/studies/mae-vs-scratch/launch", &format!("scale=smoke&data={one}"))
        .await;
    let location = launched.header("location").to_owned();
    assert!(location.ends_with("&queued=3&shared=0&left_out=4"), "{location}");
    site.page(&location).await.has(&["4 runs left out"]);
    let parent = site.launched(&json!({ "method": "mae", "scale": "smoke", "data": one })).await;
    let probe = json!({ "method": "mae", "stage": "probe", "scale": "smoke", "parent": parent });
    let refused = site.post_json(&probe.to_string()).await;
    refused.has(&["has a single class, `cat`", "at least two"]);
}
