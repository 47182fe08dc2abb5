//! `umbra data inspect`: looks at a source, decodes it as a run would, and tells all of it.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::{ClassCount, DatasetReport, Datasets};
use crate::data::{self, Dataset, Decoded, Sizes, SplitName};
use crate::experiment::settings::DataSettings;

/// Everything that is said.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// What was found.
    #[serde(flatten)]
    pub report: DatasetReport,
    /// What decoding showed.
    #[serde(flatten)]
    pub decoded: Decoded,
    /// The file of the contact sheet.
    pub contact_sheet: String,
}

impl Datasets {
    /// Opens a source as a run would, writes images of every class to `contact_sheet` and remembers what was found.
    ///
    /// # Errors
    /// As [`data::open`], and files that cannot be written.
    pub fn inspect(
        &self,
        settings: &DataSettings,
        contact_sheet: &Path,
        report: &mut dyn FnMut(usize, usize),
    ) -> anyhow::Result<Inspection> {
        let survey = self.look(settings, report)?;
        let dataset = data::open(settings, &self.cache, report)?;
        data::write_sheet(&dataset, contact_sheet)?;
        self.remember_inspected(settings, &survey.fingerprint)?;
        let mut told = DatasetReport::of(&survey);
        told.source.clone_from(&settings.source);
        told.classes = divided(&dataset, &told.classes);
        // How it was divided is told by what decoding showed.
        (told.train, told.val) = (None, None);
        // Opening tells of passed over files, too; they are told of by themselves.
        told.warnings = dataset.warnings.clone();
        told.warnings.retain(|warning| !told.passed_over.contains(warning));
        Ok(Inspection {
            report: told,
            decoded: Decoded::of(&dataset, settings, &self.cache),
            contact_sheet: contact_sheet.display().to_string(),
        })
    }
}

/// Each class with its images as they are divided.
fn divided(dataset: &Dataset, found: &[ClassCount]) -> Vec<ClassCount> {
    let counts = [SplitName::Train, SplitName::Val].map(|name| {
        let mut counts = vec![0; found.len()];
        dataset.split(name).labels().iter().for_each(|label| counts[*label as usize] += 1);
        counts
    });
    let class = |(label, class): (usize, &ClassCount)| ClassCount {
        train: Some(counts[0][label]),
        val: Some(counts[1][label]),
        ..class.clone()
    };
    found.iter().enumerate().map(class).collect()
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inspection {
            report,
            decoded,
            contact_sheet,
        } = self;
        writeln!(f, "source         {}", report.source)?;
        writeln!(f, "layout         {}", report.layout)?;
        writeln!(f, "labels         {}", report.labels())?;
        writeln!(f, "images         {} train, {} val", decoded.train, decoded.val)?;
        let fingerprint = if report.fingerprint.is_empty() {
            "none: made by Umbra"
        } else {
            &report.fingerprint
        };
        writeln!(f, "fingerprint    {fingerprint}")?;
        writeln!(f, "duplicates     {}", report.duplicates)?;
        write_sizes(f, &decoded.sizes)?;
        match decoded.kept {
            Some([width, height]) => writeln!(f, "kept at        {width} x {height}, decoded once")?,
            None => writeln!(f, "kept at        their own sizes, decoded for every batch")?,
        }
        let Decoded { mean, std, .. } = decoded;
        writeln!(f, "mean           {:.4} {:.4} {:.4}", mean[0], mean[1], mean[2])?;
        writeln!(f, "deviation      {:.4} {:.4} {:.4}", std[0], std[1], std[2])?;
        writeln!(f, "contact sheet  {contact_sheet}")?;
        writeln!(f, "classes        {} (train, val)", report.classes.len())?;
        for ClassCount { name, train, val, .. } in &report.classes {
            writeln!(f, "  {name}  {}  {}", train.unwrap_or_default(), val.unwrap_or_default())?;
        }
        match &report.passed_over[..] {
            [] => writeln!(f, "passed over    nothing")?,
            all => all.iter().try_for_each(|sentence| writeln!(f, "passed over    {sentence}"))?,
        }
        report.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

fn write_sizes(f: &mut fmt::Formatter<'_>, sizes: &Sizes) -> fmt::Result {
    let Sizes {
        seen,
        min: [min_width, min_height],
        max: [max_width, max_height],
        turned,
    } = sizes;
    if *turned > 0 {
        writeln!(f, "turned         {turned} of {seen}, as the notes of their cameras (EXIF) say")?;
    }
    if sizes.min == sizes.max {
        writeln!(f, "sizes          {min_width} x {min_height}")
    } else {
        writeln!(
            f,
            "sizes          {min_width} to {max_width} wide, {min_height} to {max_height} high ({seen} looked at)"
        )
    }
}
