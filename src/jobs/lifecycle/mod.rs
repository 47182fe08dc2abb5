//! The life of a run on the server's side: every transition between its states, and nowhere else.
//!
//! ```text
//! (none) --submit--> queued --start--> running --its own last event--> finished, failed, queued (stopped)
//! queued --set_priority, a child's priority--> queued
//! queued --cancel, a worker that cannot be started--> cancelled, failed
//! running --cancel: the request, SIGTERM, SIGKILL after the grace--> cancelled
//! running --the worker died--> failed, or queued once more if nobody saw it
//! failed, cancelled --retry, submit--> queued, from the latest checkpoint
//! any but running --restart--> queued, from nothing
//! ```
//!
//! A state is what the events of the run say. [`locked`] is the one file that appends them, under the run's lock. Above it
//! stand [`orders`] (what people ask for), [`worker`] (a process is started, followed and settled) and [`stop`] (it is asked
//! to stop). The scheduler and the follower call these; these call neither. A run that cannot be worked on, and whose events
//! cannot say so, changes no state: it is set aside for a while ([`super::inner::Inner::set_aside`]).

mod cancel_request;
mod locked;
mod orders;
mod stop;
mod worker;

pub(super) use orders::{cancel, restart, retry, set_priority, submit};
pub(super) use worker::{pick_up, start};
