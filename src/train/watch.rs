//! Whether a curve shows that training goes wrong without failing, such as a method whose outputs all become the same.

use std::collections::BTreeMap;

use anyhow::Result;

use super::At;
use super::report::Reporter;
use crate::experiment::Alarm;

/// The first alarms are looked at after this fraction of the run: at the start every image looks the same to a network
/// ("ours").
const SETTLED: f64 = 0.1;
/// Under which name it is remembered that the run was warned.
const WARNED: &str = "alarmed";

/// Warns if a term of the loss is where it should not be; once a run, also if the run was interrupted.
///
/// # Errors
/// The log cannot be written.
pub(super) fn watch(
    alarms: &[Alarm],
    at: &At,
    terms: &[(String, f64)],
    values: &mut BTreeMap<String, f64>,
    reporter: &mut Reporter,
) -> Result<()> {
    if values.contains_key(WARNED) || (at.step as f64) < SETTLED * at.steps as f64 {
        return Ok(());
    }
    let ringing = alarms.iter().find_map(|alarm| {
        let (_, value) = terms.iter().find(|(name, _)| name == alarm.term.short())?;
        alarm.rings(*value).then_some((alarm, *value))
    });
    let Some((alarm, value)) = ringing else { return Ok(()) };
    values.insert(WARNED.to_owned(), 1.0);
    let step = at.step;
    reporter.warning(format!("at step {step} {} was {value:.3}: {}", alarm.term.short(), alarm.sentence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Side, measure};
    use crate::run_dir::{EventKind, EventLog, EventReader, LogPosition, RunDir};

    const ALARMS: &[Alarm] = &[
        Alarm {
            term: &measure::SPREAD,
            side: Side::Below,
            value: 0.1,
            sentence: "outputs are the same.",
        },
        Alarm {
            term: &measure::TEACHER_ENTROPY,
            side: Side::Above,
            value: 0.9,
            sentence: "the teacher is undecided.",
        },
    ];

    /// The warnings of a run of a hundred steps whose terms are these, looked at from `memory` on.
    fn warnings(series: &[(u64, f64, f64)], memory: &mut BTreeMap<String, f64>) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::at(root.path());
        let mut reporter = Reporter::new(EventLog::open(&dir.events_file()).unwrap(), &dir);
        for (step, spread, entropy) in series {
            let (steps, epoch) = (100, None);
            let at = At { step: *step, steps, epoch };
            let terms = [("teacher_entropy".to_owned(), *entropy), ("spread".to_owned(), *spread)];
            watch(ALARMS, &at, &terms, memory, &mut reporter).unwrap();
        }
        let events = EventReader::new(&dir.events_file()).read(&LogPosition::default()).unwrap().events;
        let message = |kind| match kind {
            EventKind::Warning { message } => Some(message),
            _ => None,
        };
        events.into_iter().filter_map(|event| message(event.kind)).collect()
    }

    #[test]
    fn a_term_on_the_wrong_side_is_warned_of_once_a_run() {
        let told = warnings(&[(20, 0.5, 0.5), (40, 0.05, 0.5), (60, 0.04, 0.99)], &mut BTreeMap::new());
        assert_eq!(told, ["at step 40 spread was 0.050: outputs are the same."]);
        let told = warnings(&[(50, 0.5, 0.95)], &mut BTreeMap::new());
        assert_eq!(told, ["at step 50 teacher_entropy was 0.950: the teacher is undecided."]);
    }

    #[test]
    fn healthy_terms_the_first_steps_and_a_run_already_warned_say_nothing() {
        assert!(warnings(&[(20, 0.5, 0.5), (100, 0.1, 0.9)], &mut BTreeMap::new()).is_empty());
        assert!(warnings(&[(0, 0.0, 1.0), (9, 0.0, 1.0)], &mut BTreeMap::new()).is_empty());
        let mut memory = BTreeMap::new();
        assert_eq!(warnings(&[(40, 0.0, 0.5)], &mut memory).len(), 1);
        assert!(warnings(&[(50, 0.0, 0.5)], &mut memory).is_empty(), "an attempt later");
    }
}
