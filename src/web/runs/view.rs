//! A run in words that several pages use.

use crate::run_dir::State;
use crate::store::Run;

/// What templates ask of a run.
pub trait RunView {
    /// The address of its page.
    fn href(&self) -> String;
    /// When it was queued first, in seconds since 1970.
    fn created_at(&self) -> f64;
    /// The class that colors the state.
    fn state_class(&self) -> &'static str;
    /// Whether it can be stopped.
    fn can_cancel(&self) -> bool;
    /// Whether it can go on.
    fn can_retry(&self) -> bool;
    /// Whether it can restart from nothing.
    fn can_restart(&self) -> bool;
}

impl RunView for Run {
    fn href(&self) -> String {
        format!("/runs/{}", self.id)
    }

    fn created_at(&self) -> f64 {
        self.created as f64
    }

    fn state_class(&self) -> &'static str {
        if self.is_blocked() { "blocked" } else { self.state.name() }
    }

    fn can_cancel(&self) -> bool {
        matches!(self.state, State::Queued | State::Running)
    }

    fn can_retry(&self) -> bool {
        matches!(self.state, State::Failed | State::Cancelled)
    }

    fn can_restart(&self) -> bool {
        matches!(self.state, State::Finished | State::Failed | State::Cancelled)
    }
}

/// The sign of a state, of `blocked`, or of `none` for a run that was never queued.
pub fn sign_of(class: &str) -> &'static str {
    match class {
        "running" => "▶",
        "queued" => "◷",
        "finished" => "✓",
        "failed" => "✕",
        "cancelled" => "⊘",
        "blocked" => "‖",
        _ => "○",
    }
}
