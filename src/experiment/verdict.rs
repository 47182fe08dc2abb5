//! Judging a claim on a table: what each part's numbers say, and what that makes of the whole.
//!
//! A claim of several parts is supported if every part is, each at its own level: no correction is needed, for to support the
//! claim wrongly at least one wrong part must be supported (intersection-union test, Berger 1982). It is contradicted if one
//! part is; there each part is one more chance to be wrong, so those probabilities are Holm's.

use std::str::FromStr;

use serde::Serialize;

use super::claim::{Bound, Claim, Part};
use super::run::RunId;
use super::statistics::{Difference, Pairing, holm};
use super::table::{Entry, Table};

/// One-sided level of orders and gaps: both ends of a 95 % interval.
const LEVEL: f64 = 0.025;
/// Level of each of the two one-sided tests of an equivalence: its 90 % interval must lie within the margin. Schuirmann 1987.
const LEVEL_EQUAL: f64 = 0.05;

/// What runs say about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Supported,
    /// The opposite holds.
    Contradicted,
    /// Neither can be told from these numbers.
    NotSeparated,
    /// There are fewer than two seeds somewhere.
    NotEnough,
}

impl FromStr for Verdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Verdict::ALL.into_iter().find(|verdict| verdict.name() == text);
        known.ok_or_else(|| {
            format!(
                "`{text}` is not a verdict: it must be one of {}",
                Verdict::ALL.map(Verdict::name).join(", ")
            )
        })
    }
}

impl Verdict {
    /// All, in the order pages count them.
    pub const ALL: [Verdict; 4] = [Verdict::Supported, Verdict::Contradicted, Verdict::NotSeparated, Verdict::NotEnough];

    /// The words.
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Supported => "supported",
            Verdict::Contradicted => "contradicted",
            Verdict::NotSeparated => "not separated",
            Verdict::NotEnough => "not enough data",
        }
    }

    /// The name in addresses and classes.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Supported => "supported",
            Verdict::Contradicted => "contradicted",
            Verdict::NotSeparated => "not-separated",
            Verdict::NotEnough => "not-enough",
        }
    }

    /// Whether more runs would not change it, as far as one can tell.
    pub fn is_decided(self) -> bool {
        matches!(self, Verdict::Supported | Verdict::Contradicted)
    }
}

/// A claim and what a table says about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgment {
    /// The claim.
    pub claim: Claim,
    /// What the table says.
    pub verdict: Verdict,
    /// Of each part.
    pub findings: Vec<Finding>,
}

/// A part of a claim and what a table says about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The part.
    pub part: Part,
    /// What is compared, for people: `MAE`, `From scratch`, or with the columns where those differ.
    pub names: (String, String),
    /// Where: the heading of the column, or of the row.
    pub around: String,
    /// The unit of the difference, in points.
    pub unit: &'static str,
    /// Digits after the point.
    pub decimals: usize,
    /// What the numbers say.
    pub verdict: Verdict,
    /// The difference, if there are numbers enough.
    pub difference: Option<Difference>,
    /// The interval that decides: 95 % of orders and gaps, 90 % of equivalences.
    pub interval: Option<(f64, f64)>,
    /// Probability of the interval.
    pub level: f64,
    /// The same difference of the paper's numbers.
    pub paper: Option<f64>,
    /// Whether one of these two numbers may be another row's.
    pub uncertain: bool,
    /// The numbers, first and second place, with seed and run.
    pub numbers: (Vec<Number>, Vec<Number>),
    /// Why there is not enough: who, and what they have too little of.
    pub lacks: Vec<(String, String)>,
    /// About how many seeds would decide it, if difference and spread stay as they are: an estimate.
    pub seeds_to_separate: Option<usize>,
}

/// A number that decides, and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Number {
    /// Seed.
    pub seed: u64,
    /// Run.
    pub run: RunId,
    /// Number.
    pub value: f64,
}

/// Judges a claim. Numbers that are not finite count as missing.
pub fn judge(claim: &Claim, table: &Table) -> Judgment {
    let mut findings: Vec<Finding> = claim.parts().into_iter().map(|part| find(part, table)).collect();
    let against: Vec<f64> = findings.iter().map(|finding| finding.p_against().unwrap_or(1.0)).collect();
    for (finding, against) in findings.iter_mut().zip(holm(&against)) {
        finding.settle(against);
    }
    let standing = findings.iter().filter(|finding| finding.verdict != Verdict::Contradicted).count();
    for finding in findings.iter_mut().filter(|finding| finding.verdict == Verdict::NotSeparated) {
        finding.estimate(standing);
    }
    let all = |verdict: Verdict| findings.iter().all(|finding| finding.verdict == verdict);
    let any = |verdict: Verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let verdict = match () {
        () if any(Verdict::Contradicted) => Verdict::Contradicted,
        () if any(Verdict::NotEnough) => Verdict::NotEnough,
        () if all(Verdict::Supported) => Verdict::Supported,
        () => Verdict::NotSeparated,
    };
    Judgment {
        claim: claim.clone(),
        verdict,
        findings,
    }
}

impl Judgment {
    /// Why there is not enough, in one sentence over all parts: `MAE, R-MAE: one seed; From scratch: no seed yet (not queued).`
    pub fn lacks(&self) -> Option<String> {
        let mut by_why: Vec<(&str, Vec<&str>)> = Vec::new();
        for (who, why) in self.findings.iter().flat_map(|finding| &finding.lacks) {
            match by_why.iter_mut().find(|(known, _)| known == why) {
                Some((_, all)) if all.contains(&who.as_str()) => {}
                Some((_, all)) => all.push(who),
                None => by_why.push((why, vec![who])),
            }
        }
        let text = by_why.iter().map(|(why, who)| format!("{}: {why}", who.join(", ")));
        let text = text.collect::<Vec<_>>().join("; ");
        (!text.is_empty()).then(|| format!("{text}."))
    }
}

impl Finding {
    /// `R-MAE − MAE, PSNR`.
    pub fn what(&self) -> String {
        format!("{} − {}, {}", self.names.0, self.names.1, self.around)
    }

    /// `+1.50 dB (95 % interval 0.60 to 2.40, n = 3 pairs, g = 1.2)`, if there are numbers enough.
    pub fn effect(&self) -> Option<String> {
        let (difference, (low, high), decimals) = (self.difference?, self.interval?, self.decimals + 1);
        Some(format!(
            "{} ({:.0} % interval {} to {}, {}{})",
            self.points(difference.mean),
            self.level * 100.0,
            signed(low, decimals),
            signed(high, decimals),
            self.n()?,
            difference.size.map(|size| format!(", g = {}", signed(size, 1))).unwrap_or_default()
        ))
    }

    /// A difference with its unit, one digit finer than the numbers themselves.
    pub fn points(&self, difference: f64) -> String {
        let text = signed(difference, self.decimals + 1);
        format!("{text} {}", self.unit).trim_end().to_owned()
    }

    /// The same difference of the paper's numbers, with a question mark if one of them may be another row's: `+0.10 points ?`.
    pub fn paper_text(&self) -> Option<String> {
        let mark = if self.uncertain { " ?" } else { "" };
        self.paper.map(|paper| format!("{}{mark}", self.points(paper)))
    }

    /// `n = 3 pairs`, or `n = 3 and 2` where seeds make no pairs.
    pub fn n(&self) -> Option<String> {
        let Difference { pairing, n, .. } = self.difference?;
        Some(match pairing {
            Pairing::Paired => format!("n = {} pairs", n.0),
            Pairing::Welch => format!("n = {} and {}", n.0, n.1),
        })
    }

    /// What the part says of the difference: `above 0`, `at least 1 dB`, `within ±0.5 points`.
    pub fn said(&self) -> String {
        let text = match self.part.bound {
            Bound::AtLeast(0.0) => "above 0".to_owned(),
            Bound::AtLeast(least) => format!("at least {least} {}", self.unit),
            Bound::Within(margin) => format!("within ±{margin} {}", self.unit),
        };
        text.trim_end().to_owned()
    }

    /// The probability of such numbers if the part were false.
    fn p_for(&self) -> Option<f64> {
        let difference = self.difference?;
        Some(match self.part.bound {
            Bound::AtLeast(least) => difference.p_above(least),
            Bound::Within(margin) => difference.p_above(-margin).max(difference.p_below(margin)),
        })
    }

    /// The probability of such numbers if the part were true.
    fn p_against(&self) -> Option<f64> {
        let difference = self.difference?;
        Some(match self.part.bound {
            Bound::AtLeast(least) => difference.p_below(least),
            Bound::Within(margin) => difference.p_above(margin).min(difference.p_below(-margin)),
        })
    }

    /// Sets the verdict; `against` is corrected for the company of the other parts.
    fn settle(&mut self, against: f64) {
        let level = match self.part.bound {
            Bound::AtLeast(_) => LEVEL,
            Bound::Within(_) => LEVEL_EQUAL,
        };
        self.verdict = match self.p_for() {
            None => Verdict::NotEnough,
            Some(probability) if probability < level => Verdict::Supported,
            Some(_) if against < LEVEL => Verdict::Contradicted,
            Some(_) => Verdict::NotSeparated,
        };
    }

    /// Sets the estimate of seeds. What tends to the opposite must pass Holm's correction among the parts that are not yet
    /// contradicted, `standing` of them: the next of these is judged at that share of the level.
    fn estimate(&mut self, standing: usize) {
        let Some(difference) = self.difference else { return };
        let (mean, against) = (difference.mean, LEVEL / standing as f64);
        self.seeds_to_separate = match self.part.bound {
            Bound::AtLeast(least) if mean < least => difference.seeds_to_separate(&[least - mean], against),
            Bound::AtLeast(least) => difference.seeds_to_separate(&[mean - least], LEVEL),
            Bound::Within(margin) if mean.abs() > margin => difference.seeds_to_separate(&[mean.abs() - margin], against),
            // Both ends must be told apart; near the middle, each with a chance of 90 %.
            Bound::Within(margin) => difference.seeds_to_separate(&[margin - mean, margin + mean], LEVEL_EQUAL),
        };
    }
}

/// A number with its sign, also where rounding leaves none of it.
fn signed(number: f64, decimals: usize) -> String {
    let text = format!("{number:+.decimals$}");
    let nothing = text.chars().all(|c| !c.is_ascii_digit() || c == '0');
    if nothing {
        text.replacen(['+', '-'], "", 1)
    } else {
        text.replacen('-', "−", 1)
    }
}

fn find(part: Part, table: &Table) -> Finding {
    let (upper, lower) = (table.entry(&part.upper), table.entry(&part.lower));
    let (numbers, paper) = match (upper, lower) {
        (Some(upper), Some(lower)) => (
            (numbers(upper), numbers(lower)),
            upper.paper.zip(lower.paper).map(|(upper, lower)| upper - lower),
        ),
        _ => ((Vec::new(), Vec::new()), None),
    };
    let difference = compare(&numbers.0, &numbers.1);
    let level = match part.bound {
        Bound::AtLeast(_) => 1.0 - 2.0 * LEVEL,
        Bound::Within(_) => 1.0 - 2.0 * LEVEL_EQUAL,
    };
    let heads = (table.head(&part.upper), table.head(&part.lower));
    let ((row_1, column_1), (row_2, column_2)) = &heads;
    let (names, around) = if part.upper.column == part.lower.column {
        ((row_1.clone(), row_2.clone()), column_1.clone())
    } else {
        ((column_1.clone(), column_2.clone()), row_1.clone())
    };
    let column = table.column(&part.upper.column);
    let (unit, decimals) = column.map_or(("points", 1), |column| (column.unit.of_difference(), column.decimals));
    let lacks = match difference {
        None => lacks(&names, (&numbers.0, &numbers.1), (upper, lower)),
        Some(_) => Vec::new(),
    };
    Finding {
        interval: difference.map(|difference| difference.interval(level)),
        part,
        names,
        around,
        unit,
        decimals,
        verdict: Verdict::NotEnough,
        difference,
        level,
        paper,
        uncertain: paper.is_some() && [upper, lower].into_iter().flatten().any(|entry| entry.uncertain),
        numbers,
        lacks,
        seeds_to_separate: None,
    }
}

/// Pairs of the seeds that both have, if there are two; else the groups as they are.
fn compare(upper: &[Number], lower: &[Number]) -> Option<Difference> {
    let pairs: Vec<f64> = pairs(upper, lower).map(|(a, b)| a - b).collect();
    if pairs.len() > 1 {
        return Difference::paired(&pairs);
    }
    let values = |numbers: &[Number]| numbers.iter().map(|number| number.value).collect::<Vec<_>>();
    Difference::welch(&values(upper), &values(lower))
}

fn pairs<'a>(upper: &'a [Number], lower: &'a [Number]) -> impl Iterator<Item = (f64, f64)> + 'a {
    upper.iter().filter_map(|a| {
        let b = lower.iter().find(|b| b.seed == a.seed)?;
        Some((a.value, b.value))
    })
}

/// Why two groups cannot be compared.
fn lacks(names: &(String, String), numbers: (&[Number], &[Number]), entries: (Option<&Entry>, Option<&Entry>)) -> Vec<(String, String)> {
    let both = [(&names.0, numbers.0, entries.0), (&names.1, numbers.1, entries.1)];
    let of = |(name, numbers, entry): (&String, &[Number], Option<&Entry>)| {
        let missing = entry.and_then(|entry| entry.missing.first());
        let why = match (numbers.len(), missing) {
            (0, None) => "no such number".to_owned(),
            (0, Some(missing)) => format!("no seed yet ({})", missing.state),
            (1, _) => "one seed".to_owned(),
            _ => return None,
        };
        Some((name.clone(), why))
    };
    let lacking: Vec<_> = both.into_iter().filter_map(of).collect();
    if lacking.is_empty() {
        let both = format!("{} and {}", names.0, names.1);
        return vec![(both, "the same difference at every seed, so no spread to judge it by".to_owned())];
    }
    lacking
}

fn numbers(entry: &Entry) -> Vec<Number> {
    let finite = entry.values.iter().filter(|value| value.value.is_finite());
    finite
        .map(|value| Number {
            seed: value.seed,
            run: value.run.clone(),
            value: value.value,
        })
        .collect()
}
