use super::*;
use crate::experiment::schema::METHOD;

fn values(toml: &str) -> Values {
    toml::from_str(toml).unwrap()
}

#[test]
fn the_key_of_a_run_is_part_of_the_format_and_never_changes() {
    // SHA-256 of the canonical text, computed apart: keys sorted, no spaces, UTF-8.
    let settings = values("[train]\nepochs = 3\nbase_lr = 1.5e-4\nnote = \"é\"");
    let run = RunSpec::new(Stage::Pretrain, "mae", 7, None, settings, &[]);
    assert_eq!(run.key, "f05d57e6fbc318ac457ff4956d6f6de82eab316433309f6f1e0cfc2a61f42a06");
    assert_eq!(run.id.as_str(), &run.key[..16]);
}

#[test]
fn equal_settings_have_equal_keys_and_every_part_counts() {
    let settings = || values("[train]\nepochs = 3\nbase_lr = 0.1");
    let run = |stage, method, seed, parent, settings| RunSpec::new(stage, method, seed, parent, settings, &[]).key;
    let here = run(Stage::Pretrain, "mae", 0, None, settings());
    assert_eq!(
        here,
        run(Stage::Pretrain, "mae", 0, None, values("[train]\nbase_lr = 0.1\nepochs = 3"))
    );
    let parent = RunSpec::new(Stage::Pretrain, "mae", 0, None, settings(), &[]);
    let others = [
        run(Stage::Finetune, "mae", 0, None, settings()),
        run(Stage::Pretrain, "random_init", 0, None, settings()),
        run(Stage::Pretrain, "mae", 1, None, settings()),
        run(Stage::Pretrain, "mae", 0, Some(&parent), settings()),
        run(Stage::Pretrain, "mae", 0, None, values("[train]\nepochs = 4\nbase_lr = 0.1")),
        run(Stage::Pretrain, "mae", 0, None, values("[other]\nepochs = 3\nbase_lr = 0.1")),
    ];
    for (i, other) in others.iter().enumerate() {
        assert!(*other != here && !others[..i].contains(other), "change {i} does not count");
    }
}

#[test]
fn a_child_follows_its_parent() {
    let parent = |epochs: &str| RunSpec::new(Stage::Pretrain, "mae", 0, None, values(&format!("[train]\nepochs = {epochs}")), &[]);
    let child = |parent: &RunSpec| RunSpec::new(Stage::Probe, "mae", 0, Some(parent), Values::new(), &[]);
    assert_eq!(child(&parent("3")).key, child(&parent("3")).key);
    assert_ne!(child(&parent("3")).key, child(&parent("4")).key);
    assert_eq!(child(&parent("3")).parent, Some(parent("3").id));
}

#[test]
fn a_record_is_read_back_as_it_was() {
    let mut run = pretrain(&Request::default()).unwrap();
    run.label = "MAE · pretrain".to_owned();
    let text = toml::to_string(&run).unwrap();
    let sections = catalog().sections_of(run.stage, &run.method);
    let back: RunSpec = toml::from_str(&text).unwrap();
    assert_eq!(back, run);
    assert_eq!(
        RunSpec::new(back.stage, &back.method, back.seed, None, back.settings.clone(), &sections).key,
        run.key
    );
}

#[test]
fn a_section_is_read_typed_and_a_strange_one_is_named() {
    let run = pretrain(&Request::default()).unwrap();
    assert_eq!(run.section::<settings::TrainSettings>("train").unwrap().epochs, 100);
    assert_eq!(run.section::<ToyMae>("method").unwrap().mask_ratio, 0.75);
    let message = run.section::<settings::ProbeSettings>("train").unwrap_err();
    assert!(message.contains("[train]") && message.contains(run.id.as_str()), "{message}");
}

#[test]
fn a_run_id_is_always_a_safe_file_name() {
    assert!("0123456789abcdef".parse::<RunId>().is_ok());
    for bad in [
        "",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789ABCDEF",
        "../../etc/passwd",
        "0123456789abcde/",
    ] {
        assert!(bad.parse::<RunId>().is_err(), "{bad}");
        assert!(serde_json::from_value::<RunId>(bad.into()).is_err(), "{bad}");
    }
}

#[test]
fn stages_are_known_by_name() {
    for stage in Stage::ALL {
        assert_eq!(stage.name().parse(), Ok(stage));
        assert_eq!(serde_json::to_value(stage).unwrap(), stage.name());
    }
    assert_eq!(
        "knn".parse::<Stage>(),
        Err(
            "stage `knn` is not known: it must be one of pretrain, finetune, probe, probe_cached, psnr, cka, compare, tokenizer".to_owned()
        )
    );
}

section! {
    /// The toy training after a setting was added to it.
    Later = "train" {
        /// One that was there.
        epochs: u64 = Literal::Int(100), Kind::Int { min: 0, max: 1000 }, "ours";
        /// One that came later, and is not as before unless somebody says so.
        momentum: f64 = Literal::Float(0.9), Kind::Float { min: 0.0, max: 1.0 }, "ours" before Literal::Float(0.0);
    }
}

section! {
    /// A section that came later.
    New = "subset" {
        /// Images; 0 is all.
        images: usize = Literal::Int(0), Kind::Int { min: 0, max: 1000 }, "ours" before Literal::Int(0);
    }
}

#[test]
fn a_setting_that_came_later_counts_only_where_it_is_not_as_before() {
    let now = [Later::SECTION, New::SECTION];
    let key = |toml: &str, sections: &[Section]| RunSpec::new(Stage::Pretrain, "mae", 0, None, values(toml), sections).key;
    let old = key("[method]\n[train]\nepochs = 3", &[]);
    assert_eq!(
        key("[method]\n[train]\nepochs = 3\nmomentum = 0.0\n[subset]\nimages = 0", &now),
        old
    );
    for other in [
        "[method]\n[train]\nepochs = 3\nmomentum = 0.9\n[subset]\nimages = 0",
        "[method]\n[train]\nepochs = 3\nmomentum = 0.0\n[subset]\nimages = 1",
        "[train]\nepochs = 3\nmomentum = 0.0\n[subset]\nimages = 0",
    ] {
        assert_ne!(key(other, &now), old, "{other}");
    }
    // A method's first options may come later too: its section was always there.
    let options = Section {
        name: METHOD,
        ..New::SECTION
    };
    assert_eq!(key("[method]\nimages = 0\n[train]\nepochs = 3", &[options]), old);
}

#[test]
fn what_an_older_record_lacks_is_as_before() {
    let old = RunSpec::new(Stage::Pretrain, "mae", 0, None, values("[train]\nepochs = 3"), &[]);
    assert_eq!(old.section::<Later>("train").unwrap(), Later { epochs: 3, momentum: 0.0 });
    assert_eq!(old.section::<New>("subset").unwrap(), New { images: 0 });
    let completed = old.completed(&[Later::SECTION, New::SECTION]);
    assert_eq!(completed, values("[train]\nepochs = 3\nmomentum = 0.0\n[subset]\nimages = 0"));
    let without = RunSpec::new(Stage::Pretrain, "mae", 0, None, values("[train]\nmomentum = 0.5"), &[]);
    let message = without.section::<Later>("train").unwrap_err();
    assert!(message.contains("epochs"), "what was always there must be there: {message}");
}
