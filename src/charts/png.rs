//! A chart as a PNG, for slides and programs that know no SVG. Text is drawn with fonts of our own, and signs that these lack with
//! those of the machine.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use epaint_default_fonts::{EMOJI_ICON, HACK_REGULAR, NOTO_EMOJI_REGULAR, UBUNTU_LIGHT};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, ID};
use resvg::usvg::{FontResolver, Options, Tree};
use skrifa::FontRef;
use skrifa::charmap::Charmap;

use super::canvas::UNIT;
use super::grid::size;

/// Pixels of the image for each of the chart's, so that it is sharp in print.
const SHARPNESS: f32 = 2.0;
/// Most pixels of an image.
const LARGEST: u64 = 64_000_000;

/// Fonts, and the one of them that text is drawn with; the others have the signs that it lacks.
struct Fonts {
    all: Arc<Database>,
    text: Option<ID>,
}

/// Those that the program brings: letters, then arrows and mathematics, then what people put into titles besides.
static OWN: LazyLock<Fonts> = LazyLock::new(|| {
    let mut all = Database::new();
    for font in [UBUNTU_LIGHT, HACK_REGULAR, NOTO_EMOJI_REGULAR, EMOJI_ICON] {
        all.load_font_data(font.to_vec());
    }
    let text = all.faces().next().map(|face| face.id);
    Fonts { all: Arc::new(all), text }
});

/// Those of the machine, too, which may be none. They are read only for a sign that ours lack, so that a chart looks the same
/// wherever it is drawn.
static SYSTEM: LazyLock<Fonts> = LazyLock::new(|| {
    let mut all = Database::clone(&OWN.all);
    all.load_system_fonts();
    Fonts {
        text: OWN.text,
        all: Arc::new(all),
    }
});

impl Fonts {
    fn for_text(text: &str) -> &'static Fonts {
        if OWN.lacking(text).is_empty() { &OWN } else { &SYSTEM }
    }

    /// The signs of a text that no font has. What is not seen is no sign.
    fn lacking(&self, text: &str) -> BTreeSet<char> {
        let seen = |c: &char| !(c.is_ascii() || c.is_whitespace() || c.is_control() || is_invisible(*c));
        let mut signs: BTreeSet<char> = text.chars().filter(seen).collect();
        signs.retain(|c| !self.has(*c));
        signs
    }

    fn has(&self, c: char) -> bool {
        let has = |data: &[u8], index| FontRef::from_index(data, index).is_ok_and(|font| Charmap::new(&font).map(c).is_some());
        let mut faces = self.all.faces();
        faces.any(|face| self.all.with_face_data(face.id, has) == Some(true))
    }
}

/// Joiners, directions and variants: they change the signs beside them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// The signs of a text, or of a whole chart, that no font has here, so that a PNG shows boxes for them.
pub fn missing_signs(text: &str) -> BTreeSet<char> {
    Fonts::for_text(text).lacking(text)
}

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
    let fonts = Fonts::for_text(chart);
    let options = Options {
        fontdb: Arc::clone(&fonts.all),
        font_resolver: FontResolver {
            // Also where the machine has a font of the same name.
            select_font: Box::new(|_, _| fonts.text),
            select_fallback: FontResolver::default_fallback_selector(),
        },
        ..Options::default()
    };
    let sized = emboldened(chart).replacen("width=\"100%\"", &format!("width=\"{width}\" height=\"{height}\""), 1);
    let tree = Tree::from_str(&sized, &options).map_err(|fault| format!("the chart cannot be drawn: {fault}"))?;
    let mut image = Pixmap::new(wide, high).ok_or("an image has at least one pixel")?;
    let scale = SHARPNESS / UNIT as f32;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut image.as_mut());
    image.encode_png().map_err(|fault| format!("the chart cannot be drawn: {fault}"))
}

/// The chart with an outline around bold text: the font that text is drawn with has no bold letters.
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
