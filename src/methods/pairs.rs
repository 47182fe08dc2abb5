//! Two views of every image that differ in what happens to their colors, as BYOL made them and MoCo v3 and DINO took them
//! over: the first is always blurred, the second rarely, and only the second is solarized.

use crate::experiment::settings::{AugmentSettings, DataSettings};
use crate::experiment::{RunSpec, ViewPlan};

/// The run's augmentation, and the same with another blur and solarization.
///
/// # Errors
/// Names the section that does not fit.
pub fn asymmetric(run: &RunSpec, second_blur: f64, second_solarize: f64) -> Result<[ViewPlan; 2], String> {
    let [first, second] = symmetric(run)?;
    let augment = AugmentSettings {
        blur: second_blur,
        solarize: second_solarize,
        ..second.augment.clone()
    };
    Ok([first, ViewPlan { augment, ..second }])
}

/// The run's augmentation twice, drawn anew for each.
///
/// # Errors
/// Names the section that does not fit.
pub fn symmetric(run: &RunSpec) -> Result<[ViewPlan; 2], String> {
    let data: DataSettings = run.section("data")?;
    let view = ViewPlan::new(run.section("augment")?, data.image_size);
    Ok([view.clone(), view])
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny_run;
    use super::*;

    #[test]
    fn the_second_view_differs_in_blur_and_solarization_alone() {
        let run = tiny_run("mae", &[]);
        let [first, second] = asymmetric(&run, 0.1, 0.2).unwrap();
        assert_eq!((second.augment.blur, second.augment.solarize), (0.1, 0.2));
        let same = AugmentSettings {
            blur: first.augment.blur,
            solarize: first.augment.solarize,
            ..second.augment.clone()
        };
        assert_eq!((same, second.side, second.geometry_of), (first.augment.clone(), first.side, None));
        let [first, second] = symmetric(&run).unwrap();
        assert_eq!(first, second);
    }
}
