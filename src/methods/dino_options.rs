//! The options of DINO, and what follows from them for views and temperatures.

use super::teacher::MomentumSchedule;
use crate::choice;
use crate::experiment::RunSpec;
use crate::experiment::choices::CropKind;
use crate::experiment::settings::{AugmentSettings, DataSettings, ModelSettings};
use crate::section;

choice! {
    /// Whose encoder later stages use.
    Evaluated {
        /// The teacher's.
        Teacher = "teacher",
        /// The student's.
        Student = "student",
    }
}

section! {
    /// What DINO adds.
    DinoOptions = "method" {
        /// Small crops of every image, seen by the student alone; 0 is none, for which DINO sets `augment.crop_scale_min` to 0.14.
        local_views: usize = Literal::Int(8), Kind::Int { min: 0, max: 64 }, "DINO";
        /// Side of a small crop, a multiple of the patch; 0 is 96/224 of the model's side, rounded up to one.
        local_size: usize = Literal::Int(0), Kind::Int { min: 0, max: 1024 }, "DINO";
        /// Smallest area of a small crop, as a share of the image.
        local_crop_scale_min: f64 = Literal::Float(0.05), Kind::Float { min: 0.01, max: 1.0 }, "DINO";
        /// Largest area of a small crop.
        local_crop_scale_max: f64 = Literal::Float(0.4), Kind::Float { min: 0.01, max: 1.0 }, "DINO";
        /// Chance of blurring a small crop.
        local_blur: f64 = Literal::Float(0.5), Kind::Float { min: 0.0, max: 1.0 }, "DINO";
        /// Chance of blurring the second large crop; the first has `augment.blur`.
        second_blur: f64 = Literal::Float(0.1), Kind::Float { min: 0.0, max: 1.0 }, "DINO";
        /// Chance of solarizing the second large crop; the first has `augment.solarize`.
        second_solarize: f64 = Literal::Float(0.2), Kind::Float { min: 0.0, max: 1.0 }, "DINO";
        /// Made-up classes.
        prototypes: usize = Literal::Int(4096), Kind::Int { min: 2, max: 262_144 }, "1000 to 8000 for small data; DINO 65536";
        /// Hidden width of the head; 0 is 2048, narrowed with an encoder narrower than ViT-S.
        head_hidden: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "DINO";
        /// Width compared with the prototypes; 0 is 256, narrowed likewise.
        bottleneck: usize = Literal::Int(0), Kind::Int { min: 0, max: 65_536 }, "DINO";
        /// Whether every prototype keeps the length 1.
        norm_last_layer: bool = Literal::Bool(true), Kind::Bool, "DINO, ViT-B; not for ViT-S";
        /// Epochs at the start in which the prototypes stay as they are.
        freeze_last_layer: f64 = Literal::Float(1.0), Kind::Float { min: 0.0, max: 100_000.0 }, "DINO, ViT-S; 3 for ViT-B";
        /// The student's temperature.
        student_temperature: f64 = Literal::Float(0.1), Kind::Between { min: 0.0, max: 100.0 }, "DINO";
        /// The teacher's temperature after its warm-up.
        teacher_temperature: f64 = Literal::Float(0.04), Kind::Between { min: 0.0, max: 100.0 }, "DINO; 0.07 in longer runs";
        /// The teacher's temperature at the start.
        warmup_temperature: f64 = Literal::Float(0.04), Kind::Between { min: 0.0, max: 100.0 }, "DINO";
        /// Epochs over which the teacher's temperature changes, in equal steps from epoch to epoch.
        warmup_temperature_epochs: f64 = Literal::Float(0.0), Kind::Float { min: 0.0, max: 100_000.0 }, "DINO; 30 to 50 in longer runs";
        /// Whether the teacher's scores are centered; without this it soon says the same of every image.
        centering: bool = Literal::Bool(true), Kind::Bool, "DINO";
        /// The center's momentum.
        center_momentum: f64 = Literal::Float(0.9), Kind::Float { min: 0.0, max: 1.0 }, "DINO";
        /// The teacher's momentum at the start.
        momentum: f64 = Literal::Float(0.996), Kind::Float { min: 0.0, max: 1.0 }, "DINO; 0.9995 for 256 images a step";
        /// How the momentum goes on.
        momentum_schedule in MomentumSchedule = Cosine, "DINO";
        /// Whose encoder later stages use.
        evaluated in Evaluated = Teacher, "DINO";
    }
}

impl DinoOptions {
    /// The teacher's temperature after so many epochs: it changes from epoch to epoch in equal steps, and the last epoch of
    /// the warm-up has the final one.
    pub fn teacher_temperature_at(&self, epoch: f64) -> f64 {
        let (epoch, warm_up) = (epoch.floor(), self.warmup_temperature_epochs);
        if epoch >= warm_up {
            return self.teacher_temperature;
        }
        self.warmup_temperature + (self.teacher_temperature - self.warmup_temperature) * epoch / (warm_up - 1.0).max(1.0)
    }

    /// How a small crop is made, where a large one is made so.
    ///
    /// # Errors
    /// If its smallest area is above its largest.
    pub fn local_augment(&self, global: &AugmentSettings) -> Result<AugmentSettings, String> {
        let (min, max) = (self.local_crop_scale_min, self.local_crop_scale_max);
        if min > max {
            return Err(format!(
                "method.local_crop_scale_max = {max} is not allowed: it must be at least method.local_crop_scale_min = {min}"
            ));
        }
        Ok(AugmentSettings {
            crop: CropKind::Resized,
            crop_scale_min: min,
            crop_scale_max: max,
            blur: self.local_blur,
            ..global.clone()
        })
    }

    /// Side of a small crop, in pixels.
    ///
    /// # Errors
    /// If patches do not divide it.
    pub fn local_side(&self, run: &RunSpec) -> Result<usize, String> {
        let (data, model): (DataSettings, ModelSettings) = (run.section("data")?, run.section("model")?);
        let patch = model.patch_size;
        if self.local_size == 0 {
            return Ok((data.image_size * 96).div_ceil(224 * patch) * patch);
        }
        if !self.local_size.is_multiple_of(patch) {
            let side = self.local_size;
            return Err(format!(
                "method.local_size = {side} is not allowed: it must be a multiple of model.patch_size = {patch}"
            ));
        }
        Ok(self.local_size)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::super::dino::Dino;
    use super::super::tests::tiny_run;
    use super::*;
    use crate::experiment::{Value as Setting, ViewPlan};

    #[test]
    fn small_crops_have_their_side_area_and_blur() {
        let sides = |set: &[_]| Dino::views(&tiny_run("dino", set)).map(|views| views.iter().map(|v| v.side).collect::<Vec<_>>());
        assert_eq!(sides(&[]).unwrap(), [vec![16; 2], vec![8; 8]].concat());
        assert_eq!(sides(&[("method", "local_views", Setting::Int(0))]).unwrap(), [16, 16]);
        assert_eq!(sides(&[("method", "local_size", Setting::Int(12))]).unwrap()[2], 12);
        let error = sides(&[("method", "local_size", Setting::Int(10))]).unwrap_err();
        assert_eq!(
            error,
            "method.local_size = 10 is not allowed: it must be a multiple of model.patch_size = 4"
        );
        let views = Dino::views(&tiny_run("dino", &[])).unwrap();
        let of = |view: &ViewPlan| {
            let augment = &view.augment;
            [
                augment.crop_scale_min,
                augment.crop_scale_max,
                augment.blur,
                augment.solarize,
                augment.color_jitter_saturation,
            ]
        };
        assert_eq!(of(&views[0]), [0.4, 1.0, 1.0, 0.0, 0.2]);
        assert_eq!(of(&views[1]), [0.4, 1.0, 0.1, 0.2, 0.2]);
        assert_eq!(of(&views[2]), [0.05, 0.4, 0.5, 0.0, 0.2]);
    }

    #[test]
    fn the_teachers_temperature_changes_from_epoch_to_epoch() {
        let of = |warm_up: f64| DinoOptions {
            warmup_temperature_epochs: warm_up,
            warmup_temperature: 0.04,
            teacher_temperature: 0.07,
            ..tiny_run("dino", &[]).section("method").unwrap()
        };
        let at = |warm_up, epoch| of(warm_up).teacher_temperature_at(epoch);
        for (warm_up, epoch, expected) in [
            (4.0, 0.9, 0.04),
            (4.0, 1.0, 0.05),
            (4.0, 3.5, 0.07),
            (1.0, 0.0, 0.04),
            (1.0, 1.0, 0.07),
            (0.0, 0.0, 0.07),
        ] {
            assert!((at(warm_up, epoch) - expected).abs() < 1e-12, "{warm_up} {epoch}");
        }
    }
}
