//! The scales and pictures at which a study has runs: a tab each, and what its table may stand beside.

use std::collections::HashMap;
use std::sync::Arc;

use super::AppState;
use super::error::Result;
use super::study_choice::{Choice, Done};
use super::study_view::View;
use crate::experiment::{Plan, RunId, Scale, Study};
use crate::run_dir::State;
use crate::store::{Ground, most_seeds, seeds_begun};

/// A scale with some pictures.
pub struct Tab {
    /// Which it is, with as many seeds as the study has there unless others were asked for.
    pub choice: Choice,
    /// The same view of it.
    pub href: String,
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

    /// Its name in `against`.
    pub fn key(&self) -> String {
        match self.choice.data.as_str() {
            "" => self.choice.scale.clone(),
            data => format!("{}:{data}", self.choice.scale),
        }
    }
}

/// The tabs of a study, smallest scale first: those with runs, and the present one.
pub async fn tabs(app: &AppState, study: &Study, choice: &Choice, view: &View) -> Result<Vec<Tab>> {
    tabs_on(app, &app.store.grounds().await?, study, choice, view).await
}

/// The same, given what runs were made on.
pub async fn tabs_on(app: &AppState, grounds: &[Ground], study: &Study, choice: &Choice, view: &View) -> Result<Vec<Tab>> {
    let mut plans = Vec::new();
    for scale in &app.scales {
        for data in sources(scale, grounds, choice) {
            let current = is_current(scale, &data, choice);
            let asked = current && !choice.seeds.is_empty();
            let most = most_seeds(grounds, &scale.name, &source(scale, &data));
            let tab = Choice {
                fault: None,
                scale: scale.name.clone(),
                data,
                seeds: if asked { choice.seeds.clone() } else { beyond(scale, most) },
            };
            if let Ok(outline) = tab.outline(app, study) {
                plans.push((tab, scale, asked, current, outline));
            }
        }
    }
    let ids: Vec<RunId> = plans.iter().flat_map(|(.., outline)| outline.ids()).collect();
    let states: HashMap<RunId, State> = app.store.states(&ids).await?;
    let path = format!("/studies/{}", study.name);
    let tab = |(mut tab, scale, asked, current, mut outline): (Choice, &Scale, bool, bool, Arc<Plan>)| {
        if !asked {
            tab.seeds = beyond(scale, seeds_begun(&outline, &states));
            outline = tab.outline(app, study).unwrap_or(outline);
        }
        Tab {
            href: view.alone().href(&path, &tab),
            done: Done::among(&outline, &states),
            current,
            choice: tab,
        }
    };
    Ok(plans.into_iter().map(tab).filter(|tab| tab.current || tab.done.known > 0).collect())
}

/// The choice with as many seeds as the study has there, unless it says how many.
pub async fn with_seeds(app: &AppState, study: &Study, choice: Choice) -> Result<Choice> {
    let Some(scale) = app.scale(&choice.scale).filter(|_| choice.seeds.is_empty()) else {
        return Ok(choice);
    };
    let most = beyond(scale, app.store.most_seeds(&scale.name, &source(scale, &choice.data)).await?);
    let all = Choice {
        seeds: most,
        ..choice.clone()
    };
    // What is wrong with it is said where its table is made.
    let Ok(outline) = all.outline(app, study) else { return Ok(choice) };
    let states = app.store.states(&outline.ids()).await?;
    Ok(Choice {
        seeds: beyond(scale, seeds_begun(&outline, &states)),
        ..choice
    })
}

/// A number of seeds as it is typed; empty where it is not more than the scale's own.
fn beyond(scale: &Scale, seeds: u64) -> String {
    if seeds > scale.seeds { seeds.to_string() } else { String::new() }
}

/// The pictures that `data` names at a scale.
fn source(scale: &Scale, data: &str) -> String {
    if data.is_empty() { scale.source() } else { data.to_owned() }
}

/// The scale's own pictures, which are empty, then those of its runs and the present ones.
fn sources(scale: &Scale, grounds: &[Ground], choice: &Choice) -> Vec<String> {
    let own = scale.source();
    let used = grounds
        .iter()
        .filter(|ground| ground.scale == scale.name)
        .map(|ground| &ground.data);
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
