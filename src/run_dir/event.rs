//! What can happen to a run, and what its history says it is now.

use serde::{Deserialize, Deserializer, Serialize};

use super::Matrix;
use crate::experiment::renamed;

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Place in the history; rises by at least one from line to line.
    pub seq: u64,
    /// Seconds since 1970.
    pub time: f64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// The run waits for a device; written by the server, again for each retry and change of priority.
    Queued {
        /// Higher goes first.
        priority: i64,
    },
    /// A worker began.
    Started {
        /// 1 for the first try.
        attempt: u32,
        /// Process id on `host`.
        pid: u32,
        /// Machine.
        host: String,
        /// Device, such as `cpu` or `gpu:0`.
        device: String,
        /// Threads used for computing; part of what makes a CPU run repeatable.
        threads: usize,
        /// The step of the checkpoint it goes on from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resumed_step: Option<u64>,
    },
    /// The kind of thing the worker does now: `loading`, `tuning kernels`, `training`, `evaluating`.
    Phase {
        /// Its name.
        name: String,
    },
    /// How far the worker is.
    Progress {
        /// Steps done.
        step: u64,
        /// Steps in all.
        steps: u64,
        /// Images trained on or evaluated in a second.
        #[serde(with = "number")]
        images_per_second: f64,
        /// Seconds until the end, as far as can be told.
        #[serde(with = "number")]
        eta_seconds: f64,
    },
    /// A point of a curve.
    Metric {
        /// Name, such as `train/loss`.
        name: String,
        /// Step.
        step: u64,
        /// Value; not a number is written as a string.
        #[serde(with = "number")]
        value: f64,
    },
    /// A result of the run.
    Summary {
        /// Name, such as `finetune.top1`; a log of before 0.2 is read under the names of now.
        #[serde(deserialize_with = "name_of_now")]
        name: String,
        /// Value.
        #[serde(with = "number")]
        value: f64,
    },
    /// A result of the run that is a table of numbers.
    Matrix {
        /// Name, such as `cka`.
        name: String,
        /// The numbers.
        matrix: Matrix,
    },
    /// An image was written.
    #[serde(alias = "picture")]
    Image {
        /// What it shows, such as `reconstruction`.
        name: String,
        /// Step.
        step: u64,
        /// File name inside `images/`.
        file: String,
    },
    /// Something a person should know.
    Warning {
        /// One sentence.
        message: String,
    },
    /// A complete checkpoint was written.
    Checkpoint {
        /// Its step.
        step: u64,
    },
    /// Load of the machine.
    System {
        /// Use of all processors, 0 to 100.
        #[serde(with = "number")]
        cpu_percent: f64,
        /// Memory of the worker in MiB.
        #[serde(with = "number")]
        memory_mib: f64,
    },
    /// The run is complete.
    Finished {
        /// Seconds this attempt took.
        seconds: f64,
    },
    /// The run cannot go on.
    Failed {
        /// One sentence for people.
        reason: String,
        /// The chain of causes below it.
        #[serde(default)]
        causes: Vec<String>,
    },
    /// Somebody stopped the run.
    Cancelled {
        /// By whom or why.
        reason: String,
    },
    /// The worker was asked to end, by a shutdown of the machine for instance: the run waits in the queue again and goes on
    /// from its checkpoint. Where a person had asked, the server adds [`EventKind::Cancelled`].
    Stopped,
}

impl EventKind {
    /// Whether the event is about the life of the run rather than its work. A resumed worker keeps
    /// these even when it cuts the work done after its checkpoint.
    pub fn is_lifecycle(&self) -> bool {
        matches!(
            self,
            EventKind::Queued { .. }
                | EventKind::Started { .. }
                | EventKind::Finished { .. }
                | EventKind::Failed { .. }
                | EventKind::Cancelled { .. }
                | EventKind::Stopped
        )
    }
}

fn name_of_now<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(renamed::measure(&String::deserialize(deserializer)?).to_owned())
}

/// Numbers in JSON: what JSON cannot say is written as a string.
mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(f64),
        Text(String),
    }

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() {
            serializer.serialize_f64(*value)
        } else {
            serializer.serialize_str(&value.to_string())
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        match Number::deserialize(deserializer)? {
            Number::Number(value) => Ok(value),
            Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waiting for parents or a device.
    Queued,
    /// A worker works on it.
    Running,
    /// Complete.
    Finished,
    /// Stopped by a fault.
    Failed,
    /// Stopped by a person.
    Cancelled,
}

impl State {
    /// All states, in the order pages list them.
    pub const ALL: [State; 5] = [State::Running, State::Queued, State::Finished, State::Failed, State::Cancelled];

    /// The name in SQL, addresses and pages.
    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Finished => "finished",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        State::ALL.into_iter().find(|s| s.name() == text).ok_or_else(|| {
            format!(
                "state `{text}` is not known: it must be one of {}",
                State::ALL.map(State::name).join(", ")
            )
        })
    }
}

/// What a sequence of events says about the run: a fold, the same in the worker, the ingester and reindex.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Where the run stands.
    pub state: State,
    /// Attempts so far.
    pub attempt: u32,
    /// Place in the queue.
    pub priority: i64,
    /// Why it failed or was cancelled.
    pub reason: Option<String>,
    /// Device of the latest attempt.
    pub device: Option<String>,
    /// Time of the first `started`.
    pub started: Option<f64>,
    /// Time of the last end.
    pub ended: Option<f64>,
}

impl Default for History {
    fn default() -> Self {
        History {
            state: State::Queued,
            attempt: 0,
            priority: 0,
            reason: None,
            device: None,
            started: None,
            ended: None,
        }
    }
}

impl History {
    /// What a whole log says; `None` if it has no event yet.
    pub fn of(events: &[Event]) -> Option<History> {
        let mut history = History::default();
        events.iter().for_each(|event| history.apply(event));
        (!events.is_empty()).then_some(history)
    }

    /// Takes in the next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Queued { priority } => {
                self.priority = *priority;
                if self.state != State::Running {
                    (self.state, self.reason, self.ended) = (State::Queued, None, None);
                }
            }
            EventKind::Started { attempt, device, .. } => {
                (self.state, self.attempt, self.device) = (State::Running, *attempt, Some(device.clone()));
                (self.reason, self.ended) = (None, None);
                self.started.get_or_insert(event.time);
            }
            EventKind::Finished { .. } => self.end(State::Finished, None, event.time),
            EventKind::Failed { reason, .. } => self.end(State::Failed, Some(reason), event.time),
            EventKind::Cancelled { reason } => self.end(State::Cancelled, Some(reason), event.time),
            EventKind::Stopped => (self.state, self.reason, self.ended) = (State::Queued, None, None),
            _ => {}
        }
    }

    fn end(&mut self, state: State, reason: Option<&String>, time: f64) {
        (self.state, self.reason, self.ended) = (state, reason.cloned(), Some(time));
    }
}
