//! `umbra run`: a study without a server. The same queue and workers, with the terminal for a page.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::serve::start_jobs;
use super::{planned, print, runtime};
use crate::experiment::{RunId, RunSpec, Table};
use crate::jobs::Jobs;
use crate::run_dir::State;
use crate::settings::RunStudy;
use crate::store::{Run, Store};

/// How often the bars are drawn anew.
const REFRESH: Duration = Duration::from_millis(300);
/// The exit code of a command that a person stopped, as shells have it.
pub(super) const STOPPED: u8 = 130;

/// Runs the study to its end and prints the table; fails if a run did.
///
/// # Errors
/// A setting, study or scale that cannot be, or a data directory that a server uses.
pub fn run(args: RunStudy) -> anyhow::Result<ExitCode> {
    let (study, plan) = planned(&args.study, &args.choice)?;
    runtime()?.block_on(async {
        let (store, jobs) = start_jobs(&args.data_dir.data_dir, &args.workers).await?;
        let Some(ended) = work_off(&store, &jobs, &plan.runs, args.json).await? else {
            return Ok(STOPPED.into());
        };
        let table = store.fill(&study, &plan).await?.table;
        print(&if args.json {
            serde_json::to_string_pretty(&table)?
        } else {
            render(&table)
        })?;
        report_failures(&ended)
    })
}

/// Queues runs and waits for their end; nothing if a person stopped them.
pub(super) async fn work_off(store: &Store, jobs: &Jobs, runs: &[RunSpec], quiet: bool) -> anyhow::Result<Option<Vec<Run>>> {
    jobs.submit(runs, 0).await?;
    tokio::select! {
        ended = watch(store, runs, quiet) => Ok(Some(ended?)),
        _ = tokio::signal::ctrl_c() => stop(jobs, runs).await.map(|()| None),
    }
}

/// Waits until no run can go on, drawing a bar for each.
async fn watch(store: &Store, runs: &[RunSpec], quiet: bool) -> anyhow::Result<Vec<Run>> {
    let bars = if quiet {
        MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden())
    } else {
        MultiProgress::new()
    };
    let mut drawn: BTreeMap<RunId, ProgressBar> = BTreeMap::new();
    for spec in runs {
        let bar = bars.add(ProgressBar::new(1).with_style(style()).with_prefix(spec.label.clone()));
        drawn.insert(spec.id.clone(), bar);
    }
    loop {
        let mut now = Vec::new();
        for spec in runs {
            now.extend(store.run(&spec.id).await?);
        }
        now.iter().for_each(|run| draw(&drawn[&run.id], run));
        let failed = |id: &Option<RunId>| {
            now.iter()
                .any(|r| Some(&r.id) == id.as_ref() && matches!(r.state, State::Failed | State::Cancelled))
        };
        let open = now
            .iter()
            .filter(|r| r.state == State::Running || r.state == State::Queued && !failed(&r.parent))
            .count();
        if open == 0 {
            return Ok(now);
        }
        tokio::time::sleep(REFRESH).await;
    }
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
    let heads = table.columns.iter().flat_map(|c| {
        [
            if c.unit.is_empty() {
                c.title.clone()
            } else {
                format!("{} ({})", c.title, c.unit)
            },
            "paper".to_owned(),
        ]
    });
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
    match failed.first() {
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
