use super::*;

fn toy_plan(study: &Study, scale: &Scale, request: &Request) -> Result<Plan, Invalid> {
    plan(study, scale, &catalog(), request)
}

#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, Invalid>, sentence: &str) {
    assert_eq!(result.expect_err("it must be refused").to_string(), sentence);
}

#[test]
fn a_run_that_two_rows_need_is_planned_once_and_parents_come_first() {
    let plan = toy_plan(&study(), &scale(""), &Request::default()).unwrap();
    let count = |stage| plan.runs.iter().filter(|run| run.stage == stage).count();
    // Two seeds; the two MAE rows share pretraining and PSNR and differ in fine-tuning.
    assert_eq!((count(Stage::Pretrain), count(Stage::Finetune), count(Stage::Psnr)), (4, 6, 2));
    assert_eq!(plan.cells.len(), 10);
    let place = |id: &RunId| plan.runs.iter().position(|run| run.id == *id).unwrap();
    assert!(
        plan.runs
            .iter()
            .all(|run| run.parent.as_ref().is_none_or(|parent| place(parent) < place(&run.id)))
    );
}

#[test]
fn the_seeds_of_a_plan_are_planned_each_for_itself() {
    let whole = toy_plan(&study(), &scale(""), &Request::default()).unwrap();
    let part = |seeds| plan_seeds(&study(), &scale(""), &catalog(), &Request::default(), seeds);
    for seed in 0..2 {
        let one = part(seed..seed + 1).unwrap();
        let of_seed: Vec<_> = whole.runs.iter().filter(|run| run.seed == seed).cloned().collect();
        let cells: Vec<_> = whole.cells.iter().filter(|cell| cell.seed == seed).cloned().collect();
        assert_eq!((one.runs, one.cells), (of_seed, cells));
    }
    assert_eq!(part(999..1000).unwrap().runs.len(), whole.runs.len() / 2);
    refused(
        part(1000..1001),
        "seeds: 1001 is not allowed: it must be a whole number from 1 to 1000",
    );
}

#[test]
fn later_layers_win() {
    let scale = scale(
        "[all.train]\nepochs = 30\n[stage.finetune.train]\nepochs = 20\n[method.mae.train]\nepochs = 40\n[method.supervised.train]\nepochs = 50\n",
    );
    let epochs = |plan: &Plan, row: &str, stage: Stage| {
        let cell = plan.cells.iter().find(|cell| cell.row == row && cell.column == "finetune").unwrap();
        let child = plan.runs.iter().find(|run| run.id == cell.run).unwrap();
        let run = if stage == Stage::Pretrain {
            plan.runs.iter().find(|run| Some(&run.id) == child.parent.as_ref()).unwrap()
        } else {
            child
        };
        run.value("train", "epochs").cloned()
    };
    let plan = toy_plan(&study(), &scale, &Request::default()).unwrap();
    assert_eq!(epochs(&plan, "mae", Stage::Pretrain), Some(Value::Int(40)), "the method's");
    assert_eq!(epochs(&plan, "mae", Stage::Finetune), Some(Value::Int(20)), "the stage's");
    assert_eq!(epochs(&plan, "mae_long", Stage::Finetune), Some(Value::Int(200)), "the row's");
    assert_eq!(epochs(&plan, "random", Stage::Pretrain), None, "nothing is trained");
    let short = [("train", "epochs", Value::Int(1)), ("train", "warmup_epochs", Value::Int(0))];
    let plan = toy_plan(&study(), &scale, &request(&short)).unwrap();
    assert_eq!(epochs(&plan, "mae_long", Stage::Finetune), Some(Value::Int(1)), "the request's");
}

#[test]
fn protocol_and_recipe_change_the_defaults() {
    let run = |stage, method, parent| single_run(stage, method, &scale(""), &catalog(), &Request::default(), 0, parent).unwrap();
    let decay = |run: &RunSpec| run.value("train", "layer_decay").cloned();
    let supervised = run(Stage::Pretrain, "supervised", None);
    assert_eq!(decay(&supervised), Some(Value::Float(0.9)), "the method's recipe");
    assert_eq!(
        decay(&run(Stage::Finetune, "supervised", Some(&supervised))),
        Some(Value::Float(0.75)),
        "the protocol's; a recipe is for pretraining"
    );
}

#[test]
fn every_setting_counts_for_the_key_and_names_for_people_do_not() {
    let here = pretrain(&Request::default()).unwrap();
    assert_eq!(pretrain(&Request::default()).unwrap().key, here.key);
    assert_eq!(
        pretrain(&request(&[("train", "epochs", Value::Int(100))])).unwrap().key,
        here.key,
        "a default said aloud"
    );
    let mut renamed = scale("");
    renamed.name = "other".to_owned();
    assert_eq!(
        single_run(Stage::Pretrain, "mae", &renamed, &catalog(), &Request::default(), 0, None)
            .unwrap()
            .key,
        here.key
    );
    for section in catalog::sections(Stage::Pretrain, &catalog().methods[0]) {
        for setting in section.settings {
            let other = different(setting);
            // Some settings are there only beside another one.
            let choice = |name: &str| vec![("subset", "selection", text(name))];
            let (beside, usual) = match (section.name, setting.key) {
                ("subset", "class") => (choice("one_class"), pretrain(&request(&choice("one_class")))),
                ("subset", "list") => (choice("list"), Ok(here.clone())),
                _ => (Vec::new(), Ok(here.clone())),
            };
            let asked = [beside, vec![(section.name, setting.key, other.clone())]].concat();
            let changed = pretrain(&request(&asked)).unwrap_or_else(|e| panic!("{}.{} = {other}: {e}", section.name, setting.key));
            assert_ne!(changed.key, usual.unwrap().key, "{}.{} does not count", section.name, setting.key);
        }
    }
}

/// Another allowed value of a setting, one that fits the other defaults.
fn different(setting: &Setting) -> Value {
    match (setting.kind, Value::from(setting.default)) {
        (_, Value::Bool(value)) => Value::Bool(!value),
        (_, Value::Int(0)) => Value::Int(10_000),
        (_, Value::Int(value)) => Value::Int(value * 2),
        (Kind::Between { .. }, Value::Float(value)) => Value::Float(value / 2.0),
        (Kind::Float { min, max }, Value::Float(value)) => Value::Float(match value {
            _ if value == min => max,
            _ if value == max => (min + max) / 2.0, // Of a largest share, the smallest share is below.
            _ => min,
        }),
        (Kind::Choice { of, .. }, Value::Text(value)) => text(of.iter().find(|other| **other != value).unwrap()),
        (_, value) => text(&format!("another {value}")),
    }
}

#[test]
fn a_child_has_its_parents_model_and_follows_its_key() {
    let parent = |dim| {
        pretrain(&request(&[
            ("model", "dim", Value::Int(dim)),
            ("data", "image_size", Value::Int(64)),
        ]))
        .unwrap()
    };
    let probe = |parent: &RunSpec, request: &Request| single_run(Stage::Probe, "mae", &scale(""), &catalog(), request, 0, Some(parent));
    let child = probe(&parent(96), &Request::default()).unwrap();
    assert_eq!(child.value("model", "dim"), Some(&Value::Int(96)));
    assert_eq!(child.value("data", "image_size"), Some(&Value::Int(64)));
    assert_ne!(child.key, probe(&parent(48), &Request::default()).unwrap().key);
    assert!(probe(&parent(96), &request(&[("model", "dim", Value::Int(96))])).is_ok());
    refused(
        probe(&parent(96), &request(&[("model", "dim", Value::Int(48))])),
        "model.dim: 48 is not allowed: it must be 96, as in the parent run",
    );
}

#[test]
fn a_bad_request_names_the_field_and_what_is_allowed() {
    let asked = |section, key, value| pretrain(&request(&[(section, key, value)]));
    refused(
        asked("method", "mask_ratio", Value::Float(1.2)),
        "method.mask_ratio: 1.2 is not allowed: it must be a number between 0 and 1, neither included",
    );
    refused(
        asked("train", "epochs", text("many")),
        "train.epochs: many is not allowed: it must be a whole number from 0 to 100000",
    );
    refused(
        asked("method", "ratio", Value::Int(1)),
        "method.ratio: no such setting: it must be one of mask_ratio, target",
    );
    refused(
        asked("probe", "momentum", Value::Int(0)),
        "probe: no such section here: it must be one of method, data, subset, model, augment, train, repeat, knn, snapshots",
    );
    refused(
        asked("model", "patch_size", Value::Int(5)),
        "model.patch_size: 5 is not allowed: it does not divide data.image_size = 32",
    );
    refused(
        asked("model", "heads", Value::Int(5)),
        "model.heads: 5 is not allowed: it does not divide the width 192",
    );
    refused(
        asked("model", "decoder_dim", Value::Int(99)),
        "model.decoder_dim: 99 is not allowed: a sine-cosine position table needs a multiple of 4",
    );
    refused(
        asked("data", "train_images", Value::Int(1000)),
        "train.batch_size: a step of 1024 images is larger than the data: batch_size times gradient_accumulation must be at most 1000",
    );
}

#[test]
fn a_warm_up_longer_than_the_run_is_refused() {
    let of = |epochs: i64, warm_up: f64| {
        let lengths = [
            ("train", "epochs", Value::Int(epochs)),
            ("train", "warmup_epochs", Value::Float(warm_up)),
        ];
        pretrain(&request(&lengths))
    };
    refused(
        of(3, 3.5),
        "train.warmup_epochs: 3.5 is longer than the run: it must be at most train.epochs = 3",
    );
    assert!(of(3, 3.0).is_ok(), "as long as the run is allowed");
    assert!(of(0, 20.0).is_ok(), "a run that trains nothing has no warm-up");
}

#[test]
fn a_bad_request_for_a_whole_study_is_refused_alike() {
    refused(
        toy_plan(&study(), &scale(""), &request(&[("train", "epoch", Value::Int(1))])),
        &format!(
            "train.epoch: no such setting: it must be one of {}",
            keys(&settings::TrainSettings::SECTION)
        ),
    );
    refused(
        toy_plan(
            &study(),
            &scale(""),
            &Request {
                seeds: Some(0),
                ..Request::default()
            },
        ),
        "seeds: 0 is not allowed: it must be a whole number from 1 to 1000",
    );
}

fn keys(section: &Section) -> String {
    section.settings.iter().map(|s| s.key).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_bad_row_names_itself_its_stage_and_what_is_allowed() {
    let row = |line: &str| {
        toy_plan(
            &Study::parse("a.toml", &STUDY.replace("set.finetune.train.epochs = 200", line)).unwrap(),
            &scale(""),
            &Request::default(),
        )
    };
    refused(
        row("set.finetune.method.mask_ratio = 0.5"),
        "set.finetune.method: no such section here: it must be one of data, labels, model, augment, train, classify (row `mae_long`)",
    );
    refused(
        row("set.probe.probe.momentum = 2"),
        "set.probe.probe.momentum: 2 is not allowed: it must be a number from 0 to 0.999 (row `mae_long`)",
    );
    refused(
        row("set.pretrain.model.patch_size = 5"),
        "model.patch_size: 5 is not allowed: it does not divide data.image_size = 32 (row `mae_long`, stage pretrain)",
    );
    let mut unknown = study();
    unknown.rows[0].method = "moco".to_owned();
    refused(
        toy_plan(&unknown, &scale(""), &Request::default()),
        "method: `moco` is not known: it must be one of mae, random_init, supervised (row `mae`)",
    );
}

#[test]
fn a_bad_scale_names_itself_the_key_and_what_is_allowed() {
    let at = |toml: &str| toy_plan(&study(), &scale(toml), &Request::default());
    refused(
        at("[all.trian]\nepochs = 1"),
        "all.trian: no such section here: it must be one of method, data, subset, model, augment, train, repeat, knn, snapshots, classify, labels, probe, cached, psnr, cka, compare, tokenizer (scale `toy`)",
    );
    refused(
        at("[all.train]\nepochs = -1"),
        "all.train.epochs: -1 is not allowed: it must be a whole number from 0 to 100000 (scale `toy`)",
    );
    refused(
        at("[stage.psnr.train]\nepochs = 1"),
        "stage.psnr.train: no such section here: it must be one of data, model, psnr (scale `toy`)",
    );
    refused(
        at("[stage.knn.train]\nepochs = 1"),
        "stage.knn: stage `knn` is not known: it must be one of pretrain, finetune, probe, probe_cached, psnr, cka, compare, tokenizer (scale `toy`)",
    );
    refused(
        at("[method.moco.train]\nepochs = 1"),
        "method.moco: method `moco` is not known: it must be one of mae, random_init, supervised (scale `toy`)",
    );
    refused(
        at("[method.random_init.train]\nepochs = 1"),
        "method.random_init.train: no such section here: it must be one of data, model, knn (scale `toy`)",
    );
}

#[test]
fn a_column_after_finetuning_reads_a_run_that_starts_from_the_finetuned_one() {
    let columns = [("cka", "pretrain"), ("cka_finetuned", "finetune")].map(|(id, after)| {
        format!("[[column]]\nid = \"{id}\"\ntitle = \"CKA\"\nstage = \"cka\"\nafter = \"{after}\"\nmeasure = \"cka.mean\"\n\n")
    });
    let text = super::STUDY.replacen("[[row]]", &format!("{}[[row]]", columns.concat()), 1);
    let study = Study::parse("toy.toml", &text).unwrap();
    let plan = toy_plan(
        &study,
        &scale(""),
        &Request {
            seeds: Some(1),
            ..Request::default()
        },
    )
    .unwrap();
    let run = |column: &str| {
        let cell = plan
            .cells
            .iter()
            .find(|cell| (cell.row.as_str(), cell.column.as_str()) == ("mae_long", column));
        plan.runs.iter().find(|run| run.id == cell.unwrap().run).unwrap()
    };
    assert_eq!(run("cka_finetuned").parent.as_ref(), Some(&run("finetune").id));
    assert_eq!(run("cka").parent, run("finetune").parent);
    assert_eq!(
        run("cka_finetuned").label,
        "MAE, fine-tuned for long · finetune · cka · toy · seed 0"
    );
    assert_eq!(run("cka_finetuned").settings["model"], run("finetune").settings["model"]);
    let place = |id: &RunId| plan.runs.iter().position(|run| run.id == *id).unwrap();
    for run in &plan.runs {
        assert!(
            run.parent.as_ref().is_none_or(|parent| place(parent) < place(&run.id)),
            "{}",
            run.label
        );
    }
    let probe = text
        .replace("stage = \"cka\"", "stage = \"probe\"")
        .replace("cka.mean", "probe.top1");
    assert_eq!(
        Study::parse("a.toml", &probe).unwrap_err(),
        "a.toml: column `cka_finetuned` has the stage probe after finetune: it must be after pretrain"
    );
}

#[test]
fn ratios_to_compare_are_in_order_and_leave_something_to_see() {
    let parent = single_run(Stage::Pretrain, "mae", &scale(""), &catalog(), &Request::default(), 0, None).unwrap();
    let cka = |key: &str, value: Value| {
        let request = request(&[("cka", key, value)]);
        single_run(Stage::Cka, "mae", &scale(""), &catalog(), &request, 0, Some(&parent))
    };
    assert_eq!(
        cka("ratios", text("0.10,0.5")).unwrap().value("cka", "ratios"),
        Some(&text("0.1, 0.5"))
    );
    assert_eq!(
        cka("ratios", Value::Float(0.5)).unwrap().key,
        cka("ratios", text(" .5")).unwrap().key
    );
    refused(
        cka("ratios", text("0.5, 1")),
        "cka.ratios: 0.5, 1 is not allowed: it must be one or more numbers from 0 to 0.999 with commas between them",
    );
    refused(
        cka("ratios", text("0.5, 0.4")),
        "cka.ratios: 0.5, 0.4 is not allowed: each ratio must be larger than the one before",
    );
    refused(
        cka("ratios", text("0.99")),
        "cka.ratios: 0.99 is not allowed: it leaves none of the 64 patches of an image",
    );
    refused(
        cka("images", Value::Int(3)),
        "cka.images: 3 is not allowed: it must be 0, for all, or at least 4",
    );
    let probe = single_run(Stage::Probe, "mae", &scale(""), &catalog(), &Request::default(), 0, Some(&parent)).unwrap();
    refused(
        single_run(Stage::Cka, "mae", &scale(""), &catalog(), &Request::default(), 0, Some(&probe)),
        "parent: that run is a probe: stage cka starts from a pretrain or finetune run",
    );
}

#[test]
fn some_stages_need_a_parent_or_a_method_that_reconstructs() {
    let single = |stage, method, parent| single_run(stage, method, &scale(""), &catalog(), &Request::default(), 0, parent);
    refused(
        single(Stage::Probe, "mae", None),
        "parent: stage probe starts from a pretrain run: name one",
    );
    let parent = single(Stage::Pretrain, "random_init", None).unwrap();
    refused(
        single(Stage::Psnr, "random_init", Some(&parent)),
        "stage: Random does not reconstruct images, so it has no psnr",
    );
    refused(
        single(Stage::Pretrain, "moco", None),
        "method: `moco` is not known: it must be one of mae, random_init, supervised",
    );
}
