//! The worker: one process, one run directory, until the run is done. The entry of `umbra work`.
//!
//! Reading order: this file, `first_use` (a GPU's comparison with the CPU).
//!
//! It knows neither database nor server. Whoever reads the directory sees all there is to see; a panic is
//! left to end the process, and whoever started it says so.

mod first_use;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::experiment::choices::Precision;
use crate::experiment::settings::TrainSettings;
use crate::run_dir::{EventKind, EventLog, EventReader, History, Holder, Lock, LockError, LogPosition, RunDir, RunFile, State};
use crate::stages;
use crate::stages::Work;
use crate::train::checkpoint::Checkpoints;
use crate::train::report::Reporter;
use crate::train::{Ended, Pace, Session};
use crate::{device, kernels};

/// How a run is worked on. None of it is part of the run's identity, but the number of threads decides the
/// last bits of a CPU's sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkOptions {
    /// `cpu`, `gpu`, `gpu:N` or `gl`.
    pub device: String,
    /// Threads for computing.
    pub threads: usize,
    /// When checkpoints are written.
    pub pace: Pace,
    /// Checkpoints kept.
    pub keep: usize,
    /// Whether a GPU is compared with the CPU before its first run.
    pub self_test: bool,
}

/// Time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// Checkpoints kept: the one to go on from, and the one before, to which a person can set `latest` back.
const KEEP: usize = 2;

impl WorkOptions {
    /// The usual options; `checkpoint_steps` adds checkpoints to those written once a minute and at the end.
    pub fn new(device: &str, threads: usize, checkpoint_steps: Option<u64>) -> Self {
        let pace = Pace {
            steps: checkpoint_steps.filter(|steps| *steps > 0),
            time: CHECKPOINT_EVERY,
        };
        WorkOptions {
            device: device.to_owned(),
            threads: threads.max(1),
            pace,
            keep: KEEP,
            self_test: true,
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The run is complete.
    Finished,
    /// It cannot go on; the event log says why, or the terminal if there could be no log.
    Failed,
    /// It was asked to stop and can go on from its checkpoint.
    Stopped,
    /// Somebody else works on it; nothing was written.
    Held,
}

impl Outcome {
    /// The exit code of `umbra work`.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Outcome::Finished => 0,
            Outcome::Failed => 1,
            Outcome::Stopped => 10,
            Outcome::Held => 11,
        })
    }
}

/// Works on the run in `dir` until it is finished, has failed or somebody asks to stop with SIGTERM or SIGINT.
pub fn work(dir: &RunDir, options: &WorkOptions) -> Outcome {
    let _lock = match Lock::take(dir.path()) {
        Ok(lock) => lock,
        Err(LockError::Held(holder)) => {
            tracing::error!("{}: held by process {} on {}", dir.path().display(), holder.pid, holder.host);
            return Outcome::Held;
        }
        Err(LockError::Io(error)) => return refuse(&Error::new(error).context(format!("{}: cannot be locked", dir.path().display()))),
    };
    let (file, history) = match read(dir) {
        Ok(read) => read,
        Err(error) => return refuse(&error),
    };
    if history.state == State::Finished {
        return Outcome::Finished;
    }
    device::use_threads(options.threads);
    kernels::keep_freed_memory();
    kernels::round_products(
        file.run
            .section::<TrainSettings>("train")
            .is_ok_and(|train| train.precision == Precision::F16),
    );
    let began = Instant::now();
    let (mut reporter, checkpoints) = match begin(dir, options, history.attempt + 1) {
        Ok(begun) => begun,
        Err(error) => return refuse(&error),
    };
    let ended = attempt(dir, &file, options, &mut reporter, &checkpoints);
    let (outcome, last) = match ended {
        Ok(Ended::Done(_)) => (
            Outcome::Finished,
            EventKind::Finished {
                seconds: began.elapsed().as_secs_f64(),
            },
        ),
        Ok(Ended::Cancelled) => (Outcome::Stopped, EventKind::Stopped),
        Err(error) => (Outcome::Failed, failure(&error)),
    };
    if let EventKind::Failed { reason, causes } = &last {
        tracing::error!("{reason}: {}", causes.join(": "));
    }
    match reporter.event(last) {
        Ok(_) => outcome,
        Err(error) => refuse(&error),
    }
}

/// Says on the terminal, which is the run's log, what could not be written as an event.
fn refuse(error: &Error) -> Outcome {
    tracing::error!("{error:#}");
    Outcome::Failed
}

fn failure(error: &Error) -> EventKind {
    EventKind::Failed {
        reason: error.to_string(),
        causes: error.chain().skip(1).map(ToString::to_string).collect(),
    }
}

fn read(dir: &RunDir) -> Result<(RunFile, History)> {
    let file = dir.read().map_err(Error::msg)?;
    let events = EventReader::new(&dir.events_file())
        .read(&LogPosition::default())
        .with_context(|| format!("{}: cannot be read", dir.events_file().display()))?;
    let mut history = History::default();
    events.events.iter().for_each(|event| history.apply(event));
    Ok((file, history))
}

/// Cuts the log to the checkpoint the attempt goes on from, and says that it begins.
fn begin(dir: &RunDir, options: &WorkOptions, attempt: u32) -> Result<(Reporter, Checkpoints)> {
    let checkpoints = Checkpoints::at(dir.checkpoints(), options.keep);
    let counters = checkpoints.newest();
    // A broken checkpoint fails the attempt later, with its own sentence in the log.
    let resumed = counters.ok().flatten();
    let seq = resumed.as_ref().map_or(0, |counters| counters.seq);
    let log = EventLog::resume(&dir.events_file(), seq).with_context(|| format!("{}: cannot be written", dir.events_file().display()))?;
    let mut reporter = Reporter::new(log, dir);
    let me = Holder::me();
    let resumed_step = resumed.map(|counters| counters.step);
    reporter.event(EventKind::Started {
        attempt,
        pid: me.pid,
        host: me.host,
        device: options.device.clone(),
        threads: options.threads,
        resumed_step,
    })?;
    Ok((reporter, checkpoints))
}

fn attempt(dir: &RunDir, file: &RunFile, options: &WorkOptions, reporter: &mut Reporter, checkpoints: &Checkpoints) -> Result<Ended> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.clone()).context("signals cannot be watched")?;
    }
    fs::create_dir_all(dir.checkpoints()).with_context(|| format!("{}: cannot be made", dir.checkpoints().display()))?;
    // Run directories stand in `<data directory>/runs/`.
    let path = fs::canonicalize(dir.path())?;
    let data_dir = path
        .parent()
        .and_then(Path::parent)
        .with_context(|| format!("{}: must stand in the folder `runs` of a data directory", dir.path().display()))?;
    let (device, info) = device::open_named(&options.device)?;
    first_use::prepare(&device, &info, options.self_test, data_dir, reporter)?;
    let session = Session {
        seed: file.run.seed,
        reporter,
        checkpoints,
        pace: options.pace,
        stop: &stop,
        device,
    };
    stages::carry_out(&mut Work {
        run: &file.run,
        dir,
        data_dir,
        threads: options.threads,
        session,
    })
}

#[cfg(test)]
mod tests;
