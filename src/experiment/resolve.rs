//! From a study, a scale and a person's wishes to runs: settings are layered, checked and keyed.
//!
//! Later layers win: section defaults, the stage's protocol, the method's recipe (pretraining only),
//! the scale (`all`, then `stage`, then `method`), the study's row, the request.

use std::collections::BTreeMap;

use super::catalog::{Catalog, MethodInfo, protocol, sections};
use super::run::{RunId, RunSpec, Stage};
use super::scale::Scale;
use super::schema::{Section, Value, Values};
use super::settings::{DataSettings, ModelSettings, TrainSettings};
use super::study::{Column, Row, Study};

/// A setting that cannot be: where, and what is allowed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Invalid {
    /// `section.key`, so that a form can mark the field.
    pub place: String,
    /// One sentence with what is allowed.
    pub message: String,
}

impl Invalid {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Invalid { place: place.into(), message: message.into() }
    }
}

/// What a person asks for on top of study and scale.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Where the pictures are; `None` leaves the scale's own.
    pub data: Option<String>,
    /// How many seeds (0, 1, …); `None` leaves the scale's own.
    pub seeds: Option<u64>,
    /// Settings for every run that has them.
    pub set: Values,
}

/// The runs of a study and the cells they fill.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Distinct runs, parents before children.
    pub runs: Vec<RunSpec>,
    /// Which run fills which cell.
    pub cells: Vec<Cell>,
}

/// One number of a table: a seed of a row and column.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Row id.
    pub row: String,
    /// Column id.
    pub column: String,
    /// Seed.
    pub seed: u64,
    /// The run that has the number.
    pub run: RunId,
}

impl Plan {
    fn add(&mut self, run: &RunSpec) {
        if !self.runs.iter().any(|known| known.id == run.id) {
            self.runs.push(run.clone());
        }
    }
}

/// Resolves a study at a scale.
///
/// # Errors
/// The first setting that is unknown, of the wrong type, out of range or in conflict with another.
pub fn plan(study: &Study, scale: &Scale, catalog: &Catalog, request: &Request) -> Result<Plan, Invalid> {
    let mut plan = Plan { runs: Vec::new(), cells: Vec::new() };
    let seeds = request.seeds.unwrap_or(scale.seeds);
    if !(1..=1000).contains(&seeds) {
        return Err(Invalid::new("seeds", format!("{seeds} is not allowed: it must be a whole number from 1 to 1000")));
    }
    check_names(scale, catalog, request)?;
    for seed in 0..seeds {
        for row in &study.rows {
            plan_row(&mut plan, study, row, scale, catalog, request, seed)?;
        }
    }
    plan.runs.sort_by_key(|run| run.stage); // Pretraining first; stable, so rows and seeds keep their order.
    Ok(plan)
}

fn plan_row(plan: &mut Plan, study: &Study, row: &Row, scale: &Scale, catalog: &Catalog, request: &Request, seed: u64) -> Result<(), Invalid> {
    let method = find(catalog, &row.method)?;
    let resolve = |stage: Stage, parent: Option<&RunSpec>| {
        let empty = Values::new();
        let layers = Layers { scale, row: row.set.get(stage.name()).unwrap_or(&empty), request };
        let mut run = resolve(stage, method, seed, parent, &layers)?;
        run.label = format!("{} · {stage} · {} · seed {seed}", row.title, scale.name);
        run.scale = scale.name.clone();
        Ok::<_, Invalid>(run)
    };
    let pretrain = resolve(Stage::Pretrain, None)?;
    plan.add(&pretrain);
    for column in columns_of(study, row, method) {
        let run = if column.stage == Stage::Pretrain { pretrain.clone() } else { resolve(column.stage, Some(&pretrain))? };
        plan.add(&run);
        plan.cells.push(Cell { row: row.id.clone(), column: column.id.clone(), seed, run: run.id });
    }
    Ok(())
}

/// The columns a row fills: not those it leaves out, and no reconstruction where the method has none.
pub fn columns_of<'a>(study: &'a Study, row: &'a Row, method: &'a MethodInfo) -> impl Iterator<Item = &'a Column> {
    study.columns.iter().filter(|column| !row.without.contains(&column.id) && (column.stage != Stage::Psnr || method.reconstructs))
}

/// Resolves one run outside a study, as the launch form and the command line do.
///
/// # Errors
/// As [`plan`].
pub fn single_run(stage: Stage, method: &str, scale: &Scale, catalog: &Catalog, request: &Request, seed: u64, parent: Option<&RunSpec>) -> Result<RunSpec, Invalid> {
    let method = find(catalog, method)?;
    if stage != Stage::Pretrain && parent.is_none() {
        return Err(Invalid::new("parent", format!("stage {stage} starts from a pretraining run: name one")));
    }
    if stage == Stage::Psnr && !method.reconstructs {
        return Err(Invalid::new("stage", format!("{} does not reconstruct pictures, so it has no psnr", method.title)));
    }
    let layers = Layers { scale, row: &Values::new(), request };
    let mut run = resolve(stage, method, seed, parent, &layers)?;
    check_known(&request.set, &sections(stage, method))?;
    run.label = format!("{} · {stage} · {} · seed {seed}", method.title, scale.name);
    run.scale = scale.name.clone();
    Ok(run)
}

fn find<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a MethodInfo, Invalid> {
    catalog.get(name).ok_or_else(|| Invalid::new("method", format!("`{name}` is not known: it must be one of {}", catalog.names())))
}

struct Layers<'a> {
    scale: &'a Scale,
    row: &'a Values,
    request: &'a Request,
}

fn resolve(stage: Stage, method: &MethodInfo, seed: u64, parent: Option<&RunSpec>, layers: &Layers) -> Result<RunSpec, Invalid> {
    let sections = sections(stage, method);
    let mut settings: Values = sections.iter().map(|section| (section.name.to_owned(), defaults(section))).collect();
    let recipe = if stage == Stage::Pretrain { method.recipe } else { &[] };
    for (section, key, value) in protocol(stage).iter().chain(recipe) {
        overlay_one(&mut settings, section, key, (*value).into());
    }
    overlay(&mut settings, &layers.scale.all);
    if let Some(values) = layers.scale.stage.get(stage.name()) {
        overlay(&mut settings, values);
    }
    if let Some(values) = layers.scale.method.get(method.name).filter(|_| stage == Stage::Pretrain) {
        overlay(&mut settings, values);
    }
    check_known(layers.row, &sections)?;
    overlay(&mut settings, layers.row);
    if let Some(data) = &layers.request.data {
        overlay_one(&mut settings, "data", "source", Value::Text(data.clone()));
    }
    overlay(&mut settings, &layers.request.set);
    inherit(&mut settings, parent);
    accept(&mut settings, &sections)?;
    let run = RunSpec::new(stage, method.name, seed, parent, settings);
    check_together(&run)?;
    Ok(run)
}

fn defaults(section: &Section) -> BTreeMap<String, Value> {
    section.settings.iter().map(|s| (s.key.to_owned(), s.default.into())).collect()
}

/// Lays `values` over `settings`, where the run has that setting at all.
fn overlay(settings: &mut Values, values: &Values) {
    for (section, keys) in values {
        for (key, value) in keys {
            overlay_one(settings, section, key, value.clone());
        }
    }
}

fn overlay_one(settings: &mut Values, section: &str, key: &str, value: Value) {
    if let Some(slot) = settings.get_mut(section).and_then(|keys| keys.get_mut(key)) {
        *slot = value;
    }
}

/// A child's model is its parent's: a checkpoint has one shape.
fn inherit(settings: &mut Values, parent: Option<&RunSpec>) {
    let Some(parent) = parent else { return };
    if let Some(model) = parent.settings.get("model") {
        settings.insert("model".to_owned(), model.clone());
    }
    if let Some(size) = parent.value("data", "image_size") {
        overlay_one(settings, "data", "image_size", size.clone());
    }
}

fn accept(settings: &mut Values, sections: &[Section]) -> Result<(), Invalid> {
    for section in sections {
        for setting in section.settings {
            let place = format!("{}.{}", section.name, setting.key);
            let slot = settings.get_mut(section.name).and_then(|keys| keys.get_mut(setting.key)).expect("defaults hold every key");
            *slot = setting.kind.accept(slot).map_err(|message| Invalid::new(place, message))?;
        }
    }
    Ok(())
}

fn check_known(values: &Values, sections: &[Section]) -> Result<(), Invalid> {
    for (name, keys) in values {
        let Some(section) = sections.iter().find(|s| s.name == name) else {
            let known = sections.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
            return Err(Invalid::new(name.clone(), format!("no such section here: it must be one of {known}")));
        };
        for key in keys.keys() {
            if !section.settings.iter().any(|s| s.key == key) {
                let known = section.settings.iter().map(|s| s.key).collect::<Vec<_>>().join(", ");
                return Err(Invalid::new(format!("{name}.{key}"), format!("no such setting: it must be one of {known}")));
            }
        }
    }
    Ok(())
}

/// A scale or request may name a setting that only some runs have, but not one that none has.
fn check_names(scale: &Scale, catalog: &Catalog, request: &Request) -> Result<(), Invalid> {
    let all: Vec<Section> = catalog.methods.iter().flat_map(|m| Stage::ALL.into_iter().flat_map(|s| sections(s, m))).collect();
    let known = |values: &Values| {
        for (name, keys) in values {
            for key in keys.keys() {
                if !all.iter().any(|s| s.name == name && s.settings.iter().any(|setting| setting.key == key)) {
                    return Err(Invalid::new(format!("{name}.{key}"), "no method and no stage has this setting; `umbra methods` lists them all"));
                }
            }
        }
        Ok(())
    };
    known(&scale.all)?;
    scale.stage.values().chain(scale.method.values()).try_for_each(known)?;
    if let Some(stage) = scale.stage.keys().find(|name| name.parse::<Stage>().is_err()) {
        return Err(Invalid::new(format!("stage.{stage}"), "not a stage"));
    }
    if let Some(method) = scale.method.keys().find(|name| catalog.get(name).is_none()) {
        return Err(Invalid::new(format!("method.{method}"), format!("not a method: it must be one of {}", catalog.names())));
    }
    known(&request.set)
}

/// Conflicts between settings that are each allowed.
fn check_together(run: &RunSpec) -> Result<(), Invalid> {
    let broken = |e: String| Invalid::new("settings", e);
    let data: DataSettings = run.section("data").map_err(broken)?;
    let model: ModelSettings = run.section("model").map_err(broken)?;
    if data.image_size % model.patch_size != 0 {
        return Err(Invalid::new("model.patch_size", format!("{} does not divide data.image_size = {}", model.patch_size, data.image_size)));
    }
    for (dim, heads, place) in [(model.dim, model.heads, "model.heads"), (model.decoder_dim, model.decoder_heads, "model.decoder_heads")] {
        if dim % heads != 0 {
            return Err(Invalid::new(place, format!("{heads} heads do not divide the width {dim}")));
        }
    }
    for (dim, place) in [(model.dim, "model.dim"), (model.decoder_dim, "model.decoder_dim")] {
        if model.position == "sincos" && dim % 4 != 0 {
            return Err(Invalid::new(place, format!("{dim} is not a multiple of 4, as a sine-cosine position table needs")));
        }
    }
    if run.settings.contains_key("train") {
        let train: TrainSettings = run.section("train").map_err(broken)?;
        let batch = train.batch_size * train.accumulation;
        if data.train_images > 0 && batch > data.train_images {
            return Err(Invalid::new("train.batch_size", format!("a step of {batch} pictures is larger than the data, {} pictures", data.train_images)));
        }
    }
    Ok(())
}
