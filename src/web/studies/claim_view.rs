//! A judged claim as pages show it: a chip, a sentence, and a line with an interval for each comparison.

use std::fmt::Write as _;

use crate::app::studies::{JudgedClaim, Next};
use crate::charts::IntervalMark;
use crate::experiment::claim::Bound;
use crate::experiment::next::estimate_text;
use crate::experiment::verdict::{Finding, Number};
use crate::experiment::{Judgment, Past, Study, Verdict};
use crate::web::filters::duration_text;
use crate::web::runs::view::sign_of;

/// Comparisons beyond which they are folded away.
const FOLDED: usize = 4;

/// A claim of a page.
pub struct ClaimView {
    /// The study's name, then its own: two studies may have claims of one name.
    pub names: (String, String),
    /// What is claimed.
    pub says: String,
    /// Where the paper says so.
    pub source: String,
    /// Where a margin comes from.
    pub note: String,
    /// What the numbers say.
    pub verdict: Verdict,
    /// The comparisons that have numbers enough for one.
    pub lines: Vec<FindingView>,
    /// How many there are in all.
    pub all: usize,
    /// `12 supported, 6 not separated`.
    pub summary: String,
    /// Why there is not enough, in a sentence.
    pub lacks: Option<String>,
    /// What to run next, where a page says so.
    pub next: Option<NextView>,
}

/// A comparison of a claim.
pub struct FindingView {
    /// What is compared, and where.
    pub what: (String, String),
    /// The difference.
    pub effect: String,
    /// Its interval, size and count.
    pub details: String,
    /// What the claim says of it.
    pub said: String,
    /// The paper's difference, with a question mark where it is uncertain.
    pub paper: Option<String>,
    /// The interval drawn.
    pub mark: String,
    /// What it says.
    pub verdict: Verdict,
    /// The runs of both sides: seed, number, address.
    pub runs: [Vec<RunLink>; 2],
}

/// A run that decides.
pub struct RunLink {
    /// Seed.
    pub seed: u64,
    /// Its number.
    pub text: String,
    /// Its page.
    pub href: String,
}

/// What to run next.
pub struct NextView {
    /// `3 runs of seeds 0 and 1`, or nothing to queue.
    pub what: Option<String>,
    /// How long they take.
    pub takes: Option<String>,
    /// How many wait or work already.
    pub under_way: u64,
    /// About how many seeds would decide it.
    pub estimate: Option<String>,
}

impl ClaimView {
    /// The claim of that study without what to run next.
    pub fn of(study: &str, judgment: &Judgment) -> ClaimView {
        let Judgment { claim, verdict, findings } = judgment;
        let ends = findings.iter().filter_map(|finding| finding.interval.zip(finding.difference));
        let range = IntervalMark::range(ends.flat_map(|((low, high), difference)| {
            // A single wide interval must not squeeze all others: two seeds give intervals that are dozens of times as wide.
            let reach = 6.0 * difference.mean.abs().max(difference.standard_error);
            [low.max(-reach), high.min(reach), difference.mean]
        }));
        let count = |verdict: Verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        let counts = Verdict::ALL.map(|verdict| (verdict, count(verdict)));
        let counts = counts
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(verdict, n)| format!("{n} {}", verdict.text()));
        ClaimView {
            names: (study.to_owned(), claim.id.clone()),
            says: claim.says.clone(),
            source: claim.source.clone(),
            note: claim.note.clone(),
            verdict: *verdict,
            lines: findings.iter().filter_map(|finding| line(finding, range)).collect(),
            all: findings.len(),
            summary: counts.collect::<Vec<_>>().join(", "),
            lacks: judgment.lacks(),
            next: None,
        }
    }

    /// The claim with what to run next.
    pub fn with_next(study: &str, claim: &JudgedClaim, past: &Past) -> ClaimView {
        let JudgedClaim { judgment, next } = claim;
        ClaimView {
            next: (!judgment.verdict.is_decided()).then(|| NextView::of(next, past)),
            ..ClaimView::of(study, judgment)
        }
    }

    /// Where it stands on a page.
    pub fn id(&self) -> String {
        anchor(&self.names.0, &self.names.1)
    }

    /// Whether the comparisons are folded away at first.
    pub fn is_folded(&self) -> bool {
        self.lines.len() > FOLDED
    }

    /// The sign of the verdict.
    pub fn sign(&self) -> &'static str {
        verdict_sign(self.verdict)
    }
}

impl NextView {
    fn of(next: &Next, past: &Past) -> NextView {
        let runs = next.runs();
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let mut what = format!("{} run{}", runs.len(), plural(runs.len()));
        let seeds: Vec<String> = next.seeds.iter().map(ToString::to_string).collect();
        let _ = write!(what, " of seed{} {}", plural(seeds.len()), seeds.join(", "));
        if !next.again.is_empty() {
            let _ = write!(what, ", {} of them retried", next.again.len());
        }
        NextView {
            takes: past.expect_all(&runs).filter(|_| !runs.is_empty()).map(duration_text),
            what: (!runs.is_empty()).then_some(what),
            under_way: next.under_way as u64,
            estimate: next.estimate.map(estimate_text),
        }
    }
}

/// Where the claim of a study stands on a page.
pub fn anchor(study: &str, claim: &str) -> String {
    format!("{study}-{claim}")
}

/// A sign for a verdict, so that color is not the only cue.
pub fn verdict_sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Supported => sign_of("finished"),
        Verdict::Contradicted => sign_of("failed"),
        Verdict::NotSeparated => "≈",
        Verdict::NotEnough => sign_of("none"),
    }
}

/// The claims of a study as its table stands.
pub fn claims_of(study: &Study, table: &crate::experiment::Table) -> Vec<ClaimView> {
    let judge = |claim| ClaimView::of(&study.name, &crate::experiment::judge(claim, table));
    study.claims.iter().map(judge).collect()
}

fn line(finding: &Finding, range: (f64, f64)) -> Option<FindingView> {
    let (difference, interval, effect) = (finding.difference?, finding.interval?, finding.effect()?);
    let (mean, details) = effect.split_once(" (")?;
    let wanted = match finding.part.bound {
        Bound::AtLeast(least) => (least, f64::INFINITY),
        Bound::Within(margin) => (-margin, margin),
    };
    let mark = IntervalMark {
        mean: difference.mean,
        interval,
        wanted,
        range: IntervalMark::range([range.0, range.1].into_iter().chain([wanted.0, wanted.1])),
        says: format!("{}: {effect}; claimed is {}", finding.what(), finding.said()),
    };
    let links = |numbers: &[Number]| {
        let link = |number: &Number| RunLink {
            seed: number.seed,
            text: format!("{:.*}", finding.decimals, number.value),
            href: format!("/runs/{}", number.run),
        };
        numbers.iter().map(link).collect()
    };
    Some(FindingView {
        what: (format!("{} − {}", finding.names.0, finding.names.1), finding.around.clone()),
        effect: mean.to_owned(),
        details: details.trim_end_matches(')').to_owned(),
        said: finding.said(),
        paper: finding.paper_text(),
        mark: mark.svg(),
        verdict: finding.verdict,
        runs: [links(&finding.numbers.0), links(&finding.numbers.1)],
    })
}
