use std::path::Path;

use tempfile::TempDir;

use crate::experiment::choices::PatchStatistics;
use crate::experiment::{Request, RunSpec, Scale, Stage, Value, single_run};
use crate::inspect::*;
use crate::methods::{Method, MethodVisitor, catalog, exported, with_method};
use crate::playground::{Feature, Way};
use crate::stages::model_file::ModelNotes;
use crate::weights;

/// A run of a tiny encoder on 16 built-in images to validate on.
pub(super) fn tiny_run(method: &str, set: &[(&str, &str, Value)]) -> RunSpec {
    let mut request = Request::default();
    let sizes = [
        ("data", "image_size", 16),
        ("data", "train_images", 32),
        ("data", "val_images", 16),
        ("train", "batch_size", 16),
        ("model", "dim", 16),
        ("model", "depth", 2),
        ("model", "heads", 2),
        ("model", "decoder_dim", 16),
    ];
    let sizes = sizes.map(|(section, key, value)| (section, key, Value::Int(value)));
    let trains = catalog().get(method).is_some_and(|method| method.trains);
    for (section, key, value) in sizes.iter().chain(set).filter(|(section, ..)| trains || *section != "train") {
        let section = request.set.entry((*section).to_owned()).or_default();
        section.insert((*key).to_owned(), value.clone());
    }
    single_run(Stage::Pretrain, method, &Scale::built_in()[0], &catalog(), &request, 1, None).unwrap()
}

/// Writes what a finished run leaves: its record and its model, with the weights that it begins with.
pub(super) fn write_model(data_dir: &Path, run: &RunSpec) -> RunDir {
    struct Write<'a>(&'a RunDir, &'a RunSpec);
    impl MethodVisitor for Write<'_> {
        type Out = ();
        fn visit<M: Method>(self) {
            let notes = ModelNotes {
                run: self.1.id.to_string(),
                method: self.1.method.clone(),
                stage: self.1.stage.to_string(),
                mean: [0.5, 0.4, 0.3],
                std: [0.2, 0.25, 0.3],
                classes: vec!["one".to_owned(); 10],
            };
            let model = M::new(self.1, 10, &Device::flex()).unwrap();
            let notes = [("umbra".to_owned(), serde_json::to_string(&notes).unwrap())].into();
            weights::write(&self.0.model_file(), &exported(&model), &notes).unwrap();
        }
    }
    let dir = RunDir::create(data_dir, run).unwrap();
    with_method(&run.method, Write(&dir, run)).unwrap();
    dir
}

pub(super) fn question(run: &RunSpec, index: usize) -> Question {
    Question {
        run: run.id.clone(),
        written: 1,
        image: Chosen::Validation { of: run.id.clone(), index },
        mask: Mask {
            grid: 4,
            hidden: Hidden::Drawn { ratio: 0.75, seed: 0 },
        },
        denorm: PatchStatistics::Oracle,
    }
}

fn inspector(methods: &[&str]) -> (Inspector, Vec<RunSpec>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let runs: Vec<RunSpec> = methods.iter().map(|method| tiny_run(method, &[])).collect();
    runs.iter().for_each(|run| drop(write_model(dir.path(), run)));
    (Inspector::new(dir.path()), runs, dir)
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, 90]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn every_method_is_answered_and_those_that_predict_pixels_show_them() {
    for method in catalog().methods {
        let (mut inspector, runs, _dir) = inspector(&[method.name]);
        let answer = inspector.answer(&question(&runs[0], 3), &[], &mut |_| ()).unwrap();
        assert_eq!(answer.reconstruction.is_some(), method.reconstructs, "{}", method.name);
        assert_eq!((answer.grid, answer.hidden.hidden(), answer.images), (4, 12, Some(16)));
        assert_eq!(answer.attention.len(), 2);
        assert!(answer.attention.iter().all(|heads| heads.len() == 2));
        assert_eq!(answer.cka.len(), 2);
        // The built-in classes take turns.
        assert_eq!(
            answer.class.as_deref(),
            Some(
                crate::data::open(&runs[0].section("data").unwrap(), &inspector.data_dir, &mut |_, _| ())
                    .unwrap()
                    .classes[3]
                    .as_str()
            )
        );
    }
}

#[test]
fn the_mask_is_the_psnr_stages_for_that_image() {
    let (mut inspector, runs, _dir) = inspector(&["mae"]);
    let hidden = inspector.answer(&question(&runs[0], 5), &[], &mut |_| ()).unwrap().hidden;
    assert_eq!(hidden.0, Masks::for_evaluation(0, &[5], 16, 0.75).masked[0]);
}

#[test]
fn what_cannot_be_answered_is_refused_in_one_sentence() {
    let (mut inspector, runs, _dir) = inspector(&["mae"]);
    let mut refused = |question: &Question, file: &[u8]| format!("{:#}", inspector.answer(question, file, &mut |_| ()).unwrap_err());
    let good = question(&runs[0], 0);
    let other = tiny_run("simmim", &[]).id;
    assert!(
        refused(
            &Question {
                run: other,
                ..good.clone()
            },
            &[]
        )
        .contains("run.toml")
    );
    assert_eq!(
        refused(&question(&runs[0], 16), &[]),
        "there is no image 16: the validation split of `builtin` has images 0 to 15"
    );
    let mask = |hidden| Mask { grid: 4, hidden };
    let all = Question {
        mask: mask(Hidden::Given(Patches(vec![true; 16]))),
        ..good.clone()
    };
    assert_eq!(refused(&all, &[]), "all 16 patches are masked: at least one must be visible");
    let odd = Question {
        mask: mask(Hidden::Given(Patches(vec![true; 9]))),
        ..good.clone()
    };
    assert_eq!(refused(&odd, &[]), "the mask names 9 patches: the image has 16");
    let given = Question {
        image: Chosen::Given { hash: "1".to_owned() },
        ..good
    };
    assert!(refused(&given, b"no image").starts_with("the image cannot be read"));
}

#[test]
fn a_given_image_of_any_shape_is_looked_at_and_read_once() {
    let (mut inspector, runs, _dir) = inspector(&["mae"]);
    let given = Question {
        image: Chosen::Given { hash: "1".to_owned() },
        ..question(&runs[0], 0)
    };
    let first = inspector.answer(&given, &png(90, 31), &mut |_| ()).unwrap();
    assert_eq!((first.class, first.images, first.hidden.hidden()), (None, None, 12));
    // What is at hand is not read again.
    let again = inspector.answer(&given, &[], &mut |_| ()).unwrap();
    assert_eq!(again.original, first.original);
}

#[test]
fn two_models_with_other_grids_have_the_same_parts_hidden() {
    let (mut inspector, mut runs, dir) = inspector(&["mae"]);
    runs.push(tiny_run("mae", &[("model", "patch_size", Value::Int(2))]));
    write_model(dir.path(), &runs[1]);
    let coarse = inspector.answer(&question(&runs[0], 2), &[], &mut |_| ()).unwrap();
    let mut asked = question(&runs[1], 2);
    asked.image = Chosen::Validation {
        of: runs[0].id.clone(),
        index: 2,
    };
    let fine = inspector.answer(&asked, &[], &mut |_| ()).unwrap();
    assert_eq!((fine.grid, &fine.hidden), (8, &coarse.hidden.on_grid(4, 8)));
}

#[test]
fn a_model_is_read_once_and_again_when_it_was_written_anew() {
    let (mut inspector, runs, dir) = inspector(&["mae"]);
    let mut news = Vec::new();
    let mut asked = question(&runs[0], 0);
    for written in [1, 1, 2] {
        asked.written = written;
        inspector.answer(&asked, &[], &mut |text| news.push(text.to_owned())).unwrap();
    }
    assert_eq!(news.iter().filter(|text| *text == "reading the model").count(), 2);
    assert_eq!(news.iter().filter(|text| text.starts_with("opening the images")).count(), 1);
    let probe = single_run(
        Stage::Probe,
        "mae",
        &Scale::built_in()[0],
        &catalog(),
        &Request::of(&[("train", "batch_size", Value::Int(16))]),
        1,
        Some(&runs[0]),
    )
    .unwrap();
    let probe_dir = RunDir::create(dir.path(), &probe).unwrap();
    std::fs::copy(RunDir::of(dir.path(), &runs[0].id).model_file(), probe_dir.model_file()).unwrap();
    asked.run = probe.id;
    let error = inspector.answer(&asked, &[], &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("only pretraining and fine-tuning"), "{error}");
}

#[test]
fn a_map_has_a_point_for_every_image_with_its_class() {
    let (mut inspector, runs, _dir) = inspector(&["mae"]);
    let mut mapping = Mapping {
        run: runs[0].id.clone(),
        written: 1,
        feature: Feature::MeanPatch,
        way: Way::Pca,
    };
    let map = inspector.map(&mapping, &mut |_| ()).unwrap();
    let dataset = data::open(&runs[0].section("data").unwrap(), &inspector.data_dir, &mut |_, _| ()).unwrap();
    let labels: Vec<(usize, u32)> = map.points.iter().map(|point| (point.index, point.label as u32)).collect();
    let expected: Vec<(usize, u32)> = dataset.val.labels().iter().copied().enumerate().collect();
    assert_eq!((labels, map.images, &map.classes), (expected, 16, &dataset.classes));
    let [across, up] = map.explained.unwrap();
    assert!(across >= up && up > 0.0 && across + up <= 1.0);
    // The class token is another feature, and neighbors another plane.
    let others = [(Feature::Cls, Way::Pca), (Feature::MeanPatch, Way::Tsne)].map(|(feature, way)| {
        (mapping.feature, mapping.way) = (feature, way);
        inspector.map(&mapping, &mut |_| ()).unwrap()
    });
    assert!(others.iter().all(|other| other.points != map.points && other.points.len() == 16));
    assert_eq!(others[1].explained, None);
}

#[test]
fn a_image_is_shown_in_its_own_colors() {
    let (mut inspector, runs, _dir) = inspector(&["mae"]);
    let png = inspector.image(&runs[0].id, 3, &mut |_| ()).unwrap();
    let shown = image::load_from_memory(&png.0).unwrap().to_rgb8();
    assert_eq!(shown.dimensions(), (16, 16));
    // As the answer to a question shows it, to the rounding of a normalized number.
    let original = inspector.answer(&question(&runs[0], 3), &[], &mut |_| ()).unwrap().original;
    let original = image::load_from_memory(&original.0).unwrap().to_rgb8();
    assert!(shown.iter().zip(original.iter()).all(|(a, b)| a.abs_diff(*b) <= 1));
    assert!(
        inspector
            .image(&runs[0].id, 16, &mut |_| ())
            .unwrap_err()
            .to_string()
            .contains("images 0 to 15")
    );
}
