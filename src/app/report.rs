//! What the report on a scale says: every table with numbers, its claims, what was run on which device, and with which settings.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::app::studies::{Evidence, Filled, evidence, fill};
use crate::app::{Error, Result, Workspace};
use crate::experiment::table::Table;
use crate::experiment::{Judgment, Plan, Request, RunId, RunSpec, Scale, Stage, Study, Values, Verdict, judge, plan};
use crate::store::Run;

/// The report on everything that was run at a scale.
#[derive(Clone, Debug)]
pub struct Report {
    /// The dataset, if the request or the evidence names one.
    pub data: Option<String>,
    /// How many seeds.
    pub seeds: u64,
    /// How many claims stand where.
    pub counts: Vec<(Verdict, u64)>,
    /// The studies with numbers.
    pub parts: Vec<ReportPart>,
    /// Studies without a number, whose claims stand unjudged.
    pub rest: Vec<Arc<Study>>,
    /// What the scale sets: where, and what.
    pub settings: Vec<(String, String)>,
    /// The devices.
    pub devices: Vec<DeviceTime>,
    /// A run's name and what it warned of.
    pub warnings: Vec<(String, String)>,
}

/// A study with numbers.
#[derive(Clone, Debug)]
pub struct ReportPart {
    /// The study.
    pub study: Arc<Study>,
    /// Its runs and cells.
    pub plan: Plan,
    /// The runs that were ever queued.
    pub known: HashMap<RunId, Run>,
    /// The same in order of seed and stage.
    pub runs: Vec<Run>,
    /// Its table.
    pub table: Table,
    /// Its claims.
    pub claims: Vec<Judgment>,
    /// The settings in which its rows differ.
    pub differences: Differences,
}

/// Runs of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceTime {
    /// Its name.
    pub name: String,
    /// How many runs.
    pub runs: u64,
    /// How long they took together, in seconds.
    pub seconds: f64,
}

/// The settings in which a study's rows differ: the settings, and for each row its method and one value each.
#[derive(Clone, Debug, PartialEq)]
pub struct Differences {
    /// Stage, section and key.
    pub keys: Vec<String>,
    /// Heading, method, and the values; empty where a row has no such setting.
    pub rows: Vec<(String, String, Vec<String>)>,
}

/// The report of everything that was run at a scale; without seeds in the request, of all that were begun.
///
/// # Errors
/// A setting that is not allowed, or a database that cannot be read.
pub async fn report(workspace: &Workspace, scale: &Scale, request: &Request) -> Result<Report> {
    let all = evidence(&workspace.store).await?;
    let fits = |one: &&Evidence| one.scale == scale.name && request.data.as_ref().is_none_or(|data| *data == one.data);
    let found = all.iter().find(fits);
    let seeds = request.seeds.unwrap_or_else(|| found.map_or(1, Evidence::begun));
    let request = Request {
        data: request.data.clone().or(found.map(|found| found.data.clone())),
        seeds: Some(seeds),
        set: request.set.clone(),
        fingerprints: request.fingerprints.clone(),
    };
    let (mut parts, mut rest) = (Vec::new(), Vec::new());
    for study in workspace.library.all() {
        match part(workspace, &study, scale, &request).await {
            Ok(Some(part)) => parts.push(part),
            Ok(None) => rest.push(study),
            // A person's own study may not fit the scale, which is no reason to withhold the others.
            Err(Error::Invalid(_)) if !study.is_of_paper() => rest.push(study),
            Err(fault) => return Err(fault),
        }
    }
    let mut runs: Vec<&Run> = parts.iter().flat_map(|part| &part.runs).collect();
    runs.sort_by(|a, b| a.id.cmp(&b.id));
    runs.dedup_by(|a, b| a.id == b.id);
    let mut warnings = Vec::new();
    for run in &runs {
        let found = workspace.store.warnings(&run.id).await?;
        warnings.extend(found.into_iter().map(|warning| (run.label.clone(), warning.message)));
    }
    let count = |verdict: Verdict| {
        let claims = parts.iter().flat_map(|part| &part.claims);
        claims.filter(|claim| claim.verdict == verdict).count() as u64
    };
    Ok(Report {
        counts: Verdict::ALL.map(|verdict| (verdict, count(verdict))).to_vec(),
        devices: devices(&runs),
        data: request.data,
        seeds,
        rest,
        settings: scale_settings(scale),
        warnings,
        parts,
    })
}

/// A study's part; `None` if it has no number.
async fn part(workspace: &Workspace, study: &Arc<Study>, scale: &Scale, request: &Request) -> Result<Option<ReportPart>> {
    let plan = plan(study, scale, &workspace.catalog, request)?;
    let Filled { runs: known, table } = fill(&workspace.store, study, &plan).await?;
    let mut entries = table.rows.iter().flat_map(|row| &row.entries);
    if entries.all(|entry| entry.values.is_empty()) {
        return Ok(None);
    }
    let mut runs: Vec<Run> = plan.runs.iter().filter_map(|spec| known.get(&spec.id).cloned()).collect();
    runs.sort_by_key(|run| (run.seed, run.stage));
    Ok(Some(ReportPart {
        claims: study.claims.iter().map(|claim| judge(claim, &table)).collect(),
        table,
        differences: differences(study, &plan),
        study: Arc::clone(study),
        plan,
        known,
        runs,
    }))
}

/// The devices that runs were made on.
fn devices(runs: &[&Run]) -> Vec<DeviceTime> {
    let mut all: BTreeMap<&str, DeviceTime> = BTreeMap::new();
    for run in runs {
        let name = run.device.as_deref().unwrap_or("not started");
        let device = all.entry(name).or_insert_with(|| DeviceTime {
            name: name.to_owned(),
            runs: 0,
            seconds: 0.0,
        });
        device.runs += 1;
        device.seconds += run.seconds().unwrap_or(0.0);
    }
    all.into_values().collect()
}

/// What a scale sets: where, and what.
fn scale_settings(scale: &Scale) -> Vec<(String, String)> {
    let flat = |head: &str, values: &Values| -> Vec<(String, String)> {
        let lines = values
            .iter()
            .flat_map(|(section, keys)| keys.iter().map(move |(key, value)| (format!("{section}.{key}"), value.to_string())));
        lines.map(|(place, value)| (format!("{head}: {place}"), value)).collect()
    };
    let stages = scale.stage.iter().flat_map(|(stage, values)| flat(stage, values));
    let methods = scale.method.iter().flat_map(|(method, values)| flat(method, values));
    flat("all", &scale.all).into_iter().chain(stages).chain(methods).collect()
}

/// In which settings a study's rows differ at the first seed. A setting that only one row has is its method's own.
fn differences(study: &Study, plan: &Plan) -> Differences {
    let of_row = |row: &str| {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        let cells = plan.cells.iter().filter(|cell| cell.row == row && cell.seed == 0);
        for cell in cells {
            let mut next = plan.runs.iter().find(|run| run.id == cell.run);
            while let Some(run) = next {
                values.extend(settings(run));
                next = run
                    .parent
                    .as_ref()
                    .and_then(|parent| plan.runs.iter().find(|run| run.id == *parent));
            }
        }
        values
    };
    let rows: Vec<_> = study.rows.iter().map(|row| (row, of_row(&row.id))).collect();
    let mut known: BTreeMap<&String, (usize, BTreeSet<&String>)> = BTreeMap::new();
    for (key, value) in rows.iter().flat_map(|(_, values)| values) {
        let (count, different) = known.entry(key).or_default();
        *count += 1;
        different.insert(value);
    }
    let differ = known.into_iter().filter(|(_, (count, values))| *count > 1 && values.len() > 1);
    let keys: Vec<String> = differ.map(|(key, _)| key.clone()).collect();
    let rows = rows.iter().map(|(row, values)| {
        let own = keys.iter().map(|key| values.get(key).cloned().unwrap_or_default());
        (row.title.clone(), row.method.clone(), own.collect())
    });
    Differences {
        rows: rows.collect(),
        keys,
    }
}

/// A run's settings as stage, section and key; a tokenizer's follow from its pretraining.
fn settings(run: &RunSpec) -> Vec<(String, String)> {
    if run.stage == Stage::Tokenizer {
        return Vec::new();
    }
    let lines = run.settings.iter().flat_map(|(section, keys)| {
        keys.iter()
            .map(move |(key, value)| (format!("{}: {section}.{key}", run.stage), value.to_string()))
    });
    lines.collect()
}
