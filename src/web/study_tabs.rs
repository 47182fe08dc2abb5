//! The scales and pictures at which a study has runs: a tab each, and what its table may stand beside.

use std::collections::HashMap;
use std::sync::Arc;

use super::AppState;
use super::error::Result;
use super::study_choice::{Choice, Done};
use super::study_view::View;
use crate::experiment::{Plan, RunId, Study};
use crate::run_dir::State;

/// A scale with some pictures.
pub struct Tab {
    /// Which it is.
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
    let used = app.store.settings_used().await?;
    let mut plans = Vec::new();
    for scale in &app.scales {
        let source = scale.source();
        let current = || Some(&choice.data).filter(|data| choice.scale == scale.name && !data.is_empty());
        let others = used
            .iter()
            .filter(|(name, _)| *name == scale.name)
            .map(|(_, data)| data)
            .chain(current());
        let mut sources: Vec<&str> = others.map(String::as_str).filter(|data| *data != source).collect();
        sources.sort_unstable();
        sources.dedup();
        for data in std::iter::once("").chain(sources) {
            let tab = Choice {
                scale: scale.name.clone(),
                data: data.to_owned(),
                ..Choice::default()
            };
            let current = choice.scale == scale.name && (choice.data == data || (data.is_empty() && choice.data == source));
            // The present one has as many seeds as were asked for.
            let tab = if current {
                Choice {
                    seeds: choice.seeds.clone(),
                    ..tab
                }
            } else {
                tab
            };
            if let Ok(outline) = tab.outline(app, study) {
                plans.push((tab, current, outline));
            }
        }
    }
    let ids: Vec<RunId> = plans.iter().flat_map(|(.., outline)| outline.ids()).collect();
    let states: HashMap<RunId, State> = app.store.states(&ids).await?;
    let path = format!("/studies/{}", study.name);
    let tab = |(tab, current, outline): (Choice, bool, Arc<Plan>)| Tab {
        href: view.alone().href(&path, &tab),
        done: Done::among(&outline, &states),
        current,
        choice: tab,
    };
    Ok(plans.into_iter().map(tab).filter(|tab| tab.current || tab.done.known > 0).collect())
}
