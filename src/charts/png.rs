//! A chart as a PNG, for slides and programs that know no SVG. Text is drawn with a font of our own.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

use super::canvas::UNIT;
use super::grid::size;

/// Pixels of the image for each of the chart's, so that it is sharp in print.
const SHARPNESS: f32 = 2.0;
/// Most pixels of an image.
const LARGEST: u64 = 64_000_000;

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts.faces().next().and_then(|face| Some(face.families.first()?.0.clone()));
    if let Some(family) = family {
        fonts.set_sans_serif_family(family);
    }
    Arc::new(fonts)
});

/// Draws a chart of this module, made for [`Theme::Light`](super::Theme::Light) or [`Theme::Dark`](super::Theme::Dark): colors
/// that depend on a page are not known here.
///
/// # Errors
/// A chart that is too large to be drawn, with what is allowed.
pub fn png(chart: &str) -> Result<Vec<u8>, String> {
    let (width, height) = size(chart).ok_or("there is no chart to draw")?;
    let pixels = |units: u32| (units as f32 / UNIT as f32 * SHARPNESS).ceil() as u32;
    let (wide, high) = (pixels(width), pixels(height));
    if u64::from(wide) * u64::from(high) > LARGEST {
        return Err(format!(
            "an image of {wide} by {high} pixels is too large: it has at most {LARGEST}"
        ));
    }
    let options = Options {
        fontdb: Arc::clone(&FONTS),
        ..Options::default()
    };
    let sized = emboldened(chart).replacen("width=\"100%\"", &format!("width=\"{width}\" height=\"{height}\""), 1);
    let tree = Tree::from_str(&sized, &options).map_err(|fault| format!("the chart cannot be drawn: {fault}"))?;
    let mut image = Pixmap::new(wide, high).ok_or("an image has at least one pixel")?;
    let scale = SHARPNESS / UNIT as f32;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut image.as_mut());
    image.encode_png().map_err(|fault| format!("the chart cannot be drawn: {fault}"))
}

/// The chart with an outline around bold text: the one font that is loaded has no bold letters.
fn emboldened(chart: &str) -> String {
    const BOLD: &str = "font-weight=\"bold\"";
    let (mut drawn, mut rest) = (String::with_capacity(chart.len()), chart);
    while let Some((before, after)) = rest.split_once(BOLD) {
        // plotters writes the color before the weight.
        let fill = before.rsplit_once("fill=\"").and_then(|(_, fill)| fill.split('"').next());
        let _ = write!(
            drawn,
            "{before}{BOLD} stroke=\"{}\" stroke-width=\"{}\"",
            fill.unwrap_or("none"),
            UNIT / 2
        );
        rest = after;
    }
    drawn + rest
}
