use super::*;

#[track_caller]
fn refused(text: &str, sentence: &str) {
    assert_eq!(Study::parse("a.toml", text), Err(sentence.to_owned()));
}

#[test]
fn a_mistake_in_a_file_is_one_sentence_with_file_line_and_key() {
    refused(
        &STUDY.replace("title = \"Toy\"", "titel = \"Toy\""),
        "a.toml, line 3 (`titel = \"Toy\"`): unknown field `titel`, expected one of `name`, `title`, `summary`, `paper`, `seeds`, `place`, `column`, `row`, `claim`",
    );
    refused(
        &STUDY.replace("stage = \"psnr\"", "stage = \"knn\""),
        "a.toml, line 16 (`stage = \"knn\"`): unknown variant `knn`, expected one of `tokenizer`, `pretrain`, `finetune`, `probe`, `probe_cached`, `psnr`, `cka`, `compare`",
    );
    refused(
        &STUDY.replace("epochs = 200", "epochs = [200]"),
        "a.toml, line 29 (`set.finetune.train.epochs = [200]`): a setting is true or false, a number or text",
    );
    let scale = Scale::parse("s.toml", "name = \"s\"\nsummary = \"\"\nseeds = \"two\"\n");
    assert_eq!(
        scale,
        Err("s.toml, line 3 (`seeds = \"two\"`): invalid type: string \"two\", expected u64".to_owned())
    );
    let broken = Scale::parse("s.toml", "name = \"s\nsummary = 1").unwrap_err();
    assert!(
        broken.starts_with("s.toml, line 1 (`name = \"s`): ") && !broken.contains('\n'),
        "{broken}"
    );
    let missing = Scale::parse("s.toml", "name = \"s\"").unwrap_err();
    assert!(
        missing.starts_with("s.toml") && missing.contains("missing field `summary`") && !missing.contains('\n'),
        "{missing}"
    );
}

#[test]
fn names_inside_a_study_must_fit_together() {
    refused(
        &STUDY.replace("without = []", "without = [\"knn\"]"),
        "a.toml: row `random` names the column `knn`, which must be one of finetune, psnr",
    );
    refused(
        &STUDY.replace("{ finetune = 83.1 }", "{ probe = 83.1 }"),
        "a.toml: row `mae` names the column `probe`, which must be one of finetune, psnr",
    );
    refused(
        &STUDY.replace("set.finetune.", "set.finetuning."),
        "a.toml: row `mae_long` has set.finetuning, which must be one of the stages pretrain, finetune, probe, probe_cached, psnr, cka, compare",
    );
    refused(
        &STUDY.replace("set.finetune.train.epochs", "times.finetuning.train.epochs"),
        "a.toml: row `mae_long` has times.finetuning, which must be one of the stages pretrain, finetune, probe, probe_cached, psnr, cka, compare",
    );
    refused(
        &STUDY.replace("without = []", "uncertain = [\"psnr\"]"),
        "a.toml: row `random` is uncertain of the column `psnr`, of which it has no number of the paper",
    );
    refused(
        &STUDY.replace("\"mae_long\"", "\"mae\""),
        "a.toml: two of the [[row]] have the id `mae`: each must have its own",
    );
}

#[test]
fn what_comes_with_umbra_is_readable_and_named_apart() {
    let (studies, scales) = (Study::built_in(), Scale::built_in());
    for names in [
        studies.iter().map(|s| &s.name).collect::<Vec<_>>(),
        scales.iter().map(|s| &s.name).collect(),
    ] {
        assert!(
            !names.is_empty() && names.iter().enumerate().all(|(i, name)| !names[..i].contains(name)),
            "{names:?}"
        );
    }
}
