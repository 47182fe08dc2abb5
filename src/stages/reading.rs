//! Features of whole splits, read once.

use anyhow::Result;

use crate::data::loader::in_order;
use crate::data::{Dataset, Split};
use crate::metrics::frozen::{Features, Frozen, Reading};
use crate::stages::Work;
use crate::train::Ended;
use crate::train::evaluation::Part;

/// Features of all images of two splits of `dataset`; nothing if somebody asked to stop.
///
/// # Errors
/// An image that cannot be read.
pub fn features(
    work: &mut Work,
    frozen: &Frozen,
    dataset: &Dataset,
    [first, second]: [&Split; 2],
    batch_size: usize,
) -> Result<Option<[Features; 2]>> {
    let [in_first, in_second] = [first, second].map(|split| in_order(split.len(), batch_size));
    let [of_first, of_second] = [&in_first, &in_second].map(|batches| batches.len() as u64);
    let part = Part {
        name: "features",
        phase: "reading features",
        batches: of_first + of_second,
        images: batch_size.min(first.len()),
    };
    let open_first = work.plain(dataset, first, in_first)?;
    let open_second = work.plain(dataset, second, in_second)?;
    let load = |batch: u64| {
        // Nothing of the second split is made before the first is through.
        let second = std::iter::once_with(move || open_second(batch.saturating_sub(of_first))).flatten();
        open_first(batch.min(of_first)).chain(second)
    };
    let mut reading = Reading::new(frozen, &work.session.device);
    if work.session.evaluate(&part, &mut reading, load)? == Ended::Cancelled {
        return Ok(None);
    }
    Ok(Some([
        reading.features(0, first.labels()),
        reading.features(first.len(), second.labels()),
    ]))
}
