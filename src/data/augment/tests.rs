//! The whole way of a picture; each step has its own tests.

use super::*;
use crate::rng::{Purpose, stream};

const MEAN: [f32; 3] = [0.5, 0.4, 0.3];
const STD: [f32; 3] = [0.2, 0.25, 0.3];

fn rng(place: u64) -> ChaCha8Rng {
    stream(7, Purpose::Augment, 0, place)
}

fn picture(width: usize, height: usize) -> Picture {
    let pixels = (0..width * height)
        .flat_map(|i| [(i * 5 % 251) as u8, (i * 3 % 241) as u8, (i % 239) as u8])
        .collect();
    Picture { width, height, pixels }
}

/// Settings that leave a picture as evaluation sees it.
pub(in crate::data) fn still() -> AugmentSettings {
    AugmentSettings {
        crop: "none".to_owned(),
        crop_min: 0.2,
        flip: 0.0,
        jitter: 0.0,
        grey: 0.0,
        blur: 0.0,
        solarise: 0.0,
        rand_augment: 0.0,
        erase: 0.0,
    }
}

fn view(settings: &AugmentSettings, picture: &Picture, place: u64) -> Vec<f32> {
    let mut out = vec![f32::NAN; 3 * 32 * 32];
    Augment::new(settings, 32, MEAN, STD).view(0, picture, &mut rng(place), &mut out);
    out
}

fn plain(picture: &Picture) -> Vec<f32> {
    let mut out = vec![f32::NAN; 3 * 32 * 32];
    Augment::new(&still(), 32, MEAN, STD).plain(picture, &mut out);
    out
}

#[test]
fn a_plain_view_of_a_fitting_picture_is_its_pixels_normalised_channel_by_channel() {
    let picture = picture(32, 32);
    let values = plain(&picture);
    for (i, pixel) in picture.pixels.chunks(3).enumerate() {
        for c in 0..3 {
            let expected = (f32::from(pixel[c]) / 255.0 - MEAN[c]) / STD[c];
            assert!((values[c * 1024 + i] - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn a_recipe_with_everything_off_is_the_plain_view() {
    for (width, height) in [(32, 32), (50, 41), (20, 90)] {
        assert_eq!(view(&still(), &picture(width, height), 0), plain(&picture(width, height)));
    }
}

#[test]
fn a_certain_flip_mirrors_the_plain_view() {
    let flipped = view(&AugmentSettings { flip: 1.0, ..still() }, &picture(32, 32), 0);
    for (row, mirrored) in plain(&picture(32, 32)).chunks(32).zip(flipped.chunks(32)) {
        assert!(row.iter().eq(mirrored.iter().rev()));
    }
}

#[test]
fn half_the_views_are_flipped_at_a_half() {
    let settings = AugmentSettings { flip: 0.5, ..still() };
    let (picture, unchanged) = (picture(32, 32), plain(&picture(32, 32)));
    let flips = (0..400).filter(|place| view(&settings, &picture, *place) != unchanged).count();
    // 200 expected, standard deviation 10.
    assert!((160..240).contains(&flips), "{flips}");
}

#[test]
fn a_view_is_fixed_by_its_stream_alone_and_every_step_makes_finite_numbers() {
    let all = AugmentSettings {
        crop: "resized".to_owned(),
        flip: 0.5,
        crop_min: 0.08,
        jitter: 0.8,
        grey: 0.2,
        blur: 0.5,
        solarise: 0.2,
        rand_augment: 9.0,
        erase: 0.25,
    };
    for (place, (width, height)) in [(32, 32), (64, 48), (9, 200), (1, 1)].into_iter().cycle().take(200).enumerate() {
        let once = view(&all, &picture(width, height), place as u64);
        assert!(once.iter().all(|v| v.is_finite()));
        assert_eq!(once, view(&all, &picture(width, height), place as u64));
    }
    assert_ne!(view(&all, &picture(32, 32), 0), view(&all, &picture(32, 32), 1));
}

#[test]
fn each_colour_step_changes_the_view_when_certain() {
    let unchanged = plain(&picture(32, 32));
    for settings in [
        AugmentSettings { jitter: 1.0, ..still() },
        AugmentSettings { grey: 1.0, ..still() },
        AugmentSettings { blur: 1.0, ..still() },
        AugmentSettings { solarise: 1.0, ..still() },
        AugmentSettings { erase: 1.0, ..still() },
    ] {
        assert_ne!(view(&settings, &picture(32, 32), 0), unchanged, "{settings:?}");
    }
}

#[test]
fn every_view_has_its_own_recipe_and_the_recipes_go_round() {
    let flipped = Recipe::from(&AugmentSettings { flip: 1.0, ..still() });
    let augment = Augment::with_recipes(vec![Recipe::from(&still()), flipped], 32, MEAN, STD);
    let nth = |nth| {
        let mut out = vec![0.0; 3 * 32 * 32];
        augment.view(nth, &picture(32, 32), &mut rng(0), &mut out);
        out
    };
    assert_eq!(nth(0), plain(&picture(32, 32)));
    assert_ne!(nth(1), nth(0));
    assert_eq!(nth(2), nth(0));
}
