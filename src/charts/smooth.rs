//! Long, noisy series made readable: smoothing over time and thinning to what a screen can show.

/// Exponential moving average over x, without the pull towards zero at the start.
///
/// `weight` is how much of the average survives one typical step of x (the median distance between
/// points): 0 changes nothing, 0.6 is a light and 0.95 a strong smoothing. Evenly spaced points get
/// TensorBoard's average; after a long pause the past counts less, so sparse points stay themselves.
/// Points must be in order of x. A y that is not finite stays a gap.
pub fn smooth(points: &[(f64, f64)], weight: f64) -> Vec<(f64, f64)> {
    let weight = weight.min(0.999); // At 1 the first value would stand for ever.
    if weight.is_nan() || weight <= 0.0 {
        return points.to_vec();
    }
    let step = typical_step(points);
    // `mass` is what the weights of all values so far add up to; dividing by it takes the bias away.
    let (mut sum, mut mass, mut last) = (0.0, 0.0, None);
    let average = points.iter().map(|&(x, y)| {
        if !y.is_finite() {
            return (x, f64::NAN);
        }
        let kept = last.map_or(0.0, |last: f64| weight.powf(((x - last) / step).max(0.0)));
        (sum, mass, last) = (sum * kept + y, mass * kept + 1.0, Some(x));
        (x, sum / mass)
    });
    average.collect()
}

/// The median distance between neighbors that are apart, or 1 where there is none.
fn typical_step(points: &[(f64, f64)]) -> f64 {
    let finite: Vec<f64> = points.iter().filter(|(_, y)| y.is_finite()).map(|(x, _)| *x).collect();
    let mut steps: Vec<f64> = finite.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.0).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().unwrap_or(1.0)
}

/// Thins a series to about `limit` points: of each bucket the lowest and the highest stay, so no peak
/// is lost; so do the first and the last point, and one gap where a bucket has any.
pub fn downsample(points: &[(f64, f64)], limit: usize) -> Vec<(f64, f64)> {
    if points.len() <= limit.max(4) {
        return points.to_vec();
    }
    let buckets = (limit / 2).max(2);
    let mut kept = vec![0, points.len() - 1];
    for bucket in 0..buckets {
        let (from, to) = (bucket * points.len() / buckets, (bucket + 1) * points.len() / buckets);
        let finite = || (from..to).filter(|&i| points[i].1.is_finite());
        kept.extend(finite().min_by(|&a, &b| points[a].1.total_cmp(&points[b].1)));
        kept.extend(finite().max_by(|&a, &b| points[a].1.total_cmp(&points[b].1)));
        kept.extend((from..to).find(|&i| !points[i].1.is_finite()));
    }
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|i| points[i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(points: &[(f64, f64)]) -> Vec<f64> {
        points.iter().map(|(_, y)| *y).collect()
    }

    #[test]
    fn zero_weight_changes_nothing() {
        let points = [(0.0, 3.0), (1.0, -1.0), (2.0, 8.0)];
        assert_eq!(smooth(&points, 0.0), points);
    }

    #[test]
    fn even_spacing_gives_the_unbiased_exponential_average() {
        // By hand with weight 0.5: 4; (4/2 + 0) / 1.5; (4/4 + 0/2 + 7) / 1.75.
        let points = [(10.0, 4.0), (20.0, 0.0), (30.0, 7.0)];
        let expected = [4.0, 2.0 / 1.5, 8.0 / 1.75];
        for (value, expected) in values(&smooth(&points, 0.5)).iter().zip(expected) {
            assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
        }
    }

    #[test]
    fn a_constant_stays_itself() {
        let points: Vec<_> = (0..50).map(|i| (f64::from(i), 2.5)).collect();
        assert!(values(&smooth(&points, 0.9)).iter().all(|y| (y - 2.5).abs() < 1e-12));
    }

    #[test]
    fn the_past_counts_less_after_a_pause() {
        let at = |x: f64| smooth(&[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (x, 0.0)], 0.5)[3].1;
        assert!(at(10.0) < at(3.0) / 10.0);
    }

    #[test]
    fn a_gap_stays_a_gap_and_harms_nothing_after_it() {
        let y = values(&smooth(
            &[(0.0, 1.0), (1.0, f64::NAN), (2.0, 1.0), (3.0, f64::INFINITY), (4.0, 1.0)],
            0.8,
        ));
        assert!(y[1].is_nan() && y[3].is_nan());
        assert!([y[0], y[2], y[4]].iter().all(|y| (y - 1.0).abs() < 1e-12));
    }

    #[test]
    fn downsampling_keeps_extremes_ends_and_gaps() {
        let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i), (f64::from(i) * 0.01).sin())).collect();
        points[33_333].1 = 50.0;
        points[77_777].1 = -50.0;
        points[60_000].1 = f64::NAN;
        let few = downsample(&points, 800);
        assert!(few.len() <= 803, "{} points", few.len());
        assert!(few.contains(&(33_333.0, 50.0)) && few.contains(&(77_777.0, -50.0)));
        assert!(few.iter().any(|(x, y)| *x == 60_000.0 && y.is_nan()));
        assert_eq!((few[0].0, few[few.len() - 1].0), (0.0, 99_999.0));
        assert!(few.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_short_series_is_left_alone() {
        let points: Vec<_> = (0..800).map(|i| (f64::from(i), 1.0)).collect();
        assert_eq!(downsample(&points, 800), points);
    }
}
