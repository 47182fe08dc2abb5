//! Axes: the range, where the ticks stand and what they say.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// Larger numbers are treated as gaps: differences of such numbers leave the range of f64.
const LARGEST: f64 = 1e300;

/// One axis. A logarithmic axis is drawn in powers of ten: see [`ChartAxis::place`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ChartAxis {
    /// What the axis shows, in drawn places.
    pub(super) range: Range<f64>,
    /// Drawn places of the ticks, in order.
    pub(super) ticks: Vec<f64>,
    /// One text a tick.
    pub(super) labels: Vec<String>,
    log: bool,
}

impl ChartAxis {
    /// An axis over all finite `values` with at most about `ticks` ticks; `pad` is the share of the
    /// range left free at both ends. `None` if there is nothing to show.
    pub(super) fn over(values: impl Iterator<Item = f64> + Clone, log: bool, pad: f64, ticks: usize) -> Option<ChartAxis> {
        let shown = values.filter(|v| shows(*v, log));
        let (low, high) = shown
            .clone()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            return None;
        }
        let whole = shown.clone().all(|v| v.fract() == 0.0);
        let range = widened(place(low, log), place(high, log), pad);
        Some(if log {
            ChartAxis::log(range, ticks)
        } else {
            ChartAxis::linear(range, whole, ticks)
        })
    }

    /// An axis from zero over `values`, for bars.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>, ticks: usize) -> ChartAxis {
        let (low, high) = values
            .filter(|v| shows(*v, false))
            .fold((0.0f64, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
        let range = if low == high { 0.0..1.0 } else { low..high };
        ChartAxis::linear(range, false, ticks)
    }

    /// An axis of names, the first at the top.
    pub(super) fn names(names: Vec<String>) -> ChartAxis {
        let ticks = (0..names.len()).map(|index| ChartAxis::name_place(names.len(), index)).collect();
        ChartAxis {
            range: 0.0..names.len() as f64,
            ticks,
            labels: names,
            log: false,
        }
    }

    /// An axis of names in ascending order, each in the middle of its cell of 1, of which at most about `count` are shown.
    pub(super) fn cells(names: Vec<String>, count: usize) -> ChartAxis {
        let (range, stride) = (0.0..names.len() as f64, names.len().div_ceil(count.max(2)).max(1));
        let shown = names.into_iter().enumerate().step_by(stride);
        let (ticks, labels) = shown.map(|(index, name)| (index as f64 + 0.5, name)).unzip();
        ChartAxis {
            range,
            ticks,
            labels,
            log: false,
        }
    }

    /// Where the name `index` of `count` stands: in the middle of its band of height 1.
    pub(super) fn name_place(count: usize, index: usize) -> f64 {
        (count - index) as f64 - 0.5
    }

    /// Where a value is drawn, `None` for one that cannot be: not finite, or not positive on a logarithmic axis.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        shows(value, self.log).then(|| place(value, self.log))
    }

    fn linear(range: Range<f64>, whole: bool, count: usize) -> ChartAxis {
        let ticks = linear_ticks(&range, whole, count);
        let labels = labels(&ticks);
        ChartAxis {
            range,
            ticks,
            labels,
            log: false,
        }
    }

    fn log(range: Range<f64>, count: usize) -> ChartAxis {
        let ticks: Vec<f64> = log_ticks(&range, count).into_iter().map(f64::log10).collect();
        let labels = ticks.iter().map(|tick| number(10f64.powf(*tick), 4)).collect();
        ChartAxis {
            range,
            ticks,
            labels,
            log: true,
        }
    }
}

impl Ranged for ChartAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (place - self.range.start) / (self.range.end - self.range.start);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for ChartAxis {
    fn format_ext(&self, tick: &f64) -> String {
        self.ticks
            .iter()
            .position(|known| known == tick)
            .map(|index| self.labels[index].clone())
            .unwrap_or_default()
    }
}

fn shows(value: f64, log: bool) -> bool {
    value.abs() <= LARGEST && (!log || value > 0.0)
}

fn place(value: f64, log: bool) -> f64 {
    if log { value.log10() } else { value }
}

/// A range that has an extent even if all values are equal.
fn widened(low: f64, high: f64, pad: f64) -> Range<f64> {
    let span = high - low;
    if span <= low.abs().max(high.abs()) * 1e-12 {
        let extent = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        return low - extent..high + extent;
    }
    low - span * pad..high + span * pad
}

/// Multiples of 1, 2 or 5 times a power of ten, at most about `count` of them.
fn linear_ticks(range: &Range<f64>, whole: bool, count: usize) -> Vec<f64> {
    let rough = (range.end - range.start) / count.max(2) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let step = if whole { step.max(1.0) } else { step };
    // A tick that rounding puts a hair outside of the range is still inside.
    let first = (range.start / step - 1e-9).ceil();
    let steps = ((range.end / step + 1e-9).floor() - first).max(0.0) as usize;
    (0..=steps)
        .map(|i| (first + i as f64) * step)
        .map(|tick| if tick.abs() < step * 1e-6 { 0.0 } else { tick })
        .collect()
}

/// Powers of ten; with few of them in range, also 2 and 5 times those, or round values in between.
fn log_ticks(range: &Range<f64>, count: usize) -> Vec<f64> {
    let inside = |value: &f64| (range.start - 1e-9..=range.end + 1e-9).contains(&value.log10());
    let powers: Vec<i32> = (range.start.floor() as i32..=range.end.ceil() as i32).collect();
    for factors in [&[1.0][..], &[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]] {
        let ticks = powers
            .iter()
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(*power)));
        let ticks: Vec<f64> = ticks.filter(inside).collect();
        if ticks.len() >= 3 {
            let stride = ticks.len().div_ceil(count.max(2));
            return ticks.into_iter().step_by(stride).collect();
        }
    }
    linear_ticks(&(10f64.powf(range.start)..10f64.powf(range.end)), false, count)
        .into_iter()
        .filter(|tick| *tick > 0.0)
        .collect()
}

/// The texts of evenly spaced ticks, all in one form with as many digits as the step needs.
fn labels(ticks: &[f64]) -> Vec<String> {
    let largest = ticks.iter().fold(0.0f64, |largest, tick| largest.max(tick.abs()));
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(largest);
    let digit = |value: f64| (value.log10() + 1e-9).floor() as i32;
    let text = |tick: &f64| {
        if *tick == 0.0 {
            return "0".to_owned();
        }
        let (unit, suffix) = match largest {
            l if !(0.01..1e9).contains(&l) => {
                let digits = (digit(tick.abs()) - digit(step)).clamp(0, 15) as usize;
                return trimmed(format!("{tick:.digits$e}"));
            }
            l if l >= 1e6 => (1e6, "M"),
            l if l >= 1e4 => (1e3, "k"),
            _ => (1.0, ""),
        };
        let decimals = (-digit(step / unit)).clamp(0, 15) as usize;
        format!("{:.decimals$}{suffix}", tick / unit)
    };
    ticks.iter().map(text).collect()
}

/// A single number with at most `digits` digits that count, short: `0.0312`, `12.5k`, `1.5e-4`.
pub(super) fn number(value: f64, digits: usize) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    let (unit, suffix) = match size {
        s if !(0.001..1e9).contains(&s) => return trimmed(format!("{value:.*e}", digits.saturating_sub(1))),
        s if s >= 1e6 => (1e6, "M"),
        s if s >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let decimals = (digits as i32 - 1 - (size / unit).log10().floor() as i32).max(0) as usize;
    trimmed(format!("{:.decimals$}{suffix}", value / unit))
}

/// The number without zeros at the end of its fraction: `1.50e-4` is `1.5e-4`.
fn trimmed(text: String) -> String {
    let end = text.find(['e', 'k', 'M']).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if !digits.contains('.') {
        return text;
    }
    format!("{}{rest}", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], log: bool, expected: &[&str]) {
        let axis = ChartAxis::over(values.iter().copied(), log, 0.0, 6).expect("there are values");
        assert_eq!(axis.labels, expected);
        assert!(axis.ticks.iter().all(|tick| tick.is_finite()));
    }

    #[test]
    fn ticks_are_round_and_short() {
        check(&[0.0, 1.0], false, &["0", "1"]); // Whole numbers have no half steps.
        check(&[0.0, 0.99], false, &["0", "0.2", "0.4", "0.6", "0.8"]);
        check(&[0.1, 0.3], false, &["0.10", "0.15", "0.20", "0.25", "0.30"]);
        check(&[0.0, 20_000.0], false, &["0", "5k", "10k", "15k", "20k"]);
        check(&[0.0, 3_000_000.0], false, &["0", "0.5M", "1.0M", "1.5M", "2.0M", "2.5M", "3.0M"]);
        check(&[0.0, 1.5e-4], false, &["0", "5e-5", "1e-4", "1.5e-4"]);
        check(&[-3.0, 7.5], false, &["-2", "0", "2", "4", "6"]);
    }

    #[test]
    fn logarithmic_ticks_are_powers_of_ten_or_round_values_between() {
        check(&[1e-5, 1.0], true, &["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]);
        check(&[0.9, 30.0], true, &["1", "2", "5", "10", "20"]);
        check(&[1.0, 1e12], true, &["1", "1000", "1M", "1e9", "1e12"]);
        check(&[100.0, 104.0], true, &["100", "101", "102", "103", "104"]);
    }

    #[test]
    fn equal_values_still_have_a_range() {
        for value in [0.0, 5.0, -3.0, 1e-9, 1e12] {
            let axis = ChartAxis::over([value, value].into_iter(), false, 0.05, 5).expect("there are values");
            assert!(axis.range.start < value && value < axis.range.end, "{value}: {:?}", axis.range);
            assert!(!axis.ticks.is_empty(), "{value} has no tick");
        }
    }

    #[test]
    fn values_that_cannot_be_drawn_have_no_place() {
        assert_eq!(ChartAxis::over([f64::NAN, f64::INFINITY].into_iter(), false, 0.0, 5), None);
        assert_eq!(ChartAxis::over([0.0, -1.0].into_iter(), true, 0.0, 5), None);
        let axis = ChartAxis::over([1.0, 100.0].into_iter(), true, 0.0, 5).expect("there are values");
        assert_eq!((axis.place(10.0), axis.place(0.0), axis.place(f64::NAN)), (Some(1.0), None, None));
    }

    #[test]
    fn single_numbers_are_short() {
        let cases = [
            (0.031_25, "0.03125"),
            (12_500.0, "12.5k"),
            (1.5e-4, "1.5e-4"),
            (-2.0, "-2"),
            (0.0, "0"),
            (83.14, "83.14"),
            (2e6, "2M"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value, 5), expected);
        }
    }
}
