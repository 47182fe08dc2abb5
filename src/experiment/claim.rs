//! Claims: what a study's paper concludes, as sentences that runs can support or contradict.

use serde::{Deserialize, Serialize};

use super::study::Study;

/// One conclusion about a study's table.
///
/// What is compared is named by `columns` and `rows`: with `columns`, the names in `chain`, `above`, `below` and `same` are
/// rows, and the claim is about each of these columns; with `rows` they are columns, and it is about each of these rows.
/// "Above" is the larger number, whether that is better or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The name in addresses and on the command line.
    pub id: String,
    /// What is claimed, in a sentence.
    pub says: String,
    /// Where the paper says so, or that we do.
    #[serde(rename = "where")]
    pub source: String,
    /// What kind of claim it is.
    pub kind: ClaimKind,
    /// The columns in which rows are compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The rows in which columns are compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// `order`: each is above the next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// `order`, `gap`: each of these is above each of `below`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<String>,
    /// `order`, `gap`: what `above` is above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub below: Vec<String>,
    /// `equal`: any two of these are alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<String>,
    /// `equal`: the largest difference that still counts as none, in points: the unit of the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin_points: Option<f64>,
    /// `gap`: the smallest difference that counts, in points: the unit of the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_points: Option<f64>,
    /// Where a margin comes from, or what to beware of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What kind of claim it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// One is above the other.
    Order,
    /// They differ by less than a margin.
    Equal,
    /// One is above the other by at least so much.
    Gap,
}

/// A place of the table: row and column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Row id.
    pub row: String,
    /// Column id.
    pub column: String,
}

/// What a claim says about the difference of two places, in the unit of their columns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "points")]
pub enum Bound {
    /// It is at least this; at 0, it is above 0.
    AtLeast(f64),
    /// Its size is below this.
    Within(f64),
}

/// The smallest piece of a claim: a place, another one, and what is said about the first minus the second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// The first place.
    pub upper: Place,
    /// The second place.
    pub lower: Place,
    /// What is said about the difference.
    pub bound: Bound,
}

impl Claim {
    /// The pieces, all of which the claim says at once.
    pub fn parts(&self) -> Vec<Part> {
        let pairs: Vec<(&String, &String)> = match self.kind {
            ClaimKind::Equal => each_with_each(&self.same),
            _ if !self.chain.is_empty() => self.chain.windows(2).map(|two| (&two[0], &two[1])).collect(),
            _ => self
                .above
                .iter()
                .flat_map(|above| self.below.iter().map(move |below| (above, below)))
                .collect(),
        };
        let bound = match self.kind {
            ClaimKind::Order => Bound::AtLeast(0.0),
            ClaimKind::Gap => Bound::AtLeast(self.least_points.unwrap_or_default()),
            ClaimKind::Equal => Bound::Within(self.margin_points.unwrap_or_default()),
        };
        let place = |around: &String, name: &String| {
            let (row, column) = if self.rows.is_empty() { (name, around) } else { (around, name) };
            Place {
                row: row.clone(),
                column: column.clone(),
            }
        };
        let part = |around: &String, (upper, lower): (&String, &String)| Part {
            upper: place(around, upper),
            lower: place(around, lower),
            bound,
        };
        let around = self.columns.iter().chain(&self.rows);
        around
            .flat_map(|around| pairs.iter().map(move |pair| part(around, *pair)))
            .collect()
    }

    /// Checks the claim by itself and against its study's rows and columns.
    ///
    /// # Errors
    /// One sentence that names the claim and the key, and what is allowed.
    pub(super) fn check(&self, study: &Study) -> Result<(), String> {
        let fault = |what: String| Err(format!("claim `{}` {what}", self.id));
        let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.id.is_empty() || !self.id.chars().all(sound) {
            return fault("has an id that cannot stand in addresses: it must be of small letters, digits and hyphens".to_owned());
        }
        for (key, text) in [("says", &self.says), ("where", &self.source)] {
            if text.trim().is_empty() {
                return fault(format!("has an empty {key}: it must be a sentence, and where it stands"));
            }
        }
        let ids = |of: &[&String]| of.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
        let rows: Vec<&String> = study.rows.iter().map(|row| &row.id).collect();
        let columns: Vec<&String> = study.columns.iter().map(|column| &column.id).collect();
        let (around, names) = match (self.columns.is_empty(), self.rows.is_empty()) {
            (false, true) => (("columns", &self.columns, &columns), ("row", &rows)),
            (true, false) => (("rows", &self.rows, &rows), ("column", &columns)),
            _ => return fault("must have either columns, in which its rows are compared, or rows, in which its columns are".to_owned()),
        };
        if let Some(unknown) = around.1.iter().find(|id| !around.2.contains(id)) {
            return fault(format!("names `{unknown}` in {}, which must be one of {}", around.0, ids(around.2)));
        }
        self.check_shape()?;
        let compared: Vec<&String> = [&self.chain, &self.above, &self.below, &self.same].into_iter().flatten().collect();
        if let Some(unknown) = compared.iter().find(|id| !names.1.contains(id)) {
            return fault(format!(
                "compares the {} `{unknown}`, which must be one of {}",
                names.0,
                ids(names.1)
            ));
        }
        if let Some((_, twice)) = compared.iter().enumerate().find(|(i, id)| compared[..*i].contains(id)) {
            return fault(format!("compares `{twice}` with itself: each name may stand in it once"));
        }
        Ok(())
    }

    /// The keys that each kind has, and no others.
    fn check_shape(&self) -> Result<(), String> {
        let lists = [
            ("chain", self.chain.len()),
            ("above", self.above.len()),
            ("below", self.below.len()),
            ("same", self.same.len()),
        ];
        let numbers = [("margin_points", self.margin_points), ("least_points", self.least_points)];
        let given = lists.iter().filter(|(_, n)| *n > 0).map(|(key, _)| *key);
        let mut given: Vec<&str> = given
            .chain(numbers.iter().filter(|(_, number)| number.is_some()).map(|(key, _)| *key))
            .collect();
        let (allowed, said): (&[&[&str]], _) = match self.kind {
            ClaimKind::Order => (&[&["chain"], &["above", "below"]], "chain, or above and below"),
            ClaimKind::Equal => (&[&["same", "margin_points"]], "same and margin_points"),
            ClaimKind::Gap => (&[&["above", "below", "least_points"]], "above, below and least_points"),
        };
        let fault = |what: String| Err(format!("claim `{}` {what}", self.id));
        let kind = match self.kind {
            ClaimKind::Order => "order",
            ClaimKind::Equal => "equal",
            ClaimKind::Gap => "gap",
        };
        given.sort_unstable();
        if !allowed.iter().any(|keys| {
            let mut keys = keys.to_vec();
            keys.sort_unstable();
            keys == given
        }) {
            return fault(format!("is of kind {kind} with {}: it must have {said}", listed(&given)));
        }
        if let Some((key, _)) = lists.iter().find(|(key, n)| ["chain", "same"].contains(key) && *n == 1) {
            return fault(format!("has one name in {key}: it must have at least two"));
        }
        let wrong = |number: &f64| !number.is_finite() || *number <= 0.0;
        if let Some((key, Some(number))) = numbers.iter().find(|(_, number)| number.as_ref().is_some_and(wrong)) {
            return fault(format!("has {key} = {number}: it must be a number above 0"));
        }
        Ok(())
    }
}

/// Every two names once, the earlier one first. Comparing only the first with the others would say nothing of those among each
/// other, which may be up to twice the margin apart.
fn each_with_each(names: &[String]) -> Vec<(&String, &String)> {
    let later = |(i, first)| names[i + 1..].iter().map(move |second| (first, second));
    names.iter().enumerate().flat_map(later).collect()
}

fn listed(keys: &[&str]) -> String {
    if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }
}
