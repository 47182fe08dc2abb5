//! Runs that score reconstructions.

use std::collections::BTreeMap;

use crate::run_dir::Matrix;
use crate::worker::tests::*;

#[test]
fn reconstructions_are_scored_by_every_measure_at_every_ratio_and_followed_while_training() {
    let root = tempfile::tempdir().unwrap();
    let parent = run(Stage::Pretrain, "mae", None, &[]);
    let (_, outcome, events) = carry_out(root.path(), &parent);
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    assert_eq!(metrics(&events, "val/psnr").len(), 6, "as often as images are drawn");
    let seconds = metrics(&events, "speed/seconds");
    assert!(seconds.len() == 8 && seconds.is_sorted_by(|a, b| a.1 < b.1), "{seconds:?}");

    // Of 16 patches, 0.99 leaves none to see.
    let ratios = ("psnr", "ratios", Value::Text("0.5, 0.99".to_owned()));
    let (dir, outcome, events) = carry_out(root.path(), &run(Stage::Psnr, "mae", Some(&parent), &[ratios]));
    assert_eq!(outcome, Outcome::Finished, "{events:?}");
    let warned = |event: &Event| matches!(&event.kind, EventKind::Warning { message } if message.contains("[0.99] of 16 patches"));
    assert!(events.iter().any(warned), "{events:?}");
    let matrices: BTreeMap<&str, &Matrix> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Matrix { name, matrix } => Some((name.as_str(), matrix)),
            _ => None,
        })
        .collect();
    let names: Vec<&str> = matrices.keys().copied().collect();
    assert_eq!(names, ["examples", "psnr", "psnr_visible_mean", "psnr_zero"]);
    let model = matrices["psnr"];
    assert_eq!(
        (&model.columns.labels[..], model.rows.labels.len()),
        (&["0.5".to_owned(), "0.75".to_owned()][..], 12)
    );
    let found: BTreeMap<&str, f64> = summaries(&events).into_iter().collect();
    let row = model.rows.labels.iter().position(|label| label == "oracle composite mean").unwrap();
    assert_eq!(model.mean[row][1], Some(found["psnr.composite"]));
    assert_eq!(matrices["psnr_zero"].mean[row][1], Some(found["psnr.composite_zero"]));
    assert_eq!(
        matrices["psnr_visible_mean"].mean[row][1],
        Some(found["psnr.composite_visible_mean"])
    );
    assert!(model.mean[row][0] > model.mean[row][1], "fewer hidden pixels are fewer wrong ones");
    let sheet = image::open(dir.images().join("examples-00000000.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (4 * 32, 8 * 32));
}
