//! Few images, few labels and cheap probes, through the worker.

use burn::tensor::Device;

use crate::methods::{BatchNegatives, Method, MethodVisitor, with_method};
use crate::worker::tests::*;

/// What the loss of a run compares an image with, and whether its model normalizes over the batch.
struct Compared<'a>(&'a RunSpec);

impl MethodVisitor for Compared<'_> {
    type Out = (BatchNegatives, bool);

    fn visit<M: Method>(self) -> Self::Out {
        let model = M::new(self.0, 10, &Device::flex()).unwrap();
        (model.negatives(), model.normalizes_batch())
    }
}

const IMAGES: (&str, &str, Value) = ("subset", "images", Value::Int(3));

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn warnings(events: &[Event]) -> Vec<&str> {
    let message = |event: &'_ Event| matches!(event.kind, EventKind::Warning { .. });
    let found = events.iter().filter(|event| message(event)).map(|event| match &event.kind {
        EventKind::Warning { message } => message.as_str(),
        _ => unreachable!("the filter left only warnings"),
    });
    found.collect()
}

fn named(events: &[Event], name: &str) -> f64 {
    let found = summaries(events).into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("there is no {name}")).1
}

fn list(dir: &RunDir) -> Vec<String> {
    let text = fs::read_to_string(dir.subset_file()).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn pretraining_on_few_images_sees_them_again_and_what_follows_sees_all() {
    let root = tempfile::tempdir().unwrap();
    let parent = run(Stage::Pretrain, "mae", None, &[IMAGES, ("subset", "selection", text("random"))]);
    let (dir, outcome, events) = carry_out(root.path(), &parent);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert_eq!(list(&dir).len(), 3);
    // An epoch is as many images as the whole split has: 40 in batches of 10, twice.
    assert_eq!(metrics(&events, "train/loss").len(), 8);
    let seen = ["subset.images", "subset.classes", "subset.images_seen"].map(|name| named(&events, name));
    assert_eq!((seen[0], seen[2]), (3.0, 80.0));
    assert!((1.0..=3.0).contains(&seen[1]));
    assert_eq!(warnings(&events), [""; 0], "nothing in MAE compares images of a batch");

    let whole = run(Stage::Finetune, "mae", Some(&parent), &[]);
    let (dir, outcome, events) = carry_out(root.path(), &whole);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert_eq!(metrics(&events, "val/top1").last().unwrap().0, 8, "all 40 images twice");
    assert!(!dir.subset_file().exists());

    let tenth = run(Stage::Finetune, "mae", Some(&parent), &[("labels", "fraction", Value::Float(0.5))]);
    assert_ne!(tenth.key, whole.key);
    let (dir, outcome, events) = carry_out(root.path(), &tenth);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert_eq!(metrics(&events, "val/top1").last().unwrap().0, 4, "20 images twice");
    assert_eq!((list(&dir).len(), named(&events, "finetune.labels")), (20, 20.0));

    // The list of a run gives the same images to another one.
    let listed = [("labels", "list", text(dir.subset_file().to_str().unwrap()))];
    let (again, outcome, _) = carry_out(root.path(), &run(Stage::Finetune, "mae", Some(&parent), &listed));
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(list(&again), list(&dir));
}

#[test]
fn every_method_that_trains_does_so_on_three_images_and_says_what_copies_mean() {
    let root = tempfile::tempdir().unwrap();
    for method in catalog().methods.iter().filter(|method| method.trains) {
        let changes: Vec<_> = SMALL_TOKENIZER.iter().cloned().chain([IMAGES]).collect();
        let spec = run(Stage::Pretrain, method.name, None, &changes);
        if let Some(tokenizer) = tokenizer_of(&spec) {
            let (dir, outcome, events) = carry_out(root.path(), &tokenizer);
            assert_eq!(outcome, Outcome::Finished, "tokenizer of {}: {:?}", method.name, events.last());
            assert_eq!(list(&dir).len(), 3, "a tokenizer sees no more than its pretraining");
        }
        let (_, outcome, events) = carry_out(root.path(), &spec);
        assert_eq!(outcome, Outcome::Finished, "{}: {:?}", method.name, events.last());
        let said = warnings(&events).join("\n");
        let (negatives, normalizes) = with_method(method.name, Compared(&spec)).unwrap();
        let contrasts = negatives != BatchNegatives::None;
        assert_eq!(
            said.contains("as negatives of each other they are left out"),
            contrasts,
            "{}: {said}",
            method.name
        );
        assert_eq!(said.contains("near-duplicates"), normalizes, "{}: {said}", method.name);
    }
}

#[test]
fn a_single_image_has_no_negatives_which_is_refused_or_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let one = ("subset", "images", Value::Int(1));
    let with = |method: &str, more: &[(&'static str, &'static str, Value)]| {
        let changes = [std::slice::from_ref(&one), more].concat();
        carry_out(root.path(), &run(Stage::Pretrain, method, None, &changes))
    };
    let contrasts = |name: &&str| {
        let (negatives, _) = with_method(name, Compared(&run(Stage::Pretrain, name, None, &[]))).unwrap();
        negatives == BatchNegatives::Images
    };
    let methods: Vec<&str> = catalog().methods.iter().map(|method| method.name).filter(contrasts).collect();
    assert!(!methods.is_empty(), "no method has negatives");
    for method in methods {
        let (_, outcome, events) = with(method, &[]);
        assert_eq!(outcome, Outcome::Failed, "{method}");
        assert!(reason(&events).contains("the loss has no negatives"), "{}", reason(&events));
        let (_, outcome, events) = with(method, &[("repeat", "mask_same_image_negatives", text("off"))]);
        assert_eq!(outcome, Outcome::Finished, "{method}: {events:?}");
        assert!(warnings(&events)[0].contains("they are negatives of each other"), "{method}");
    }
    for more in [("method", "loss", text("byol")), ("method", "negatives", text("all_tokens"))] {
        let (_, outcome, events) = with("cmae", std::slice::from_ref(&more));
        assert_eq!(outcome, Outcome::Finished, "{more:?}: {events:?}");
    }
}

#[test]
fn a_run_may_end_before_its_schedule_or_with_it() {
    let root = tempfile::tempdir().unwrap();
    let last_rate = |schedule: &str| {
        let stop = [("repeat", "stop", Value::Float(0.5)), ("repeat", "schedule", text(schedule))];
        let (_, outcome, events) = carry_out(root.path(), &run(Stage::Pretrain, "mae", None, &stop));
        assert_eq!(outcome, Outcome::Finished, "{events:?}");
        assert_eq!(named(&events, "subset.images_seen"), 40.0);
        let rates = metrics(&events, "train/lr");
        assert_eq!(rates.len(), 4);
        rates[3].1
    };
    let (stopped, rescaled) = (last_rate("stopped"), last_rate("rescaled"));
    // One of two epochs is warm-up: three steps of four are in it, or six of eight.
    assert!(
        stopped > 0.0 && rescaled < stopped * 2.0 && rescaled != stopped,
        "{stopped} and {rescaled}"
    );
}

#[test]
fn a_run_that_goes_on_with_other_images_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let spec = run(Stage::Pretrain, "mae", None, &[IMAGES]);
    let (dir, outcome, _) = carry_out(root.path(), &spec);
    assert_eq!(outcome, Outcome::Finished);
    let before = fs::read_to_string(dir.events_file()).unwrap();
    let unfinished: Vec<&str> = before.lines().filter(|line| !line.contains("\"finished\"")).collect();
    fs::write(dir.events_file(), unfinished.join("\n") + "\n").unwrap();
    fs::write(dir.subset_file(), "image\tclass\n#39\tcircle\n").unwrap();
    assert_eq!(work(&dir, &options()), Outcome::Failed);
    let events = EventReader::new(&dir.events_file()).read(&LogPosition::default()).unwrap().events;
    let reason = reason(&events);
    assert!(
        reason.contains("subset.tsv") && reason.contains("others than those this run began with"),
        "{reason}"
    );
}

#[test]
fn neighbors_vote_on_the_way_and_for_a_random_encoder() {
    let root = tempfile::tempdir().unwrap();
    let knn = [("knn", "every", Value::Int(1)), ("knn", "images", Value::Int(15))];
    for method in ["mae", "supervised"] {
        let (_, outcome, events) = carry_out(root.path(), &run(Stage::Pretrain, method, None, &knn));
        assert_eq!(outcome, Outcome::Finished, "{events:?}");
        let found = metrics(&events, "knn/top1");
        assert_eq!(found.iter().map(|point| point.0).collect::<Vec<_>>(), [0, 4, 8]);
        assert!(found.iter().all(|(_, top1)| (0.0..=100.0).contains(top1)), "{found:?}");
        assert_eq!(named(&events, "knn.top1"), found[2].1);
    }
    let (_, outcome, events) = carry_out(root.path(), &run(Stage::Pretrain, "random_init", None, &knn));
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert!((0.0..=100.0).contains(&named(&events, "knn.top1")));
}

#[test]
fn a_cached_probe_chooses_its_rate_on_held_out_images_and_writes_a_head() {
    let root = tempfile::tempdir().unwrap();
    let parent = run(Stage::Pretrain, "random_init", None, &[]);
    assert_eq!(carry_out(root.path(), &parent).1, Outcome::Finished);
    let changes = [
        ("cached", "learning_rates", text("1e-9, 0.1, 1e6")),
        ("cached", "epochs", Value::Int(20)),
    ];
    let (dir, outcome, events) = carry_out(root.path(), &run(Stage::ProbeCached, "random_init", Some(&parent), &changes));
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    let names: Vec<&str> = summaries(&events).iter().map(|(name, _)| *name).collect();
    let all = ["top1", "rate", "weight_decay", "held_out_top1"].map(|name| format!("probe_cached.{name}"));
    assert_eq!(names, all);
    assert!([1e-9, 0.1, 1e6].contains(&named(&events, "probe_cached.rate")));
    let (model, _) = weights::read(&dir.model_file()).unwrap();
    assert_eq!(
        (&model["head.weight"].shape[..], &model["bn.running_mean"].shape[..]),
        (&[10, 16][..], &[16][..])
    );
    let again = tempfile::tempdir().unwrap();
    carry_out(again.path(), &parent);
    let spec = dir.read().unwrap().run;
    let (other, outcome, _) = carry_out(again.path(), &spec);
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(
        fs::read(other.model_file()).unwrap(),
        fs::read(dir.model_file()).unwrap(),
        "the same bits again"
    );
}

#[test]
fn a_record_from_before_these_settings_is_worked_on_with_the_same_bits() {
    let now = run(Stage::Pretrain, "mocov3", None, &[]);
    let mut before = now.clone();
    for section in ["subset", "repeat", "knn"] {
        assert!(before.settings.remove(section).is_some());
    }
    let model = |run: &RunSpec| {
        let root = tempfile::tempdir().unwrap();
        let (dir, outcome, events) = carry_out(root.path(), run);
        assert_eq!(outcome, Outcome::Finished, "{events:?}");
        fs::read(dir.model_file()).unwrap()
    };
    assert_eq!(model(&before), model(&now));
}
