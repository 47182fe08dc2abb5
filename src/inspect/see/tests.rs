use burn::tensor::Device;

use crate::experiment::Value;
use crate::inspect::see::*;
use crate::inspect::tests::{tiny_run, write_model};
use crate::metrics::psnr::Region;
use crate::metrics::psnr::errors;

fn model(method: &str, set: &[(&str, &str, Value)]) -> Model {
    let dir = tempfile::tempdir().unwrap();
    Model::read(&write_model(dir.path(), &tiny_run(method, set)), &Device::flex()).unwrap()
}

/// A view `[3, 16, 16]`, another value everywhere.
fn view() -> Vec<f32> {
    (0..768).map(|i| (i as f32 * 0.7).sin()).collect()
}

fn mask() -> Patches {
    Patches(Masks::for_evaluation(0, &[3], 16, 0.6).masked.remove(0))
}

fn space(model: &Model) -> PixelSpace {
    PixelSpace {
        side: 16,
        patch_size: 4,
        mean: model.notes.mean,
        std: model.notes.std,
    }
}

fn scores(model: &Model, denorm: PatchStatistics) -> Scores {
    see(model, &view(), &mask(), denorm)
        .unwrap()
        .reconstruction
        .unwrap()
        .scores
        .unwrap()
}

#[test]
fn the_ratios_are_those_of_the_psnr_stage() {
    for (method, set, denorm, kind) in [
        ("mae", vec![], PatchStatistics::Oracle, Denorm::Oracle),
        ("mae", vec![], PatchStatistics::VisibleStats, Denorm::VisibleStats),
        (
            "mae",
            vec![("method", "norm_pix_loss", Value::Bool(false))],
            PatchStatistics::Oracle,
            Denorm::Raw,
        ),
        ("simmim", vec![], PatchStatistics::Oracle, Denorm::Raw),
    ] {
        let model = model(method, &set);
        let masks = Masks::given(vec![mask().0]).unwrap();
        let image = Tensor::from_data(TensorData::new(view(), [1, 3, 16, 16]), &Device::flex());
        let predicted: Vec<f32> = model.predict.as_ref().unwrap()(image, &masks).into_data().iter().collect();
        let stage = errors(&space(&model), &space(&model).cut(&view()), &predicted, &mask().0, kind);
        let scores = scores(&model, denorm);
        for (here, stage) in [scores.model, scores.zero, scores.visible_mean].into_iter().zip(stage) {
            assert_eq!(here.masked, stage.decibels(Region::Masked), "{method} {denorm}");
            assert_eq!(here.composite, stage.decibels(Region::Composite), "{method} {denorm}");
        }
    }
}

#[test]
fn the_control_of_the_visible_mean_is_the_value_worked_by_hand() {
    let model = model("mae", &[]);
    // Visible patches are 0 in the data's space, which is its mean color; hidden ones differ by a deviation of each channel.
    let mut masked = Patches(vec![false; 16]);
    masked.0[0] = true;
    let mut view = vec![0.0; 768];
    for channel in 0..3 {
        for row in 0..4 {
            view[channel * 256 + row * 16..][..4].fill(1.0);
        }
    }
    let scores = see(&model, &view, &masked, PatchStatistics::Oracle)
        .unwrap()
        .reconstruction
        .unwrap()
        .scores
        .unwrap();
    let error = model.notes.std.iter().map(|std| f64::from(std * std)).sum::<f64>() / 3.0;
    assert!((scores.visible_mean.masked + 10.0 * error.log10()).abs() < 1e-3);
    assert!((scores.visible_mean.composite - scores.visible_mean.masked - 10.0 * 16f64.log10()).abs() < 1e-6);
}

#[test]
fn with_nothing_hidden_alignment_is_one_and_there_is_nothing_to_score() {
    for method in ["mae", "beit", "dino"] {
        let sight = see(&model(method, &[]), &view(), &Patches(vec![false; 16]), PatchStatistics::Oracle).unwrap();
        assert_eq!(sight.masked, sight.original);
        assert!(
            sight.cka.iter().all(|cka| (cka.unwrap() - 1.0).abs() < 1e-9),
            "{method}: {:?}",
            sight.cka
        );
        assert!(sight.reconstruction.is_none_or(|reconstruction| reconstruction.scores.is_none()));
    }
}

#[test]
fn alignment_falls_below_one_when_something_is_hidden_and_needs_four_patches() {
    let model = model("mae", &[]);
    let cka = see(&model, &view(), &mask(), PatchStatistics::Oracle).unwrap().cka;
    assert!(cka.iter().all(|cka| cka.is_some_and(|cka| cka < 0.999_999)), "{cka:?}");
    let mut few = Patches(vec![true; 16]);
    few.0[..3].fill(false);
    assert_eq!(see(&model, &view(), &few, PatchStatistics::Oracle).unwrap().cka, [None, None]);
}

#[test]
fn attention_to_itself_and_to_all_visible_patches_is_everything() {
    for method in ["mae", "beit"] {
        let model = model(method, &[]);
        let image = Tensor::from_data(TensorData::new(view(), [1, 3, 16, 16]), &Device::flex());
        let seen = model.encoder.look(image, &mask().visible());
        let sight = see(&model, &view(), &mask(), PatchStatistics::Oracle).unwrap();
        for (block, heads) in seen.iter().zip(&sight.attention) {
            let shares = HostTensor::from_tensor(&block.attention).data;
            for (shares, head) in shares.chunks(1 + mask().visible().len()).zip(heads) {
                assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                assert_eq!(head.itself, f64::from(shares[0]));
                assert!(head.largest < 1.0 - head.itself && head.largest > 0.0);
            }
        }
    }
}

#[test]
fn what_is_hidden_changes_neither_prediction_nor_attention() {
    let model = model("mae", &[]);
    let hidden = mask().0.iter().position(|hidden| *hidden).unwrap();
    let mut other = view();
    for (at, value) in other.iter_mut().enumerate() {
        let (row, column) = (at % 256 / 16, at % 16);
        if row / 4 * 4 + column / 4 == hidden {
            *value = 0.9;
        }
    }
    // Statistics of visible patches alone, or the oracle would tell of the hidden ones.
    let [one, two] = [view(), other].map(|view| see(&model, &view, &mask(), PatchStatistics::VisibleStats).unwrap());
    assert_ne!(one.original, two.original);
    assert_eq!(one.masked, two.masked);
    let (one_made, two_made) = (one.reconstruction.unwrap(), two.reconstruction.unwrap());
    assert_eq!(
        (&one_made.prediction, &one_made.composite),
        (&two_made.prediction, &two_made.composite)
    );
    assert_ne!(one_made.scores, two_made.scores);
    let shares = |sight: &[Vec<Head>]| sight.concat().iter().map(|head| head.itself).collect::<Vec<_>>();
    assert_eq!(shares(&one.attention), shares(&two.attention));
}
