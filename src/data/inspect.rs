//! `umbra data inspect`: what a source has, before a run is spent on it.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::{Dataset, Sizes, Split, SplitName, open, sheet};
use crate::experiment::settings::DataSettings;

/// Everything `inspect` says.
#[derive(Serialize)]
struct InspectReport {
    source: String,
    classes: Vec<Class>,
    train: usize,
    val: usize,
    sizes: Sizes,
    /// Width and height in the cache; none if images are decoded on demand.
    kept: Option<[usize; 2]>,
    mean: [f32; 3],
    std: [f32; 3],
    warnings: Vec<String>,
    contact_sheet: String,
}

/// One class and its images.
#[derive(Serialize)]
struct Class {
    name: String,
    train: usize,
    val: usize,
}

/// Opens `source` as a run would at `image_size`, writes what it has to `out` and images of every class to `contact_sheet`.
///
/// # Errors
/// Those of [`open`], and outputs that cannot be written.
pub fn inspect(
    source: &str,
    image_size: usize,
    cache_dir: &Path,
    contact_sheet: &Path,
    out: &mut dyn Write,
    json: bool,
) -> anyhow::Result<()> {
    let settings = DataSettings {
        image_size,
        ..DataSettings::of_source(source)
    };
    let dataset = open(&settings, cache_dir, &mut |_, _| {})?;
    sheet::write(&dataset, contact_sheet)?;
    let report = report(dataset, contact_sheet);
    if json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        print(&report, out)?;
    }
    Ok(())
}

/// Gathers what is to be said.
fn report(dataset: Dataset, contact_sheet: &Path) -> InspectReport {
    let counts = |name: SplitName| counts(dataset.split(name), dataset.classes.len());
    let per_class = counts(SplitName::Train).into_iter().zip(counts(SplitName::Val));
    let classes = dataset
        .classes
        .iter()
        .zip(per_class)
        .map(|(name, (train, val))| Class {
            name: name.clone(),
            train,
            val,
        })
        .collect();
    InspectReport {
        classes,
        train: dataset.train.len(),
        val: dataset.val.len(),
        sizes: dataset.sizes,
        kept: dataset.train.kept_size(),
        mean: dataset.mean,
        std: dataset.std,
        source: dataset.name,
        warnings: dataset.warnings,
        contact_sheet: contact_sheet.display().to_string(),
    }
}

/// Images of each class.
fn counts(split: &Split, classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    split.labels().iter().for_each(|label| counts[*label as usize] += 1);
    counts
}

/// The report for people.
fn print(report: &InspectReport, out: &mut dyn Write) -> anyhow::Result<()> {
    let InspectReport {
        source,
        classes,
        train,
        val,
        sizes,
        kept,
        mean,
        std,
        warnings,
        contact_sheet,
    } = report;
    let Sizes {
        seen,
        min: [min_width, min_height],
        max: [max_width, max_height],
        turned,
    } = sizes;
    writeln!(out, "source         {source}")?;
    writeln!(out, "images       {train} train, {val} val")?;
    if sizes.min == sizes.max {
        writeln!(out, "sizes          {min_width} x {min_height}")?;
    } else {
        writeln!(
            out,
            "sizes          {min_width} to {max_width} wide, {min_height} to {max_height} high ({seen} looked at)"
        )?;
    }
    if *turned > 0 {
        writeln!(out, "turned         {turned} of {seen}, as the notes of their cameras (EXIF) say")?;
    }
    match kept {
        Some([width, height]) => writeln!(out, "kept at        {width} x {height}, decoded once")?,
        None => writeln!(out, "kept at        their own sizes, decoded for every batch")?,
    }
    writeln!(out, "mean           {:.4} {:.4} {:.4}", mean[0], mean[1], mean[2])?;
    writeln!(out, "deviation      {:.4} {:.4} {:.4}", std[0], std[1], std[2])?;
    writeln!(out, "contact sheet  {contact_sheet}")?;
    writeln!(out, "classes        {} (train, val)", classes.len())?;
    for Class { name, train, val } in classes {
        writeln!(out, "  {name}  {train}  {val}")?;
    }
    warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))?;
    Ok(())
}
