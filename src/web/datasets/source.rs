//! What is said of a source beside the field that names it.

use crate::app::datasets::{DatasetReport, Known, settings_of};
use crate::web::{AppState, filters};

/// The line below a field.
#[derive(askama::Template)]
#[template(path = "datasets/source.html")]
pub struct SourceLine {
    /// What is known.
    pub known: Known,
    /// What was found, if it was.
    pub found: Option<DatasetReport>,
    /// How many files were passed over.
    pub passed: usize,
}

impl SourceLine {
    /// The line for a source and the column of its labels; empty is the built-in images.
    pub fn of(app: &AppState, source: &str, label_column: &str) -> SourceLine {
        let known = app.datasets.known_of(&settings_of(source, label_column));
        let survey = match &known {
            Known::Found(survey) => Some(survey),
            Known::Nothing | Known::Looking { .. } | Known::Fault(_) => None,
        };
        SourceLine {
            found: survey.map(|survey| DatasetReport::of(survey)),
            passed: survey.map_or(0, |survey| survey.passed.0.values().map(|passed| passed.count).sum()),
            known,
        }
    }

    /// What is wrong with the source.
    pub fn fault(&self) -> Option<&str> {
        match &self.known {
            Known::Fault(why) => Some(why.as_str()),
            Known::Nothing | Known::Looking { .. } | Known::Found(_) => None,
        }
    }

    /// Whether it is not known yet how many images there are.
    fn is_listing(&self) -> bool {
        matches!(self.known, Known::Looking { total: 0, .. })
    }

    /// How far a look is: images read, images there are, what is left.
    fn looking(&self) -> Option<(usize, usize, Option<f64>)> {
        match &self.known {
            Known::Looking { done, total, eta } => Some((*done, *total, *eta)),
            Known::Nothing | Known::Fault(_) | Known::Found(_) => None,
        }
    }
}
