//! A study's table for a paper: a LaTeX float with the rules of the package booktabs, no wider than the text.

use std::fmt::Write as _;

use super::latex_text::{escaped, label, needs, one_line};
use super::study::Study;
use super::table::{Entry, Table};

/// What a float says of its table besides the numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caption {
    /// What `\ref` names, such as `tab:methods-quick`.
    pub label: String,
    /// At which scale and on which images our numbers were measured.
    pub setting: String,
    /// Where the paper's numbers come from; may be empty.
    pub paper: String,
}

impl Caption {
    /// What is said of a study at a scale; empty `data` is the scale's own images.
    pub fn of(study: &Study, scale: &str, data: &str) -> Caption {
        Caption {
            label: format!("tab:{}-{scale}", study.name),
            setting: match data {
                "" | "builtin" => format!("Ours at scale {scale}"),
                // A paper says which images, not where they lie.
                path => format!(
                    "Ours at scale {scale} on {}",
                    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
                ),
            },
            paper: study.paper.clone(),
        }
    }
}

impl Table {
    /// The table as a LaTeX float: ours beside the paper's, the best of each column in bold, and in the caption how many seeds
    /// a mean is of.
    pub fn to_latex(&self, caption: &Caption) -> String {
        let has_paper: Vec<bool> = (0..self.columns.len()).map(|column| self.has_paper(column)).collect();
        let usual = self.usual_n();
        let mut text = String::from("\\begin{table}\n  \\centering\n");
        let _ = writeln!(text, "  \\caption{{{}}}", self.caption(caption, usual, has_paper.contains(&true)));
        let _ = writeln!(text, "  \\label{{{}}}", label(&caption.label));
        let widths: String = has_paper.iter().map(|has| if *has { "rr" } else { "r" }).collect();
        // A table that is wider than the text is made smaller; others keep their size.
        text.push_str("  \\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n");
        let _ = writeln!(text, "  \\begin{{tabular}}{{l{widths}}}\n    \\toprule");
        self.write_heads(&mut text, &has_paper);
        text.push_str("    \\midrule\n");
        for row in &self.rows {
            let _ = write!(text, "    {}", escaped(&row.title));
            for ((column, entry), has_paper) in self.columns.iter().zip(&row.entries).zip(&has_paper) {
                let _ = write!(text, " & {}", ours(entry, column.decimals, usual));
                if *has_paper {
                    let _ = write!(
                        text,
                        " & {}",
                        entry.paper_text(column.decimals).map(|paper| escaped(&paper)).unwrap_or_default()
                    );
                }
            }
            text.push_str(" \\\\\n");
        }
        text.push_str("    \\bottomrule\n  \\end{tabular}}\n\\end{table}\n");
        text.insert_str(0, &needs(&text));
        for row in self.rows.iter().filter(|row| !row.note.is_empty()) {
            let _ = writeln!(text, "% {}: {}", one_line(&row.title), one_line(&row.note));
        }
        text
    }

    /// One line of titles, and one below that says which is ours if the paper has numbers.
    fn write_heads(&self, text: &mut String, has_paper: &[bool]) {
        text.push_str("   ");
        for (column, has_paper) in self.columns.iter().zip(has_paper) {
            let (heading, span) = (escaped(&column.heading()), if *has_paper { 2 } else { 1 });
            let _ = write!(text, " & \\multicolumn{{{span}}}{{c}}{{{heading}}}");
        }
        text.push_str(" \\\\\n");
        if !has_paper.contains(&true) {
            return;
        }
        let (mut rules, mut names, mut at) = (String::new(), String::new(), 2);
        for has_paper in has_paper {
            let width = if *has_paper { 2 } else { 1 };
            let _ = write!(rules, "\\cmidrule(lr){{{at}-{}}}", at + width - 1);
            names.push_str(if *has_paper { " & ours & paper" } else { " & ours" });
            at += width;
        }
        let _ = writeln!(text, "    {rules}\n   {names} \\\\");
    }

    fn caption(&self, caption: &Caption, usual: usize, has_paper: bool) -> String {
        let mut text = format!("{}.", escaped(self.title.trim_end_matches('.')));
        if !caption.setting.is_empty() {
            let _ = write!(text, " {}.", escaped(caption.setting.trim_end_matches('.')));
        }
        let entries = || self.rows.iter().flat_map(|row| &row.entries);
        match usual {
            0 => text.push_str(" No number yet."),
            1 => text.push_str(" One seed ($n = 1$)"),
            n => {
                let _ = write!(text, " Mean $\\pm$ standard deviation over $n = {n}$ seeds");
            }
        }
        if usual > 0 {
            let others = entries().any(|entry| !entry.values.is_empty() && entry.values.len() != usual);
            text.push_str(if others { ", unless said otherwise." } else { "." });
        }
        if self.has_best() {
            text.push_str(" Bold: the best of ours.");
        }
        if entries().any(|entry| entry.values.is_empty() && !entry.missing.is_empty()) {
            text.push_str(" A dash: not measured yet.");
        }
        if entries().any(|entry| entry.uncertain) {
            text.push_str(" A question mark: whether the paper's number is of this row is uncertain.");
        }
        if has_paper && !caption.paper.is_empty() {
            let _ = write!(text, " Paper: {}.", escaped(caption.paper.trim_end_matches('.')));
        }
        text
    }
}

/// Our number, with its count where that is not the usual one; a dash where a run has none yet.
fn ours(entry: &Entry, decimals: usize, usual: usize) -> String {
    let Some(text) = entry.mean_text(decimals) else {
        return if entry.missing.is_empty() { String::new() } else { "--".to_owned() };
    };
    let number = text.replace('±', "\\pm");
    let number = if entry.best { format!("\\mathbf{{{number}}}") } else { number };
    let n = entry.values.len();
    let count = if n == usual { String::new() } else { format!("_{{\\,n={n}}}") };
    format!("${number}{count}$")
}
