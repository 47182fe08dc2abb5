//! Settings laid over one another, and multiplied.

use super::schema::{Value, Values};
use super::study::Factors;

/// Lays `values` over `settings`, where the run has that setting at all.
pub(super) fn overlay(settings: &mut Values, values: &Values) {
    for (section, keys) in values {
        for (key, value) in keys {
            overlay_one(settings, section, key, value.clone());
        }
    }
}

/// Sets one value, if the run has that setting at all.
pub(super) fn overlay_one(settings: &mut Values, section: &str, key: &str, value: Value) {
    if let Some(slot) = settings.get_mut(section).and_then(|keys| keys.get_mut(key)) {
        *slot = value;
    }
}

/// Multiplies numbers by their factors, each at most `most`.
pub(super) fn multiply(settings: &mut Values, times: &Factors, most: f64) {
    for (section, keys) in times {
        for (key, factor) in keys {
            let factor = factor.min(most);
            match settings.get_mut(section).and_then(|keys| keys.get_mut(key)) {
                Some(Value::Int(v)) => *v = (*v as f64 * factor).round() as i64,
                Some(Value::Float(v)) => *v *= factor,
                _ => {} // A run without the setting.
            }
        }
    }
}
