use std::sync::Arc;

use anyhow::bail;

use super::*;
use crate::data::augment::tests::still;
use crate::data::source::{Item, Reader};
use crate::experiment::ViewPlan;
use crate::experiment::choices::CropKind;
use crate::experiment::settings::AugmentSettings;

const SIZE: usize = 16;

/// Image `i` is `i` in red, its class `i % 3`.
fn split(n: usize) -> Split {
    let image = |i: usize| (0..SIZE * SIZE).flat_map(move |p| [i as u8, p as u8, (p / SIZE * i) as u8]);
    Split::in_memory(SIZE, SIZE, (0..n).flat_map(image).collect(), (0..n as u32).map(|i| i % 3).collect())
}

/// The recipe of MAE pretraining.
fn mae() -> AugmentSettings {
    AugmentSettings {
        crop: CropKind::Resized,
        hflip: 0.5,
        ..still()
    }
}

fn augment() -> Augment {
    let settings = AugmentSettings {
        color_jitter: 0.5,
        random_erasing: 0.5,
        ..mae()
    };
    let plan = [ViewPlan::new(settings.clone(), SIZE), ViewPlan::new(settings, SIZE / 2)];
    Augment::with_views(&plan, SIZE, [0.5; 3], [0.25; 3])
}

fn plan() -> LoaderPlan {
    LoaderPlan {
        seed: 9,
        batch_size: 4,
        epochs: 3,
        repeated: None,
        first_batch: 0,
        threads: 1,
        ahead: ahead(1),
    }
}

const MIX: Mix = Mix {
    mixup: 0.8,
    cutmix: 1.0,
    prob: 1.0,
    smoothing: 0.1,
    classes: 3,
};

fn batches(plan: LoaderPlan) -> Vec<Batch> {
    TrainLoader::new(split(22), augment(), Some(MIX), plan)
        .map(Result::unwrap)
        .collect()
}

#[test]
fn batches_are_the_same_for_any_number_of_threads() {
    let one = batches(plan());
    assert_eq!(one, batches(LoaderPlan { threads: 3, ..plan() }));
    assert_eq!(
        one,
        batches(LoaderPlan {
            threads: 8,
            ahead: 20,
            ..plan()
        })
    );
    assert_ne!(one, batches(LoaderPlan { seed: 10, ..plan() }));
}

#[test]
fn repeated_images_come_equally_often_each_time_in_other_views_from_anywhere_on() {
    let plan = LoaderPlan {
        repeated: Some(6),
        ..plan()
    };
    let few = |plan| {
        let loader = TrainLoader::new(split(22).only(&[3, 8, 20]), augment(), None, plan);
        loader.map(Result::unwrap).collect::<Vec<Batch>>()
    };
    let whole = few(plan);
    assert_eq!(whole.len(), 18);
    assert_eq!(
        whole.iter().map(|batch| batch.epoch).collect::<Vec<_>>(),
        [[0; 6], [1; 6], [2; 6]].concat()
    );
    let indices: Vec<u32> = whole.iter().flat_map(|batch| batch.indices.clone()).collect();
    assert!(indices.chunks(3).all(|pass| [0, 1, 2].iter().all(|index| pass.contains(index))));
    assert_eq!(whole[0].indices[..3], indices[..3]);
    // Two views of one image in one batch differ.
    let (first, batch) = (whole[0].indices[3], &whole[0]);
    let place = batch.indices.iter().position(|index| *index == first).unwrap();
    let view = |place: usize| &batch.views[0][place * 3 * SIZE * SIZE..][..3 * SIZE * SIZE];
    assert_ne!(view(place), view(3));
    let labels = [split(22).label(3), split(22).label(8), split(22).label(20)];
    assert!(
        batch
            .indices
            .iter()
            .zip(&batch.labels)
            .all(|(index, label)| labels[*index as usize] == *label)
    );
    for first_batch in [1, 7] {
        let rest = few(LoaderPlan {
            first_batch,
            threads: 3,
            ..plan
        });
        assert_eq!(whole[first_batch as usize..], rest);
    }
}

#[test]
fn a_loader_that_begins_anywhere_gives_the_rest_of_the_uninterrupted_run() {
    let whole = batches(plan());
    for first_batch in [1, 5, 7, 14] {
        assert_eq!(
            whole[first_batch as usize..],
            batches(LoaderPlan {
                first_batch,
                threads: 2,
                ..plan()
            })
        );
    }
    assert_eq!(batches(LoaderPlan { first_batch: 15, ..plan() }), []);
    assert_eq!(batches(LoaderPlan { first_batch: 99, ..plan() }), []);
}

#[test]
fn an_epoch_shows_each_image_at_most_once_and_drops_what_does_not_fill_a_batch() {
    assert_eq!(
        (batches_per_epoch(22, 4), batches_per_epoch(4, 4), batches_per_epoch(3, 4)),
        (5, 1, 0)
    );
    let whole = batches(plan());
    assert_eq!(whole.len(), 15);
    let mut dropped = Vec::new();
    for (epoch, batches) in whole.chunks(5).enumerate() {
        let mut seen: Vec<u32> = batches.iter().flat_map(|b| b.indices.clone()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 20);
        assert!(batches.iter().all(|b| b.epoch == epoch as u64));
        dropped.push((0..22).find(|i| !seen.contains(i)));
    }
    assert!(whole.iter().map(|b| b.step).eq(0..15));
    assert_ne!(dropped[0], dropped[1], "another epoch drops other images");
}

#[test]
fn every_index_comes_once_an_epoch_when_the_batches_fit() {
    let loader = TrainLoader::new(split(20), augment(), None, plan());
    let mut seen = [0; 20];
    for batch in loader {
        batch.unwrap().indices.iter().for_each(|i| seen[*i as usize] += 1);
    }
    assert_eq!(seen, [3; 20]);
}

#[test]
fn a_batch_holds_what_its_indices_say() {
    let (split, augment) = (split(22), augment());
    for batch in TrainLoader::new(split.clone(), augment.clone(), None, plan()).map(Result::unwrap) {
        assert_eq!((batch.views.len(), batch.targets), (2, None));
        for (place, index) in batch.indices.iter().enumerate() {
            assert_eq!(batch.labels[place], index % 3);
            for (nth, view) in batch.views.iter().enumerate() {
                let side = augment.sides()[nth];
                let mut draws = augment.draws(9, batch.epoch, *index, nth);
                let mut expected = vec![0.0; 3 * side * side];
                augment.view(nth, &split.image(*index as usize).unwrap(), &mut draws, &mut expected);
                assert_eq!(view[place * expected.len()..][..expected.len()], expected);
            }
        }
        assert_eq!(batch.views[0].len(), 4 * batch.views[1].len(), "each view has its own side");
    }
}

#[test]
fn a_mixed_batch_has_targets_and_all_its_views_are_mixed_alike() {
    let twice = vec![ViewPlan::new(still(), SIZE); 2];
    let still = Augment::with_views(&twice, SIZE, [0.5; 3], [0.25; 3]);
    for batch in TrainLoader::new(split(22), still, Some(MIX), plan()).map(Result::unwrap) {
        assert_eq!(batch.views[0], batch.views[1]);
        assert_eq!(batch.targets.unwrap().len(), 4 * 3);
    }
}

#[test]
fn evaluation_shows_every_image_once_in_order_and_unvaried() {
    let (split, augment) = (split(22), augment());
    let batches: Vec<Batch> = EvalLoader::new(split.clone(), augment.clone(), 8, 3).map(Result::unwrap).collect();
    assert!(batches.iter().flat_map(|b| b.indices.clone()).eq(0..22));
    assert_eq!(batches.iter().map(|b| b.labels.len()).collect::<Vec<_>>(), [8, 8, 6]);
    let mut plain = vec![0.0; 3 * SIZE * SIZE];
    augment.plain(&split.image(21).unwrap(), &mut plain);
    assert_eq!(batches[2].views[0][5 * plain.len()..], plain);
}

#[test]
fn dropping_a_loader_in_the_middle_does_not_hang() {
    let mut loader = TrainLoader::new(
        split(22),
        augment(),
        None,
        LoaderPlan {
            epochs: 1000,
            threads: 3,
            ..plan()
        },
    );
    loader.next().unwrap().unwrap();
    drop(loader);
}

/// A source whose images are all torn.
struct Torn;

impl Reader for Torn {
    fn bytes(&self, _: &Item) -> anyhow::Result<Vec<u8>> {
        bail!("the file ends too early")
    }

    fn image(&self, _: &Item) -> anyhow::Result<Image> {
        bail!("the file ends too early")
    }
}

#[test]
fn an_unreadable_image_ends_the_loader_with_its_path() {
    let item = |n: usize| Item {
        label: 0,
        name: format!("train/cat/{n}.png"),
        place: crate::data::tree::Place::Own { size: 0 },
    };
    let torn = || Split::on_demand(Arc::new(Torn), (0..8).map(item).collect(), 0);
    let mut training = TrainLoader::new(torn(), augment(), None, LoaderPlan { threads: 2, ..plan() });
    let mut evaluation = EvalLoader::new(torn(), augment(), 4, 2);
    for (first, after) in [(training.next(), training.next()), (evaluation.next(), evaluation.next())] {
        let error = first.unwrap().unwrap_err().to_string();
        assert!(error.contains("train/cat/"), "{error}");
        assert!(after.is_none());
    }
}
