//! Which runs studies consist of, kept for the pages that ask again and again.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::experiment::{Catalog, Fingerprints, Invalid, Plan, Request, Scale, Study, plan_seeds};

/// Runs that are kept by name, over all studies: some tens of megabytes.
const MOST: usize = 100_000;

/// Plans without their settings. Pages ask for all studies each time, and planning takes longer than anything else on them.
#[derive(Clone, Debug, Default)]
pub struct StudyIndex(Arc<Mutex<HashMap<Key, Known>>>);

/// Study, scale, dataset, seeds, settings of one's own as text, and the files that were looked at.
type Key = (String, String, Option<String>, Range<u64>, String, Fingerprints);

/// A plan, with the study as it was then: a person may have changed it.
type Known = (Study, Arc<Plan>);

impl StudyIndex {
    /// The runs of a study at a scale and the cells they fill, without their settings.
    ///
    /// # Errors
    /// As [`plan_seeds`].
    pub fn plan(&self, catalog: &Catalog, study: &Study, scale: &Scale, request: &Request) -> Result<Arc<Plan>, Invalid> {
        self.plan_of_seeds(catalog, study, scale, request, 0..request.seeds_of(study, scale))
    }

    /// The part of it that is of these seeds, however many the study has.
    ///
    /// # Errors
    /// As [`plan_seeds`].
    pub fn plan_of_seeds(
        &self,
        catalog: &Catalog,
        study: &Study,
        scale: &Scale,
        request: &Request,
        seeds: Range<u64>,
    ) -> Result<Arc<Plan>, Invalid> {
        let make = || plan_seeds(study, scale, catalog, request, seeds.clone());
        let data = request.data.clone().filter(|data| *data != scale.source());
        let key = (
            study.name.clone(),
            scale.name.clone(),
            data,
            seeds.clone(),
            format!("{:?}", request.set),
            request.fingerprints.clone(),
        );
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().get(&key).filter(|(then, _)| then == study).map(|(_, plan)| Arc::clone(plan));
        if let Some(plan) = known {
            return Ok(plan);
        }
        let plan = Arc::new(make()?.without_settings());
        let mut kept = kept();
        if kept.values().map(|(_, plan)| plan.runs.len()).sum::<usize>() + plan.runs.len() > MOST {
            kept.clear();
        }
        kept.insert(key, (study.clone(), Arc::clone(&plan)));
        Ok(plan)
    }
}
