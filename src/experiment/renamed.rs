//! Settings and results whose names changed in 0.2, with the names they had.
//!
//! A record of before is read under the names of now, and a run's key is still made of the names of before: whoever has
//! runs keeps them, and equal runs stay one run. The list is part of the run format, so nothing is ever taken out of it.

use super::schema::{METHOD, Value, Values};

/// A setting by its name of now and its name of before.
struct Renamed {
    /// The method whose option it is; empty for every run.
    method: &'static str,
    now: (&'static str, &'static str),
    before: (&'static str, &'static str),
}

const fn renamed(now: (&'static str, &'static str), before: (&'static str, &'static str)) -> Renamed {
    Renamed { method: "", now, before }
}

const fn option(now: &'static str, before: &'static str) -> Renamed {
    renamed((METHOD, now), (METHOD, before))
}

const RENAMED: &[Renamed] = &[
    renamed(("augment", "crop_scale_min"), ("augment", "crop_min")),
    renamed(("augment", "crop_scale_max"), ("augment", "crop_max")),
    renamed(("augment", "hflip"), ("augment", "flip")),
    renamed(("augment", "color_jitter"), ("augment", "jitter")),
    renamed(("augment", "color_jitter_saturation"), ("augment", "jitter_saturation")),
    renamed(("augment", "color_jitter_strength"), ("augment", "jitter_strength")),
    renamed(("augment", "grayscale"), ("augment", "grey")),
    renamed(("augment", "solarize"), ("augment", "solarise")),
    renamed(("augment", "random_erasing"), ("augment", "erase")),
    renamed(("train", "gradient_accumulation"), ("train", "accumulation")),
    renamed(("train", "activation_checkpointing"), ("train", "recompute")),
    renamed(("train", "clip_grad_norm"), ("train", "clip_norm")),
    renamed(("train", "clip_grad_norm_per_parameter"), ("train", "clip_each")),
    renamed(DECAY_END, DECAY_GROWTH),
    renamed(("subset", "images"), ("few", "images")),
    renamed(("subset", "selection"), ("few", "choice")),
    renamed(("subset", "class"), ("few", "class")),
    renamed(("subset", "list"), ("few", "list")),
    renamed(("subset", "seed"), ("few", "seed")),
    renamed(("labels", "fraction"), ("labels", "share")),
    renamed(("knn", "k"), ("knn", "neighbours")),
    renamed(("cached", "learning_rates"), ("cached", "rates")),
    renamed(("tokenizer", "normalize"), ("tokenizer", "normalise")),
    renamed(("cka", "masking"), ("cka", "hiding")),
    renamed(("cka", "images"), ("cka", "pictures")),
    renamed(("compare", "images"), ("compare", "pictures")),
    option("color_target", "colour_target"),
    option("second_solarize", "second_solarise"),
    option("local_crop_scale_min", "local_crop_min"),
    option("local_crop_scale_max", "local_crop_max"),
    option("centering", "centring"),
    option("center_momentum", "centre_momentum"),
    Renamed {
        method: "cmae",
        now: (METHOD, "head_out"),
        before: (METHOD, "head_output"),
    },
];

/// The weight decay was said at its end as a multiple of the one at the beginning.
const DECAY_END: (&str, &str) = ("train", "weight_decay_end");
const DECAY_GROWTH: (&str, &str) = ("train", "weight_decay_growth");

/// What `train.weight_decay_end` is where the weight decay stays.
pub const CONSTANT: f64 = -1.0;

/// Choices that were called differently: the setting by its name of now, the choice of now, the one of before.
const CHOICES: &[(&str, &str, &str, &str)] = &[
    ("train", "precision", "f16", "mixed"),
    (METHOD, "positions", "masked", "hidden"),
    (METHOD, "second_view", "full", "whole"),
];

/// Results that were called differently: the name of now, the one of before.
const MEASURES: &[(&str, &str)] = &[
    ("subset.images", "few.pictures"),
    ("subset.classes", "few.classes"),
    ("subset.images_seen", "few.pictures_seen"),
    ("cka.images", "cka.pictures"),
    ("compare.images", "compare.pictures"),
];

/// What a result is called now.
pub fn measure(name: &str) -> &str {
    MEASURES.iter().find(|(_, before)| *before == name).map_or(name, |(now, _)| now)
}

/// A record of any version under the names of now.
pub(super) fn current(method: &str, mut values: Values) -> Values {
    for setting in of(method) {
        let growth = setting.before == DECAY_GROWTH;
        let decay = number(&values, ("train", "weight_decay"));
        carry(&mut values, setting.before, setting.now, |value| {
            if growth { decay_end(&value, decay) } else { value }
        });
    }
    choices(&mut values, |(section, key, now, before)| ((section, key), before, now));
    values
}

/// The same settings under the names of before, which keys are made of.
pub(super) fn original(method: &str, mut values: Values) -> Values {
    choices(&mut values, |(section, key, now, before)| ((section, key), now, before));
    for setting in of(method) {
        let end = setting.now == DECAY_END;
        let decay = number(&values, ("train", "weight_decay"));
        carry(&mut values, setting.now, setting.before, |value| {
            if end { decay_growth(&value, decay) } else { value }
        });
    }
    values
}

/// What a setting or a section that is not known is called now, for a sentence that refuses it.
pub(super) fn name_of_now(section: &str, key: &str) -> Option<String> {
    let found = RENAMED.iter().find(|setting| setting.before == (section, key));
    found.map(|setting| format!("{}.{}", setting.now.0, setting.now.1))
}

/// The section that a section of before is called now.
pub(super) fn section_of_now(section: &str) -> Option<&'static str> {
    let moved = RENAMED
        .iter()
        .find(|setting| setting.before.0 == section && setting.now.0 != section);
    moved.map(|setting| setting.now.0)
}

fn of(method: &str) -> impl Iterator<Item = &'static Renamed> {
    RENAMED
        .iter()
        .filter(move |setting| setting.method.is_empty() || setting.method == method)
}

/// Moves a value from one name to another, and a section with its last value.
fn carry(values: &mut Values, from: (&str, &str), to: (&str, &str), change: impl FnOnce(Value) -> Value) {
    let Some(section) = values.get_mut(from.0) else { return };
    let Some(value) = section.remove(from.1) else { return };
    if section.is_empty() && from.0 != to.0 {
        values.remove(from.0);
    }
    values.entry(to.0.to_owned()).or_default().insert(to.1.to_owned(), change(value));
}

type Choice = (&'static str, &'static str, &'static str, &'static str);

fn choices(values: &mut Values, turn: impl Fn(Choice) -> ((&'static str, &'static str), &'static str, &'static str)) {
    for choice in CHOICES {
        let ((section, key), from, to) = turn(*choice);
        let value = values.get_mut(section).and_then(|keys| keys.get_mut(key));
        if let Some(Value::Text(text)) = value
            && text == from
        {
            *text = to.to_owned();
        }
    }
}

fn number(values: &Values, (section, key): (&str, &str)) -> f64 {
    match values.get(section).and_then(|keys| keys.get(key)) {
        Some(Value::Float(value)) => *value,
        Some(Value::Int(value)) => *value as f64,
        _ => 0.0,
    }
}

fn decay_end(growth: &Value, decay: f64) -> Value {
    let growth = if let Value::Float(growth) = growth { *growth } else { 1.0 };
    Value::Float(if growth == 1.0 || decay == 0.0 { CONSTANT } else { growth * decay })
}

fn decay_growth(end: &Value, decay: f64) -> Value {
    let end = if let Value::Float(end) = end { *end } else { CONSTANT };
    Value::Float(growth_of(end, decay))
}

/// How many times the weight decay of the beginning the one at the end is. Without a weight decay nothing grows.
pub fn growth_of(end: f64, decay: f64) -> f64 {
    if end < 0.0 || decay == 0.0 { 1.0 } else { end / decay }
}
