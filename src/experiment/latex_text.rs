//! Text in LaTeX, for pdfLaTeX's usual fonts as well: commands for the signs that it has commands for.

use std::collections::BTreeSet;

/// Signs of LaTeX itself.
#[rustfmt::skip]
const SIGNS: [(char, &str); 239] = [
    ('α', "$\\alpha$"), ('β', "$\\beta$"), ('γ', "$\\gamma$"), ('δ', "$\\delta$"), ('ε', "$\\varepsilon$"), ('ζ', "$\\zeta$"),
    ('η', "$\\eta$"), ('θ', "$\\theta$"), ('\u{3b9}', "$\\iota$"), ('κ', "$\\kappa$"), ('λ', "$\\lambda$"), ('μ', "$\\mu$"),
    ('\u{3bd}', "$\\nu$"), ('ξ', "$\\xi$"), ('\u{3bf}', "o"), ('π', "$\\pi$"), ('ρ', "$\\rho$"), ('ς', "$\\varsigma$"),
    ('σ', "$\\sigma$"), ('τ', "$\\tau$"), ('υ', "$\\upsilon$"), ('φ', "$\\varphi$"), ('χ', "$\\chi$"), ('ψ', "$\\psi$"),
    ('ω', "$\\omega$"), ('\u{391}', "A"), ('\u{392}', "B"), ('\u{393}', "$\\Gamma$"), ('\u{394}', "$\\Delta$"), ('\u{395}', "E"),
    ('\u{396}', "Z"), ('\u{397}', "H"), ('\u{398}', "$\\Theta$"), ('\u{399}', "I"), ('\u{39a}', "K"), ('\u{39b}', "$\\Lambda$"),
    ('\u{39c}', "M"), ('\u{39d}', "N"), ('\u{39e}', "$\\Xi$"), ('\u{39f}', "O"), ('\u{3a0}', "$\\Pi$"), ('\u{3a1}', "P"),
    ('\u{3a3}', "$\\Sigma$"), ('\u{3a4}', "T"), ('\u{3a5}', "$\\Upsilon$"), ('\u{3a6}', "$\\Phi$"), ('\u{3a7}', "X"),
    ('\u{3a8}', "$\\Psi$"), ('\u{3a9}', "$\\Omega$"), ('ϑ', "$\\vartheta$"), ('ϕ', "$\\phi$"), ('ϖ', "$\\varpi$"), ('ϱ', "$\\varrho$"),
    ('ϵ', "$\\epsilon$"), ('\u{b5}', "$\\mu$"), ('\u{2126}', "$\\Omega$"), ('\u{2206}', "$\\Delta$"), ('←', "$\\leftarrow$"),
    ('↑', "$\\uparrow$"), ('→', "$\\rightarrow$"), ('↓', "$\\downarrow$"), ('↔', "$\\leftrightarrow$"), ('↕', "$\\updownarrow$"),
    ('↖', "$\\nwarrow$"), ('↗', "$\\nearrow$"), ('↘', "$\\searrow$"), ('↙', "$\\swarrow$"), ('↦', "$\\mapsto$"),
    ('↪', "$\\hookrightarrow$"), ('↩', "$\\hookleftarrow$"), ('⇐', "$\\Leftarrow$"), ('⇑', "$\\Uparrow$"), ('⇒', "$\\Rightarrow$"),
    ('⇓', "$\\Downarrow$"), ('⇔', "$\\Leftrightarrow$"), ('⇕', "$\\Updownarrow$"), ('⇌', "$\\rightleftharpoons$"),
    ('⟵', "$\\longleftarrow$"), ('⟶', "$\\longrightarrow$"), ('⟷', "$\\longleftrightarrow$"), ('⟸', "$\\Longleftarrow$"),
    ('⟹', "$\\Longrightarrow$"), ('⟺', "$\\Longleftrightarrow$"), ('⟼', "$\\longmapsto$"), ('±', "$\\pm$"), ('∓', "$\\mp$"),
    ('×', "$\\times$"), ('÷', "$\\div$"), ('·', "$\\cdot$"), ('⋅', "$\\cdot$"), ('∗', "$\\ast$"), ('∘', "$\\circ$"),
    ('∙', "$\\bullet$"), ('⋆', "$\\star$"), ('★', "$\\star$"), ('†', "$\\dagger$"), ('‡', "$\\ddagger$"), ('¬', "$\\neg$"),
    ('≤', "$\\leq$"), ('≥', "$\\geq$"), ('≠', "$\\neq$"), ('≈', "$\\approx$"), ('≃', "$\\simeq$"), ('≅', "$\\cong$"),
    ('≡', "$\\equiv$"), ('\u{223c}', "$\\sim$"), ('∝', "$\\propto$"), ('≪', "$\\ll$"), ('≫', "$\\gg$"), ('≺', "$\\prec$"),
    ('≻', "$\\succ$"), ('∞', "$\\infty$"), ('∂', "$\\partial$"), ('∇', "$\\nabla$"), ('∑', "$\\sum$"), ('∏', "$\\prod$"),
    ('∐', "$\\coprod$"), ('∫', "$\\int$"), ('∮', "$\\oint$"), ('√', "$\\surd$"), ('∈', "$\\in$"), ('∋', "$\\ni$"), ('∉', "$\\notin$"),
    ('⊂', "$\\subset$"), ('⊃', "$\\supset$"), ('⊆', "$\\subseteq$"), ('⊇', "$\\supseteq$"), ('∪', "$\\cup$"), ('∩', "$\\cap$"),
    ('∅', "$\\emptyset$"), ('\u{2216}', "$\\setminus$"), ('∀', "$\\forall$"), ('∃', "$\\exists$"), ('∧', "$\\wedge$"),
    ('∨', "$\\vee$"), ('⊕', "$\\oplus$"), ('⊖', "$\\ominus$"), ('⊗', "$\\otimes$"), ('⊙', "$\\odot$"), ('⊥', "$\\perp$"),
    ('⊤', "$\\top$"), ('⊢', "$\\vdash$"), ('\u{2225}', "$\\parallel$"), ('\u{2223}', "$\\mid$"), ('\u{27e8}', "$\\langle$"),
    ('\u{27e9}', "$\\rangle$"), ('\u{230a}', "$\\lfloor$"), ('\u{230b}', "$\\rfloor$"), ('\u{2308}', "$\\lceil$"),
    ('\u{2309}', "$\\rceil$"), ('⋯', "$\\cdots$"), ('⋮', "$\\vdots$"), ('⋱', "$\\ddots$"), ('ℓ', "$\\ell$"), ('ℏ', "$\\hbar$"),
    ('ℑ', "$\\Im$"), ('ℜ', "$\\Re$"), ('ℵ', "$\\aleph$"), ('△', "$\\triangle$"), ('◇', "$\\diamond$"), ('♠', "$\\spadesuit$"),
    ('♥', "$\\heartsuit$"), ('♦', "$\\diamondsuit$"), ('♣', "$\\clubsuit$"), ('♯', "$\\sharp$"), ('♭', "$\\flat$"),
    ('\u{2016}', "$\\|$"), ('\u{2212}', "$-$"), ('°', "$^\\circ$"), ('\u{2032}', "$'$"), ('\u{2033}', "$''$"), ('\u{2044}', "/"),
    ('\u{2215}', "/"), ('¼', "$1/4$"), ('½', "$1/2$"), ('¾', "$3/4$"), ('¹', "$^1$"), ('²', "$^2$"), ('³', "$^3$"), ('⁺', "$^+$"),
    ('⁻', "$^-$"), ('ⁿ', "$^n$"), ('⁰', "$^0$"), ('⁴', "$^4$"), ('⁵', "$^5$"), ('⁶', "$^6$"), ('⁷', "$^7$"), ('⁸', "$^8$"),
    ('⁹', "$^9$"), ('₀', "$_0$"), ('₁', "$_1$"), ('₂', "$_2$"), ('₃', "$_3$"), ('₄', "$_4$"), ('₅', "$_5$"), ('₆', "$_6$"),
    ('₇', "$_7$"), ('₈', "$_8$"), ('₉', "$_9$"), ('\u{2018}', "`"), ('\u{2019}', "'"), ('\u{201c}', "``"), ('\u{201d}', "''"),
    ('\u{201a}', ","), ('\u{201e}', ",,"), ('\u{2039}', "$<$"), ('\u{203a}', "$>$"), ('\u{ab}', "$\\ll$"), ('\u{bb}', "$\\gg$"),
    ('\u{2010}', "-"), ('\u{2011}', "-"), ('\u{2012}', "--"), ('\u{2013}', "--"), ('\u{2014}', "---"), ('\u{2015}', "---"),
    ('…', "\\dots{}"), ('•', "\\textbullet{}"), ('§', "\\S{}"), ('¶', "\\P{}"), ('©', "\\copyright{}"), ('®', "\\textregistered{}"),
    ('™', "\\texttrademark{}"), ('£', "\\pounds{}"), ('€', "\\texteuro{}"), ('¡', "!`"), ('¿', "?`"), ('‰', "\\textperthousand{}"),
    ('\u{a0}', "~"), ('\u{202f}', "\\,"), ('\u{2009}', "\\,"), ('\u{200a}', "\\,"), ('\u{2002}', "\\enspace{}"),
    ('\u{2003}', "\\quad{}"), ('\u{ad}', "\\-"), ('\u{fb00}', "ff"), ('\u{fb01}', "fi"), ('\u{fb02}', "fl"), ('\u{fb03}', "ffi"),
    ('\u{fb04}', "ffl"),
];

/// Signs of the package amssymb.
#[rustfmt::skip]
const AMS_SIGNS: [(char, &str); 19] = [
    ('✓', "$\\checkmark$"), ('✔', "$\\checkmark$"), ('ℝ', "$\\mathbb{R}$"), ('ℕ', "$\\mathbb{N}$"), ('ℤ', "$\\mathbb{Z}$"),
    ('ℚ', "$\\mathbb{Q}$"), ('ℂ', "$\\mathbb{C}$"), ('𝔼', "$\\mathbb{E}$"), ('⩽', "$\\leqslant$"), ('⩾', "$\\geqslant$"),
    ('≲', "$\\lesssim$"), ('≳', "$\\gtrsim$"), ('□', "$\\square$"), ('■', "$\\blacksquare$"), ('▲', "$\\blacktriangle$"),
    ('▼', "$\\blacktriangledown$"), ('∄', "$\\nexists$"), ('∴', "$\\therefore$"), ('∵', "$\\because$"),
];

/// Accents that stand after their letter, as macOS writes names of files.
const ACCENTS: [(char, char); 12] = [
    ('\u{300}', '`'),
    ('\u{301}', '\''),
    ('\u{302}', '^'),
    ('\u{303}', '~'),
    ('\u{304}', '='),
    ('\u{306}', 'u'),
    ('\u{307}', '.'),
    ('\u{308}', '"'),
    ('\u{30a}', 'r'),
    ('\u{30b}', 'H'),
    ('\u{30c}', 'v'),
    ('\u{327}', 'c'),
];

/// Letters between À and ž that pdfLaTeX's usual font lacks.
const NO_LETTERS: &str = "ÐðÞþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲų";

/// Text in which nothing is a command, and signs are the commands for them.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let accent = chars
            .peek()
            .filter(|_| c.is_ascii_alphabetic())
            .and_then(|next| find(&ACCENTS, *next));
        if let Some(accent) = accent {
            escaped.extend(['\\', accent, '{', c, '}']);
            chars.next();
            continue;
        }
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '"' => escaped.push_str("''"),
            // After the end of a row these would belong to it.
            '[' | ']' | '*' => escaped.extend(['{', c, '}']),
            c if c.is_control() => escaped.push(' '),
            // They say how other signs look, or where a line may break.
            '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}' | '\u{fe0e}' | '\u{fe0f}' | '\u{feff}' => {}
            c => match find(&SIGNS, c).or_else(|| find(&AMS_SIGNS, c)) {
                Some(command) => escaped.push_str(command),
                None => escaped.push(c),
            },
        }
    }
    escaped
}

/// Comments on what escaped text needs: packages, and for signs without a command another LaTeX.
pub fn needs(text: &str) -> String {
    let has_ams = AMS_SIGNS.iter().any(|(_, command)| text.contains(command));
    let ams = if has_ams { "amssymb," } else { "" };
    let packages = format!("% Needs \\usepackage{{{ams}booktabs,graphicx}}.\n");
    let others: BTreeSet<char> = text.chars().filter(|c| !is_known(*c)).collect();
    if others.is_empty() {
        return packages;
    }
    let named: Vec<String> = others.iter().map(|c| format!("{c} (U+{:04X})", u32::from(*c))).collect();
    format!(
        "{packages}% Needs XeLaTeX or LuaLaTeX, and a font that has these signs: {}.\n",
        named.join(", ")
    )
}

fn find<T: Copy>(table: &[(char, T)], c: char) -> Option<T> {
    table.iter().find(|(sign, _)| *sign == c).map(|(_, command)| *command)
}

/// Whether pdfLaTeX reads the letter as it stands.
fn is_known(c: char) -> bool {
    c.is_ascii() || matches!(c, 'À'..='ž') && !NO_LETTERS.contains(c)
}

/// A label takes few signs besides letters and digits.
pub fn label(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ":-.".contains(c) { c } else { '-' };
    text.chars().map(plain).collect()
}

/// Text that cannot leave its comment.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_commands() {
        let cases = [
            ("\u{3b1} \u{2191} \u{394}", "$\\alpha$ $\\uparrow$ $\\Delta$"),
            ("a \u{2192} b \u{2212} 1 \u{2264} 2\u{b2}", "a $\\rightarrow$ b $-$ 1 $\\leq$ 2$^2$"),
            ("\u{201c}q\u{201d} \u{2018}r\u{2019}\u{2026}", "``q'' `r'\\dots{}"),
            ("1\u{2013}2\u{2014}3\u{a0}%", "1--2---3~\\%"),
            ("cafe\u{301} caf\u{e9} \u{e7}\u{fe0f}", "caf\\'{e} caf\u{e9} \u{e7}"),
            ("\u{2713}", "$\\checkmark$"),
        ];
        for (text, expected) in cases {
            assert_eq!(escaped(text), expected);
        }
        let all = || SIGNS.iter().chain(&AMS_SIGNS);
        assert_eq!(
            all().map(|(sign, _)| *sign).collect::<BTreeSet<char>>().len(),
            all().count(),
            "each once"
        );
        assert!(all().all(|(sign, command)| !sign.is_ascii() && command.is_ascii()));
    }

    #[test]
    fn what_has_no_command_is_named_with_what_reads_it() {
        let plain = "% Needs \\usepackage{booktabs,graphicx}.\n";
        assert_eq!(needs(&escaped("\u{3b1} caf\u{e9} \u{160}i\u{17e}")), plain);
        assert_eq!(needs(&escaped("\u{211d}")), "% Needs \\usepackage{amssymb,booktabs,graphicx}.\n");
        let signs = "\u{111} (U+0111), \u{6d88} (U+6D88), \u{1f525} (U+1F525)";
        let others = format!("% Needs XeLaTeX or LuaLaTeX, and a font that has these signs: {signs}.\n");
        assert_eq!(needs(&escaped("\u{6d88} \u{1f525} \u{6d88} \u{111}")), format!("{plain}{others}"));
    }
}
