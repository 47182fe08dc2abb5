//! What a sequence of events says about the work: a fold beside [`History`], which is about the run's life.
//!
//! [`History`]: crate::run_dir::History

use crate::run_dir::{Event, EventKind, State};

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// When it began to wait: its place in the queue among equal priorities.
    pub queued: Option<f64>,
    /// What the worker does now.
    pub phase: Option<String>,
    /// Steps done.
    pub step: u64,
    /// Steps in all; 0 while unknown.
    pub steps: u64,
    /// Images a second.
    pub images_per_second: Option<f64>,
    /// Seconds until the end.
    pub eta_seconds: Option<f64>,
    /// Step of the latest complete checkpoint.
    pub checkpoint_step: Option<u64>,
}

impl Progress {
    /// Takes in the next event of a run that stood at `before`.
    pub fn apply(&mut self, event: &Event, before: State) {
        match &event.kind {
            // A change of priority is also `queued`; it does not cost the run its place.
            EventKind::Queued { .. } if self.queued.is_none() || before != State::Queued => self.queued = Some(event.time),
            EventKind::Started { resumed_step, .. } => {
                (self.step, self.phase) = (resumed_step.unwrap_or(0), None);
                (self.images_per_second, self.eta_seconds) = (None, None);
            }
            EventKind::Phase { name } => self.phase = Some(name.clone()),
            EventKind::Progress {
                step,
                steps,
                images_per_second,
                eta_seconds,
            } => {
                (self.step, self.steps) = (*step, *steps);
                (self.images_per_second, self.eta_seconds) = (Some(*images_per_second), Some(*eta_seconds));
            }
            EventKind::Checkpoint { step } => self.checkpoint_step = Some(*step),
            // One that was stopped keeps its place in the queue.
            EventKind::Finished { .. } | EventKind::Failed { .. } | EventKind::Cancelled { .. } | EventKind::Stopped => {
                (self.phase, self.eta_seconds) = (None, None);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(kinds: &[EventKind]) -> Progress {
        let (mut progress, mut history) = (Progress::default(), crate::run_dir::History::default());
        for (i, kind) in kinds.iter().enumerate() {
            let event = Event {
                seq: i as u64 + 1,
                time: i as f64,
                kind: kind.clone(),
            };
            progress.apply(&event, history.state);
            history.apply(&event);
        }
        progress
    }

    #[test]
    fn a_change_of_priority_and_a_stop_keep_the_place_in_the_queue_and_a_retry_does_not() {
        let (low, high) = (EventKind::Queued { priority: 0 }, EventKind::Queued { priority: 9 });
        let failed = EventKind::Failed {
            reason: "a fault".to_owned(),
            causes: vec![],
        };
        assert_eq!(after(&[low.clone(), high.clone()]).queued, Some(0.0));
        assert_eq!(after(&[low.clone(), EventKind::Stopped]).queued, Some(0.0));
        assert_eq!(after(&[low, failed, high]).queued, Some(2.0));
    }

    #[test]
    fn an_ended_run_is_in_no_phase_and_has_no_time_left() {
        let working = EventKind::Progress {
            step: 3,
            steps: 9,
            images_per_second: 2.0,
            eta_seconds: 5.0,
        };
        let progress = after(&[
            EventKind::Phase {
                name: "training".to_owned(),
            },
            working,
            EventKind::Finished { seconds: 1.0 },
        ]);
        assert_eq!(
            (progress.step, progress.steps, progress.phase, progress.eta_seconds),
            (3, 9, None, None)
        );
    }
}
