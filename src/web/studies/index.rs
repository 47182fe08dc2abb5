//! Which runs studies consist of, kept for the pages that ask again and again.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::experiment::{Invalid, Plan, Request, Scale, Study, plan_seeds};
use crate::web::AppState;

/// Runs that are kept by name, over all studies: some tens of megabytes.
const MOST: usize = 100_000;

/// Plans without their settings. Pages ask for all studies each time, and planning takes longer than anything else on them.
#[derive(Clone, Debug, Default)]
pub struct Outlines(Arc<Mutex<HashMap<Key, Known>>>);

/// Study, scale, source of the images, seeds.
type Key = (String, String, Option<String>, Range<u64>);

/// A plan, with the study as it was then: a person may have changed it.
type Known = (Study, Arc<Plan>);

impl Outlines {
    /// The runs of a study at a scale and the places they fill, by name; `request` has wishes for images and seeds alone.
    ///
    /// # Errors
    /// As [`plan_seeds`].
    pub fn of(&self, app: &AppState, study: &Study, scale: &Scale, request: &Request) -> Result<Arc<Plan>, Invalid> {
        self.of_seeds(app, study, scale, request, 0..request.seeds_of(study, scale))
    }

    /// The part of it that is of these seeds, however many the study has.
    ///
    /// # Errors
    /// As [`plan_seeds`].
    pub fn of_seeds(
        &self,
        app: &AppState,
        study: &Study,
        scale: &Scale,
        request: &Request,
        seeds: Range<u64>,
    ) -> Result<Arc<Plan>, Invalid> {
        let make = || plan_seeds(study, scale, &app.catalog, request, seeds.clone());
        if !request.set.is_empty() {
            return Ok(Arc::new(make()?.without_settings()));
        }
        let data = request.data.clone().filter(|data| *data != scale.source());
        let key = (study.name.clone(), scale.name.clone(), data, seeds.clone());
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept()
            .get(&key)
            .filter(|(then, _)| then == study)
            .map(|(_, outline)| Arc::clone(outline));
        if let Some(outline) = known {
            return Ok(outline);
        }
        let outline = Arc::new(make()?.without_settings());
        let mut kept = kept();
        if kept.values().map(|(_, outline)| outline.runs.len()).sum::<usize>() + outline.runs.len() > MOST {
            kept.clear();
        }
        kept.insert(key, (study.clone(), Arc::clone(&outline)));
        Ok(outline)
    }
}
