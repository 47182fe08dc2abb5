//! Charts to look at, for which no assertion can stand in.

use super::*;

const NAMES: [&str; 8] = [
    "MAE · quick",
    "R-MAE · quick",
    "C-MAE",
    "MoCo v3",
    "DINO",
    "BEiT",
    "CAE",
    "Supervised",
];

fn run(name: &str, k: usize) -> Series {
    let noise = |i: usize| (((i * 7919 + k * 104_729) % 1000) as f64 / 1000.0 - 0.5) * 0.12;
    let loss = |i: usize| 0.4 + (1.0 + 0.1 * k as f64) * (-(i as f64) / 600.0).exp() + noise(i);
    Series {
        name: name.to_owned(),
        points: (0..3000).map(|i| (i as f64 * 10.0, loss(i))).collect(),
        color: k,
        band: Vec::new(),
        dashed: false,
    }
}

fn learning_rate() -> Vec<(f64, f64)> {
    let share = |i: i32| f64::from(i) / 400.0;
    (0..400)
        .map(|i| (f64::from(i), 0.75e-4 * (1.0 + (share(i) * std::f64::consts::PI).cos())))
        .collect()
}

fn samples(theme: Theme) -> Vec<(&'static str, String)> {
    let all: Vec<Series> = NAMES.iter().enumerate().map(|(k, name)| run(name, k)).collect();
    let long = |k| run(&format!("MAE with a much longer label · pretrain · laptop · seed {k}"), k);
    let smoothed = |series: Vec<Series>| LineChart {
        theme,
        smooth: 0.95,
        ..chart(series)
    };
    let plain = |series: Vec<Series>| LineChart { theme, ..chart(series) };
    let (mut below, mut log, mut log_log) = (
        smoothed((0..5).map(long).collect()),
        smoothed(all.clone()),
        smoothed(all[..2].to_vec()),
    );
    (below.width, log.log_y, log_log.log_y, log_log.log_x) = (480, true, true, true);
    let mut small = plain(vec![series("lr", learning_rate())]);
    (small.width, small.height) = (320, 200);
    let few = vec![
        series("mae", vec![(1.0, 81.0), (5.0, 83.0), (10.0, 83.3)]),
        series("scratch", vec![(10.0, 80.0)]),
    ];
    let same = (0..4)
        .map(|k| Series {
            color: 0,
            ..run(NAMES[k], k * 4)
        })
        .collect();
    let (long_name, none) = ("R-MAE with a very long name indeed, really", bar("C-MAE", None, None, 0));
    let scratch = bar("From scratch", Some(80.9), Some(0.4), 3);
    let table = bars(vec![
        bar("MAE", Some(83.1), Some(1.5), 3),
        scratch,
        bar(long_name, Some(82.3), None, 1),
        none,
    ]);
    let mut samples = vec![
        ("curves", smoothed(all).svg()),
        ("below", below.svg()),
        ("log", log.svg()),
        ("loglog", log_log.svg()),
        ("lr", small.svg()),
        ("dots", plain(few).svg()),
        ("same", plain(same).svg()),
        ("empty", plain(vec![]).svg()),
        ("bars", BarChart { theme, ..table }.svg()),
        ("table", TableChart { theme, ..tables::table() }.svg()),
    ];
    samples.extend(heats(theme));
    samples
}

fn heats(theme: Theme) -> [(&'static str, String); 3] {
    let heat = |scale| heatmaps::heatmap(12, 9, scale, theme);
    let model = |_| {
        let bar = false;
        Heatmap {
            bar,
            ..heat(ColorScale::Unit)
        }
        .svg()
    };
    [
        ("heat", heat(ColorScale::Unit).svg()),
        ("difference", heat(ColorScale::Around(0.5)).svg()),
        ("models", grid("Models", &(0..4).map(model).collect::<Vec<_>>(), 2)),
    ]
}

/// `UMBRA_CHART_SAMPLES=folder cargo test samples -- --ignored` writes them.
#[test]
#[ignore = "writes files for people to look at"]
fn samples_for_the_eye() {
    let folder = std::env::var_os("UMBRA_CHART_SAMPLES").expect("UMBRA_CHART_SAMPLES names the folder to write to");
    for (suffix, theme) in [("auto", Theme::Auto), ("light", Theme::Light), ("dark", Theme::Dark)] {
        for (name, svg) in samples(theme) {
            let path = |ending| std::path::Path::new(&folder).join(format!("{name}-{suffix}.{ending}"));
            if theme != Theme::Auto {
                std::fs::write(path("png"), png(&svg).unwrap()).expect("the folder can be written");
            }
            std::fs::write(path("svg"), svg).expect("the folder can be written");
        }
    }
}
