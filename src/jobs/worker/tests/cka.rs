//! Runs that compare features.

use std::collections::BTreeMap;

use super::*;
use crate::run_dir::Matrix;

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
        (&parent, ("cka", "hiding", Value::Text("mask_token".to_owned()))),
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
            (summaries["cka.mean"], summaries["cka.pictures"]),
            (matrix.overall_mean().unwrap(), 20.0)
        );
        assert!((summaries["cka.control"] - 1.0).abs() < 1e-5);
        found.push(matrix.clone());
    }
    assert!(found.iter().enumerate().all(|(i, matrix)| !found[..i].contains(matrix)));

    let token = ("cka", "hiding", Value::Text("mask_token".to_owned()));
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
        (outcome, reason(&events).contains("hidden patches are left out")),
        (Outcome::Failed, true)
    );
}
