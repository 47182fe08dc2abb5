//! From a study, a scale and a person's request to runs: settings are layered, checked and keyed.
//!
//! Later layers win: section defaults, the stage's protocol, the method's recipe (pretraining, or fine-tuning from scratch),
//! the scale (`all`, then `stage`, then `method`), the study's column, its row (`times`, then `set`, then `at`), the request
//! (with the row's `times`). In a run outside a study the dataset of its parent stands in for that of the scale's `all`.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::catalog::{Catalog, MethodInfo, recipe, sections, tokenizer_sections};
use super::check::{accept, check_scale, check_times, check_together, check_values, every_section, sections_of};
use super::inputs::{Fingerprints, Inputs};
use super::overlay::{multiply, overlay, overlay_one};
use super::run::{RunId, RunSpec, Stage};
use super::scale::Scale;
use super::schema::{Section, Value, Values};
use super::settings::ModelSettings;
use super::study::{Column, Factors, Row, Study};

pub use super::invalid::Invalid;

/// What a person asks for on top of study and scale.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Where the images are; `None` leaves the parent's, or the scale's own.
    pub data: Option<String>,
    /// How many seeds (0, 1, …); `None` leaves the scale's own.
    pub seeds: Option<u64>,
    /// Settings for every run that has them.
    pub set: Values,
    /// What is known of the files that settings name.
    pub fingerprints: Fingerprints,
}

impl Request {
    /// Wishes for these settings: section, key, value.
    pub fn of<'a>(settings: impl IntoIterator<Item = &'a (&'a str, &'a str, Value)>) -> Request {
        let mut request = Request::default();
        for (section, key, value) in settings {
            let keys = request.set.entry((*section).to_owned()).or_default();
            keys.insert((*key).to_owned(), value.clone());
        }
        request
    }

    /// Where the images are to come from, if it says so: `data`, or the setting `data.source`.
    pub fn source(&self) -> Option<String> {
        let setting = self.set.get("data").and_then(|data| data.get("source"));
        setting.map(ToString::to_string).or_else(|| self.data.clone())
    }

    /// How many seeds a study has at a scale.
    pub fn seeds_of(&self, study: &Study, scale: &Scale) -> u64 {
        self.seeds.or(study.seeds).unwrap_or(scale.seeds)
    }

    /// The request without the sections that a run of this stage and method does not have.
    pub fn fitting(mut self, stage: Stage, method: &MethodInfo) -> Request {
        let known = sections(stage, method);
        self.set.retain(|name, _| known.iter().any(|section| section.name == name));
        self
    }
}

/// The runs of a study and the cells they fill.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// The names of the runs.
    pub fn ids(&self) -> Vec<RunId> {
        self.runs.iter().map(|run| run.id.clone()).collect()
    }

    /// The same runs by name alone, which is a small part of what they take.
    pub fn without_settings(mut self) -> Plan {
        self.runs.iter_mut().for_each(|run| run.settings = Values::new());
        self
    }
}

/// A plan in the making.
#[derive(Default)]
struct Draft {
    plan: Plan,
    /// The names of its runs: a study may have tens of thousands.
    known: HashSet<RunId>,
}

impl Draft {
    fn add(&mut self, run: &RunSpec) {
        if self.known.insert(run.id.clone()) {
            self.plan.runs.push(run.clone());
        }
    }
}

/// Resolves a study at a scale.
///
/// # Errors
/// The first setting that is unknown, of the wrong type, out of range or in conflict with another.
pub fn plan(study: &Study, scale: &Scale, catalog: &Catalog, request: &Request) -> Result<Plan, Invalid> {
    plan_seeds(study, scale, catalog, request, 0..request.seeds_of(study, scale))
}

/// The part of a study's plan that is of these seeds, however many the study has.
///
/// # Errors
/// As [`plan`].
pub fn plan_seeds(study: &Study, scale: &Scale, catalog: &Catalog, request: &Request, seeds: Range<u64>) -> Result<Plan, Invalid> {
    if !(1..=1000).contains(&seeds.end) {
        let fault = format!("{} is not allowed: it must be a whole number from 1 to 1000", seeds.end);
        return Err(Invalid::new("seeds", fault));
    }
    check_scale(scale, catalog)?;
    check_values("", &request.set, &every_section(catalog))?;
    for row in &study.rows {
        check_row(row, catalog).map_err(|invalid| invalid.of(&format!("row `{}`", row.id)))?;
    }
    for column in &study.columns {
        check_column(column, catalog).map_err(|invalid| invalid.of(&format!("column `{}`", column.id)))?;
    }
    let mut draft = Draft::default();
    for seed in seeds {
        for row in &study.rows {
            plan_row(&mut draft, study, row, scale, catalog, request, seed)?;
        }
    }
    let mut plan = draft.plan;
    plan.runs.sort_by_key(|run| run.stage); // Parents first; stable, so rows and seeds keep their order.
    Ok(plan)
}

fn plan_row(
    draft: &mut Draft,
    study: &Study,
    row: &Row,
    scale: &Scale,
    catalog: &Catalog,
    request: &Request,
    seed: u64,
) -> Result<(), Invalid> {
    let method = find(catalog, &row.method)?;
    let (empty, once) = (Values::new(), Factors::new());
    let here = row.at.get(&scale.name);
    let resolve = |stage: Stage, after: &str, column: &Values, parent: Option<&RunSpec>| {
        let layers = Layers {
            scale,
            dataset: &empty,
            column,
            times: row.times.get(stage.name()).unwrap_or(&once),
            row: row.set.get(stage.name()).unwrap_or(&empty),
            here: here.and_then(|stages| stages.get(stage.name())).unwrap_or(&empty),
            request,
        };
        let mut run =
            resolve(stage, method, seed, parent, &layers).map_err(|invalid| invalid.of(&format!("row `{}`, stage {stage}", row.id)))?;
        run.label = format!("{} · {after}{stage} · {} · seed {seed}", row.title, scale.name);
        run.scale = scale.name.clone();
        Ok::<_, Invalid>(run)
    };
    let pretrain = resolve(Stage::Pretrain, "", &empty, None)?;
    let tokenizer = tokenizer_of(&pretrain);
    tokenizer.iter().for_each(|tokenizer| draft.add(tokenizer));
    draft.add(&pretrain);
    for column in columns_of(study, row, method) {
        let run = match (column.stage, &tokenizer) {
            (Stage::Pretrain, _) => pretrain.clone(),
            (Stage::Tokenizer, Some(tokenizer)) => tokenizer.clone(),
            (Stage::Tokenizer, None) => continue,
            _ if column.after != Stage::Pretrain => {
                let parent = resolve(column.after, "", &empty, Some(&pretrain))?;
                draft.add(&parent);
                resolve(column.stage, &format!("{} · ", column.after), &column.set, Some(&parent))?
            }
            _ => resolve(column.stage, "", &column.set, Some(&pretrain))?,
        };
        draft.add(&run);
        draft.plan.cells.push(Cell {
            row: row.id.clone(),
            column: column.id.clone(),
            seed,
            run: run.id,
        });
    }
    Ok(())
}

/// A row's settings, also those of stages that no column needs.
fn check_row(row: &Row, catalog: &Catalog) -> Result<(), Invalid> {
    let method = find(catalog, &row.method)?;
    for stage in Stage::ASKED {
        let sections = sections(stage, method);
        if let Some(values) = row.set.get(stage.name()) {
            check_values(&format!("set.{stage}"), values, &sections)?;
        }
        for (scale, values) in row.at.iter().filter_map(|(scale, stages)| Some((scale, stages.get(stage.name())?))) {
            check_values(&format!("at.{scale}.{stage}"), values, &sections)?;
        }
        if let Some(factors) = row.times.get(stage.name()) {
            check_times(&format!("times.{stage}"), factors, &sections)?;
        }
    }
    Ok(())
}

/// A column's settings, which are of one stage after pretraining: all of a row's columns have one pretraining.
fn check_column(column: &Column, catalog: &Catalog) -> Result<(), Invalid> {
    if !column.set.is_empty() && matches!(column.stage, Stage::Pretrain | Stage::Tokenizer) {
        let fault = format!(
            "a column of stage {} has no settings of its own: they stand in the rows",
            column.stage
        );
        return Err(Invalid::new("set", fault));
    }
    check_values("set", &column.set, &sections_of(column.stage, catalog))
}

/// The columns a row fills: not those it leaves out, and no reconstruction or tokenizer where the method has none.
pub fn columns_of<'a>(study: &'a Study, row: &'a Row, method: &'a MethodInfo) -> impl Iterator<Item = &'a Column> {
    let has = |stage| match stage {
        Stage::Psnr => method.reconstructs,
        Stage::Tokenizer => method.tokens,
        _ => true,
    };
    let columns = study.columns.iter();
    columns.filter(move |column| !row.without.contains(&column.id) && has(column.stage))
}

pub(super) fn find<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a MethodInfo, Invalid> {
    catalog
        .get(name)
        .ok_or_else(|| Invalid::new("method", format!("`{name}` is not known: it must be one of {}", catalog.names())))
}

/// What is laid over a run's defaults, later ones last.
pub(super) struct Layers<'a> {
    pub(super) scale: &'a Scale,
    /// The parent's dataset, for a run outside a study.
    pub(super) dataset: &'a Values,
    pub(super) column: &'a Values,
    pub(super) times: &'a Factors,
    pub(super) row: &'a Values,
    /// The row's at this scale.
    pub(super) here: &'a Values,
    pub(super) request: &'a Request,
}

/// Makes a run of its layers.
pub(super) fn resolve(stage: Stage, method: &MethodInfo, seed: u64, parent: Option<&RunSpec>, layers: &Layers) -> Result<RunSpec, Invalid> {
    let sections = sections(stage, method);
    let mut settings: Values = sections
        .iter()
        .map(|section| (section.name.to_owned(), defaults(section)))
        .collect();
    for (section, key, value) in recipe(stage, method) {
        overlay_one(&mut settings, section, key, (*value).into());
    }
    overlay(&mut settings, &layers.scale.all);
    overlay(&mut settings, layers.dataset);
    if let Some(values) = layers.scale.stage.get(stage.name()) {
        overlay(&mut settings, values);
    }
    if let Some(values) = layers.scale.method.get(method.name).filter(|_| stage == Stage::Pretrain) {
        overlay(&mut settings, values);
    }
    overlay(&mut settings, layers.column);
    let most = layers.scale.most_times.unwrap_or(f64::INFINITY);
    multiply(&mut settings, layers.times, most);
    overlay(&mut settings, layers.row);
    overlay(&mut settings, layers.here);
    if let Some(data) = &layers.request.data {
        overlay_one(&mut settings, "data", "source", Value::Text(data.clone()));
    }
    // A row that is three times as long as the others stays so, whatever length is asked for.
    let mut wanted = layers.request.set.clone();
    multiply(&mut wanted, layers.times, most);
    overlay(&mut settings, &wanted);
    inherit(&mut settings, parent);
    accept(&mut settings, &sections)?;
    let inputs = Inputs::of(&settings, &layers.request.fingerprints);
    let tokenizer = tokenizer(stage, seed, &settings, &inputs);
    let run = RunSpec::reading(stage, method.name, seed, parent.or(tokenizer.as_ref()), settings, &sections, inputs);
    check_together(&run)?;
    Ok(run)
}

/// The tokenizer that a pretraining starts from, if it needs one. It follows from the pretraining's settings, so that
/// runs which ask for the same tokenizer at the same seed share it.
pub fn tokenizer_of(run: &RunSpec) -> Option<RunSpec> {
    let tokenizer = tokenizer(run.stage, run.seed, &run.settings, &run.inputs)?;
    Some(RunSpec {
        label: format!("{} tokenizer · {} · seed {}", tokenizer.method, run.scale, run.seed),
        scale: run.scale.clone(),
        ..tokenizer
    })
}

fn tokenizer(stage: Stage, seed: u64, settings: &Values, inputs: &Inputs) -> Option<RunSpec> {
    let own = settings.get("tokenizer").filter(|_| stage == Stage::Pretrain)?;
    let kind = own.get("kind")?.to_string();
    let mut kept = Values::from([("tokenizer".to_owned(), own.clone())]);
    kept.insert("data".to_owned(), settings.get("data")?.clone());
    // Older records have no such section, and saw all images.
    kept.extend(settings.get("subset").map(|few| ("subset".to_owned(), few.clone())));
    let patch = settings.get("model")?.get("patch_size")?.clone();
    kept.insert("model".to_owned(), [("patch_size".to_owned(), patch)].into());
    let inputs = inputs.fitting(&kept);
    Some(RunSpec::reading(
        Stage::Tokenizer,
        &kind,
        seed,
        None,
        kept,
        &tokenizer_sections(),
        inputs,
    ))
}

fn defaults(section: &Section) -> BTreeMap<String, Value> {
    section.settings.iter().map(|s| (s.key.to_owned(), s.default.into())).collect()
}

/// A child's model is its parent's: a checkpoint has one shape.
fn inherit(settings: &mut Values, parent: Option<&RunSpec>) {
    let Some(parent) = parent else { return };
    if let Some(model) = parent.completed(&[ModelSettings::SECTION]).remove("model") {
        settings.insert("model".to_owned(), model);
    }
    if let Some(size) = parent.value("data", "image_size") {
        overlay_one(settings, "data", "image_size", size.clone());
    }
}
