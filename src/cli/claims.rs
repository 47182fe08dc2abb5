//! `umbra claims`: what the paper concludes, judged on the runs that are here, and what to run next.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::json;

use super::serve::start_jobs;
use super::study::{STOPPED, report_failures, work_off};
use super::{catalog, complain, find_scale, print, runtime, settings};
use crate::experiment::next::{estimate_text, seeds_to_plan};
use crate::experiment::{Invalid, Judgment, Library, Plan, Request, RunSpec, Study, plan};
use crate::settings::{ClaimChoice, ClaimOrder, Claims, NextRuns};
use crate::store::{Judged, Next, Store};

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
    let store = Store::open(&choice.data_dir.data_dir).await?;
    let mut all = Vec::new();
    let library = Library::new(&choice.data_dir.data_dir);
    for study in library.all() {
        let (plan, seeds) = match planned(&store, &study, choice).await {
            // A person's own study need not be possible at every scale.
            Err(fault) if fault.is::<Invalid>() && library.is_own(&study.name) => {
                complain(&fault.context(format!("study `{}` is skipped", study.name)));
                continue;
            }
            planned => planned?,
        };
        let Judged { claims, .. } = store.judge(&study, &plan, seeds).await?;
        for (judgment, next) in claims {
            if choice.json {
                all.push(as_json(&study, &judgment, &next));
            } else {
                print(&described(&study, &judgment))?;
            }
        }
    }
    if choice.json {
        print(&serde_json::to_string_pretty(&all)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_next(args: NextRuns) -> anyhow::Result<ExitCode> {
    let (study, id) = find(&args.claim, &args.choice)?;
    let study = study.as_ref();
    let data_dir = &args.choice.data_dir.data_dir;
    let store = Store::open(data_dir).await?;
    let (plan, seeds) = planned(&store, study, &args.choice).await?;
    let judged = store.judge(study, &plan, seeds).await?;
    let found = judged.claims.into_iter().find(|(judgment, _)| judgment.claim.id == id);
    let (judgment, next) = found.context("the study has the claim")?;
    if !args.run {
        print(&if args.choice.json {
            serde_json::to_string_pretty(&as_json(study, &judgment, &next))?
        } else {
            format!("{}\n{}", described(study, &judgment), wishes(&judgment, &next))
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    drop(store);
    let (store, jobs) = start_jobs(data_dir, &args.workers).await?;
    let runs: Vec<RunSpec> = next.runs().into_iter().cloned().collect();
    let Some(ended) = work_off(&store, &jobs, &runs, args.choice.json).await? else {
        return Ok(STOPPED.into());
    };
    // The new seed may be one more than those that were judged before.
    let (plan, seeds) = planned(&store, study, &args.choice).await?;
    let judged = store.judge(study, &plan, seeds).await?;
    for (judgment, next) in judged.claims.iter().filter(|(judgment, _)| judgment.claim.id == id) {
        print(&if args.choice.json {
            serde_json::to_string_pretty(&as_json(study, judgment, next))?
        } else {
            described(study, judgment)
        })?;
    }
    report_failures(&ended)
}

/// The study that makes a claim, named by `claim` or `study/claim`.
fn find(name: &str, choice: &ClaimChoice) -> anyhow::Result<(Arc<Study>, String)> {
    let studies = Library::new(&choice.data_dir.data_dir).all();
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

/// The study's runs, a seed more than those that are judged, and how many are: as many as were begun, unless told otherwise.
async fn planned(store: &Store, study: &Study, choice: &ClaimChoice) -> anyhow::Result<(Plan, u64)> {
    let (catalog, scale) = (catalog(), find_scale(&choice.runs.scale)?);
    let set = settings(&choice.runs.set, &catalog)?;
    let data = scale.source_or(choice.runs.data.as_deref());
    let seeds = match choice.runs.seeds {
        Some(0) => bail!("--seeds 0: it must be a whole number from 1 to 999"),
        Some(seeds) => seeds.min(999),
        None => store.most_seeds(&scale.name, &data).await?,
    };
    let request = Request {
        data: choice.runs.data.clone(),
        seeds: Some(seeds_to_plan(seeds)),
        set,
    };
    Ok((plan(study, &scale, &catalog, &request)?, seeds))
}

fn as_json(study: &Study, judgment: &Judgment, next: &Next) -> serde_json::Value {
    let runs: Vec<_> = next.runs().iter().map(|run| json!({ "id": run.id, "label": run.label })).collect();
    json!({ "study": study.name, "claim": judgment.claim, "verdict": judgment.verdict, "findings": judgment.findings,
        "next": { "runs": runs, "under_way": next.under_way, "seeds_estimate": next.estimate } })
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

fn wishes(judgment: &Judgment, next: &Next) -> String {
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
