//! A study from a few choices: methods times the values of settings, one row each, and what is measured of them.

use std::fmt::Write as _;

use super::catalog::Catalog;
use super::invalid::Invalid;
use super::measure;
use super::run::Stage;
use super::schema::{Kind, Value};

/// Rows of a grid, at most: a larger one is a mistake more often than a request.
const MOST_ROWS: usize = 200;

/// What can be measured: id, measure, stage.
pub const MEASURES: [(&str, &str, Stage); 6] = [
    ("finetune", measure::FINETUNE_TOP1.name, Stage::Finetune),
    ("probe", measure::PROBE_TOP1.name, Stage::Probe),
    ("probe_cached", measure::PROBE_CACHED_TOP1.name, Stage::ProbeCached),
    ("psnr", measure::PSNR_COMPOSITE.name, Stage::Psnr),
    ("cka", measure::CKA_MEAN.name, Stage::Cka),
    ("cka_half", "cka.at_0.5", Stage::Cka),
];

/// What a person chooses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// The study's name.
    pub name: String,
    /// The heading.
    pub title: String,
    /// What it asks.
    pub summary: String,
    /// Number of seeds; empty is the scale's own.
    pub seeds: String,
    /// The methods.
    pub methods: Vec<String>,
    /// Ids of [`MEASURES`].
    pub measures: Vec<String>,
    /// Settings, one a line: `stage.section.key = value, value`. Without a stage it is pretraining's. A setting with several
    /// values is an axis. Values that have commas themselves have semicolons between them.
    pub settings: String,
}

/// A setting with its values.
struct GridAxis {
    stage: Stage,
    section: String,
    key: String,
    values: Vec<Value>,
}

impl Grid {
    /// The study's TOML.
    ///
    /// # Errors
    /// The first choice that cannot be, at its field or as `settings`.
    pub fn to_toml(&self, catalog: &Catalog) -> Result<String, Invalid> {
        let mut text = format!("name = {}\ntitle = {}\n", quoted(&self.name), quoted(&self.title));
        let _ = writeln!(text, "summary = {}", quoted(&self.summary));
        if !self.seeds.is_empty() {
            let seeds = self.seeds.parse::<u64>().ok().filter(|seeds| (1..=1000).contains(seeds));
            let seeds = seeds.ok_or_else(|| Invalid::new("seeds", format!("`{}` is not a whole number from 1 to 1000", self.seeds)))?;
            let _ = writeln!(text, "seeds = {seeds}");
        }
        if self.measures.is_empty() {
            return Err(Invalid::new("measures", "none is chosen: a study has at least one"));
        }
        for id in &self.measures {
            let known = MEASURES.iter().find(|(known, ..)| known == id);
            let (id, measure, stage) = known.ok_or_else(|| Invalid::new("measures", format!("`{id}` is not known")))?;
            let _ = write!(text, "\n[[column]]\nid = \"{id}\"\nstage = \"{stage}\"\nmeasure = \"{measure}\"\n");
        }
        self.write_rows(&mut text, catalog)?;
        Ok(text)
    }

    fn write_rows(&self, text: &mut String, catalog: &Catalog) -> Result<(), Invalid> {
        if self.methods.is_empty() {
            return Err(Invalid::new("methods", "none is chosen: a study has at least one row"));
        }
        let axes = self.axes(catalog)?;
        let rows = axes.iter().map(|axis| axis.values.len()).product::<usize>() * self.methods.len();
        if rows > MOST_ROWS {
            return Err(Invalid::new(
                "settings",
                format!("{rows} rows are more than {MOST_ROWS}: leave out values or methods"),
            ));
        }
        for method in &self.methods {
            let info = catalog
                .get(method)
                .ok_or_else(|| Invalid::new("methods", format!("`{method}` is not known: it must be one of {}", catalog.names())))?;
            for place in 0..rows / self.methods.len() {
                write_row(text, method, info.title, &point(&axes, place));
            }
        }
        Ok(())
    }

    fn axes(&self, catalog: &Catalog) -> Result<Vec<GridAxis>, Invalid> {
        let lines = self.settings.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| axis(line, catalog))
            .collect()
    }
}

fn axis(line: &str, catalog: &Catalog) -> Result<GridAxis, Invalid> {
    let wrong = |message: String| Invalid::new("settings", message);
    let form = || wrong(format!("`{line}` is not a setting: write stage.section.key = value, value"));
    let (place, values) = line.split_once('=').ok_or_else(form)?;
    let parts: Vec<&str> = place.trim().split('.').collect();
    let (stage, section, key) = match parts[..] {
        [section, key] => (Stage::Pretrain, section, key),
        [stage, section, key] => (stage.parse().map_err(wrong)?, section, key),
        _ => return Err(form()),
    };
    let setting = catalog.setting(section, key).ok_or_else(|| {
        wrong(format!(
            "`{section}.{key}` is no setting: the launch form and `umbra methods` list them all"
        ))
    })?;
    let listed = matches!(setting.kind, Kind::Numbers { .. } | Kind::Text);
    let between = if listed || values.contains(';') { ';' } else { ',' };
    let values = values
        .split(between)
        .map(|value| setting.kind.parse(value.trim().trim_matches('"')));
    let mut different = Vec::new();
    for value in values {
        let value = value.map_err(|e| wrong(format!("{section}.{key}: {e}")))?;
        if different.contains(&value) {
            return Err(wrong(format!("{section}.{key}: {value} is there twice")));
        }
        different.push(value);
    }
    Ok(GridAxis {
        stage,
        section: section.to_owned(),
        key: key.to_owned(),
        values: different,
    })
}

/// The axes' values in the grid's place of that number; the last axis changes fastest.
fn point(axes: &[GridAxis], place: usize) -> Vec<(&GridAxis, &Value)> {
    let mut rest = place;
    let mut values: Vec<(&GridAxis, &Value)> = Vec::new();
    for axis in axes.iter().rev() {
        values.push((axis, &axis.values[rest % axis.values.len()]));
        rest /= axis.values.len();
    }
    values.reverse();
    values
}

fn write_row(text: &mut String, method: &str, title: &str, point: &[(&GridAxis, &Value)]) {
    // What is the same in all rows does not tell them apart.
    let varied: Vec<_> = point.iter().filter(|(axis, _)| axis.values.len() > 1).collect();
    let id = varied
        .iter()
        .fold(method.to_owned(), |id, (axis, value)| format!("{id}_{}_{value}", axis.key));
    let title = varied
        .iter()
        .fold(title.to_owned(), |title, (axis, value)| format!("{title}, {} {value}", axis.key));
    let _ = write!(
        text,
        "\n[[row]]\nid = {}\ntitle = {}\nmethod = \"{method}\"\n",
        quoted(&id),
        quoted(&title)
    );
    let mut tables: Vec<(String, String)> = Vec::new();
    for (axis, value) in point {
        let (table, line) = (
            format!("{}.{}", axis.stage, axis.section),
            format!("{} = {}\n", axis.key, literal(value)),
        );
        match tables.iter_mut().find(|(known, _)| *known == table) {
            Some((_, lines)) => lines.push_str(&line),
            None => tables.push((table, line)),
        }
    }
    for (table, lines) in tables {
        let _ = write!(text, "\n[row.set.{table}]\n{lines}");
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Float(v) => toml::Value::Float(*v).to_string(),
        Value::Bool(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
