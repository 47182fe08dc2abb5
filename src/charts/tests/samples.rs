//! Charts to look at, for which no assertion can stand in.

use super::*;

/// Writes samples to look at: `UMBRA_CHART_SAMPLES=dir cargo test charts -- --ignored`.
#[test]
#[ignore = "writes files for people to look at"]
fn samples_for_the_eye() {
    let Some(dir) = std::env::var_os("UMBRA_CHART_SAMPLES") else {
        return;
    };
    let noise = |i: usize, k: usize| (((i * 7919 + k * 104_729) % 1000) as f64 / 1000.0 - 0.5) * 0.12;
    let run = |name: &str, k: usize| {
        let points = (0..3000)
            .map(|i| {
                (
                    i as f64 * 10.0,
                    0.4 + (1.0 + 0.1 * k as f64) * (-(i as f64) / 600.0).exp() + noise(i, k),
                )
            })
            .collect();
        Series {
            name: name.to_owned(),
            points,
            colour: k,
            dashed: false,
        }
    };
    let names = [
        "MAE · quick",
        "R-MAE · quick",
        "C-MAE",
        "MoCo v3",
        "DINO",
        "BEiT",
        "CAE",
        "Supervised",
    ];
    let all: Vec<Series> = names.iter().enumerate().map(|(k, name)| run(name, k)).collect();
    let long = |k: usize| run(&format!("MAE with a much longer label · pretrain · laptop · seed {k}"), k);
    let lr = series(
        "lr",
        (0..400)
            .map(|i| {
                (
                    f64::from(i),
                    1.5e-4 * (1.0 + (f64::from(i) / 400.0 * std::f64::consts::PI).cos()) / 2.0,
                )
            })
            .collect(),
    );
    let dots = vec![
        series("mae", vec![(1.0, 81.0), (5.0, 83.0), (10.0, 83.3)]),
        series("scratch", vec![(10.0, 80.0)]),
    ];
    let table = vec![
        bar("MAE", Some(83.1), Some(1.5), 3),
        bar("From scratch", Some(80.9), Some(0.4), 3),
        bar("R-MAE with a very long name indeed, really", Some(82.3), None, 1),
        bar("C-MAE", None, None, 0),
    ];
    for (suffix, theme) in [("auto", Theme::Auto), ("dark", Theme::Dark)] {
        let base = || LineChart {
            theme,
            smooth: 0.95,
            ..chart(all.clone())
        };
        let charts = [
            ("curves", base().svg()),
            (
                "below",
                LineChart {
                    series: (0..5).map(long).collect(),
                    width: 480,
                    ..base()
                }
                .svg(),
            ),
            ("log", LineChart { log_y: true, ..base() }.svg()),
            (
                "loglog",
                LineChart {
                    log_x: true,
                    log_y: true,
                    series: all[..2].to_vec(),
                    ..base()
                }
                .svg(),
            ),
            (
                "lr",
                LineChart {
                    smooth: 0.0,
                    series: vec![lr.clone()],
                    width: 320,
                    height: 200,
                    ..base()
                }
                .svg(),
            ),
            (
                "dots",
                LineChart {
                    smooth: 0.0,
                    series: dots.clone(),
                    ..base()
                }
                .svg(),
            ),
            (
                "same",
                LineChart {
                    smooth: 0.0,
                    series: (0..4)
                        .map(|k| Series {
                            colour: 0,
                            ..run(names[k], k * 4)
                        })
                        .collect(),
                    ..base()
                }
                .svg(),
            ),
            ("empty", LineChart { series: vec![], ..base() }.svg()),
            (
                "bars",
                BarChart {
                    theme,
                    ..bars(table.clone())
                }
                .svg(),
            ),
        ];
        for (name, svg) in charts {
            std::fs::write(std::path::Path::new(&dir).join(format!("{name}-{suffix}.svg")), svg).expect("the folder can be written");
        }
    }
}
