//! What a run outside a study takes over from the run it starts from.

use super::*;

/// The dataset of a probe after a pretraining on a folder of images.
fn probe(scale: &Scale, request: &Request) -> Result<BTreeMap<String, Value>, Invalid> {
    let images = self::request(&[
        ("data", "source", text("/images")),
        ("data", "train_images", Value::Int(5000)),
        ("data", "val_fraction", Value::Float(0.5)),
        ("data", "image_size", Value::Int(64)),
    ]);
    let parent = pretrain(&images)?;
    let run = single_run(Stage::Probe, "mae", scale, &catalog(), request, 0, Some(&parent))?;
    Ok(run.settings["data"].clone())
}

fn small_steps(more: &str) -> Scale {
    scale(&format!(
        "[all.data]\ntrain_images = 2000\nval_images = 100\n[all.train]\nbatch_size = 64\n{more}"
    ))
}

#[test]
fn a_child_has_its_parents_dataset_unless_told_otherwise() {
    let data = |request: &Request| probe(&small_steps(""), request).unwrap();
    let inherited = data(&Request::default());
    assert_eq!(inherited["source"], text("/images"));
    assert_eq!(
        (&inherited["train_images"], &inherited["val_images"]),
        (&Value::Int(5000), &Value::Int(0))
    );
    assert_eq!(inherited["val_fraction"], Value::Float(0.5), "the same images are held back");

    let same = Request {
        data: Some("/images".to_owned()),
        ..Request::default()
    };
    assert_eq!(data(&same), inherited, "the parent's source, said aloud");
    let fewer = data(&request(&[("data", "train_images", Value::Int(300))]));
    assert_eq!((&fewer["source"], &fewer["train_images"]), (&text("/images"), &Value::Int(300)));

    let other = Request {
        data: Some("/others".to_owned()),
        ..Request::default()
    };
    for asked in [other, request(&[("data", "source", text("/others"))])] {
        let data = data(&asked);
        assert_eq!((&data["source"], &data["train_images"]), (&text("/others"), &Value::Int(2000)));
        assert_eq!((&data["val_fraction"], &data["image_size"]), (&Value::Float(0.2), &Value::Int(64)));
    }
}

#[test]
fn what_a_scale_says_of_the_stage_itself_goes_before_the_parents() {
    let scale = small_steps("[stage.probe.data]\ntrain_images = 1000\n");
    let data = probe(&scale, &Request::default()).unwrap();
    assert_eq!((&data["source"], &data["train_images"]), (&text("/images"), &Value::Int(1000)));
}

#[test]
fn a_run_starts_from_one_of_its_own_method() {
    let parent = pretrain(&Request::default()).unwrap();
    let of = |method| {
        single_run(
            Stage::Finetune,
            method,
            &scale(""),
            &catalog(),
            &Request::default(),
            0,
            Some(&parent),
        )
    };
    assert_eq!(
        of("supervised").unwrap_err().to_string(),
        "parent: that run is of the method mae, not supervised"
    );
    assert!(of("mae").is_ok());
}
