use burn::tensor::Int;

use crate::data::loader::Batch;
use crate::experiment::choices::Tokens;
use crate::stages::cka::*;
use crate::vit::{Position, Vit, VitConfig};

fn encoder(position: Position) -> Vit {
    let config = VitConfig {
        image_size: 16,
        patch_size: 4,
        dim: 16,
        depth: 3,
        heads: 2,
        mlp_ratio: 2.0,
        position,
        layer_scale: 0.0,
        activation_checkpointing: false,
    };
    Vit::new(&config, 1, &Device::flex())
}

/// Smooth images that differ from each other in phase and contrast.
fn batch(images: usize) -> Batch {
    let value = |i: usize| {
        let (image, place) = (i / 768, i % 768);
        (1.0 + image as f32 * 0.1) * (place as f32 * 0.11 + image as f32 * 1.7).sin()
    };
    Batch {
        step: 0,
        epoch: 0,
        indices: (0..images as u32).collect(),
        labels: vec![0; images],
        views: vec![(0..images * 768).map(value).collect()],
        targets: None,
    }
}

fn settings(tokens: Tokens, ratios: &str) -> CkaSettings {
    CkaSettings {
        ratios: ratios.to_owned(),
        tokens,
        masking: Masking::Drop,
        mask_seeds: 2,
        images: 0,
        batch_size: 8,
    }
}

fn compare(encoder: Vit, mask_token: Option<Tensor<3>>, tokens: Tokens, ratios: &str) -> Comparison {
    let encoded = Encoded {
        encoder,
        mask_token,
        tokens,
    };
    let mut comparison = Comparison::new(encoded, &settings(tokens, ratios), 5, Device::flex());
    let dir = tempfile::tempdir().unwrap();
    let mut reporter = crate::train::tests::reporter(dir.path());
    let ready = comparison.ready(batch(12)).unwrap();
    (0..comparison.passes()).for_each(|pass| comparison.add(&ready, pass, &mut reporter).unwrap());
    comparison
}

#[test]
fn with_nothing_hidden_the_features_are_the_same_whatever_is_compared() {
    let kinds = [Tokens::MeanPatch, Tokens::Cls, Tokens::MatchedFlat, Tokens::MatchedMean];
    for (tokens, position) in kinds
        .into_iter()
        .zip([Position::SinCos, Position::Relative, Position::SinCos, Position::Relative])
    {
        let comparison = compare(encoder(position), None, tokens, "0, 0.9");
        let matrix = comparison.matrix();
        for row in &matrix.mean {
            assert!((row[0].unwrap() - 1.0).abs() < 1e-5, "{tokens}: {row:?}");
            assert!(row[1].unwrap() < 0.999, "{tokens}: {row:?}");
        }
        assert!(
            comparison
                .control
                .iter()
                .all(|control| (control.value().unwrap() - 1.0).abs() < 1e-5)
        );
        assert!(matrix.low[0][1] < matrix.high[0][1], "two draws of masks are not the same");
    }
}

#[test]
fn the_numbers_are_those_of_the_definition_worked_out_at_length() {
    let vit = encoder(Position::SinCos);
    let mut comparison = compare(vit.clone(), None, Tokens::MeanPatch, "0.5");
    let images = upload(batch(12), &Device::flex()).views[0].clone();
    let mean = |stream: &Tensor<3>, from: usize, count: usize| -> Vec<f64> {
        let values: Vec<f64> = stream.clone().narrow(1, from, count).into_data().iter::<f64>().collect();
        let mut sums = vec![0.0; 12 * 16];
        for (i, value) in values.iter().enumerate() {
            sums[i / (count * 16) * 16 + i % 16] += value / count as f64;
        }
        sums
    };
    for draw in 0..2 {
        let masks = Masks::for_comparison(5, draw, &(0..12).collect::<Vec<u32>>(), 16, 0.5, false);
        let whole = vit.stream(vit.embed(images.clone()));
        let seen = vit.stream(vit.embed_visible(images.clone(), masks.ids_keep(&Device::flex())));
        for block in 0..3 {
            let mut cka = Cka::default();
            let (there, here) = (mean(&whole[block], 1, 16), mean(&seen[block], 1, 8));
            cka.add(&Gram::exact(&there, 12), &Gram::exact(&here, 12));
            let found = comparison.sums.at(block, 0, draw as usize).value().unwrap();
            assert!(
                (cka.value().unwrap() - found).abs() < 1e-5,
                "block {block}: {found} is not {:?}",
                cka.value()
            );
        }
    }
}

#[test]
fn a_token_at_masked_patches_is_another_way_to_hide_them() {
    let token = Tensor::<1, Int>::arange(0..16, &Device::flex()).float().sin().reshape([1, 1, 16]);
    let with_token = compare(encoder(Position::SinCos), Some(token), Tokens::MeanPatch, "0, 0.5").matrix();
    let dropped = compare(encoder(Position::SinCos), None, Tokens::MeanPatch, "0, 0.5").matrix();
    assert!((with_token.mean[2][0].unwrap() - 1.0).abs() < 1e-5);
    assert_ne!(with_token.mean[2][1], dropped.mean[2][1]);
}

#[test]
fn every_image_is_dealt_once_and_every_batch_has_some_of_everywhere() {
    let batches = dealt(1000, 500, 64);
    assert_eq!(batches.len(), 8);
    let mut all: Vec<u32> = batches.concat();
    all.sort_unstable();
    assert_eq!(all, (0..1000).step_by(2).collect::<Vec<u32>>());
    for batch in &batches {
        assert!((62..=63).contains(&batch.len()), "{}", batch.len());
        assert!(batch[0] < 20 && *batch.last().unwrap() > 980);
    }
    assert_eq!(dealt(10, 0, 4), [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]);
    assert_eq!(dealt(7, 2000, 4).len(), 1, "two batches would be too small");
}

#[test]
fn long_and_short_passes_take_turns() {
    assert_eq!([0, 1, 2, 3, 4].map(|nth| in_turns(nth, 5)), [0, 4, 1, 3, 2]);
    assert_eq!(in_turns(0, 1), 0);
}
