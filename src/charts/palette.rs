//! Colors of lines and bars.

/// Eight colors for lines and bars; lines that share one differ in their dashes.
///
/// Each has a contrast of at least 3 on white and on `#14161a`. They were found by search: the closest
/// two are as far apart as possible, also with protanopia, deuteranopia and tritanopia (Machado 2009).
pub const PALETTE: [&str; 8] = [
    "#0561d3", "#bd8c17", "#389478", "#d90000", "#936eff", "#109fd1", "#bb0496", "#3a7220",
];

/// The color of a run, group or method: it depends on the name alone, so it is the same on every
/// page, after every reload, and in whatever company the name is shown.
pub fn color_of(name: &str) -> usize {
    // FNV-1a, with its high bits folded in because the lowest three alone repeat for similar names.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = (hash >> 32) ^ hash;
    ((folded >> 16) ^ folded) as usize % PALETTE.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of `#rrggbb`, WCAG 2.2.
    fn luminance(color: &str) -> f64 {
        let channel = |from: usize| {
            let value = f64::from(u8::from_str_radix(&color[from..from + 2], 16).expect("colors are hexadecimal")) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn every_color_is_legible_on_white_and_on_the_dark_page() {
        let dark = luminance("#14161a");
        for color in PALETTE {
            let here = luminance(color);
            assert!(1.05 / (here + 0.05) >= 3.0, "{color} is too light for white");
            assert!((here + 0.05) / (dark + 0.05) >= 3.0, "{color} is too dark for the dark page");
        }
    }

    #[test]
    fn a_color_depends_on_the_name_alone_and_names_spread_over_all() {
        assert_eq!(color_of("mae"), color_of("mae"));
        let mut uses = [0; PALETTE.len()];
        (0..800).for_each(|i| uses[color_of(&format!("{i:016x}"))] += 1);
        assert!(uses.iter().all(|uses| (60..=140).contains(uses)), "{uses:?}");
    }
}
