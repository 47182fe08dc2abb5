//! What a worker tells the world: events, at a pace that a reader can follow.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use crate::experiment::measure::{self, Measure};
use crate::run_dir::{EventKind, EventLog, Matrix, RunDir};

/// Time between two `progress` events.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Time between two `system` events.
const SYSTEM_EVERY: Duration = Duration::from_secs(10);
/// Bytes of a MiB.
const MIB: f64 = 1024.0 * 1024.0;

/// Writes the events of one attempt.
#[derive(Debug)]
pub struct Reporter {
    log: EventLog,
    path: String,
    last_seq: u64,
    pace: Option<LoggedPace>,
    /// Not on every operating system.
    system: Option<System>,
    system_due: Instant,
    /// A GPU whose memory is told with the load.
    watched: Option<Device>,
}

/// Where the current stretch of work began and when it was last told.
#[derive(Debug)]
struct LoggedPace {
    began: Instant,
    first_step: u64,
    told: Instant,
}

impl Reporter {
    /// Goes on writing to `log`, which belongs to `dir`.
    pub fn new(log: EventLog, dir: &RunDir) -> Self {
        let path = dir.events_file().display().to_string();
        let mut system = System::new().ok();
        // Usage is measured from one look to the next.
        system.iter_mut().for_each(System::refresh_cpu_usage);
        Reporter {
            log,
            path,
            last_seq: 0,
            pace: None,
            system,
            system_due: Instant::now() + PROGRESS_EVERY,
            watched: None,
        }
    }

    /// From now on tells the memory of `device` with the load of the machine, if the device knows it: the
    /// curve [`measure::DEVICE_MEMORY`], everything taken from the driver, in use or kept for the next step.
    pub fn watch(&mut self, device: Device) {
        self.watched = Some(device);
    }

    /// Appends one event.
    ///
    /// # Errors
    /// Names the file, for example when the disk is full.
    pub fn event(&mut self, kind: EventKind) -> Result<u64> {
        self.last_seq = self.log.append(kind).with_context(|| format!("{}: cannot be written", self.path))?;
        Ok(self.last_seq)
    }

    /// The place of the event written last.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Says what kind of work begins.
    pub fn phase(&mut self, name: &str) -> Result<()> {
        tracing::info!("{name}");
        self.event(EventKind::Phase { name: name.to_owned() }).map(drop)
    }

    /// Adds a point to a curve.
    pub fn metric(&mut self, curve: &Measure, step: u64, value: f64) -> Result<()> {
        self.event(EventKind::Metric {
            name: curve.name.to_owned(),
            step,
            value,
        })
        .map(drop)
    }

    /// Gives a result of the run.
    pub fn summary(&mut self, measure: &Measure, value: f64) -> Result<()> {
        self.summary_at(measure, &"", value)
    }

    /// Gives a result of the run at a parameter, such as a ratio.
    pub fn summary_at(&mut self, measure: &Measure, parameter: &dyn Display, value: f64) -> Result<()> {
        let name = measure.at(parameter);
        tracing::info!("{name} = {value}");
        self.event(EventKind::Summary { name, value }).map(drop)
    }

    /// Gives a result of the run that is a table of numbers.
    pub fn matrix(&mut self, measure: &Measure, matrix: Matrix) -> Result<()> {
        let name = measure.name.to_owned();
        self.event(EventKind::Matrix { name, matrix }).map(drop)
    }

    /// Says that an image was written, as `file` in the run's images.
    pub fn image(&mut self, measure: &Measure, step: u64, file: String) -> Result<()> {
        let name = measure.name.to_owned();
        self.event(EventKind::Image { name, step, file }).map(drop)
    }

    /// Says something a person should know.
    pub fn warning(&mut self, message: impl Into<String>) -> Result<()> {
        let message = message.into();
        tracing::warn!("{message}");
        self.event(EventKind::Warning { message }).map(drop)
    }

    /// Says that a stretch of work begins at `step`, for speed and remaining time.
    pub fn begin(&mut self, step: u64) {
        let now = Instant::now();
        self.pace = Some(LoggedPace {
            began: now,
            first_step: step,
            told: now,
        });
    }

    /// Tells progress and load when it is time to. `images` are those of one step.
    pub fn tick(&mut self, step: u64, steps: u64, images: f64) -> Result<()> {
        let due = self.pace.as_ref().is_some_and(|pace| pace.told.elapsed() >= PROGRESS_EVERY);
        if due || step == steps {
            self.progress(step, steps, images)?;
        }
        if Instant::now() >= self.system_due {
            self.load(step)?;
        }
        Ok(())
    }

    fn progress(&mut self, step: u64, steps: u64, images: f64) -> Result<()> {
        let Some(pace) = &mut self.pace else { return Ok(()) };
        pace.told = Instant::now();
        let done = (step - pace.first_step) as f64;
        let rate = done / pace.began.elapsed().as_secs_f64().max(1e-9);
        let eta_seconds = if rate > 0.0 { (steps - step) as f64 / rate } else { 0.0 };
        self.event(EventKind::Progress {
            step,
            steps,
            images_per_second: rate * images,
            eta_seconds,
        })
        .map(drop)
    }

    fn load(&mut self, step: u64) -> Result<()> {
        self.system_due = Instant::now() + SYSTEM_EVERY;
        if let Some(usage) = self.watched.as_ref().and_then(Device::memory_pool_usage) {
            self.metric(&measure::DEVICE_MEMORY, step, usage.bytes_reserved as f64 / MIB)?;
        }
        let Some(system) = &mut self.system else { return Ok(()) };
        system.refresh_cpu_usage();
        let (cpu_percent, memory_mib) = (f64::from(system.global_cpu_usage()), memory_mib(system));
        self.event(EventKind::System { cpu_percent, memory_mib }).map(drop)
    }
}

/// Memory of this process.
fn memory_mib(system: &mut System) -> f64 {
    let Ok(me) = sysinfo::get_current_pid() else { return 0.0 };
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[me]), false, ProcessRefreshKind::nothing().with_memory());
    system.process(me).map_or(0.0, |process| process.memory() as f64 / MIB)
}
