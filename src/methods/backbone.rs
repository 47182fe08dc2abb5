//! The backbone of a run.

use crate::experiment::RunSpec;
use crate::experiment::settings::TrainSettings;
use crate::vit::VitConfig;

/// The encoder that a run's settings describe.
///
/// # Errors
/// Names the setting that does not fit.
pub fn vit_config(run: &RunSpec) -> Result<VitConfig, String> {
    // A random encoder has no training settings, and nothing to remember.
    let activation_checkpointing = run
        .section::<TrainSettings>("train")
        .is_ok_and(|train| train.activation_checkpointing);
    VitConfig::from_settings(&run.section("data")?, &run.section("model")?, activation_checkpointing)
}
