//! A person's own studies, and plans over several.

use super::super::fields::query_of;
use super::*;

/// A file of 40 KB is encoded to more bytes than an address may have, and to less than a form may.
#[tokio::test]
async fn a_long_study_can_be_saved() {
    let site = Site::new(|_| ()).await;
    assert_eq!(site.post("/studies", GRID).await.status, StatusCode::SEE_OTHER);
    let file = site.dir.path().join("studies/ratios.toml");
    let text = std::fs::read_to_string(&file).unwrap() + &"# How it came to be.\n".repeat(1900);
    let form = query_of([("toml", text.clone()), ("replace", "ratios".to_owned())]);
    assert!(form.len() > 65_534);
    let saved = site.post("/studies", &form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    assert_eq!(std::fs::read_to_string(file).unwrap(), text);
}

const GRID: &str =
    "name=ratios&title=How+much&summary=Which%3F&method=mae&measure=finetune&measure=psnr&settings=method.mask_ratio+%3D+0.5%2C+0.75";

#[tokio::test]
async fn a_study_is_made_shown_launched_edited_and_deleted() {
    let site = Site::new(|_| ()).await;
    let empty = site.page("/studies/new").await;
    assert!(empty.text.contains("name=\"settings\"") && empty.text.contains("value=\"rmae\""));

    let checked = site.post("/studies/check", GRID).await;
    assert!(
        checked.text.contains("2 rows × 2 columns") && checked.text.contains("6 runs") && checked.text.contains("unknown"),
        "{}",
        checked.text
    );
    let written = site.post("/studies/new", GRID).await;
    assert!(
        written.text.contains("[row.set.pretrain.method]") && written.text.contains("mask_ratio = 0.75"),
        "{}",
        written.text
    );

    let saved = site.post("/studies", GRID).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    assert!(saved.headers["location"].to_str().unwrap().starts_with("/studies/ratios?"));
    let page = site.page("/studies/ratios?scale=smoke").await;
    assert!(
        page.text.contains("MAE, mask_ratio 0.5") && page.text.contains("Delete the study"),
        "{}",
        page.text
    );
    assert!(site.page("/").await.text.contains("custom</small>"));
    for address in [
        "/studies/ratios/export.csv?scale=smoke",
        "/api/v1/studies/ratios?scale=smoke",
        "/runs?study=ratios",
    ] {
        site.page(address).await;
    }
    let launched = site.post("/studies/ratios/launch", "scale=smoke").await;
    assert_eq!(launched.status, StatusCode::SEE_OTHER);
    assert_eq!(site.store.counts().await.unwrap().iter().map(|(_, n)| n).sum::<u64>(), 6);

    let again = site.post("/studies", GRID).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text.contains("there is a custom study `ratios` already"), "{}", again.text);
    let text = std::fs::read_to_string(site.dir.path().join("studies/ratios.toml")).unwrap();
    let edited = query_of([("toml", text.replace("How much", "How little")), ("replace", "ratios".to_owned())]);
    assert_eq!(site.post("/studies", &edited).await.status, StatusCode::SEE_OTHER);
    assert!(site.page("/studies/new?edit=ratios").await.text.contains("How little"));
    assert_eq!(site.post("/studies/ratios/delete", "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(site.get("/studies/ratios").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.post("/studies/table1/delete", "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_table_is_duplicated_and_mistakes_are_said() {
    let site = Site::new(|_| ()).await;
    let copy = site.page("/studies/new?from=table7").await;
    assert!(
        copy.text.contains("table7-copy") && copy.text.contains("3 rows × 2 columns"),
        "{}",
        copy.text
    );
    assert_eq!(site.get("/studies/new?from=nothing").await.status, StatusCode::NOT_FOUND);
    for (toml, sentence) in [
        ("name = \"a\"\ntitle = 1\n", "study, line 2"),
        ("", "missing field"),
        (
            "name = \"../a\"\ntitle = \"\"\nsummary = \"\"\n[[column]]\nid = \"f\"\ntitle = \"\"\nstage = \"finetune\"\nmeasure = \"finetune.top1\"\n[[row]]\nid = \"r\"\ntitle = \"\"\nmethod = \"mae\"\n",
            "is not allowed: it must be 1 to 60",
        ),
        (
            "name = \"a\"\ntitle = \"\"\nsummary = \"\"\n[[column]]\nid = \"f\"\ntitle = \"\"\nstage = \"finetune\"\nmeasure = \"finetune.top1\"\n[[row]]\nid = \"r\"\ntitle = \"\"\nmethod = \"moco\"\n",
            "is not known: it must be one of",
        ),
    ] {
        let form = query_of([("toml", toml.to_owned()), ("scale", "smoke".to_owned())]);
        // An empty field is left out of a query, and is no file then.
        let form = if toml.is_empty() { "toml=&scale=smoke".to_owned() } else { form };
        assert!(site.post("/studies/check", &form).await.text.contains(sentence), "{toml}");
        assert_eq!(
            site.post("/studies", &form).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{toml}"
        );
    }
    assert!(!site.dir.path().join("studies").exists(), "nothing was written");
}

#[tokio::test]
async fn a_broken_file_is_a_sentence_on_the_page() {
    let broken = |dir: &Path| {
        std::fs::create_dir(dir.join("studies")).unwrap();
        std::fs::write(dir.join("studies/mine.toml"), "name = 3\n").unwrap();
    };
    let site = Site::new(broken).await;
    let home = site.page("/").await;
    assert!(home.text.contains("mine.toml, line 1"), "{}", home.text);
}

#[tokio::test]
async fn several_studies_are_planned_and_queued_together() {
    let site = Site::new(|_| ()).await;
    let page = site.page("/plan").await;
    for text in ["159", "Table 1 · R-MAE and other pretraining methods", "Queue 159 runs", "unknown"] {
        assert!(page.text.contains(text), "{text} is not in {}", page.text);
    }
    let queued = site.post("/plan", "scale=smoke&study=table7&study=table3&seeds=2").await;
    let location = queued.headers["location"].to_str().unwrap().to_owned();
    assert!(location.ends_with("&queued=28&shared=0"), "{location}");
    let after = site.page(&location).await;
    assert!(
        after.text.contains("28 runs queued") && after.text.contains("Queue 28 runs"),
        "{}",
        after.text
    );
    let wrong = site.post("/plan", "scale=smoke&study=table7&seeds=0").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("1 to 1000"), "{}", wrong.text);
}

#[tokio::test]
async fn a_study_that_cannot_be_at_a_scale_leaves_the_other_pages_whole() {
    let site = Site::new(|dir| {
        let text = Study::built_in_text("table7")
            .unwrap()
            .replace("name = \"table7\"", "name = \"odd\"");
        let odd = "[row.set.pretrain.model]\nheads = 5\n\n[row.set.pretrain.subset]";
        std::fs::create_dir(dir.join("studies")).unwrap();
        std::fs::write(dir.join("studies/odd.toml"), text.replacen("[row.set.pretrain.subset]", odd, 1)).unwrap();
    })
    .await;
    for address in ["/", "/claims", "/runs?study=odd", "/plan", "/cka", "/studies/new?edit=odd"] {
        site.page(address).await;
    }
    let page = site.get("/studies/odd?scale=smoke").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has(&["model.heads", "does not divide the width"]);
}

#[tokio::test]
async fn signs_that_no_font_has_are_named_on_the_page_and_in_the_image() {
    let site = Site::new(|_| ()).await;
    // A private sign: no font has it.
    let toml = GRID_WITH_SIGNS.replace("SIGN", "\u{f8fe}");
    assert_eq!(
        site.post("/studies", &query_of([("toml", toml)])).await.status,
        StatusCode::SEE_OTHER
    );
    let page = site.page("/studies/signs?scale=smoke").await;
    page.has(&["No font of this machine has these signs, so a PNG shows boxes: U+F8FE."]);
    let png = site.page("/studies/signs/export.png?scale=smoke").await;
    assert_eq!(png.header("x-umbra-missing-signs"), "U+F8FE");
    let plain = site.page("/studies/mae-vs-scratch/export.png?scale=smoke").await;
    assert_eq!(plain.header("x-umbra-missing-signs"), "");
    let csv = site.page("/studies/signs/export.csv?scale=smoke").await;
    csv.has(&["\n'=1+1,'=top1,0,", "\n'-aug,'=top1,0,"]);
    let tex = site.page("/studies/signs/export.tex?scale=smoke").await;
    tex.has(&["(U+F8FE)", "$\\alpha$ $\\uparrow$", "\n    a $\\rightarrow$ b &"]);
}

const GRID_WITH_SIGNS: &str = r#"
name = "signs"
title = "α ↑ SIGN"
summary = "s"
[[column]]
id = "=top1"
title = "↑"
stage = "finetune"
measure = "finetune.top1"
[[row]]
id = "=1+1"
title = "“q”"
method = "mae"
[[row]]
id = "-aug"
title = "a → b"
method = "supervised"
"#;
