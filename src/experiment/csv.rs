//! Text as a field of a CSV file.

/// Signs with which a spreadsheet takes a cell for a formula, also in the width of East Asian text.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// A field, quoted where it must be. Text that a spreadsheet would compute has a `'` before it; a number stays one.
pub fn field(text: &str) -> String {
    let computed = text.starts_with(FORMULA) && !is_number(text);
    let text = if computed { format!("'{text}") } else { text.to_owned() };
    // Where the comma stands in numbers, programs take the semicolon for the end of a field.
    if text.contains([',', ';', '\t', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

fn is_number(text: &str) -> bool {
    let of_a_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    text.chars().all(of_a_number) && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_compute_is_text() {
        let formulas = [
            "=1+1", "=top1", "+dB", "-aug", "@SUM(A1)", "-1+2", "+1-cmd", "-inf", "--1", "-", "＝1", "-1e5x",
        ];
        for text in formulas {
            assert_eq!(field(text), format!("'{text}"));
        }
        assert_eq!(field("\t=1"), "\"'\t=1\"");
        assert_eq!(field("\r=1"), "\"'\r=1\"");
        assert_eq!(field("=HYPERLINK(\"x\",1)"), "\"'=HYPERLINK(\"\"x\"\",1)\"");
    }

    #[test]
    fn numbers_and_plain_text_stay_as_they_are() {
        for text in ["", "-0.5", "+5", "-1.5e-7", "83.1", "mae", "a=b", "a-b", "α → β", "'=1", "%"] {
            assert_eq!(field(text), text);
        }
        assert_eq!(field("a;=1"), "\"a;=1\"");
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
