//! The whole way of an image; each step has its own tests.

use super::*;

const MEAN: [f32; 3] = [0.5, 0.4, 0.3];
const STD: [f32; 3] = [0.2, 0.25, 0.3];

fn image(width: usize, height: usize) -> Image {
    let pixels = (0..width * height)
        .flat_map(|i| [(i * 5 % 251) as u8, (i * 3 % 241) as u8, (i % 239) as u8])
        .collect();
    Image { width, height, pixels }
}

/// Settings that leave an image as evaluation sees it.
pub(in crate::data) fn still() -> AugmentSettings {
    AugmentSettings {
        crop: CropKind::None,
        crop_scale_min: 0.2,
        crop_scale_max: 1.0,
        hflip: 0.0,
        color_jitter: 0.0,
        color_jitter_saturation: 0.4,
        color_jitter_strength: 1.0,
        grayscale: 0.0,
        blur: 0.0,
        solarize: 0.0,
        rand_augment: 0.0,
        random_erasing: 0.0,
    }
}

fn view(settings: &AugmentSettings, image: &Image, place: u32) -> Vec<f32> {
    let mut out = vec![f32::NAN; 3 * 32 * 32];
    let augment = Augment::new(settings, 32, MEAN, STD);
    augment.view(0, image, &mut augment.draws(7, 0, place, 0), &mut out);
    out
}

fn plain(image: &Image) -> Vec<f32> {
    let mut out = vec![f32::NAN; 3 * 32 * 32];
    Augment::new(&still(), 32, MEAN, STD).plain(image, &mut out);
    out
}

#[test]
fn a_plain_view_of_a_fitting_image_is_its_pixels_normalized_channel_by_channel() {
    let image = image(32, 32);
    let values = plain(&image);
    for (i, pixel) in image.pixels.chunks(3).enumerate() {
        for c in 0..3 {
            let expected = (f32::from(pixel[c]) / 255.0 - MEAN[c]) / STD[c];
            assert!((values[c * 1024 + i] - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn a_recipe_with_everything_off_is_the_plain_view() {
    for (width, height) in [(32, 32), (50, 41), (20, 90)] {
        assert_eq!(view(&still(), &image(width, height), 0), plain(&image(width, height)));
    }
}

#[test]
fn a_certain_flip_mirrors_the_plain_view() {
    let flipped = view(&AugmentSettings { hflip: 1.0, ..still() }, &image(32, 32), 0);
    for (row, mirrored) in plain(&image(32, 32)).chunks(32).zip(flipped.chunks(32)) {
        assert!(row.iter().eq(mirrored.iter().rev()));
    }
}

#[test]
fn half_the_views_are_flipped_at_a_half() {
    let settings = AugmentSettings { hflip: 0.5, ..still() };
    let (image, unchanged) = (image(32, 32), plain(&image(32, 32)));
    let flips = (0..400).filter(|place| view(&settings, &image, *place) != unchanged).count();
    // 200 expected, standard deviation 10.
    assert!((160..240).contains(&flips), "{flips}");
}

#[test]
fn a_view_is_fixed_by_its_stream_alone_and_every_step_makes_finite_numbers() {
    let all = AugmentSettings {
        crop: CropKind::Resized,
        hflip: 0.5,
        crop_scale_min: 0.08,
        color_jitter: 0.8,
        grayscale: 0.2,
        blur: 0.5,
        solarize: 0.2,
        rand_augment: 9.0,
        random_erasing: 0.25,
        ..still()
    };
    for (place, (width, height)) in [(32, 32), (64, 48), (9, 200), (1, 1)].into_iter().cycle().take(200).enumerate() {
        let once = view(&all, &image(width, height), place as u32);
        assert!(once.iter().all(|v| v.is_finite()));
        assert_eq!(once, view(&all, &image(width, height), place as u32));
    }
    assert_ne!(view(&all, &image(32, 32), 0), view(&all, &image(32, 32), 1));
}

#[test]
fn each_color_step_changes_the_view_when_certain() {
    let unchanged = plain(&image(32, 32));
    for settings in [
        AugmentSettings {
            color_jitter: 1.0,
            ..still()
        },
        AugmentSettings { grayscale: 1.0, ..still() },
        AugmentSettings { blur: 1.0, ..still() },
        AugmentSettings { solarize: 1.0, ..still() },
        AugmentSettings {
            random_erasing: 1.0,
            ..still()
        },
    ] {
        assert_ne!(view(&settings, &image(32, 32), 0), unchanged, "{settings:?}");
    }
}

/// View `nth` of image 3 by a plan for a model of side 32.
fn planned(plan: &[ViewPlan], nth: usize, image: &Image) -> Vec<f32> {
    let augment = Augment::with_views(plan, 32, MEAN, STD);
    let mut out = vec![f32::NAN; 3 * plan[nth].side * plan[nth].side];
    augment.view(nth, image, &mut augment.draws(7, 1, 3, nth), &mut out);
    out
}

#[test]
fn every_view_has_its_own_recipe_and_side() {
    let flipped = AugmentSettings { hflip: 1.0, ..still() };
    let local = AugmentSettings {
        crop: CropKind::Resized,
        crop_scale_min: 0.05,
        crop_scale_max: 0.4,
        ..still()
    };
    let plan = [ViewPlan::new(still(), 32), ViewPlan::new(flipped, 32), ViewPlan::new(local, 16)];
    let image = image(32, 32);
    assert_eq!(planned(&plan, 0, &image), plain(&image));
    assert_ne!(planned(&plan, 1, &image), plain(&image));
    let local = planned(&plan, 2, &image);
    assert_eq!(local.len(), 3 * 16 * 16);
    assert!(local.iter().all(|v| v.is_finite()));
    assert_eq!(Augment::with_views(&plan, 32, MEAN, STD).sides(), [32, 32, 16]);
}

#[test]
fn views_that_share_crop_and_flip_differ_in_their_colors_alone() {
    let cropped = AugmentSettings {
        crop: CropKind::Resized,
        hflip: 0.5,
        rand_augment: 9.0,
        ..still()
    };
    let shared = |augment: AugmentSettings| ViewPlan {
        geometry_of: Some(0),
        ..ViewPlan::new(augment, 32)
    };
    let first = ViewPlan::new(cropped.clone(), 32);
    let image = image(50, 41);
    // The crop and the flip of the shared view hold, whatever the recipe of its own says.
    let plan = [first.clone(), shared(still()), ViewPlan::new(cropped.clone(), 32)];
    assert_eq!(planned(&plan, 0, &image), planned(&plan, 1, &image));
    assert_ne!(planned(&plan, 0, &image), planned(&plan, 2, &image));
    // With colors: draws of the first view move neither the crop of the second nor its colors.
    let colored = |color_jitter: f64| AugmentSettings {
        color_jitter,
        ..cropped.clone()
    };
    let with = |jitter| planned(&[ViewPlan::new(colored(jitter), 32), shared(colored(1.0))], 1, &image);
    assert_eq!(with(0.0), with(1.0));
    assert_ne!(with(0.0), planned(&plan, 0, &image));
}

#[test]
fn crops_keep_to_their_largest_area() {
    // An image whose levels rise by one a column: the range of levels in a view is the width of its crop.
    let ramp = Image {
        width: 100,
        height: 100,
        pixels: (0..10_000).flat_map(|i| [(i % 100) as u8; 3]).collect(),
    };
    let small = AugmentSettings {
        crop: CropKind::Resized,
        crop_scale_min: 0.05,
        crop_scale_max: 0.1,
        ..still()
    };
    for place in 0..100 {
        let view = view(&small, &ramp, place);
        let levels = view[..1024].iter().map(|v| (v * STD[0] + MEAN[0]) * 255.0);
        let (low, high) = levels.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
        // The widest has a tenth of the area and is 4/3 as wide as high: 36.5 columns.
        assert!(high - low < 37.0, "{low} to {high}");
    }
}
