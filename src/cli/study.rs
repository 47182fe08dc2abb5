//! `umbra run`: studies without a server. The same queue and workers, with the terminal for a page.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::serve::start_jobs;
use super::{all_planned, catalog, complain, print, runtime, settings};
use crate::app::Workspace;
use crate::app::launch::{LaunchRequest, LaunchTarget};
use crate::app::studies::fill;
use crate::experiment::{RunId, RunSpec, Table};
use crate::jobs::Jobs;
use crate::run_dir::State;
use crate::settings::RunStudy;
use crate::store::{Run, RunFilter, Store};

/// How often the bars are drawn anew.
const REFRESH: Duration = Duration::from_millis(300);
/// The exit code of a command that a person stopped, as shells have it.
pub(super) const STOPPED: u8 = 130;
/// Runs that have a bar each, at most.
const MOST_BARS: usize = 40;

/// Runs the studies to their end and prints their tables; fails if a run did.
///
/// # Errors
/// A setting, study or scale that cannot be, or a data directory that a server uses.
pub fn run(args: RunStudy) -> anyhow::Result<ExitCode> {
    let data_dir = &args.data_dir.data_dir;
    // What is not allowed is said before anything is begun.
    let planned = all_planned(&args.named, &args.choice, data_dir)?;
    let names = planned.iter().map(|(study, _)| study.name.clone()).collect();
    let request = LaunchRequest {
        target: LaunchTarget::Studies {
            names,
            seeds: args.choice.seeds,
        },
        scale: args.choice.scale.clone(),
        data: args.choice.data.clone(),
        set: settings(&args.choice.set, &catalog())?,
        priority: 0,
    };
    runtime()?.block_on(async {
        let (store, jobs) = start_jobs(data_dir, &args.workers).await?;
        let workspace = Workspace::new(store, data_dir, catalog());
        let launched = workspace.launcher(&jobs).launch(&request).await?;
        if let Some(left_out) = &launched.left_out {
            complain(&anyhow::anyhow!("{left_out}"));
        }
        let Some(ended) = work_off(&workspace.store, &jobs, &launched.runs, args.json).await? else {
            return Ok(STOPPED.into());
        };
        let mut tables = Vec::new();
        // Planned again: what the images are was found out by the launch.
        for (study, plan) in &all_planned(&args.named, &args.choice, data_dir)? {
            tables.push(fill(&workspace.store, study, plan).await?.table);
        }
        print(&match &tables[..] {
            [table] if args.json => serde_json::to_string_pretty(table)?,
            _ if args.json => serde_json::to_string_pretty(&tables)?,
            _ => tables.iter().map(render).collect::<Vec<_>>().join("\n\n"),
        })?;
        report_failures(&ended)
    })
}

/// Waits for the end of queued runs; nothing if a person stopped them.
pub(super) async fn work_off(store: &Store, jobs: &Jobs, runs: &[RunSpec], quiet: bool) -> anyhow::Result<Option<Vec<Run>>> {
    tokio::select! {
        ended = watch(store, runs, quiet) => Ok(Some(ended?)),
        _ = tokio::signal::ctrl_c() => stop(jobs, runs).await.map(|()| None),
    }
}

/// Waits until no run can go on, drawing a bar for each, or one for all if they are many.
async fn watch(store: &Store, runs: &[RunSpec], quiet: bool) -> anyhow::Result<Vec<Run>> {
    let bars = if quiet {
        MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden())
    } else {
        MultiProgress::new()
    };
    let mut drawn: BTreeMap<RunId, ProgressBar> = BTreeMap::new();
    let mut all = None;
    if runs.len() > MOST_BARS {
        all = Some(bars.add(ProgressBar::new(runs.len() as u64).with_style(style_of_all())));
    } else {
        for spec in runs {
            let bar = bars.add(ProgressBar::new(1).with_style(style()).with_prefix(spec.label.clone()));
            drawn.insert(spec.id.clone(), bar);
        }
    }
    let wanted = RunFilter {
        ids: Some(runs.iter().map(|run| run.id.clone()).collect()),
        limit: runs.len() as u64,
        ..RunFilter::default()
    };
    loop {
        let now = store.runs(&wanted).await?;
        now.iter()
            .filter_map(|run| Some((drawn.get(&run.id)?, run)))
            .for_each(|(bar, run)| draw(bar, run));
        let lost = lost(&now);
        let open = now
            .iter()
            .filter(|r| r.state == State::Running || r.state == State::Queued && !lost.contains(&r.id))
            .count();
        if let Some(bar) = &all {
            bar.set_position((now.len() - open) as u64);
            let running = now.iter().filter(|run| run.state == State::Running);
            bar.set_message(running.map(|run| run.label.as_str()).collect::<Vec<_>>().join(", "));
        }
        if open == 0 {
            return Ok(now);
        }
        tokio::time::sleep(REFRESH).await;
    }
}

/// The runs that failed or were cancelled, and those that wait for them in vain, be it through another.
fn lost(runs: &[Run]) -> BTreeSet<RunId> {
    let mut sorted: Vec<&Run> = runs.iter().collect();
    sorted.sort_by_key(|run| run.stage); // Parents first.
    let mut lost = BTreeSet::new();
    for run in sorted {
        let ended = matches!(run.state, State::Failed | State::Cancelled);
        if ended || run.state == State::Queued && run.parent.as_ref().is_some_and(|parent| lost.contains(parent)) {
            lost.insert(run.id.clone());
        }
    }
    lost
}

fn style_of_all() -> ProgressStyle {
    ProgressStyle::with_template("{pos} of {len} runs {bar:24} {eta} left at this pace  {msg}").expect("the template is a constant")
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:46!} {bar:24} {percent:>3} % {msg}").expect("the template is a constant")
}

fn draw(bar: &ProgressBar, run: &Run) {
    bar.set_length(run.progress.steps.max(1));
    match run.state {
        State::Queued => bar.set_message("waits"),
        State::Running => {
            bar.set_position(run.progress.step);
            let rate = run
                .progress
                .images_per_second
                .map(|r| format!("{r:.0} images/s"))
                .unwrap_or_default();
            let eta = run.progress.eta_seconds.map(|s| format!(", {s:.0} s left")).unwrap_or_default();
            bar.set_message(format!("{} {rate}{eta}", run.progress.phase.as_deref().unwrap_or("starting")));
        }
        State::Finished if !bar.is_finished() => {
            bar.set_position(run.progress.steps.max(1));
            let seconds = run.ended.zip(run.started).map_or(0.0, |(end, start)| end - start);
            bar.finish_with_message(format!("finished in {seconds:.0} s"));
        }
        State::Failed | State::Cancelled if !bar.is_finished() => bar.abandon_with_message(run.reason.clone().unwrap_or_default()),
        _ => {}
    }
}

/// Ends the workers with a checkpoint, so that the same command goes on from there.
async fn stop(jobs: &Jobs, runs: &[RunSpec]) -> anyhow::Result<()> {
    print("Stopping: the running work writes a checkpoint; the same command goes on from it.")?;
    for spec in runs.iter().rev() {
        // A run that has ended meanwhile needs no stopping.
        let _ = jobs.cancel(&spec.id).await;
    }
    while jobs.devices().iter().any(|slot| slot.run.is_some()) {
        tokio::time::sleep(REFRESH).await;
    }
    Ok(())
}

fn render(table: &Table) -> String {
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    let heads = table.columns.iter().flat_map(|column| [column.heading(), "paper".to_owned()]);
    drawn.set_header(std::iter::once(String::new()).chain(heads));
    for row in &table.rows {
        let cells = table.columns.iter().zip(&row.entries).flat_map(|(column, entry)| {
            let missing = entry.missing.first().map(|m| m.state.clone()).unwrap_or_default();
            let ours = if entry.values.is_empty() {
                missing
            } else {
                entry.text(column.decimals)
            };
            [ours, entry.paper_text(column.decimals).unwrap_or_default()]
        });
        drawn.add_row(std::iter::once(row.title.clone()).chain(cells));
    }
    format!("{}\n{drawn}", table.title)
}

pub(super) fn report_failures(runs: &[Run]) -> anyhow::Result<ExitCode> {
    let failed: Vec<&Run> = runs.iter().filter(|r| r.state != State::Finished).collect();
    // The cause, not a run that waits for it.
    let cause = failed.iter().find(|run| run.state == State::Failed).or(failed.first());
    match cause {
        None => Ok(ExitCode::SUCCESS),
        Some(first) => bail!(
            "{} of {} runs did not finish; {}: {}",
            failed.len(),
            runs.len(),
            first.label,
            first.reason.as_deref().unwrap_or("waits for its parent")
        ),
    }
}
