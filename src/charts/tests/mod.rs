//! What every chart's SVG must be, whatever it shows.

use super::*;

mod heatmaps;
mod samples;
mod tables;

fn series(name: &str, points: Vec<(f64, f64)>) -> Series {
    Series {
        name: name.to_owned(),
        points,
        color: color_of(name),
        band: Vec::new(),
        dashed: false,
    }
}

fn chart(series: Vec<Series>) -> LineChart {
    let [title, x_label, y_label] = ["Loss", "step", "train/loss"].map(str::to_owned);
    LineChart {
        title,
        x_label,
        y_label,
        series,
        smooth: 0.0,
        log_y: false,
        log_x: false,
        y_covers: None,
        width: 640,
        height: 320,
        theme: Theme::Light,
    }
}

fn wave(count: usize) -> Vec<(f64, f64)> {
    (0..count).map(|i| (i as f64, 2.0 + (i as f64 * 0.1).sin())).collect()
}

fn bars(bars: Vec<Bar>) -> BarChart {
    BarChart {
        title: "Accuracy".to_owned(),
        label: "top-1, %".to_owned(),
        bars,
        decimals: 1,
        width: 640,
        height: 200,
        theme: Theme::Light,
    }
}

fn bar(name: &str, mean: Option<f64>, sd: Option<f64>, n: usize) -> Bar {
    Bar {
        name: name.to_owned(),
        mean,
        sd,
        n,
        color: color_of(name),
    }
}

/// Checks that tags balance, text is escaped, one element is the root, and no coordinate is broken.
#[track_caller]
fn check(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("every tag is closed");
        assert!(!text.contains('>'), "text is not escaped: {text}");
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(name), _) => assert_eq!(open.pop(), Some(name), "tags do not balance"),
            (None, false) => open.push(tag.split_whitespace().next().expect("a tag has a name")),
            (None, true) => {}
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes do not balance: {tag}");
        for (attribute, value) in tag.split("=\"").zip(tag.split("=\"").skip(1)) {
            let value = value.split('"').next().unwrap_or_default();
            if attribute.ends_with("points")
                || [" x", " y", " cx", " cy", " x1", " y1", "width"]
                    .iter()
                    .any(|a| attribute.ends_with(a))
            {
                let mut numbers = value
                    .split([' ', ','])
                    .filter(|n| !n.is_empty())
                    .map(|n| n.trim_end_matches('%').parse::<f64>());
                assert!(numbers.all(|n| n.is_ok_and(f64::is_finite)), "{attribute}=\"{value}\"");
            }
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    assert!(!svg.contains("#FE0"), "an ink is left unpainted");
}

fn lines(svg: &str) -> usize {
    svg.matches("<polyline").count()
}

/// Lines of the axes, the legend and the grid, which every chart of these labels has.
fn data_lines(svg: &str, color: usize) -> usize {
    svg.lines()
        .filter(|line| line.starts_with("<polyline") && line.contains(PALETTE[color % 8]))
        .count()
}

#[test]
fn every_series_has_one_line_in_the_plot_one_in_the_legend_and_its_name_as_text() {
    let chart = chart(vec![
        Series {
            color: 1,
            ..series("mae", wave(40))
        },
        Series {
            color: 2,
            ..series("from scratch", wave(60))
        },
    ]);
    let svg = chart.svg();
    check(&svg);
    assert_eq!((data_lines(&svg, 1), data_lines(&svg, 2)), (2, 2));
    for text in ["Loss", "step", "train/loss", "mae", "from scratch"] {
        assert!(svg.lines().any(|line| line == text), "{text} is not a text of its own");
    }
    assert!(svg.contains("role=\"img\" aria-label=\"Loss\"") && svg.contains("width=\"100%\""));
}

#[test]
fn smoothing_draws_the_raw_line_faintly_behind() {
    let mut chart = chart(vec![Series {
        color: 3,
        ..series("mae", wave(200))
    }]);
    let plain = chart.svg();
    chart.smooth = 0.9;
    let smoothed = chart.svg();
    check(&smoothed);
    assert_eq!(data_lines(&smoothed, 3), data_lines(&plain, 3) + 1);
    assert!(smoothed.contains("opacity=\"0.28\""));
}

#[test]
fn a_gap_breaks_the_line() {
    let mut points = wave(30);
    points[10].1 = f64::NAN;
    points[20].1 = f64::INFINITY;
    let svg = chart(vec![Series {
        color: 4,
        ..series("mae", points)
    }])
    .svg();
    check(&svg);
    assert_eq!(data_lines(&svg, 4), 3 + 1);
}

#[test]
fn a_single_point_is_a_dot_with_its_value_as_tip() {
    let svg = chart(vec![series("probe", vec![(3.0, 54.5)])]).svg();
    check(&svg);
    assert!(svg.contains("<title>probe: train/loss 54.5 at step 3</title>"));
    assert!(svg.matches("<circle").count() >= 2);
}

#[test]
fn nothing_to_draw_is_said() {
    for series in [vec![], vec![series("a", vec![])], vec![series("a", vec![(1.0, f64::NAN)])]] {
        let svg = chart(series).svg();
        check(&svg);
        assert!(svg.contains("No points yet"));
    }
    let svg = bars(vec![bar("mae", None, None, 0)]).svg();
    check(&svg);
    assert!(svg.contains("No numbers yet"));
}

#[test]
fn logarithmic_axes_leave_out_what_they_cannot_show() {
    let mut chart = chart(vec![Series {
        color: 5,
        ..series("lr", vec![(0.0, 1.0), (1.0, 1e-3), (10.0, 0.0), (100.0, 1e-5), (1000.0, 1e-6)])
    }]);
    (chart.log_x, chart.log_y) = (true, true);
    let svg = chart.svg();
    check(&svg);
    assert!(svg.lines().any(|line| line == "1e-5"));
    assert_eq!(
        data_lines(&svg, 5),
        1 + 1,
        "the point before the gap is a dot, the two after it a line"
    );
}

#[test]
fn a_long_series_stays_small_and_keeps_its_peak() {
    let mut points = wave(200_000);
    points[123_456].1 = 90.0;
    let svg = chart(vec![series("mae", points)]).svg();
    check(&svg);
    assert!(svg.len() < 40_000, "{} bytes", svg.len());
    assert!(svg.lines().any(|line| line == "80"), "the axis reaches the peak");
}

#[test]
fn names_cannot_break_out_of_the_text() {
    let nasty = "<script>\"&'\u{1}]]></svg>";
    let mut chart = chart(vec![series(nasty, wave(5)), series("\"#FE0100\"", wave(3))]);
    chart.title = nasty.to_owned();
    let svg = chart.svg();
    assert!(!svg.contains("<script") && !svg.contains('\u{1}'));
    check(&svg.replace("&quot;#FE0100&quot;", ""));
    check(&bars(vec![bar(nasty, Some(1.0), None, 1)]).svg());
}

#[test]
fn series_of_one_color_differ_in_their_dashes() {
    let same = |name| Series {
        color: 6,
        ..series(name, wave(20))
    };
    let svg = chart(vec![same("a"), same("b"), same("c")]).svg();
    check(&svg);
    let dashes: std::collections::BTreeSet<&str> = svg
        .split("stroke-dasharray=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(dashes.len(), 2, "{dashes:?}");
}

#[test]
fn themes_are_fixed_or_follow_page_and_system() {
    let svg = |theme| {
        LineChart {
            theme,
            ..chart(vec![series("mae", wave(9))])
        }
        .svg()
    };
    let (auto, light, dark) = (svg(Theme::Auto), svg(Theme::Light), svg(Theme::Dark));
    [&auto, &light, &dark].into_iter().for_each(|svg| check(svg));
    assert!(auto.contains("prefers-color-scheme: dark") && auto.contains("var(--chart-fg, "));
    assert!(!light.contains("var(") && light.contains("#ffffff") && !light.contains("#14161a"));
    assert!(!dark.contains("var(") && dark.contains("#14161a") && !dark.contains("#ffffff"));
}

#[test]
fn extreme_sizes_and_values_do_not_break_the_layout() {
    let many: Vec<Series> = (0..40)
        .map(|i| series(&format!("a rather long run name with number {i}"), wave(5)))
        .collect();
    let mut chart = chart(many);
    for (width, height) in [(0, 0), (240, 160), (3000, 200), (u32::MAX, u32::MAX)] {
        (chart.width, chart.height) = (width, height);
        check(&chart.svg());
    }
    for value in [1e308, -1e299, 1e-300, 0.0, 1e15] {
        chart.series = vec![series("a", vec![(0.0, value), (1.0, 1.0), (value, 2.0)])];
        check(&chart.svg());
    }
}

#[test]
fn bars_show_mean_spread_and_count() {
    let all = vec![
        bar("MAE", Some(83.1), Some(0.25), 3),
        bar("scratch", Some(80.9), None, 1),
        bar("R-MAE", None, None, 0),
        bar("gain", Some(-4.0), Some(1.0), 2),
    ];
    let svg = bars(all).svg();
    check(&svg);
    for text in ["MAE", "83.1 ± 0.2 (n=3)", "80.9", "no number yet", "-4.0 ± 1.0 (n=2)", "top-1, %"] {
        assert!(svg.lines().any(|line| line == text), "{text} is missing");
    }
    assert_eq!(
        lines(&svg)
            - lines(
                &bars(vec![
                    bar("MAE", Some(83.1), None, 1),
                    bar("b", Some(-5.0), None, 1),
                    bar("c", None, None, 1),
                    bar("d", None, None, 1)
                ])
                .svg()
            ),
        6
    );
}
