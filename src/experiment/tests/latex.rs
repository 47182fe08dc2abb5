//! The table as a paper takes it.

use super::table::{some, table};
use super::*;

fn caption() -> Caption {
    Caption {
        label: "tab:toy_1 quick".to_owned(),
        setting: "Ours at scale quick on my_data".to_owned(),
        paper: "arXiv 2208.04164, 100% of ImageNet".to_owned(),
    }
}

#[test]
fn a_table_is_a_float_with_rules_bold_and_both_numbers() {
    let expected = r"% Needs \usepackage{booktabs,graphicx}.
\begin{table}
  \centering
  \caption{Toy. Ours at scale quick on my\_data. Mean $\pm$ standard deviation over $n = 2$ seeds, unless said otherwise. Bold: the best of ours. A dash: not measured yet. Paper: arXiv 2208.04164, 100\% of ImageNet.}
  \label{tab:toy-1-quick}
  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
  \begin{tabular}{lrrr}
    \toprule
    & \multicolumn{2}{c}{Fine-tuned (\%)} & \multicolumn{1}{c}{PSNR (dB)} \\
    \cmidrule(lr){2-3}\cmidrule(lr){4-4}
    & ours & paper & ours \\
    \midrule
    MAE & $\mathbf{81.0 \pm 1.4}$ & 83.1 & -- \\
    MAE, fine-tuned for long & $79.0_{\,n=1}$ &  & -- \\
    Random \textbar{} none & -- &  &  \\
    \bottomrule
  \end{tabular}}
\end{table}
";
    assert_eq!(table(some).to_latex(&caption()), expected);
}

#[test]
fn a_column_without_the_papers_numbers_is_one_column() {
    let mut table = table(some);
    table
        .rows
        .iter_mut()
        .for_each(|row| row.entries.iter_mut().for_each(|entry| entry.paper = None));
    let text = table.to_latex(&caption());
    assert!(text.contains("\\begin{tabular}{lrr}\n"), "{text}");
    assert!(!text.contains("cmidrule") && !text.contains("Paper:"), "{text}");
}

#[test]
fn no_text_is_a_command() {
    let mut table = table(some);
    table.title = "50% of A & B_{x}: 2^n \\input{/etc/passwd} ~ #1 $x$".to_owned();
    table.rows[1].title = "[2pt] × 3*".to_owned();
    table.rows[1].note = "two\n\\lines".to_owned();
    let text = table.to_latex(&Caption::default());
    let title =
        "50\\% of A \\& B\\_\\{x\\}: 2\\textasciicircum{}n \\textbackslash{}input\\{/etc/passwd\\} \\textasciitilde{} \\#1 \\$x\\$.";
    assert!(text.contains(title), "{text}");
    assert!(text.contains("\n    {[}2pt{]} $\\times$ 3{*} & "), "{text}");
    assert!(text.ends_with("\n% [2pt] × 3*: two \\lines\n"), "{text}");
}
