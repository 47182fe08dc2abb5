//! What settings may be: known names, allowed values, and what must hold between them.

use super::catalog::{Catalog, sections};
use super::choices::{Masking, Position, Selection};
use super::invalid::Invalid;
use super::renamed;
use super::run::{RunId, RunSpec, Stage};
use super::scale::Scale;
use super::schema::{Kind, Section, Setting, Value, Values, numbers};
use super::settings::{
    AugmentSettings, CkaSettings, CompareSettings, DataSettings, ModelSettings, RepeatSettings, SubsetSettings, TrainSettings,
};
use super::study::Factors;

/// Every section of every method and stage.
pub(super) fn every_section(catalog: &Catalog) -> Vec<Section> {
    Stage::ALL.into_iter().flat_map(|stage| sections_of(stage, catalog)).collect()
}

/// Every section of every method in this stage.
pub(super) fn sections_of(stage: Stage, catalog: &Catalog) -> Vec<Section> {
    catalog.methods.iter().flat_map(|method| sections(stage, method)).collect()
}

/// A scale may name a setting that only some runs have, but not one that none has.
pub(super) fn check_scale(scale: &Scale, catalog: &Catalog) -> Result<(), Invalid> {
    let check = || {
        if let Some(most) = scale.most_times.filter(|most| most.is_nan() || *most < 1.0) {
            let message = format!("{most} is not allowed: it must be a number of at least 1");
            return Err(Invalid::new("most_times", message));
        }
        check_values("all", &scale.all, &every_section(catalog))?;
        for (name, values) in &scale.stage {
            let stage: Stage = name
                .parse()
                .map_err(|message: String| Invalid::new(format!("stage.{name}"), message))?;
            check_asked(&format!("stage.{name}"), stage)?;
            check_values(&format!("stage.{name}"), values, &sections_of(stage, catalog))?;
        }
        for (name, values) in &scale.method {
            let allowed = || format!("method `{name}` is not known: it must be one of {}", catalog.names());
            let method = catalog.get(name).ok_or_else(|| Invalid::new(format!("method.{name}"), allowed()))?;
            check_values(&format!("method.{name}"), values, &sections(Stage::Pretrain, method))?;
        }
        Ok(())
    };
    check().map_err(|invalid: Invalid| invalid.of(&format!("scale `{}`", scale.name)))
}

/// A tokenizer has the settings of the pretraining that needs it and none of its own.
pub(super) fn check_asked(place: &str, stage: Stage) -> Result<(), Invalid> {
    match stage {
        Stage::Tokenizer => Err(Invalid::new(
            place,
            "a tokenizer comes with the pretraining that needs it: its settings stand there, in the section `tokenizer`",
        )),
        _ => Ok(()),
    }
}

/// A run of `stage` starts from a run of its own method, and not from one of any stage.
///
/// # Errors
/// Names the stages that are allowed, or the method.
pub(super) fn check_parent(stage: Stage, method: &str, parent: Option<&RunSpec>) -> Result<(), Invalid> {
    let allowed = stage
        .starts_from()
        .iter()
        .map(|stage| stage.name())
        .collect::<Vec<_>>()
        .join(" or ");
    let refuse = |message: String| Err(Invalid::new("parent", message));
    let Some(parent) = parent else {
        return refuse(format!("stage {stage} starts from a {allowed} run: name one"));
    };
    if !stage.starts_from().contains(&parent.stage) {
        return refuse(format!("that run is a {}: stage {stage} starts from a {allowed} run", parent.stage));
    }
    // What a pretraining starts from is a tokenizer, which has a kind instead of a method.
    if stage != Stage::Pretrain && parent.method != method {
        return refuse(format!("that run is of the method {}, not {method}", parent.method));
    }
    Ok(())
}

/// Checks values as somebody wrote them: `place` is where they stand.
pub(super) fn check_values(place: &str, values: &Values, sections: &[Section]) -> Result<(), Invalid> {
    for (name, keys) in values {
        let place = if place.is_empty() {
            name.clone()
        } else {
            format!("{place}.{name}")
        };
        // Methods share the name of their section, so one name may stand for several sections.
        let settings: Vec<&Setting> = sections.iter().filter(|s| s.name == name).flat_map(|s| s.settings).collect();
        if settings.is_empty() {
            let known = listed(sections.iter().filter(|s| !s.settings.is_empty()).map(|s| s.name));
            let renamed = renamed::section_of_now(name).map_or(String::new(), |now| format!(" (since 0.2 it is called {now})"));
            return Err(Invalid::new(
                place,
                format!("no such section here{renamed}: it must be one of {known}"),
            ));
        }
        for (key, value) in keys {
            let place = format!("{place}.{key}");
            let mut answers = settings.iter().filter(|s| s.key == key).map(|s| s.kind.accept(value));
            let message = match answers.next() {
                None => unknown(name, key, &settings),
                Some(Err(message)) if !answers.any(|answer| answer.is_ok()) => message,
                Some(_) => continue,
            };
            return Err(Invalid::new(place, message));
        }
    }
    Ok(())
}

/// The sentence about a setting that is not there, with its name of now if it had another before.
fn unknown(section: &str, key: &str, settings: &[&Setting]) -> String {
    let renamed = renamed::name_of_now(section, key).map_or(String::new(), |now| format!(" (since 0.2 it is called {now})"));
    format!(
        "no such setting{renamed}: it must be one of {}",
        listed(settings.iter().map(|s| s.key))
    )
}

/// Checks factors as somebody wrote them: of known numbers, and above 0.
pub(super) fn check_times(place: &str, times: &Factors, sections: &[Section]) -> Result<(), Invalid> {
    let number = |kind: &Kind| matches!(kind, Kind::Int { .. } | Kind::Float { .. } | Kind::Between { .. });
    for (name, keys) in times {
        // A setting that is not there at all is refused in the words for one that is to be set.
        let named = keys.keys().map(|key| {
            let known = sections.iter().filter(|s| s.name == name).flat_map(|s| s.settings);
            let default = known.filter(|s| s.key == key).map(|s| Value::from(s.default)).next();
            (key.clone(), default.unwrap_or(Value::Bool(false)))
        });
        check_values(place, &Values::from([(name.clone(), named.collect())]), sections)?;
        for (key, factor) in keys {
            let place = format!("{place}.{name}.{key}");
            let mut kinds = sections.iter().filter(|s| s.name == name).flat_map(|s| s.settings);
            if !kinds.any(|setting| setting.key == key && number(&setting.kind)) {
                return Err(Invalid::new(place, "only a number can be multiplied"));
            }
            if !(*factor > 0.0 && *factor <= 10_000.0) {
                let message = format!("{factor} is not allowed: it must be a number above 0 and at most 10000");
                return Err(Invalid::new(place, message));
            }
        }
    }
    Ok(())
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut known = Vec::new();
    names.for_each(|name| {
        if !known.contains(&name) {
            known.push(name)
        }
    });
    known.join(", ")
}

/// A child takes its model from its parent; asking for another one would change nothing.
pub(super) fn check_inherited(asked: &Values, parent: Option<&RunSpec>) -> Result<(), Invalid> {
    let Some(parent) = parent else { return Ok(()) };
    for (section, key, value) in asked
        .iter()
        .flat_map(|(section, keys)| keys.iter().map(move |(key, value)| (section, key, value)))
    {
        let inherited = section == "model" || (section == "data" && key == "image_size");
        if let Some(theirs) = parent
            .value(section, key)
            .filter(|theirs| inherited && theirs.to_string() != value.to_string())
        {
            return Err(Invalid::new(
                format!("{section}.{key}"),
                format!("{value} is not allowed: it must be {theirs}, as in the parent run"),
            ));
        }
    }
    Ok(())
}

/// Brings every setting to its kind.
pub(super) fn accept(settings: &mut Values, sections: &[Section]) -> Result<(), Invalid> {
    for section in sections {
        for setting in section.settings {
            let place = format!("{}.{}", section.name, setting.key);
            let slot = settings
                .get_mut(section.name)
                .and_then(|keys| keys.get_mut(setting.key))
                .expect("defaults hold every key");
            *slot = setting.kind.accept(slot).map_err(|message| Invalid::new(place, message))?;
        }
    }
    Ok(())
}

/// Conflicts between settings that are each allowed.
pub(super) fn check_together(run: &RunSpec) -> Result<(), Invalid> {
    let broken = |e: String| Invalid::new("settings", e);
    let data: DataSettings = run.section("data").map_err(broken)?;
    let model: ModelSettings = run.section("model").map_err(broken)?;
    check_model(&data, &model)?;
    if run.settings.contains_key("subset") {
        check_subset(&data, &run.section("subset").map_err(broken)?)?;
    }
    if run.settings.contains_key("augment") {
        let augment: AugmentSettings = run.section("augment").map_err(broken)?;
        if augment.crop_scale_min > augment.crop_scale_max {
            let (min, max) = (augment.crop_scale_min, augment.crop_scale_max);
            return Err(Invalid::new(
                "augment.crop_scale_max",
                format!("{max} is not allowed: it must be at least augment.crop_scale_min = {min}"),
            ));
        }
    }
    if run.settings.contains_key("train") {
        let train: TrainSettings = run.section("train").map_err(broken)?;
        let step = train.batch_size * train.gradient_accumulation;
        let (most, what) = match run.section::<RepeatSettings>("repeat").map_err(broken)?.epoch_samples {
            0 => (data.train_images, "the data"),
            samples => (samples, "an epoch of repeat.epoch_samples"),
        };
        if most > 0 && step > most {
            let message =
                format!("a step of {step} images is larger than {what}: batch_size times gradient_accumulation must be at most {most}");
            return Err(Invalid::new("train.batch_size", message));
        }
        if train.activation_checkpointing && model.position == Position::Relative {
            let message = "true is not allowed with model.position = relative: a block worked out again has no place for the bias";
            return Err(Invalid::new("train.activation_checkpointing", message));
        }
        // No epochs mean no training, and then the warm-up has no meaning.
        if train.epochs > 0 && train.warmup_epochs > train.epochs as f64 {
            let (warm_up, epochs) = (train.warmup_epochs, train.epochs);
            let message = format!("{warm_up} is longer than the run: it must be at most train.epochs = {epochs}");
            return Err(Invalid::new("train.warmup_epochs", message));
        }
    }
    if run.settings.contains_key("compare") {
        check_compare(&run.section("compare").map_err(broken)?)?;
    }
    if run.settings.contains_key("cka") {
        check_cka(&run.section("cka").map_err(broken)?, &data, &model)?;
    }
    Ok(())
}

fn check_compare(compare: &CompareSettings) -> Result<(), Invalid> {
    if (1..CkaSettings::FEWEST).contains(&compare.images) {
        let (images, fewest) = (compare.images, CkaSettings::FEWEST);
        let message = format!("{images} is not allowed: it must be 0, for all, or at least {fewest}");
        return Err(Invalid::new("compare.images", message));
    }
    if !compare.other.is_empty() {
        let other = compare.other.parse::<RunId>();
        other.map_err(|e| Invalid::new("compare.other", format!("{} is not allowed: {e}", compare.other)))?;
    }
    Ok(())
}

fn check_cka(cka: &CkaSettings, data: &DataSettings, model: &ModelSettings) -> Result<(), Invalid> {
    let ratios = numbers(&cka.ratios).unwrap_or_default();
    if !ratios.is_sorted_by(|a, b| a < b) {
        let message = format!("{} is not allowed: each ratio must be larger than the one before", cka.ratios);
        return Err(Invalid::new("cka.ratios", message));
    }
    let patches = (data.image_size / model.patch_size).pow(2);
    // Rounded down to whole patches, in millionths as where masks are made.
    let keep = |ratio: f64| patches * (1_000_000 - (ratio * 1e6).round() as usize) / 1_000_000;
    if let Some(ratio) = ratios.iter().find(|ratio| keep(**ratio) == 0) {
        let message = format!("{ratio} is not allowed: it leaves none of the {patches} patches of an image");
        return Err(Invalid::new("cka.ratios", message));
    }
    if (1..CkaSettings::FEWEST).contains(&cka.images) {
        let (images, fewest) = (cka.images, CkaSettings::FEWEST);
        let message = format!("{images} is not allowed: it must be 0, for all, or at least {fewest}");
        return Err(Invalid::new("cka.images", message));
    }
    if cka.masking == Masking::MaskToken && cka.tokens.are_matched() {
        let message = format!(
            "{} is not allowed with cka.masking = mask_token: every patch stays there",
            cka.tokens
        );
        return Err(Invalid::new("cka.tokens", message));
    }
    Ok(())
}

/// What of the choice of few images must fit together.
fn check_subset(data: &DataSettings, subset: &SubsetSettings) -> Result<(), Invalid> {
    let refuse = |place, message: &str| Err(Invalid::new(place, message));
    let by_list = subset.selection == Selection::List;
    if data.train_images > 0 && subset.images > data.train_images {
        let (images, most) = (subset.images, data.train_images);
        let message = format!("{images} is not allowed: it must be at most data.train_images = {most}");
        return refuse("subset.images", &message);
    }
    if by_list && subset.images > 0 {
        return refuse(
            "subset.images",
            "a list names all the images: it must be 0 with subset.selection = list",
        );
    }
    if by_list == subset.list.is_empty() {
        return refuse("subset.list", "a file of names is there exactly if subset.selection is list");
    }
    if !subset.class.is_empty() && subset.selection != Selection::OneClass {
        return refuse("subset.class", "a class is there only if subset.selection is one_class");
    }
    Ok(())
}

fn check_model(data: &DataSettings, model: &ModelSettings) -> Result<(), Invalid> {
    if !data.image_size.is_multiple_of(model.patch_size) {
        let message = format!(
            "{} is not allowed: it does not divide data.image_size = {}",
            model.patch_size, data.image_size
        );
        return Err(Invalid::new("model.patch_size", message));
    }
    for (dim, heads, place) in [
        (model.dim, model.heads, "model.heads"),
        (model.decoder_dim, model.decoder_heads, "model.decoder_heads"),
    ] {
        if !dim.is_multiple_of(heads) {
            return Err(Invalid::new(
                place,
                format!("{heads} is not allowed: it does not divide the width {dim}"),
            ));
        }
    }
    for (dim, place) in [(model.dim, "model.dim"), (model.decoder_dim, "model.decoder_dim")] {
        if model.position == Position::SinCos && !dim.is_multiple_of(4) {
            let message = format!("{dim} is not allowed: a sine-cosine position table needs a multiple of 4");
            return Err(Invalid::new(place, message));
        }
    }
    Ok(())
}
