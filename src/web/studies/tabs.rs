//! The scales and images at which a study has runs: a tab each, and what its table may stand beside.

use std::collections::HashMap;
use std::sync::Arc;

use crate::experiment::{Plan, RunId, Scale, Study};
use crate::run_dir::State;
use crate::store::{Ground, most_seeds, seeds_begun};
use crate::web::AppState;
use crate::web::error::{Error, Result};
use crate::web::studies::arrangement::View;
use crate::web::studies::choice::{Choice, Done};

/// A scale with some images.
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

/// A scale with some images, and what the study wants there.
struct Place<'a> {
    choice: Choice,
    scale: &'a Scale,
    /// Whether the choice says how many seeds.
    asked: bool,
    current: bool,
    outline: Arc<Plan>,
}

/// The tabs of a study, smallest scale first: those with runs, and the present one.
pub async fn tabs(app: &AppState, study: &Study, choice: &Choice, view: &View) -> Result<Vec<Tab>> {
    Ok(tabs_of(app, &[study], choice, view).await?.pop().unwrap_or_default())
}

/// The same of several studies, in their order.
pub async fn tabs_of(app: &AppState, studies: &[&Study], choice: &Choice, view: &View) -> Result<Vec<Vec<Tab>>> {
    let grounds = app.store.grounds().await?;
    let places: Vec<Vec<Place>> = studies.iter().map(|study| places(app, &grounds, study, choice)).collect();
    let ids: Vec<RunId> = places.iter().flatten().flat_map(|place| place.outline.ids()).collect();
    let states = app.store.states(&ids).await?;
    let tabs = |(study, places): (&&Study, Vec<Place>)| {
        let tabs = places.into_iter().map(|place| place.tab(app, study, view, &states));
        tabs.filter(|tab| tab.current || tab.done.known > 0).collect()
    };
    Ok(studies.iter().zip(places).map(tabs).collect())
}

fn places<'a>(app: &'a AppState, grounds: &[Ground], study: &Study, choice: &Choice) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    for scale in &app.scales {
        for data in sources(scale, grounds, choice) {
            let current = is_current(scale, &data, choice);
            let asked = current && !choice.seeds.is_empty();
            let mut choice = Choice {
                fault: None,
                scale: scale.name.clone(),
                data,
                seeds: choice.seeds.clone(),
            };
            if !asked {
                choice.seeds = beyond(scale, most_seeds(grounds, &scale.name, &scale.source_or(choice.source())));
            }
            if let Ok(outline) = choice.outline(app, study) {
                places.push(Place {
                    choice,
                    scale,
                    asked,
                    current,
                    outline,
                });
            }
        }
    }
    places
}

impl Place<'_> {
    fn tab(self, app: &AppState, study: &Study, view: &View, states: &HashMap<RunId, State>) -> Tab {
        let (mut choice, mut outline) = (self.choice, self.outline);
        if !self.asked {
            choice.seeds = beyond(self.scale, seeds_begun(&outline, states));
            outline = choice.outline(app, study).unwrap_or(outline);
        }
        Tab {
            href: view.alone().href(&format!("/studies/{}", study.name), &choice),
            done: Done::among(&outline, states),
            current: self.current,
            choice,
        }
    }
}

/// The choice with as many seeds as the study has there, unless it says how many.
pub async fn with_seeds(app: &AppState, study: &Study, choice: Choice) -> Result<Choice> {
    // What is wrong with it is said where its table is made.
    let sound = choice.seeds.is_empty() && choice.outline(app, study).is_ok();
    let Some(scale) = app.scale(&choice.scale).filter(|_| sound) else {
        return Ok(choice);
    };
    let with = |seeds: u64| Choice {
        seeds: beyond(scale, seeds),
        ..choice.clone()
    };
    let outline = |seeds| Ok::<_, Error>(with(seeds).outline(app, study)?);
    let seeds = app.store.seeds_begun(scale, choice.source(), outline).await?;
    Ok(with(seeds))
}

/// A number of seeds as it is typed; empty where it is not more than the scale's own.
fn beyond(scale: &Scale, seeds: u64) -> String {
    if seeds > scale.seeds { seeds.to_string() } else { String::new() }
}

/// The scale's own images, which are empty, then those of its runs and the present ones.
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
