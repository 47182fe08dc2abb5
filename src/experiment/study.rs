//! Studies: one table or figure each, as a TOML file in `configs/studies/`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::measure::{Better, Unit};
use super::renamed;
use super::run::Stage;
use super::schema::Values;
use super::toml_file;

/// One table: rows are ways to get an encoder, columns are what is measured on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// The name in addresses and on the command line.
    pub name: String,
    /// The heading.
    pub title: String,
    /// What the study asks, in a sentence or two.
    pub summary: String,
    /// Where the paper's numbers come from, and at which scale they were measured.
    #[serde(default)]
    pub paper: String,
    /// Seeds it runs unless told otherwise, instead of the scale's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<u64>,
    /// Where it stands in lists of studies: the smallest first.
    #[serde(default)]
    pub place: u32,
    /// What is measured.
    #[serde(rename = "column")]
    pub columns: Vec<Column>,
    /// What is compared.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
    /// What the paper concludes from it.
    #[serde(rename = "claim", default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
}

/// One measure of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ColumnRecord")]
pub struct Column {
    /// The name in exports.
    pub id: String,
    /// The heading.
    pub title: String,
    /// The stage whose run holds the number.
    pub stage: Stage,
    /// The stage whose run that one starts from, where there is a choice: `cka` of a pretrained encoder or of a fine-tuned one.
    #[serde(skip_serializing_if = "is_pretrain")]
    pub after: Stage,
    /// The name of the number in that run's summary, such as `finetune.top1`.
    pub measure: String,
    /// The unit.
    pub unit: Unit,
    /// Which numbers are better.
    pub better: Better,
    /// Digits after the point.
    pub decimals: usize,
    /// Settings of the stage's runs in this column: section, key. A row's own win.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub set: Values,
}

/// A [`Column`] as a file has it: what is not said is the measure's own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnRecord {
    id: String,
    title: Option<String>,
    stage: Stage,
    #[serde(default = "pretrain")]
    after: Stage,
    measure: String,
    /// Files of before 0.2 say the measure's unit and direction again.
    unit: Option<String>,
    better: Option<Better>,
    decimals: Option<usize>,
    #[serde(default)]
    set: Values,
}

impl TryFrom<ColumnRecord> for Column {
    type Error = String;

    fn try_from(record: ColumnRecord) -> Result<Column, String> {
        let name = renamed::measure(&record.measure).to_owned();
        let fault = |what: String| format!("column `{}`: {what}", record.id);
        let measure = record.stage.result(&name).map_err(fault)?;
        if let Some(unit) = record.unit.filter(|unit| *unit != measure.unit.symbol()) {
            let own = if measure.unit.is_empty() {
                "no unit"
            } else {
                measure.unit.symbol()
            };
            return Err(fault(format!(
                "unit = `{unit}` is not that of `{name}`, which has {own}: leave it out"
            )));
        }
        Ok(Column {
            title: record.title.unwrap_or_else(|| measure.title_of(&name)),
            unit: measure.unit,
            better: record.better.unwrap_or(measure.better),
            decimals: record.decimals.unwrap_or(measure.unit.decimals()),
            id: record.id,
            stage: record.stage,
            after: record.after,
            measure: name,
            set: record.set,
        })
    }
}

impl Column {
    /// The heading with its unit: `PSNR (dB)`.
    pub fn heading(&self) -> String {
        self.unit.behind(&self.title)
    }
}

fn pretrain() -> Stage {
    Stage::Pretrain
}

fn is_pretrain(stage: &Stage) -> bool {
    *stage == Stage::Pretrain
}

/// Factors by section and key.
pub type Factors = BTreeMap<String, BTreeMap<String, f64>>;

/// One encoder of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The name in exports.
    pub id: String,
    /// The heading.
    pub title: String,
    /// The method.
    pub method: String,
    /// Columns that make no sense for this row.
    #[serde(default)]
    pub without: Vec<String>,
    /// Settings of one stage of this row: stage, section, key.
    #[serde(default)]
    pub set: BTreeMap<String, Values>,
    /// Settings that differ at one scale: its name, then as `set`, over which they win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at: BTreeMap<String, BTreeMap<String, Values>>,
    /// What the scale's settings are multiplied by, so that a row can be longer than others at any scale: stage, section, key.
    /// Whole numbers are rounded. The row's `set` wins, and a scale may have a limit. What a person sets is multiplied too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub times: BTreeMap<String, Factors>,
    /// The paper's numbers, by column.
    #[serde(default)]
    pub paper: BTreeMap<String, f64>,
    /// The columns whose number of the paper may be that of another row, because the paper's layout leaves it open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncertain: Vec<String>,
    /// A remark shown under the table.
    #[serde(default)]
    pub note: String,
}

/// The studies built into the binary, every file of the folder: its name and text.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/studies.rs"));

/// The place of the first of the paper's tables; what stands before it are Umbra's own comparisons.
const FIRST_OF_PAPER: u32 = 11;

impl Study {
    /// Whether it is one of the paper's tables or its figure, which stand from here on.
    pub fn is_of_paper(&self) -> bool {
        self.place >= FIRST_OF_PAPER
    }

    /// Reads a study; `file` is named in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let study: Study = toml_file::read(file, text)?;
        study.check().map_err(|e| format!("{file}: {e}"))?;
        Ok(study)
    }

    /// The studies that come with Umbra.
    pub fn built_in() -> Vec<Study> {
        let read = |(file, text): &(&str, &str)| Study::parse(file, text).expect("built-in studies are tested");
        let mut studies: Vec<Study> = BUILT_IN.iter().map(read).collect();
        studies.sort_by_key(|study| study.place); // Stable: by name where places are equal.
        studies
    }

    /// The text of the built-in study of that name.
    pub fn built_in_text(name: &str) -> Option<&'static str> {
        let file = format!("configs/studies/{name}.toml");
        BUILT_IN.iter().find(|(known, _)| *known == file).map(|(_, text)| *text)
    }

    fn check(&self) -> Result<(), String> {
        let columns: Vec<&str> = self.columns.iter().map(|c| c.id.as_str()).collect();
        let rows: Vec<&str> = self.rows.iter().map(|r| r.id.as_str()).collect();
        let claims: Vec<&str> = self.claims.iter().map(|c| c.id.as_str()).collect();
        for (what, ids) in [("column", &columns), ("row", &rows), ("claim", &claims)] {
            if ids.is_empty() && what != "claim" {
                return Err(format!("there is no [[{what}]]: a study has at least one"));
            }
            if let Some((_, twice)) = ids.iter().enumerate().find(|(i, id)| ids[..*i].contains(id)) {
                return Err(format!("two of the [[{what}]] have the id `{twice}`: each must have its own"));
            }
        }
        for column in self.columns.iter().filter(|column| column.after != Stage::Pretrain) {
            let allowed = column.stage.starts_from();
            if !allowed.contains(&column.after) {
                let (id, stage, after) = (&column.id, column.stage, column.after);
                let allowed = allowed.iter().map(|stage| stage.name()).collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "column `{id}` has the stage {stage} after {after}: it must be after {allowed}"
                ));
            }
        }
        for row in &self.rows {
            let named = row.without.iter().chain(row.paper.keys());
            if let Some(unknown) = named.into_iter().find(|id| !columns.contains(&id.as_str())) {
                return Err(format!(
                    "row `{}` names the column `{unknown}`, which must be one of {}",
                    row.id,
                    columns.join(", ")
                ));
            }
            if let Some(id) = row.uncertain.iter().find(|id| !row.paper.contains_key(*id)) {
                return Err(format!(
                    "row `{}` is uncertain of the column `{id}`, of which it has no number of the paper",
                    row.id
                ));
            }
            let stages = Stage::ASKED.map(Stage::name);
            let named = row.set.keys().map(|stage| ("set", stage));
            let named = named.chain(row.at.values().flat_map(BTreeMap::keys).map(|stage| ("at", stage)));
            let named = named.chain(row.times.keys().map(|stage| ("times", stage)));
            for (what, stage) in named {
                if !stages.contains(&stage.as_str()) {
                    let (id, stages) = (&row.id, stages.join(", "));
                    return Err(format!("row `{id}` has {what}.{stage}, which must be one of the stages {stages}"));
                }
            }
        }
        self.claims.iter().try_for_each(|claim| claim.check(self))
    }
}
