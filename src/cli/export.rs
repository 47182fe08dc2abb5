//! `umbra export` and `umbra features`: what leaves Umbra.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, anyhow, bail};

use super::{catalog, find_scale, find_study, open_workspace, runtime, settings};
use crate::app::studies::{Choice, TableOptions, sheet, with_seeds};
use crate::experiment::csv::field;
use crate::experiment::{Caption, Request, RunId, absolute};
use crate::run_dir::{EventKind, EventReader, LogPosition, RunDir, write_atomic};
use crate::settings::{Export, Features};
use crate::stages::features as extract;
use crate::web;

/// What is exported under this name is the report on a whole scale.
const REPORT: &str = "report";

/// Writes a study's table, a run's numbers or the report on a scale.
///
/// # Errors
/// An unknown name, a format the thing does not have, or a file that cannot be written.
pub fn export(args: &Export) -> anyhow::Result<()> {
    match args.what.parse::<RunId>() {
        Ok(id) => export_run(&RunDir::of(&args.data_dir.data_dir, &id), args),
        Err(_) if args.what == REPORT => put(args.output.as_deref(), export_report(args)?.as_bytes()),
        Err(_) => put(args.output.as_deref(), export_study(args)?.as_bytes()),
    }
}

fn export_report(args: &Export) -> anyhow::Result<String> {
    let (scale, catalog) = (find_scale(&args.choice.scale)?, catalog());
    let set = settings(&args.choice.set, &catalog)?;
    runtime()?.block_on(async {
        let workspace = open_workspace(&args.data_dir.data_dir).await?;
        let request = Request {
            data: args.choice.data.as_deref().map(absolute),
            seeds: args.choice.seeds,
            set,
            fingerprints: workspace.datasets.fingerprints(),
        };
        Ok(web::report(&workspace, &scale, &request).await?)
    })
}

fn export_study(args: &Export) -> anyhow::Result<String> {
    let (choice, options) = (choice(args)?, options(args));
    let (study, table) = runtime()?.block_on(async {
        let workspace = open_workspace(&args.data_dir.data_dir).await?;
        let study = find_study(&workspace.library, &args.what)?;
        options.arrangement(&study).map_err(|e| anyhow!("--{e}"))?;
        let choice = with_seeds(&workspace, &study, choice).await?;
        let sheet = sheet(&workspace, &study, &choice, &options).await??;
        anyhow::Ok((study, sheet.own.table))
    })?;
    match args.format.as_str() {
        "csv" => Ok(table.to_csv()),
        "json" => Ok(serde_json::to_string_pretty(&table)? + "\n"),
        "md" => Ok(table.to_markdown()),
        "latex" => Ok(table.to_latex(&Caption::of(
            &study,
            &args.choice.scale,
            args.choice.data.as_deref().unwrap_or_default(),
        ))),
        other => bail!("--format {other} is for runs; a study has csv, json, md and latex"),
    }
}

/// What is exported of the study; as many seeds as were begun unless the arguments say how many.
fn choice(args: &Export) -> anyhow::Result<Choice> {
    let chosen = &args.choice;
    find_scale(&chosen.scale)?;
    Ok(Choice {
        scale: chosen.scale.clone(),
        data: chosen.data.clone().unwrap_or_default(),
        seeds: chosen.seeds.map(|seeds| seeds.to_string()).unwrap_or_default(),
        set: settings(&chosen.set, &catalog())?,
        ..Choice::default()
    })
}

fn options(args: &Export) -> TableOptions {
    TableOptions {
        columns: args.columns.clone(),
        rows: args.rows.clone(),
        sort: args.sort.clone(),
        descending: args.dir.as_ref().map(|dir| dir == "desc"),
        ..TableOptions::default()
    }
}

fn export_run(dir: &RunDir, args: &Export) -> anyhow::Result<()> {
    let file = dir.read().map_err(anyhow::Error::msg)?;
    if args.format == "latex" {
        bail!("--format latex is for studies; a run has csv, json, md and safetensors");
    }
    if args.format == "safetensors" {
        let output = args.output.as_deref().context("--format safetensors needs --output FILE")?;
        fs::copy(dir.model_file(), output)
            .with_context(|| format!("cannot copy {} to {}", dir.model_file().display(), output.display()))?;
        return Ok(());
    }
    let events = EventReader::new(&dir.events_file()).read(&LogPosition::default())?.events;
    if let (true, Some(lost)) = (events.is_empty(), dir.lost_record()) {
        bail!(lost);
    }
    let points = events.iter().filter_map(|event| match &event.kind {
        EventKind::Metric { name, step, value } => Some((name.as_str(), Some(*step), *value)),
        EventKind::Summary { name, value } => Some((name.as_str(), None, *value)),
        _ => None,
    });
    let text = match args.format.as_str() {
        "json" => serde_json::to_string_pretty(&serde_json::json!({ "run": file, "events": events }))? + "\n",
        "csv" => points.fold(String::from("name,step,value\n"), |mut text, (name, step, value)| {
            let _ = writeln!(text, "{},{},{value}", field(name), step.map(|s| s.to_string()).unwrap_or_default());
            text
        }),
        _ => points.filter(|(_, step, _)| step.is_none()).fold(
            format!("### {}\n\n| result | value |\n|---|---|\n", file.run.label),
            |mut text, (name, _, value)| {
                let _ = writeln!(text, "| {name} | {value:.3} |");
                text
            },
        ),
    };
    put(args.output.as_deref(), text.as_bytes())
}

/// Writes a run's features of a folder of images.
///
/// # Errors
/// An unknown run, a run without a model, or a place without images.
pub fn features(args: &Features) -> anyhow::Result<()> {
    let id: RunId = args.run.parse().map_err(|e| anyhow::anyhow!("{}: {e}", args.run))?;
    let data_dir = &args.data_dir.data_dir;
    let said = extract::features(
        &RunDir::of(data_dir, &id),
        &args.images,
        &data_dir.join("cache"),
        &args.blocks,
        &args.output,
        &args.device,
    )?;
    let mut err = io::stderr();
    Ok(said.iter().try_for_each(|sentence| writeln!(err, "warning: {sentence}"))?)
}

fn put(output: Option<&Path>, bytes: &[u8]) -> anyhow::Result<()> {
    match output {
        Some(path) => write_atomic(path, bytes).with_context(|| format!("cannot write {}", path.display())),
        None => Ok(io::stdout().write_all(bytes)?),
    }
}
