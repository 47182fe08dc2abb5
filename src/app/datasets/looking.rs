//! Looking at a source beside everything else: a large one takes minutes, and a page tells how far it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Datasets;
use crate::app::fit::check_source;
use crate::data::Survey;
use crate::experiment::settings::DataSettings;
use crate::experiment::{Fingerprints, absolute};

/// Looks that have not ended, or in vain.
#[derive(Debug, Default)]
pub(super) struct Looks {
    by_name: Mutex<BTreeMap<String, Look>>,
    /// Held by whoever looks: reading two sources at once takes longer than one after the other.
    turn: Mutex<()>,
}

#[derive(Debug)]
enum Look {
    Under { done: usize, total: usize, since: Instant },
    InVain { why: String },
}

/// What is known of a source.
#[derive(Clone, Debug)]
pub enum Known {
    /// Nobody looked at it.
    Nothing,
    /// It is being looked at: images read, images there are, seconds that the rest takes if that can be told.
    Looking {
        /// Images read.
        done: usize,
        /// Images there are; 0 while they are listed.
        total: usize,
        /// Seconds to the end.
        eta: Option<f64>,
    },
    /// It cannot be read as it is meant.
    Fault(String),
    /// What it had when it was last looked at.
    Found(Arc<Survey>),
}

impl Known {
    /// Whether it is being looked at.
    pub fn is_looking(&self) -> bool {
        matches!(self, Known::Looking { .. })
    }
}

impl Looks {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Look>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Datasets {
    /// Begins to look at a source, unless somebody does already.
    pub fn begin(&self, settings: &DataSettings) {
        let name = name(settings);
        if settings.source == "builtin" {
            return;
        }
        if let Err(fault) = check_source(&settings.source) {
            self.looks.all().insert(name, Look::InVain { why: fault.message });
            return;
        }
        let under = Look::Under {
            done: 0,
            total: 0,
            since: Instant::now(),
        };
        if let Some(Look::Under { .. }) = self.looks.all().insert(name.clone(), under) {
            return;
        }
        let (datasets, settings) = (self.clone(), settings.clone());
        std::thread::spawn(move || datasets.look_in_turn(&name, &settings));
    }

    fn look_in_turn(&self, name: &str, settings: &DataSettings) {
        let _turn = self.looks.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = Instant::now();
        let mut report = |now: usize, all: usize| {
            if let Some(Look::Under { done, total, since }) = self.looks.all().get_mut(name) {
                (*done, *total, *since) = (now, all, begin);
            }
        };
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.look(settings, &mut report)));
        let why = match found {
            Ok(Ok(_)) => {
                self.looks.all().remove(name);
                return;
            }
            Ok(Err(fault)) => format!("{fault:#}"),
            Err(_) => format!("`{}` could not be looked at: the log has more", settings.source),
        };
        self.looks.all().insert(name.to_owned(), Look::InVain { why });
    }

    /// What is known of a source now.
    pub fn known_of(&self, settings: &DataSettings) -> Known {
        match self.looks.all().get(&name(settings)) {
            Some(Look::Under { done, total, since }) => {
                let (done, total) = (*done, *total);
                let rate = since.elapsed().as_secs_f64() / done as f64;
                return Known::Looking {
                    done,
                    total,
                    eta: (done > 0).then(|| rate * total.saturating_sub(done) as f64),
                };
            }
            Some(Look::InVain { why }) => return Known::Fault(why.clone()),
            None => {}
        }
        match self.seen(settings) {
            Some(survey) => Known::Found(survey),
            None => Known::Nothing,
        }
    }

    /// As [`Datasets::last`], and of the built-in images what they always have.
    fn seen(&self, settings: &DataSettings) -> Option<Arc<Survey>> {
        if settings.source == "builtin" {
            return Some(Arc::new(Survey::built_in()));
        }
        self.last(settings)
    }
}

/// What a source and the column of its labels are called.
fn name(settings: &DataSettings) -> String {
    Fingerprints::name(&absolute(&settings.source), &settings.label_column)
}

/// All images of a source, whose labels stand in that column.
pub fn settings_of(source: &str, label_column: &str) -> DataSettings {
    DataSettings {
        label_column: label_column.to_owned(),
        ..DataSettings::of_source(if source.is_empty() { "builtin" } else { source })
    }
}
