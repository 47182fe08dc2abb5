//! `umbra studies plan`: what studies need together, before anything starts.

use std::path::Path;

use super::{all_planned, open_workspace, print, runtime};
use crate::app::studies::expected;
use crate::experiment::forecast::Speed;
use crate::experiment::{Past, Plan, Together};
use crate::settings::PlanStudies;

/// Prints the plan.
///
/// # Errors
/// A setting, study or scale that cannot be, or a data directory that cannot be used.
pub fn plan(args: &PlanStudies) -> anyhow::Result<()> {
    let plans = all_planned(&args.named, &args.choice, &args.data_dir.data_dir)?;
    let plans: Vec<(String, Plan)> = plans.into_iter().map(|(study, plan)| (study.name.clone(), plan)).collect();
    let together = runtime()?.block_on(together(&args.data_dir.data_dir, &args.choice.scale, &plans))?;
    if args.json {
        return print(&serde_json::to_string_pretty(&together)?);
    }
    print(&render(&together))
}

/// What the plans need together, with what is done in the data directory. A directory that is not there yet is not made.
async fn together(data_dir: &Path, scale: &str, plans: &[(String, Plan)]) -> anyhow::Result<Together> {
    if !data_dir.join("umbra.db").exists() && !data_dir.join("runs").exists() {
        let past = Past::new(Vec::new(), Speed::kept(data_dir));
        return Ok(Together::of(plans, |_| false, &past));
    }
    let workspace = open_workspace(data_dir).await?;
    Ok(expected(&workspace, plans, scale).await?)
}

fn render(together: &Together) -> String {
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    drawn.set_header(["study", "runs", "shared", "done", "missing", "expected"]);
    for part in together.studies.iter().chain([&together.total]) {
        let name = if part.name.is_empty() { "together" } else { &part.name };
        let counts = [part.runs, part.shared, part.finished, part.missing()].map(|n| n.to_string());
        drawn.add_row([name.to_owned()].into_iter().chain(counts).chain([part.expected()]));
    }
    let stages: Vec<String> = together.stages.iter().map(|(stage, n)| format!("{n} {stage}")).collect();
    let bases = together.bases.iter().map(|(basis, n)| format!("{n} {}", basis.text()));
    let unknown = (together.total.unknown > 0).then(|| {
        format!(
            "{} unknown: no comparable run has finished here; `umbra bench --method all --keep` measures training",
            together.total.unknown
        )
    });
    let bases: Vec<String> = bases.chain(unknown).collect();
    let expected = if bases.is_empty() {
        String::new()
    } else {
        format!("\nExpected, one run after another: {}.", bases.join("; "))
    };
    format!("{drawn}\nDistinct runs by stage: {}.{expected}", stages.join(", "))
}
