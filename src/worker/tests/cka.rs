//! Runs that compare features.

use std::collections::BTreeMap;

use crate::run_dir::Matrix;
use crate::worker::tests::*;

fn matrices(events: &[Event]) -> Vec<(&str, &Matrix)> {
    let matrix = |event: &'_ Event| matches!(event.kind, EventKind::Matrix { .. });
    let found = events.iter().filter(|event| matrix(event)).map(|event| match &event.kind {
        EventKind::Matrix { name, matrix } => (name.as_str(), matrix),
        _ => unreachable!("the filter left only matrices"),
    });
    found.collect()
}

#[test]
fn features_under_occlusion_are_compared_of_a_pretrained_and_of_a_finetuned_encoder() {
    let root = tempfile::tempdir().unwrap();
    let parent = run(Stage::Pretrain, "cmae", None, &[]);
    assert_eq!(carry_out(root.path(), &parent).1, Outcome::Finished);
    let finetuned = run(Stage::Finetune, "cmae", Some(&parent), &[]);
    assert_eq!(carry_out(root.path(), &finetuned).1, Outcome::Finished);
    let ratios = ("cka", "ratios", Value::Text("0, 0.5, 0.9".to_owned()));
    let mut found = Vec::new();
    for (parent, more) in [
        (&parent, ("cka", "mask_seeds", Value::Int(2))),
        (&finetuned, ("cka", "mask_seeds", Value::Int(2))),
        (&parent, ("cka", "masking", Value::Text("mask_token".to_owned()))),
        (&parent, ("cka", "tokens", Value::Text("matched_flat".to_owned()))),
    ] {
        let spec = run(Stage::Cka, "cmae", Some(parent), &[ratios.clone(), more]);
        let (_, outcome, events) = carry_out(root.path(), &spec);
        assert_eq!(outcome, Outcome::Finished, "{events:?}");
        let [("cka", matrix)] = matrices(&events)[..] else {
            panic!("{events:?}")
        };
        assert_eq!((&matrix.rows.labels[..], matrix.columns.labels.len()), (&["1".to_owned()][..], 3));
        assert!((matrix.mean[0][0].unwrap() - 1.0).abs() < 1e-5, "{matrix:?}");
        assert!(matrix.mean[0][2].unwrap() < matrix.mean[0][1].unwrap(), "{matrix:?}");
        let summaries: BTreeMap<&str, f64> = summaries(&events).into_iter().collect();
        assert_eq!(summaries["cka.at_0.9"], matrix.mean[0][2].unwrap());
        assert_eq!(
            (summaries["cka.mean"], summaries["cka.images"]),
            (matrix.overall_mean().unwrap(), 20.0)
        );
        assert!((summaries["cka.control"] - 1.0).abs() < 1e-5);
        found.push(matrix.clone());
    }
    assert!(found.iter().enumerate().all(|(i, matrix)| !found[..i].contains(matrix)));

    let token = ("cka", "masking", Value::Text("mask_token".to_owned()));
    let spec = run(Stage::Cka, "cmae", Some(&finetuned), std::slice::from_ref(&token));
    let (_, outcome, events) = carry_out(root.path(), &spec);
    assert_eq!(
        (outcome, reason(&events).contains("only a pretraining keeps the token")),
        (Outcome::Failed, true)
    );
    let mae = run(Stage::Pretrain, "mae", None, &[]);
    assert_eq!(carry_out(root.path(), &mae).1, Outcome::Finished);
    let (_, outcome, events) = carry_out(root.path(), &run(Stage::Cka, "mae", Some(&mae), &[token]));
    assert_eq!(
        (outcome, reason(&events).contains("masked patches are left out")),
        (Outcome::Failed, true)
    );
}

#[test]
fn two_encoders_are_compared_block_by_block_and_one_with_itself_at_an_earlier_epoch() {
    let root = tempfile::tempdir().unwrap();
    let deep = ("model", "depth", Value::Int(2));
    let snapshots = ("snapshots", "every", Value::Int(1));
    let mae = run(Stage::Pretrain, "mae", None, &[deep.clone(), snapshots.clone()]);
    assert_ne!(mae.key, run(Stage::Pretrain, "mae", None, std::slice::from_ref(&deep)).key);
    let (dir, outcome, events) = carry_out(root.path(), &mae);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert!(dir.snapshot_file(1).is_file() && dir.snapshot_file(2).is_file() && !dir.snapshot_file(3).exists());
    let random = run(Stage::Pretrain, "random_init", None, &[]);
    assert_eq!(carry_out(root.path(), &random).1, Outcome::Finished);

    let compare = |changes: &[(&str, &str, Value)]| {
        let changes = [&[deep.clone()][..], changes].concat();
        let spec = run(Stage::Compare, "mae", Some(&mae), &changes);
        let (_, outcome, events) = carry_out(root.path(), &spec);
        (outcome, events)
    };
    let epoch = |key: &'static str, epoch: i64| ("compare", key, Value::Int(epoch));
    let other = |run: &RunSpec| ("compare", "other", Value::Text(run.id.to_string()));
    let found = |changes: &[(&str, &str, Value)]| {
        let (outcome, events) = compare(changes);
        assert_eq!(outcome, Outcome::Finished, "{events:?}");
        let [("cka", matrix)] = matrices(&events)[..] else {
            panic!("{events:?}")
        };
        matrix.clone()
    };
    // After its last epoch the encoder is what it ended as, whatever is left out of the images.
    for ratio in [0.0, 0.5] {
        let same = found(&[epoch("other_epoch", 2), ("compare", "ratio", Value::Float(ratio))]);
        assert!(
            (0..2).all(|block| (same.mean[block][block].unwrap() - 1.0).abs() < 1e-9),
            "{same:?}"
        );
        assert!((same.mean[0][1].unwrap() - same.mean[1][0].unwrap()).abs() < 1e-9 && same.mean[0][1].unwrap() < 1.0);
    }
    let earlier = found(&[epoch("epoch", 1)]);
    assert!((0..2).all(|block| earlier.mean[block][block].unwrap() < 1.0 - 1e-9), "{earlier:?}");
    let across = found(&[other(&random), epoch("epoch", 2)]);
    assert_eq!((across.rows.labels.len(), across.columns.labels.len()), (2, 1));
    assert_eq!(across.columns.title, format!("block of {}", random.label));

    let (outcome, events) = compare(&[epoch("other_epoch", 7)]);
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        reason(&events).contains("after epoch 7: it must be one of 1, 2"),
        "{}",
        reason(&events)
    );
    let (outcome, events) = compare(&[other(&random), epoch("other_epoch", 1)]);
    assert_eq!((outcome, reason(&events).contains("it kept none")), (Outcome::Failed, true));
}
