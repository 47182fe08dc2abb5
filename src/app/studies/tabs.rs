//! The scales and datasets at which a study has runs: a tab each, and what its table may stand beside.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Choice, Done, Evidence, evidence};
use crate::app::{Result, Workspace};
use crate::experiment::{Plan, RunId, Scale, Study};
use crate::run_dir::State;

/// A scale with a dataset.
#[derive(Clone, Debug)]
pub struct Tab {
    /// Which it is, with as many seeds as the study has there unless others were asked for.
    pub choice: Choice,
    /// How far it is.
    pub done: Done,
    /// Whether it is the one that is shown.
    pub current: bool,
}

impl Tab {
    /// What it is called.
    pub fn title(&self) -> String {
        self.choice.title()
    }

    /// Its name in [`against`](super::TableOptions::against).
    pub fn key(&self) -> String {
        match self.choice.data.as_str() {
            "" => self.choice.scale.clone(),
            data => format!("{}:{data}", self.choice.scale),
        }
    }
}

/// A scale with a dataset, and what the study wants there.
struct Candidate<'a> {
    choice: Choice,
    scale: &'a Scale,
    /// Whether the choice says how many seeds.
    asked: bool,
    current: bool,
    plan: Arc<Plan>,
}

/// The tabs of a study, smallest scale first: those with runs, and the present one.
pub async fn tabs(workspace: &Workspace, study: &Study, choice: &Choice) -> Result<Vec<Tab>> {
    Ok(tabs_of(workspace, &[study], choice).await?.pop().unwrap_or_default())
}

/// The same of several studies, in their order.
pub async fn tabs_of(workspace: &Workspace, studies: &[&Study], choice: &Choice) -> Result<Vec<Vec<Tab>>> {
    let evidence = evidence(&workspace.store).await?;
    let all: Vec<Vec<Candidate>> = studies
        .iter()
        .map(|study| candidates(workspace, &evidence, study, choice))
        .collect();
    let ids: Vec<RunId> = all.iter().flatten().flat_map(|candidate| candidate.plan.ids()).collect();
    let states = workspace.store.states(&ids).await?;
    let tabs = |(study, candidates): (&&Study, Vec<Candidate>)| {
        let tabs = candidates.into_iter().map(|candidate| candidate.tab(workspace, study, &states));
        tabs.filter(|tab| tab.current || tab.done.known > 0).collect()
    };
    Ok(studies.iter().zip(all).map(tabs).collect())
}

/// The largest scale the study was begun at, with the dataset of most of its finished runs; or the smallest scale there is.
pub async fn usual_choice(workspace: &Workspace, study: &Study) -> Result<Choice> {
    let first = Choice {
        scale: workspace.smallest_scale(),
        ..Choice::default()
    };
    let begun = tabs(workspace, study, &first).await?.into_iter().filter(|tab| tab.done.known > 0);
    let size = |name: &str| workspace.scales.iter().position(|scale| scale.name == name);
    let best = begun.max_by_key(|tab| (size(&tab.choice.scale), tab.done.finished, tab.choice.data.is_empty()));
    Ok(best.map_or(first, |tab| tab.choice))
}

/// The choice with as many seeds as the study has there, unless it says how many.
pub async fn with_seeds(workspace: &Workspace, study: &Study, choice: Choice) -> Result<Choice> {
    // What is wrong with it is said where its table is made.
    let sound = choice.seeds.is_empty() && choice.indexed(workspace, study).is_ok();
    let Some(scale) = workspace.scale(&choice.scale).filter(|_| sound) else {
        return Ok(choice);
    };
    let with = |seeds: u64| Choice {
        seeds: beyond(scale, seeds),
        ..choice.clone()
    };
    let all = evidence(&workspace.store).await?;
    let most = Evidence::seeds_at(&all, &scale.name, &scale.source_or(choice.source()));
    let plan = with(most).indexed(workspace, study)?;
    let states = workspace.store.states(&plan.ids()).await?;
    Ok(with(seeds_begun(&plan, &states)))
}

fn candidates<'a>(workspace: &'a Workspace, evidence: &[Evidence], study: &Study, choice: &Choice) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for scale in &workspace.scales {
        for data in sources(scale, evidence, choice) {
            let current = is_current(scale, &data, choice);
            let asked = current && !choice.seeds.is_empty();
            // The present one has what is typed, the others what was typed when they were launched.
            let typed = workspace.datasets.typed(&scale.name, &data);
            let mut choice = Choice {
                fault: None,
                scale: scale.name.clone(),
                data,
                of_images: if current { choice.of_images.clone() } else { typed },
                ..choice.clone()
            };
            if !asked {
                let source = scale.source_or(choice.source());
                choice.seeds = beyond(scale, Evidence::seeds_at(evidence, &scale.name, &source));
            }
            if let Ok(plan) = choice.indexed(workspace, study) {
                candidates.push(Candidate {
                    choice,
                    scale,
                    asked,
                    current,
                    plan,
                });
            }
        }
    }
    candidates
}

impl Candidate<'_> {
    fn tab(self, workspace: &Workspace, study: &Study, states: &HashMap<RunId, State>) -> Tab {
        let (mut choice, mut plan) = (self.choice, self.plan);
        if !self.asked {
            choice.seeds = beyond(self.scale, seeds_begun(&plan, states));
            plan = choice.indexed(workspace, study).unwrap_or(plan);
        }
        Tab {
            done: Done::among(&plan, states),
            current: self.current,
            choice,
        }
    }
}

/// How many seeds of a plan were begun: one more than the largest of which a run is known.
fn seeds_begun(plan: &Plan, states: &HashMap<RunId, State>) -> u64 {
    let known = plan.runs.iter().filter(|run| states.contains_key(&run.id));
    known.map(|run| run.seed + 1).max().unwrap_or(0)
}

/// A number of seeds as it is typed; empty where it is not more than the scale's own.
fn beyond(scale: &Scale, seeds: u64) -> String {
    if seeds > scale.seeds { seeds.to_string() } else { String::new() }
}

/// The scale's own dataset, which is empty, then those of its runs and the present one.
fn sources(scale: &Scale, evidence: &[Evidence], choice: &Choice) -> Vec<String> {
    let own = scale.source();
    let used = evidence.iter().filter(|one| one.scale == scale.name).map(|one| &one.data);
    let present = Some(&choice.data).filter(|data| choice.scale == scale.name && !data.is_empty());
    let mut sources: Vec<String> = used.chain(present).filter(|data| **data != own).cloned().collect();
    sources.sort_unstable();
    sources.dedup();
    sources.insert(0, String::new());
    sources
}

fn is_current(scale: &Scale, data: &str, choice: &Choice) -> bool {
    choice.scale == scale.name && (choice.data == data || (data.is_empty() && choice.data == scale.source()))
}
