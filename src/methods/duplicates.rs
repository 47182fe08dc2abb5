//! Images that stand in a batch more than once, as in pretraining on few of them.
//!
//! A loss that takes the batch for negatives would push apart the views of one image. With a single image it would
//! mean nothing at all.

use burn::tensor::{Device, Tensor, TensorData};

use super::StepInfo;
use crate::experiment::RunSpec;
use crate::experiment::choices::{SameImageNegatives, Selection};
use crate::experiment::settings::{RepeatSettings, SubsetSettings, TrainSettings};

/// Whether a run leaves out other views of the same image among negatives.
///
/// # Errors
/// Names the section that does not fit.
pub fn masks_duplicates(run: &RunSpec) -> Result<bool, String> {
    let (subset, repeat) = (run.section::<SubsetSettings>("subset")?, run.section::<RepeatSettings>("repeat")?);
    Ok(match repeat.mask_same_image_negatives {
        SameImageNegatives::On => true,
        SameImageNegatives::Off => false,
        // How many images a list names is not known yet; where all of a batch differ, nothing is left out.
        SameImageNegatives::Auto => {
            let batch = run.section::<TrainSettings>("train")?.batch_size;
            subset.selection == Selection::List || (1..batch).contains(&subset.images)
        }
    })
}

/// 1 where two places of the batch hold the same image, 0 on the diagonal, a constant of the graph, `[batch, batch]`;
/// nothing if all differ.
pub fn duplicates(indices: &[u32], device: &Device) -> Option<Tensor<2>> {
    let count = indices.len();
    let pairs = (0..count).flat_map(|a| (0..count).map(move |b| a != b && indices[a] == indices[b]));
    let same: Vec<f32> = pairs.map(|same| f32::from(u8::from(same))).collect();
    let any = same.contains(&1.0);
    any.then(|| Tensor::from_data(TensorData::new(same, [count, count]), &device.clone().inner()))
}

/// The [`duplicates`] of a step, if they are masked.
pub fn excluded(masked: bool, step: &StepInfo, device: &Device) -> Option<Tensor<2>> {
    if masked { duplicates(&step.indices, device) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny_run;
    use super::*;
    use crate::experiment::Value;
    use crate::weights::HostTensor;

    #[test]
    fn copies_are_pairs_of_different_places_with_the_same_image() {
        let device = Device::flex();
        let found = HostTensor::from_tensor(&duplicates(&[7, 3, 7], &device).unwrap());
        assert_eq!(found.data, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert!(duplicates(&[7, 3, 5], &device).is_none());
    }

    #[test]
    fn they_are_masked_where_images_are_fewer_than_a_batch_or_as_said() {
        let masks = |images: i64, said: &str| {
            let set = [
                ("subset", "images", Value::Int(images)),
                ("train", "batch_size", Value::Int(8)),
                ("repeat", "mask_same_image_negatives", Value::Text(said.to_owned())),
            ];
            masks_duplicates(&tiny_run("mocov3", &set)).unwrap()
        };
        assert!(masks(7, "auto") && masks(0, "on") && masks(8, "on"));
        assert!(!masks(0, "auto") && !masks(8, "auto") && !masks(7, "off"));
    }
}
