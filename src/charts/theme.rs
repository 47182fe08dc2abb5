//! Colors of a chart's ground, text and grid: drawn in placeholder inks, painted at the end.
//!
//! The SVG backend only knows fixed colors. So everything is drawn in inks that appear nowhere else,
//! and each ink is replaced by a color, or by a CSS variable that follows the page or the system.

use std::fmt::Write as _;

use plotters::style::RGBColor;

use super::palette::PALETTE;

/// What a chart is drawn for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Takes `--chart-fg`, `--chart-muted`, `--chart-grid` and `--chart-bg` from the page it is inlined
    /// in; without them, and as a file, follows the system's light or dark scheme.
    #[default]
    Auto,
    /// Fixed colors on white, for papers and programs that know no CSS.
    Light,
    /// Fixed colors on `#14161a`.
    Dark,
}

/// Titles and values.
pub(super) const FG: RGBColor = RGBColor(0xFE, 1, 0);
/// Labels and axes.
pub(super) const MUTED: RGBColor = RGBColor(0xFE, 1, 1);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xFE, 1, 2);
/// The ground.
pub(super) const BG: RGBColor = RGBColor(0xFE, 1, 3);

/// The inks with their CSS name and their colors: light, dark.
const INKS: [(RGBColor, &str, &str, &str); 4] = [
    (FG, "fg", "#1b1f24", "#e6e8eb"),
    (MUTED, "muted", "#57606a", "#9aa4af"),
    (GRID, "grid", "#e3e6ea", "#2b3036"),
    (BG, "bg", "#ffffff", "#14161a"),
];

/// Dashes in pixels, as a second cue for lines of one color; the first is solid.
const DASHES: [&[u32]; 4] = [&[], &[7, 4], &[2, 3], &[9, 3, 2, 3]];

/// A color of the palette and a dash: how one series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeriesStyle {
    color: usize,
    dash: usize,
}

impl SeriesStyle {
    /// Both may be any number; they wrap around.
    pub(super) fn new(color: usize, dash: usize) -> SeriesStyle {
        SeriesStyle {
            color: color % PALETTE.len(),
            dash: dash % DASHES.len(),
        }
    }

    /// The placeholder to draw with.
    pub(super) fn ink(self) -> RGBColor {
        RGBColor(0xFE, 2, (self.color * DASHES.len() + self.dash) as u8)
    }

    fn all() -> impl Iterator<Item = SeriesStyle> {
        (0..PALETTE.len()).flat_map(|color| (0..DASHES.len()).map(move |dash| SeriesStyle { color, dash }))
    }
}

/// Replaces every ink; `unit` is the number of drawing units in a pixel.
pub(super) fn paint(mut svg: String, theme: Theme, unit: u32) -> String {
    for (ink, name, light, dark) in INKS {
        let color = match theme {
            Theme::Auto => format!("var(--chart-{name}, var(--chart-auto-{name}, {light}))"),
            Theme::Light => light.to_owned(),
            Theme::Dark => dark.to_owned(),
        };
        svg = svg.replace(&hex(ink), &format!("\"{color}\""));
    }
    for style in SeriesStyle::all() {
        let (ink, color) = (hex(style.ink()), PALETTE[style.color]);
        if !svg.contains(&ink) {
            continue;
        }
        if style.dash > 0 {
            let dashes: Vec<String> = DASHES[style.dash].iter().map(|pixels| (pixels * unit).to_string()).collect();
            svg = svg.replace(
                &format!("stroke={ink}"),
                &format!("stroke=\"{color}\" stroke-dasharray=\"{}\"", dashes.join(" ")),
            );
        }
        svg = svg.replace(&ink, &format!("\"{color}\""));
    }
    svg
}

/// The colors that [`Theme::Auto`] falls back to, as a style element; nothing for fixed themes.
pub(super) fn style(theme: Theme) -> String {
    if theme != Theme::Auto {
        return String::new();
    }
    let (mut light_rules, mut dark_rules) = (String::new(), String::new());
    for (_, name, light, dark) in INKS {
        let _ = write!(light_rules, "--chart-auto-{name}:{light};");
        let _ = write!(dark_rules, "--chart-auto-{name}:{dark};");
    }
    format!("<style>.umbra-chart{{{light_rules}}}@media (prefers-color-scheme: dark){{.umbra-chart{{{dark_rules}}}}}</style>\n")
}

/// An ink as an attribute's value. With its quotes: they are escaped in text, so no text can match.
fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("\"#{red:02X}{green:02X}{blue:02X}\"")
}
