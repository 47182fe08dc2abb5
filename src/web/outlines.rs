//! Which runs studies consist of, kept for the pages that ask again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::AppState;
use crate::experiment::{Invalid, Plan, Request, Scale, Study, plan};

/// Runs that are kept by name, over all studies: some tens of megabytes.
const MOST: usize = 100_000;

/// Plans without their settings. Pages ask for all studies each time, and planning takes longer than anything else on them.
#[derive(Clone, Debug, Default)]
pub struct Outlines(Arc<Mutex<HashMap<Key, Known>>>);

/// Study, scale, source of the pictures, number of seeds.
type Key = (String, String, Option<String>, Option<u64>);

/// A plan, with the study as it was then: a person may have changed it.
type Known = (Study, Arc<Plan>);

impl Outlines {
    /// The runs of a study at a scale and the places they fill, by name; `request` has wishes for pictures and seeds alone.
    ///
    /// # Errors
    /// As [`plan`].
    pub fn of(&self, app: &AppState, study: &Study, scale: &Scale, request: &Request) -> Result<Arc<Plan>, Invalid> {
        if !request.set.is_empty() {
            return Ok(Arc::new(plan(study, scale, &app.catalog, request)?.without_settings()));
        }
        let data = request.data.clone().filter(|data| *data != scale.source());
        let seeds = request.seeds.filter(|seeds| *seeds != scale.seeds);
        let key = (study.name.clone(), scale.name.clone(), data, seeds);
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept()
            .get(&key)
            .filter(|(then, _)| then == study)
            .map(|(_, outline)| Arc::clone(outline));
        if let Some(outline) = known {
            return Ok(outline);
        }
        let outline = Arc::new(plan(study, scale, &app.catalog, request)?.without_settings());
        let mut kept = kept();
        if kept.values().map(|(_, outline)| outline.runs.len()).sum::<usize>() + outline.runs.len() > MOST {
            kept.clear();
        }
        kept.insert(key, (study.clone(), Arc::clone(&outline)));
        Ok(outline)
    }
}
