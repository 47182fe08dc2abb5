//! Runs that go on from each of their checkpoints.

use crate::worker::tests::*;

/// A checkpoint after every step, of which none is removed.
fn every_step() -> WorkOptions {
    WorkOptions {
        keep: usize::MAX,
        ..WorkOptions::new("cpu", 2, Some(1))
    }
}

fn read_events(dir: &RunDir) -> Vec<Event> {
    EventReader::new(&dir.events_file()).read(&LogPosition::default()).unwrap().events
}

/// What a run found out, in its order.
fn results(dir: &RunDir) -> Vec<EventKind> {
    let is_result = |kind: &EventKind| match kind {
        EventKind::Metric { name, .. } => !name.starts_with("speed"),
        EventKind::Summary { .. } | EventKind::Matrix { .. } | EventKind::Warning { .. } | EventKind::Image { .. } => true,
        _ => false,
    };
    read_events(dir).into_iter().map(|event| event.kind).filter(is_result).collect()
}

/// The sets of checkpoints of a run as `latest` names them, with their steps.
fn sets(dir: &RunDir) -> Vec<(String, u64)> {
    let inside = |folder: &Path| {
        let names = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    let mut sets = Vec::new();
    for part in inside(&dir.checkpoints())
        .into_iter()
        .filter(|name| dir.checkpoints().join(name).is_dir())
    {
        match part.strip_prefix("step-") {
            Some(step) => sets.push((part.clone(), step.parse().unwrap())),
            None => sets.extend(
                inside(&dir.checkpoints().join(&part))
                    .into_iter()
                    .map(|set| (format!("{part}/{set}"), set["step-".len()..].parse().unwrap())),
            ),
        }
    }
    sets
}

/// Carries out a run, then sets it back to each of its checkpoints, from which it must go on to the same results.
#[track_caller]
fn check(data_dir: &Path, run: &RunSpec, parts: &[&str]) {
    let dir = RunDir::create(data_dir, run).unwrap();
    assert_eq!(
        work(&dir, &every_step()),
        Outcome::Finished,
        "{}: {:?}",
        run.label,
        read_events(&dir).last()
    );
    let (whole, model) = (results(&dir), fs::read(dir.model_file()).ok());
    let sets = sets(&dir);
    for part in parts {
        assert!(
            sets.iter().any(|(set, _)| set.starts_with(part)),
            "{}: no checkpoint of {part}",
            run.label
        );
    }
    for (set, step) in sets {
        fs::write(dir.checkpoints().join("latest"), &set).unwrap();
        let text = fs::read_to_string(dir.events_file()).unwrap();
        let cut: Vec<&str> = text.lines().filter(|line| !line.contains("\"finished\"")).collect();
        fs::write(dir.events_file(), cut.join("\n") + "\n").unwrap();
        assert_eq!(work(&dir, &every_step()), Outcome::Finished, "{} from {set}", run.label);
        let resumed = |event: &Event| match event.kind {
            EventKind::Started { resumed_step, .. } => Some(resumed_step),
            _ => None,
        };
        let last = read_events(&dir).iter().filter_map(resumed).next_back();
        assert_eq!(last, Some(Some(step)), "{} from {set}", run.label);
        assert_eq!(results(&dir), whole, "{} from {set}", run.label);
        assert_eq!(fs::read(dir.model_file()).ok(), model, "{} from {set}", run.label);
    }
}

#[test]
fn an_evaluation_that_goes_on_from_any_of_its_checkpoints_ends_with_the_same_bits() {
    let root = tempfile::tempdir().unwrap();
    let parent = run(Stage::Pretrain, "mae", None, &[("snapshots", "every", Value::Int(1))]);
    assert_eq!(carry_out(root.path(), &parent).1, Outcome::Finished);
    let text = |value: &str| Value::Text(value.to_owned());
    let of = |stage, changes: &[(&str, &str, Value)]| run(stage, "mae", Some(&parent), changes);
    // Of 16 patches, 0.99 leaves none to see, which is warned of once.
    let psnr = of(
        Stage::Psnr,
        &[("psnr", "ratios", text("0.5, 0.99")), ("psnr", "batch_size", Value::Int(8))],
    );
    check(root.path(), &psnr, &["psnr/step-00000001", "psnr/step-00000006"]);
    let cka = [
        ("cka", "ratios", text("0, 0.5")),
        ("cka", "mask_seeds", Value::Int(2)),
        ("cka", "batch_size", Value::Int(10)),
    ];
    check(root.path(), &of(Stage::Cka, &cka), &["cka/step-00000001", "cka/step-00000008"]);
    let compare = [
        ("compare", "ratio", Value::Float(0.5)),
        ("compare", "other_epoch", Value::Int(1)),
        ("compare", "mask_seeds", Value::Int(2)),
        ("compare", "batch_size", Value::Int(10)),
    ];
    check(
        root.path(),
        &of(Stage::Compare, &compare),
        &["compare/step-00000001", "compare/step-00000004"],
    );
    // The largest rate is the best, which is warned of once.
    let cached = [("cached", "learning_rates", text("1e-9, 0.1")), ("cached", "epochs", Value::Int(3))];
    let parts = [
        "features/step-00000001",
        "features/step-00000002",
        "choice/step-00000002",
        "head/step-00000003",
    ];
    check(root.path(), &of(Stage::ProbeCached, &cached), &parts);
}

#[test]
fn tokenizers_and_neighbors_that_go_on_from_any_checkpoint_end_with_the_same_bits() {
    let root = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer_of(&run(Stage::Pretrain, "beit", None, SMALL_TOKENIZER)).unwrap();
    check(root.path(), &tokenizer, &["patches/", "clusters/step-00000002", "validation/"]);
    let vq = [
        ("tokenizer", "kind", Value::Text("vq".to_owned())),
        ("tokenizer", "width", Value::Int(32)),
        ("tokenizer", "batch_size", Value::Int(10)),
        ("tokenizer", "epochs", Value::Int(1)),
    ];
    let vq = tokenizer_of(&run(Stage::Pretrain, "beit", None, &[SMALL_TOKENIZER, &vq].concat())).unwrap();
    check(root.path(), &vq, &["step-00000002", "validation/"]);
    let knn = [("knn", "every", Value::Int(1)), ("knn", "images", Value::Int(15))];
    check(
        root.path(),
        &run(Stage::Pretrain, "random_init", None, &knn),
        &["features/step-00000002"],
    );
}
