//! Starting worker processes. Local processes first; a cluster's scheduler would be another [`Executor`].

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use futures::future::BoxFuture;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::process::Command;

use crate::run_dir::RunDir;

use super::exit::Exit;

/// What a worker is to do, and with what.
#[derive(Clone, Debug)]
pub struct Job {
    /// The run.
    pub dir: RunDir,
    /// Such as `cpu` or `gpu:0`.
    pub device: String,
    /// Threads used for computing.
    pub threads: usize,
    /// Bytes of address space it may use.
    pub memory: Option<u64>,
}

/// A worker that was started.
pub struct Worker {
    /// Process id on this machine.
    pub pid: u32,
    /// Comes true when it has ended. Dropping it leaves the worker alive.
    pub exit: BoxFuture<'static, io::Result<Exit>>,
}

/// A way to start workers.
pub trait Executor: Send + Sync + 'static {
    /// Starts a worker and does not wait for it.
    ///
    /// # Errors
    /// Why it could not be started, with the program's path.
    fn start(&self, job: &Job) -> anyhow::Result<Worker>;
}

/// Workers as processes of this machine.
#[derive(Clone, Debug)]
pub struct LocalProcesses {
    /// The umbra binary.
    pub program: PathBuf,
}

impl Executor for LocalProcesses {
    fn start(&self, job: &Job) -> anyhow::Result<Worker> {
        let mut command = Command::new(&self.program);
        command.arg("work").arg(job.dir.path());
        command
            .arg("--device")
            .arg(&job.device)
            .arg("--threads")
            .arg(job.threads.to_string());
        launch(command, job).with_context(|| format!("the worker {} could not be started", self.program.display()))
    }
}

/// Starts a command as the worker of a job: what it prints goes to the run's `log.txt`, and it is the head
/// of a process group of its own, so that Ctrl-C in the server's terminal does not reach it and it outlives
/// the server.
pub(super) fn launch(mut command: Command, job: &Job) -> anyhow::Result<Worker> {
    let log_file = job.dir.log_file();
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_file)
        .with_context(|| log_file.display().to_string())?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    use_threads(&mut command, job.threads);
    let mut child = command.spawn()?;
    let pid = child.id().context("a child that has just been started has a process id")?;
    limit_memory(Some(pid), job.memory);
    let exit = Box::pin(async move { child.wait().await.map(Exit::from) });
    Ok(Worker { pid, exit })
}

/// Tells a command of ours how many threads to compute with.
pub(super) fn use_threads(command: &mut Command, threads: usize) {
    // Rayon's own variable, for the loader and the kernels; burn would otherwise pick a backend by itself.
    command.env("RAYON_NUM_THREADS", threads.to_string()).env("BURN_DEVICE", "flex");
}

/// Limits the address space of a child, in bytes.
pub(super) fn limit_memory(pid: Option<u32>, memory: Option<u64>) {
    let process = pid.and_then(|pid| Pid::from_raw(pid as i32));
    if let (Some(bytes), Some(process)) = (memory, process) {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        // It may have ended already; then there is nothing to limit.
        let _ = rustix::process::prlimit(Some(process), Resource::As, limit);
    }
}

/// Asks a process of this machine to stop, or with `kill` makes it. One that is gone is left in peace.
pub(super) fn stop(pid: u32, kill: bool) {
    let signal = if kill { Signal::KILL } else { Signal::TERM };
    // Process ids 0 and below mean whole groups.
    if let Some(process) = i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(process, signal);
    }
}

/// How often the system has killed a process of this control group for want of memory; 0 if it does not say.
pub(super) fn memory_kills() -> u64 {
    let group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = group.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let events = std::fs::read_to_string(format!("/sys/fs/cgroup/{path}/memory.events"))
        .or_else(|_| std::fs::read_to_string("/sys/fs/cgroup/memory.events"))
        .unwrap_or_default();
    events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn printed(make: impl FnOnce(&Job) -> anyhow::Result<Worker>) -> (String, RunDir, tempfile::TempDir) {
        let scratch = tempfile::tempdir().unwrap();
        let dir = RunDir::at(scratch.path());
        std::fs::write(dir.log_file(), "earlier\n").unwrap();
        let job = Job {
            dir: dir.clone(),
            device: "gpu:0".to_owned(),
            threads: 3,
            memory: Some(1 << 30),
        };
        assert_eq!(make(&job).unwrap().exit.await.unwrap(), Exit::Code(0));
        (std::fs::read_to_string(dir.log_file()).unwrap(), dir, scratch)
    }

    #[tokio::test]
    async fn a_worker_is_started_with_plain_arguments_and_its_words_are_kept() {
        let echo = LocalProcesses {
            program: PathBuf::from("/bin/echo"),
        };
        let (log, dir, _scratch) = printed(|job| echo.start(job)).await;
        assert_eq!(log, format!("earlier\nwork {} --device gpu:0 --threads 3\n", dir.path().display()));
    }

    #[tokio::test]
    async fn a_worker_has_its_threads_its_limit_and_a_process_group_of_its_own() {
        let script = "read -r line; echo \"$line\" >&2; sleep 0.3; echo $RAYON_NUM_THREADS $BURN_DEVICE $(ulimit -v); \
                      [ $(cut -d ' ' -f 5 /proc/$$/stat) = $$ ] && echo head of its group";
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script);
        let (log, ..) = printed(|job| launch(command, job)).await;
        assert_eq!(log, "earlier\n\n3 flex 1048576\nhead of its group\n");
    }
}
