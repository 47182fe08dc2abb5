//! Nothing is written that was not declared.

use super::*;
use crate::experiment::Measure;

/// Checks that whatever a run wrote is among what its stage measures.
pub(super) fn check(stage: Stage, events: &[Event]) {
    let of = stage.measures();
    for event in events {
        let (name, declared): (_, Vec<&Measure>) = match &event.kind {
            EventKind::Summary { name, .. } => (name, of.results().collect()),
            EventKind::Metric { name, .. } => (name, of.curves().collect()),
            EventKind::Matrix { name, .. } => (name, of.matrices().collect()),
            EventKind::Image { name, .. } => (name, of.images().collect()),
            _ => continue,
        };
        let known = declared.iter().any(|measure| measure.parameter(name).is_some());
        assert!(known, "{stage} does not declare `{name}`");
    }
}
