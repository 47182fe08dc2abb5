//! Tokenizers as runs of their own.

use super::resolve::refused;
use super::*;

/// The toy catalog with a method that predicts tokens.
fn with_tokens() -> Catalog {
    let mut catalog = catalog();
    let beit = MethodInfo {
        name: "beit",
        title: "BEiT",
        tokens: true,
        reconstructs: false,
        ..catalog.methods[0]
    };
    catalog.methods.push(MethodInfo { name: "cae", ..beit });
    catalog.methods.push(beit);
    catalog
}

#[test]
fn runs_that_ask_for_the_same_tokenizer_share_it() {
    let of = |method: &str, changes: &[(&str, &str, Value)]| {
        let run = single_run(Stage::Pretrain, method, &scale(""), &with_tokens(), &request(changes), 0, None).unwrap();
        let tokenizer = tokenizer_of(&run).unwrap();
        assert_eq!(run.parent, Some(tokenizer.id.clone()));
        (run, tokenizer)
    };
    let (here, tokenizer) = of("beit", &[]);
    assert_eq!((tokenizer.stage, tokenizer.method.as_str()), (Stage::Tokenizer, "kmeans"));
    assert_eq!(tokenizer.value("model", "patch_size"), here.value("model", "patch_size"));
    assert_eq!(tokenizer.settings["data"], here.settings["data"]);
    assert_eq!(tokenizer.parent, None);
    for same in [
        of("cae", &[]),
        of("beit", &[("model", "dim", Value::Int(96)), ("train", "epochs", Value::Int(30))]),
    ] {
        assert_eq!(same.1.key, tokenizer.key);
        assert_ne!(same.0.key, here.key);
    }
    for other in [
        ("tokenizer", "vocabulary", Value::Int(64)),
        ("model", "patch_size", Value::Int(8)),
        ("data", "image_size", Value::Int(64)),
        ("subset", "images", Value::Int(10)), // What pretraining does not see its tokenizer does not see either.
    ] {
        let (run, changed) = of("beit", std::slice::from_ref(&other));
        assert!(changed.key != tokenizer.key && run.key != here.key, "{other:?}");
    }
    assert_eq!(tokenizer_of(&pretrain(&Request::default()).unwrap()), None);
    let mut older = here;
    older.settings.remove("subset");
    assert_eq!(
        tokenizer_of(&older).unwrap().key,
        tokenizer.key,
        "a record from before there were few images"
    );
}

#[test]
fn a_study_plans_the_tokenizers_first_and_may_measure_them() {
    let text = STUDY.replace("method = \"mae\"", "method = \"beit\"") + COLUMN;
    let study = Study::parse("a.toml", &text).unwrap();
    let plan = plan(&study, &scale(""), &with_tokens(), &Request::default()).unwrap();
    let count = plan.runs.iter().filter(|run| run.stage == Stage::Tokenizer).count();
    assert_eq!(count, 2, "one for each seed, shared by both rows");
    assert!(plan.runs[..2].iter().all(|run| run.stage == Stage::Tokenizer));
    let rows: Vec<&str> = plan
        .cells
        .iter()
        .filter(|c| c.column == "psnr_tokens")
        .map(|c| c.row.as_str())
        .collect();
    assert_eq!(rows, ["mae", "mae_long", "mae", "mae_long"]);
}

const COLUMN: &str = "
[[column]]
id = \"psnr_tokens\"
title = \"Tokens\"
stage = \"tokenizer\"
measure = \"tokenizer.psnr\"
";

#[test]
fn a_tokenizer_is_not_asked_for_by_itself() {
    let refusal = "a tokenizer comes with the pretraining that needs it: its settings stand there, in the section `tokenizer`";
    refused(
        single_run(Stage::Tokenizer, "beit", &scale(""), &with_tokens(), &Request::default(), 0, None),
        &format!("stage: {refusal}"),
    );
    refused(
        plan(
            &study(),
            &scale("[stage.tokenizer.tokenizer]\nvocabulary = 8"),
            &with_tokens(),
            &Request::default(),
        ),
        &format!("stage.tokenizer: {refusal} (scale `toy`)"),
    );
}
