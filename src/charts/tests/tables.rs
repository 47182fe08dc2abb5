//! Tables as images.

use super::*;

fn cell(text: &str) -> TableCell {
    TableCell {
        text: text.to_owned(),
        ..TableCell::default()
    }
}

/// Two columns with the paper's numbers and one without.
pub fn table() -> TableChart {
    let head = |title: &str, parts: &[&str]| TableHead {
        title: title.to_owned(),
        parts: parts.iter().map(|part| (*part).to_owned()).collect(),
    };
    let best = TableCell {
        strong: true,
        ..cell("83.1 ± 0.2")
    };
    let paper = TableCell {
        muted: true,
        ..cell("83.6")
    };
    let rows = [
        ("MAE", vec![best.clone(), paper, cell("61.0 ± 1.4"), cell("24.31")]),
        ("From <scratch> & more", vec![cell("80.9 (n=1)"), cell(""), best, cell("–")]),
    ];
    TableChart {
        title: "MAE against training from scratch".to_owned(),
        heads: vec![
            head("Finetuned (%)", &["ours", "paper"]),
            head("Linear probe (%)", &["ours"]),
            head("PSNR of masked patches (dB)", &["ours"]),
        ],
        rows: rows.into_iter().map(|(title, cells)| (title.to_owned(), cells)).collect(),
        notes: vec![
            "Ours at scale quick: mean ± standard deviation over n=3 seeds where nothing else is said. Bold: the best of ours.".to_owned(),
        ],
        theme: Theme::Light,
    }
}

/// The places of the texts in a chart that end there: x and what is written.
fn right_ends(svg: &str) -> Vec<(u32, String)> {
    let texts = svg.split("<text ").skip(1).filter(|tag| tag.contains("text-anchor=\"end\""));
    let read = |tag: &str| {
        let x = tag.split_once("x=\"")?.1.split('"').next()?.parse().ok()?;
        let text = tag.split_once('>')?.1.split("</text>").next()?.trim();
        Some((x, text.to_owned()))
    };
    texts.filter_map(read).collect()
}

#[test]
fn numbers_stand_under_their_heads_and_the_best_are_bold() {
    let svg = table().svg();
    let ends = right_ends(&svg);
    let at = |wanted: &str| ends.iter().filter(|(_, text)| text == wanted).map(|(x, _)| *x).collect::<Vec<_>>();
    assert_eq!(at("ours"), [at("80.9 (n=1)"), at("61.0 ± 1.4"), at("24.31")].concat());
    assert_eq!(at("paper"), at("83.6"));
    // The title, and the two numbers.
    assert_eq!(svg.matches("font-weight=\"bold\"").count(), 3);
    assert!(svg.contains("From &lt;scratch&gt; &amp; more"), "text is no markup");
}

#[test]
fn bold_is_seen_in_a_png_too() {
    let plain = TableChart {
        rows: table()
            .rows
            .into_iter()
            .map(|(title, cells)| (title, cells.into_iter().map(|cell| TableCell { strong: false, ..cell }).collect()))
            .collect(),
        ..table()
    };
    assert!(
        png(&table().svg()).unwrap() != png(&plain.svg()).unwrap(),
        "bold looks like the rest"
    );
}

#[test]
fn a_table_without_rows_is_still_a_image() {
    let empty = TableChart {
        rows: Vec::new(),
        ..table()
    };
    assert!(png(&empty.svg()).is_ok());
}

#[test]
fn signs_beside_letters_are_drawn_and_those_that_no_font_has_are_named() {
    let titled = |title: &str| TableChart {
        title: title.to_owned(),
        ..table()
    };
    // A private sign, and one that is not assigned: no font has either.
    let (none, other) = ("\u{f8fe}", "\u{10fffd}");
    for sign in ["α", "↑", "→", "≤", "∑", "“", "\u{1f525}", "é", "Ж"] {
        assert!(missing_signs(&titled(sign).svg()).is_empty(), "{sign}");
    }
    let drawn = |title: &str| png(&titled(title).svg()).unwrap();
    assert_ne!(drawn("↑"), drawn("↓"), "both are boxes");
    assert_ne!(drawn("\u{1f525}"), drawn("\u{1f40c}"), "both are boxes");
    let svg = titled(&format!("a{none}b\u{fe0f}{other} {none}")).svg();
    assert_eq!(missing_signs(&svg).into_iter().collect::<String>(), format!("{none}{other}"));
}
