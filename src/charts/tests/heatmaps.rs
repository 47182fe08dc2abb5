//! Heat maps, charts beside each other, and charts as PNG.

use super::*;

pub fn heatmap(rows: usize, columns: usize, scale: ColorScale, theme: Theme) -> Heatmap {
    let value = |row: usize, column: usize| match scale {
        ColorScale::Unit => 1.0 - (row * column) as f64 / (rows * columns) as f64,
        ColorScale::Around(end) => end * ((row as f64 - column as f64) / rows as f64),
    };
    let cell = |row: usize, column: usize| HeatCell {
        value: (row + column > 0).then(|| value(row, column)),
        tip: format!("block {row}, ratio {column}"),
    };
    Heatmap {
        title: "MAE & friends · cka".to_owned(),
        x_label: "ratio".to_owned(),
        y_label: "block".to_owned(),
        columns: (0..columns).map(|column| format!("0.{}", column + 1)).collect(),
        rows: (1..=rows).map(|row| row.to_string()).collect(),
        cells: (0..rows)
            .map(|row| (0..columns).map(|column| cell(row, column)).collect())
            .collect(),
        scale,
        bar: true,
        width: 460,
        height: 300,
        theme,
    }
}

#[test]
fn a_heat_map_tells_every_number_and_what_is_undefined() {
    for theme in [Theme::Auto, Theme::Light, Theme::Dark] {
        let svg = heatmap(12, 9, ColorScale::Unit, theme).svg();
        check(&svg);
        assert_eq!(svg.matches("<title>block ").count(), 12 * 9);
        assert!(svg.contains("MAE &amp; friends") && svg.contains("<title>block 3, ratio 4</title>"));
        assert_eq!(svg.matches('–').count(), 1, "one cell is undefined");
        // The light end of the map, and the numbers at the ends of its bar.
        assert!(svg.contains("#F9ED52") || svg.contains("#f9ed52"), "{svg}");
    }
    check(&heatmap(0, 0, ColorScale::Unit, Theme::Auto).svg());
    check(&heatmap(60, 60, ColorScale::Around(0.2), Theme::Auto).svg());
}

#[test]
fn equal_numbers_have_equal_colors_whatever_the_others_are() {
    let one = |other: f64| {
        let mut map = heatmap(1, 2, ColorScale::Unit, Theme::Light);
        map.bar = false;
        map.cells[0][0].value = Some(0.4);
        map.cells[0][1].value = Some(other);
        let svg = map.svg();
        let cells: Vec<&str> = svg
            .lines()
            .filter(|line| line.starts_with("<rect") && !line.contains("fill-opacity"))
            .collect();
        cells[1].split("fill=").nth(1).unwrap().split('"').nth(1).unwrap().to_owned()
    };
    assert_eq!(one(0.41), one(0.99));
}

#[test]
fn charts_beside_each_other_are_one_image() {
    let map = || heatmap(4, 3, ColorScale::Unit, Theme::Light).svg();
    let svg = grid("All \"models\"", &[map(), map(), map()], 2);
    assert!(svg.contains("viewBox=\"0 0 9280 6080\""), "{}", &svg[..300]);
    assert_eq!(svg.matches("<svg").count(), 4);
    assert_eq!(svg.matches("width=\"100%\"").count(), 1);
    assert!(svg.contains("x=\"4680\" y=\"0\"") && svg.contains("x=\"0\" y=\"3080\"") && svg.contains("&quot;models&quot;"));
    assert!(!png(&svg).unwrap().is_empty());
    assert!(grid("", &[], 3).contains("viewBox=\"0 0 0 0\""));
}

#[test]
fn a_png_has_the_colors_and_the_text_of_the_chart() {
    let mut map = heatmap(2, 2, ColorScale::Unit, Theme::Light);
    map.cells.iter_mut().flatten().for_each(|cell| cell.value = Some(1.0));
    let image = image::load_from_memory(&png(&map.svg()).unwrap()).unwrap().to_rgb8();
    assert_eq!(image.dimensions(), (920, 600));
    let count = |color: [u8; 3]| image.pixels().filter(|pixel| pixel.0 == color).count();
    assert!(count([0xf9, 0xed, 0x52]) > 100_000, "most of it is cells of 1");
    assert!(count([255; 3]) > 50_000, "on white");
    let mut of = |title: &str| {
        map.title = title.to_owned();
        let image = image::load_from_memory(&png(&map.svg()).unwrap()).unwrap().to_rgb8();
        image.rows().take(60).flatten().filter(|pixel| pixel.0[0] < 100).count()
    };
    let (short, long) = (of("M"), of("MMMMMMMM"));
    assert!(
        short > 20 && long > 6 * short,
        "{short} and {long} dark pixels: text is drawn without a font of the system"
    );
}

#[test]
fn a_line_with_a_range_covers_what_is_asked() {
    let mut lines = chart(vec![series("0.1", vec![(1.0, 0.9), (2.0, 0.8), (3.0, 0.85)])]);
    lines.series[0].band = vec![(1.0, 0.88, 0.92), (2.0, 0.7, 0.9), (3.0, 0.84, 0.86)];
    lines.y_covers = Some((0.0, 1.0));
    let svg = lines.svg();
    check(&svg);
    assert_eq!(svg.matches("<polygon").count(), 1);
    assert!(svg.contains(">\n0\n</text>") && svg.contains(">\n1.0\n</text>"), "{svg}");
    let empty = LineChart {
        y_covers: Some((0.0, 1.0)),
        ..chart(vec![])
    };
    assert!(empty.svg().contains("No points yet"));
}
