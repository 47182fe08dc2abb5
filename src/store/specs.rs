//! The settings of runs as they were read before: they never change, and reading them is most of the work of a page with
//! thousands of runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, Result};
use crate::experiment::RunSpec;

/// Kept at most; then all are forgotten. About 6 KB each.
const MOST: usize = 20_000;

/// What was read, by its text.
#[derive(Clone, Debug, Default)]
pub(super) struct Specs(Arc<Mutex<HashMap<String, Arc<RunSpec>>>>);

impl Specs {
    /// The run of that JSON.
    pub fn read(&self, text: String) -> Result<Arc<RunSpec>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spec) = known.get(&text) {
            return Ok(Arc::clone(spec));
        }
        let spec = serde_json::from_str(&text).map_err(|e| Error::Broken(format!("the settings of a run: {e}")))?;
        let spec = Arc::new(spec);
        if known.len() == MOST {
            known.clear();
        }
        known.insert(text, Arc::clone(&spec));
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Stage;

    #[test]
    fn the_same_text_is_read_once_and_what_is_no_run_is_said() {
        let specs = Specs::default();
        let text = |seed| serde_json::to_string(&RunSpec::new(Stage::Pretrain, "mae", seed, None, Default::default(), &[])).unwrap();
        let (first, again) = (specs.read(text(1)).unwrap(), specs.read(text(1)).unwrap());
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!((first.seed, specs.read(text(2)).unwrap().seed), (1, 2));
        assert!(specs.read("{}".to_owned()).is_err());
    }
}
