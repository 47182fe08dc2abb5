//! `umbra claims`: what the paper concludes, judged on the runs that are here, and what to run next.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::serve::start_jobs;
use super::study::{STOPPED, report_failures, work_off};
use super::{catalog, complain, find_scale, open_workspace, print, runtime, settings};
use crate::app::Workspace;
use crate::app::studies::{Choice, ClaimScope, JudgedClaim, Next};
use crate::experiment::next::estimate_text;
use crate::experiment::{Judgment, RunSpec, Study};
use crate::settings::{ClaimChoice, ClaimOrder, Claims, NextRuns};

/// Judges all claims, or says what one wants next.
///
/// # Errors
/// A setting, scale or claim that cannot be, or runs that failed.
pub fn claims(args: Claims) -> anyhow::Result<ExitCode> {
    match args.order {
        Some(ClaimOrder::Next(next)) => runtime()?.block_on(show_next(next)),
        None => runtime()?.block_on(list(&args.choice)),
    }
}

async fn list(choice: &ClaimChoice) -> anyhow::Result<ExitCode> {
    let workspace = open_workspace(&choice.data_dir.data_dir).await?;
    let mut all = Vec::new();
    for (study, claims) in scope(&workspace, choice).await?.judge_all(&workspace).await? {
        let claims = match claims {
            // A person's own study need not be possible at every scale.
            Err(fault) if workspace.library.is_custom(&study.name) => {
                complain(&anyhow::Error::new(fault).context(format!("study `{}` is skipped", study.name)));
                continue;
            }
            claims => claims?,
        };
        for claim in claims {
            if choice.json {
                all.push(claim.to_json(&study));
            } else {
                print(&described(&study, &claim.judgment))?;
            }
        }
    }
    if choice.json {
        print(&serde_json::to_string_pretty(&all)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_next(args: NextRuns) -> anyhow::Result<ExitCode> {
    let data_dir = &args.choice.data_dir.data_dir;
    let workspace = open_workspace(data_dir).await?;
    let (study, id) = find(&args.claim, &workspace)?;
    let claim = judged(&workspace, &study, &id, &args.choice).await?;
    if !args.run {
        print(&if args.choice.json {
            serde_json::to_string_pretty(&claim.to_json(&study))?
        } else {
            let JudgedClaim { judgment, next } = &claim;
            format!("{}\n{}", described(&study, judgment), wanted(judgment, next))
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    drop(workspace);
    let (store, jobs) = start_jobs(data_dir, &args.workers).await?;
    let workspace = Workspace::new(store, data_dir, catalog());
    let runs: Vec<RunSpec> = claim.next.runs().into_iter().cloned().collect();
    workspace.launcher(&jobs).queue(&runs, 0).await?;
    let Some(ended) = work_off(&workspace.store, &jobs, &runs, args.choice.json).await? else {
        return Ok(STOPPED.into());
    };
    // The new seed may be one more than those that were judged before.
    let claim = judged(&workspace, &study, &id, &args.choice).await?;
    print(&if args.choice.json {
        serde_json::to_string_pretty(&claim.to_json(&study))?
    } else {
        described(&study, &claim.judgment)
    })?;
    report_failures(&ended)
}

/// The claim of that id as its study's runs stand now.
async fn judged(workspace: &Workspace, study: &Study, id: &str, choice: &ClaimChoice) -> anyhow::Result<JudgedClaim> {
    let claims = scope(workspace, choice).await?.judge(workspace, study).await?;
    let found = claims.into_iter().find(|claim| claim.judgment.claim.id == id);
    found.context("the study has the claim")
}

/// The study that makes a claim, named by `claim` or `study/claim`.
fn find(name: &str, workspace: &Workspace) -> anyhow::Result<(Arc<Study>, String)> {
    let studies = workspace.library.all();
    let all = studies
        .iter()
        .flat_map(|study| study.claims.iter().map(move |claim| (study, &claim.id)));
    let named = |(study, claim): &(&Arc<Study>, &String)| claim.as_str() == name || format!("{}/{claim}", study.name) == name;
    let found: Vec<_> = all.clone().filter(named).collect();
    match found[..] {
        [(study, claim)] => Ok((Arc::clone(study), claim.clone())),
        [] => {
            let names = all.map(|(_, claim)| claim.as_str()).collect::<Vec<_>>().join(", ");
            bail!("claim `{name}` is not known: it must be one of {names}")
        }
        _ => {
            let names = found.iter().map(|(study, claim)| format!("{}/{claim}", study.name));
            bail!(
                "claim `{name}` is made by several studies: say {}",
                names.collect::<Vec<_>>().join(" or ")
            )
        }
    }
}

/// Where claims are judged; on as many seeds as were begun, unless told otherwise.
async fn scope<'a>(workspace: &'a Workspace, choice: &ClaimChoice) -> anyhow::Result<ClaimScope<'a>> {
    let runs = &choice.runs;
    if runs.seeds == Some(0) {
        bail!("--seeds 0: it must be a whole number from 1 to 999");
    }
    let choice = Choice {
        scale: runs.scale.clone(),
        // What is left out is the scale's own dataset, be it that of most runs or not.
        data: find_scale(&runs.scale)?.source_or(runs.data.as_deref()),
        seeds: runs.seeds.map(|seeds| seeds.to_string()).unwrap_or_default(),
        set: settings(&runs.set, &workspace.catalog)?,
        ..Choice::default()
    };
    Ok(ClaimScope::of(workspace, choice).await?)
}

/// The verdict and the sentence, then a line for each comparison.
fn described(study: &Study, judgment: &Judgment) -> String {
    let claim = &judgment.claim;
    let head = format!(
        "{:15} {}  ({}, {})\n    {}",
        judgment.verdict.text().to_uppercase(),
        claim.id,
        study.name,
        claim.source,
        claim.says
    );
    let lines = judgment.findings.iter().filter_map(|finding| {
        let effect = finding.effect()?;
        Some(format!("    {}: {effect}, {}", finding.what(), finding.verdict.text()))
    });
    let lacks = judgment.lacks().map(|lacks| format!("    Lacks two seeds each. {lacks}"));
    std::iter::once(head).chain(lines).chain(lacks).collect::<Vec<_>>().join("\n")
}

fn wanted(judgment: &Judgment, next: &Next) -> String {
    let runs: Vec<String> = next.runs().iter().map(|run| format!("    {}  {}", run.id, run.label)).collect();
    let estimate = next.estimate.map(|seeds| format!("\n{}", estimate_text(seeds)));
    let head = match (judgment.verdict.is_decided(), runs.len()) {
        (true, _) => "It is decided: nothing to run.".to_owned(),
        (false, 0) if next.under_way > 0 => format!("{} runs that it needs wait or work already.", next.under_way),
        (false, 0) => "Nothing can be run for it at this scale.".to_owned(),
        (false, n) => format!("Next, {n} runs; `--run` runs them now:"),
    };
    format!("{head}\n{}{}", runs.join("\n"), estimate.unwrap_or_default())
}
