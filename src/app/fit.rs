//! Whether the images that there are suffice for a run, asked before it is queued.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::Survey;
use crate::experiment::settings::{DataSettings, LabelsSettings, RepeatSettings, SubsetSettings, TrainSettings};
use crate::experiment::{Catalog, Invalid, RunSpec, Stage};

/// Why a run cannot be done on these images.
#[derive(Clone, Debug, PartialEq)]
pub enum Misfit {
    /// A number that is too large for them.
    Size(Invalid),
    /// The run learns classes, and there are none to learn.
    Labels(Invalid),
}

impl From<Misfit> for Invalid {
    fn from(misfit: Misfit) -> Invalid {
        match misfit {
            Misfit::Size(invalid) | Misfit::Labels(invalid) => invalid,
        }
    }
}

/// Checks a run against what its source has.
///
/// # Errors
/// The first thing that does not fit, with what would.
pub fn check_fit(run: &RunSpec, survey: &Survey, catalog: &Catalog) -> Result<(), Misfit> {
    let fault = |message: String| Misfit::Size(Invalid::new("data.source", message));
    let settings: DataSettings = run.section("data").map_err(fault)?;
    check_labels(run, survey, catalog)?;
    let (source, splits) = (&survey.source, splits(&settings, survey));
    for Asked { place, wanted, have, what } in &splits {
        if *have == 0 {
            return Err(fault(format!("`{source}` has no image for {what}: at least one is needed")));
        }
        if wanted > have {
            let message = format!("{wanted} is more than there are: `{source}` has {have} images for {what}; 0 uses all of them");
            return Err(Misfit::Size(Invalid::new(*place, message)));
        }
    }
    check_batch(run, splits[0].used()).map_err(Misfit::Size)
}

/// How many images of a split are asked for, and how many there are.
struct Asked {
    place: &'static str,
    /// 0 is all.
    wanted: usize,
    have: usize,
    /// What the split is for.
    what: &'static str,
}

impl Asked {
    /// How many would be used at most.
    fn used(&self) -> usize {
        if self.wanted == 0 { self.have } else { self.wanted.min(self.have) }
    }
}

/// Training, then validation.
fn splits(settings: &DataSettings, survey: &Survey) -> [Asked; 2] {
    let [train, val] = survey.counts.splits(settings.val_fraction);
    let asked = |place, wanted, have, what| Asked { place, wanted, have, what };
    [
        asked("data.train_images", settings.train_images, train, "training"),
        asked("data.val_images", settings.val_images, val, "validation"),
    ]
}

/// A stage that learns classes needs two of them.
fn check_labels(run: &RunSpec, survey: &Survey, catalog: &Catalog) -> Result<(), Misfit> {
    let learns = match run.stage {
        Stage::Finetune | Stage::Probe | Stage::ProbeCached => true,
        Stage::Pretrain => catalog.get(&run.method).is_some_and(|method| method.labels),
        Stage::Tokenizer | Stage::Psnr | Stage::Cka | Stage::Compare => false,
    };
    let source = &survey.source;
    let have = match &survey.classes[..] {
        _ if !survey.labeled => "has images without labels".to_owned(),
        [class] => format!("has a single class, `{class}`"),
        _ => return Ok(()),
    };
    if !learns {
        return Ok(());
    }
    let what = match run.stage {
        Stage::Pretrain => "supervised pretraining".to_owned(),
        stage => format!("the stage {stage}"),
    };
    let message = format!(
        "`{source}` {have}: {what} learns to tell classes apart and needs at least two, each a folder of images; \
         pretraining, PSNR and CKA work without"
    );
    Err(Misfit::Labels(Invalid::new("data.source", message)))
}

/// A batch must be filled by the images that a pass has.
fn check_batch(run: &RunSpec, images: usize) -> Result<(), Invalid> {
    if run.settings.contains_key("subset") {
        let subset: SubsetSettings = run.section("subset").map_err(|fault| Invalid::new("subset.images", fault))?;
        if subset.images > images {
            let message = format!(
                "{} is more than there are: it must be at most {images}, the number of training images",
                subset.images
            );
            return Err(Invalid::new("subset.images", message));
        }
    }
    let Some(pass) = pass_of(run, images) else { return Ok(()) };
    let place = "train.batch_size";
    let train: TrainSettings = run.section("train").map_err(|fault| Invalid::new(place, fault))?;
    if train.epochs > 0 && train.batch_size > pass {
        let message = format!(
            "{} is larger than a pass over the data: it must be at most {pass}, the number of images that are trained on",
            train.batch_size
        );
        return Err(Invalid::new(place, message));
    }
    Ok(())
}

/// What of the settings would have to be otherwise for all of these runs to fit, and how; empty if they fit, or cannot.
pub fn remedy<'a>(runs: impl IntoIterator<Item = (&'a RunSpec, &'a Survey)>, catalog: &Catalog) -> Vec<(String, i64)> {
    let (mut wanted, mut batch) = (BTreeMap::new(), None::<usize>);
    for (run, survey) in runs {
        let Ok(settings) = run.section::<DataSettings>("data") else {
            continue;
        };
        if check_labels(run, survey, catalog).is_err() {
            continue;
        }
        let splits = splits(&settings, survey);
        for split in splits.iter().filter(|split| split.wanted > split.have) {
            wanted.insert(split.place.to_owned(), 0);
        }
        if let Some(pass) = pass_of(run, splits[0].used())
            && run
                .section::<TrainSettings>("train")
                .is_ok_and(|train| train.epochs > 0 && train.batch_size > pass)
        {
            batch = Some(batch.map_or(pass, |batch| batch.min(pass)));
        }
    }
    if let Some(pass) = batch.filter(|pass| *pass > 0) {
        // A power of two, as batches are.
        wanted.insert("train.batch_size".to_owned(), 1 << pass.ilog2());
    }
    wanted.into_iter().collect()
}

/// The images of a pass over the data, if that is known before they are read.
fn pass_of(run: &RunSpec, images: usize) -> Option<usize> {
    let mut pass = images;
    if run.settings.contains_key("labels") {
        let labels: LabelsSettings = run.section("labels").ok()?;
        if !labels.list.is_empty() {
            return None;
        }
        pass = ((pass as f64 * labels.fraction).round() as usize).max(1);
    }
    if run.settings.contains_key("repeat") {
        let repeat: RepeatSettings = run.section("repeat").ok()?;
        if repeat.epoch_samples > 0 {
            pass = repeat.epoch_samples;
        }
    }
    run.settings.contains_key("train").then_some(pass)
}

/// Refuses images that are not there now, rather than let every run fail on them later.
///
/// # Errors
/// A path at which nothing is, or text that is no path.
pub fn check_source(source: &str) -> Result<(), Invalid> {
    let sound = source.len() <= 4096 && !source.contains(char::is_control);
    if sound && (source == "builtin" || Path::new(source).exists()) {
        return Ok(());
    }
    let shown: String = source.chars().filter(|c| !c.is_control()).take(200).collect();
    let message = format!("`{shown}` is not there: it must be `builtin`, or a folder or archive on the machine that Umbra runs on");
    Err(Invalid::new("data.source", message))
}
