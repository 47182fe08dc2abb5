//! How numbers and times look on pages.

pub use crate::app::count_text;
use std::fmt::Write as _;

use askama::filters::{Html, Safe, escape};
use askama::{Result, Values};

use crate::experiment::measure as measures;
use crate::run_dir;

/// A number; templates give it behind any number of references.
pub trait Real {
    /// The number.
    fn real(&self) -> f64;
}

/// A count; templates give it behind any number of references.
pub trait Count {
    /// The count.
    fn count(&self) -> u64;
}

impl Real for f64 {
    fn real(&self) -> f64 {
        *self
    }
}

impl<T: Real> Real for &T {
    fn real(&self) -> f64 {
        (**self).real()
    }
}

impl Count for usize {
    fn count(&self) -> u64 {
        *self as u64
    }
}

impl Count for u64 {
    fn count(&self) -> u64 {
        *self
    }
}

impl<T: Count> Count for &T {
    fn count(&self) -> u64 {
        (**self).count()
    }
}

/// Seconds as `8 s`, `3 min 20 s`, `2 h 5 min` or `3 d 4 h`.
#[askama::filter_fn]
pub fn duration(seconds: impl Real, _: &dyn Values) -> Result<String> {
    Ok(duration_text(seconds.real()))
}

/// A time (seconds since 1970) as `5 min ago`.
#[askama::filter_fn]
pub fn ago(time: impl Real, _: &dyn Values) -> Result<String> {
    let seconds = run_dir::now() - time.real();
    Ok(if seconds < 5.0 {
        "just now".to_owned()
    } else {
        format!("{} ago", coarse(seconds))
    })
}

/// A time (seconds since 1970) as `2026-11-23 14:05:09 UTC`.
#[askama::filter_fn]
pub fn utc(time: impl Real, _: &dyn Values) -> Result<String> {
    Ok(utc_text(time.real()))
}

/// A measure with as many digits as help.
#[askama::filter_fn]
pub fn measure(value: impl Real, _: &dyn Values) -> Result<String> {
    Ok(measure_text(value.real()))
}

/// The heading of the measure of that name: its title with its unit.
#[askama::filter_fn]
pub fn heading(name: impl AsRef<str>, _: &dyn Values) -> Result<String> {
    Ok(measures::heading(name.as_ref()))
}

/// A whole number with thin spaces between thousands.
#[askama::filter_fn]
pub fn count(value: impl Count, _: &dyn Values) -> Result<String> {
    Ok(count_text(value.count()))
}

/// Bytes as `1.5 MiB`.
#[askama::filter_fn]
pub fn bytes(value: impl Count, _: &dyn Values) -> Result<String> {
    Ok(bytes_text(value.count() as f64))
}

/// `n` and the noun, with an s unless there is one.
#[askama::filter_fn]
pub fn times(value: impl Count, _: &dyn Values, noun: &str) -> Result<String> {
    let n = value.count();
    Ok(format!("{} {noun}{}", count_text(n), if n == 1 { "" } else { "s" }))
}

/// Text in which what stands between backticks is code.
#[askama::filter_fn]
pub fn ticks(text: impl AsRef<str>, _: &dyn Values) -> Result<Safe<String>> {
    let mut html = String::new();
    for (place, part) in text.as_ref().split('`').enumerate() {
        let Ok(part) = escape(part, Html);
        let _ = if place % 2 == 1 {
            write!(html, "<code>{part}</code>")
        } else {
            write!(html, "{part}")
        };
    }
    Ok(Safe(html))
}

/// The beginning of a long text, and an ellipsis.
#[askama::filter_fn]
pub fn shorten(text: impl AsRef<str>, _: &dyn Values, most: usize) -> Result<String> {
    let text = text.as_ref();
    let short: String = text.chars().take(most).collect();
    Ok(if short.len() < text.len() { short + "…" } else { short })
}

/// The end of a long text, which is what tells paths apart, after an ellipsis.
#[askama::filter_fn]
pub fn shorten_front(text: impl AsRef<str>, _: &dyn Values, most: usize) -> Result<String> {
    let text = text.as_ref();
    let over = text.chars().count().saturating_sub(most);
    Ok(if over == 0 {
        text.to_owned()
    } else {
        format!("…{}", text.chars().skip(over).collect::<String>())
    })
}

/// See [`duration`].
pub fn duration_text(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "unknown".to_owned();
    }
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// One unit only, for times that nobody needs to the second.
fn coarse(seconds: f64) -> String {
    match seconds.max(0.0) as u64 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s @ 3600..86_400 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

/// See [`utc`].
pub fn utc_text(time: f64) -> String {
    let stamp = jiff::Timestamp::from_second(time as i64);
    stamp.map_or_else(
        |_| "unknown".to_owned(),
        |stamp| stamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// See [`measure`].
pub fn measure_text(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => value.to_string(),
        0.0 => "0".to_owned(),
        size if size < 1e-3 => format!("{value:.3e}"),
        size if size < 10.0 => format!("{value:.4}"),
        size if size < 1000.0 => format!("{value:.2}"),
        size => format!("{}{}", if value < 0.0 { "-" } else { "" }, count_text(size.round() as u64)),
    }
}

/// See [`bytes`].
fn bytes_text(bytes: f64) -> String {
    let mut left = bytes / 1024.0;
    for unit in ["KiB", "MiB"] {
        if left < 1024.0 {
            return format!("{left:.1} {unit}");
        }
        left /= 1024.0;
    }
    format!("{left:.1} GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let cases = [
            (0.4, "0 s"),
            (59.6, "1 min 0 s"),
            (3725.0, "1 h 2 min"),
            (90_000.0, "1 d 1 h"),
            (f64::NAN, "unknown"),
            (-3.0, "0 s"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration_text(seconds), text);
        }
    }

    #[test]
    fn measures_keep_the_digits_that_matter() {
        let cases = [
            (0.000_015, "1.500e-5"),
            (0.5, "0.5000"),
            (83.14, "83.14"),
            (12_345.6, "12\u{2009}346"),
            (-1234.0, "-1\u{2009}234"),
            (f64::NAN, "NaN"),
            (0.0, "0"),
        ];
        for (value, text) in cases {
            assert_eq!(measure_text(value), text);
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [count_text(7), count_text(1234), count_text(1_234_567)],
            ["7", "1\u{2009}234", "1\u{2009}234\u{2009}567"]
        );
    }
}
