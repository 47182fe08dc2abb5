//! Studies: one table or figure each, as a TOML file in `configs/studies/`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::claim::Claim;
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
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The name in exports.
    pub id: String,
    /// The heading.
    pub title: String,
    /// The stage whose run holds the number.
    pub stage: Stage,
    /// The stage whose run that one starts from, where there is a choice: `cka` of a pretrained encoder or of a finetuned one.
    #[serde(default = "pretrain", skip_serializing_if = "is_pretrain")]
    pub after: Stage,
    /// The name of the number in that run's summary, such as `finetune.top1`.
    pub measure: String,
    /// The unit, such as `%` or `dB`.
    #[serde(default)]
    pub unit: String,
    /// Whether a smaller number is better.
    #[serde(default)]
    pub lower_is_better: bool,
    /// Digits after the point.
    #[serde(default = "one")]
    pub decimals: usize,
    /// Settings of the stage's runs in this column: section, key. A row's own win.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub set: Values,
}

fn one() -> usize {
    1
}

fn pretrain() -> Stage {
    Stage::Pretrain
}

fn is_pretrain(stage: &Stage) -> bool {
    *stage == Stage::Pretrain
}

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
    /// The paper's numbers, by column.
    #[serde(default)]
    pub paper: BTreeMap<String, f64>,
    /// A remark shown under the table.
    #[serde(default)]
    pub note: String,
}

/// The studies built into the binary: file name and text.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "configs/studies/mae-vs-scratch.toml",
        include_str!("../../configs/studies/mae-vs-scratch.toml"),
    ),
    ("configs/studies/methods.toml", include_str!("../../configs/studies/methods.toml")),
    ("configs/studies/figure1.toml", include_str!("../../configs/studies/figure1.toml")),
    ("configs/studies/table5.toml", include_str!("../../configs/studies/table5.toml")),
    ("configs/studies/table6.toml", include_str!("../../configs/studies/table6.toml")),
    ("configs/studies/table7.toml", include_str!("../../configs/studies/table7.toml")),
    ("configs/studies/table8.toml", include_str!("../../configs/studies/table8.toml")),
];

impl Study {
    /// Reads a study; `file` is named in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let study: Study = toml_file::read(file, text)?;
        study.check().map_err(|e| format!("{file}: {e}"))?;
        Ok(study)
    }

    /// The studies that come with Umbra.
    pub fn built_in() -> Vec<Study> {
        BUILT_IN
            .iter()
            .map(|(file, text)| Study::parse(file, text).expect("built-in studies are tested"))
            .collect()
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
            let stages = Stage::ASKED.map(Stage::name);
            if let Some(stage) = row.set.keys().find(|stage| !stages.contains(&stage.as_str())) {
                let stages = stages.join(", ");
                return Err(format!(
                    "row `{}` has set.{stage}, which must be one of the stages {stages}",
                    row.id
                ));
            }
        }
        self.claims.iter().try_for_each(|claim| claim.check(self))
    }
}
