//! The process that answers the playground: started with the first question, one question at a time.
//!
//! `umbra inspect-server` ends by itself when nobody asks for a while, and with this server. If it dies, whoever asked is told why,
//! and the next question starts another.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::jobs::JobsConfig;
use crate::jobs::executor::{limit_memory, memory_kills, use_threads};
use crate::jobs::exit::{Ending, Exit, ExitVerdict, verdict};
use crate::jobs::inner::Inner;
use crate::playground::frame::{Frame, HEAD, lengths};
use crate::playground::{Reply, Request};
use crate::run_dir::State;

/// Questions that may wait; more than people can ask by hand.
const WAITING: usize = 32;
/// Answers kept: what a page with two models asks again while a slow one is worked out.
const KEPT: usize = 8;
/// How long the process may say nothing about a question before it is given up (ours).
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of what the process printed that are kept to say why it died.
const TAIL: usize = 16 * 1024;
/// Most threads of the process (ours): an image needs little, and runs should keep the machine.
const THREADS: usize = 4;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The question cannot be answered as it is: one sentence.
    #[error("{0}")]
    Refused(String),
    /// The process failed: one sentence.
    #[error("{0}")]
    Failed(String),
    /// It is not done yet; it goes on, and the same question asked again will find the answer. Says what it is doing.
    #[error("{0}")]
    Working(String),
}

/// See [`Inner::turn`].
type Turn = tokio::sync::Mutex<()>;

/// Asks; clones ask the same process.
#[derive(Clone, Debug)]
pub(super) struct InspectorHandle {
    asks: mpsc::Sender<Ask>,
    news: watch::Receiver<String>,
}

struct Ask {
    request: Request,
    file: Arc<[u8]>,
    reply: oneshot::Sender<Result<Arc<Reply>, Unanswered>>,
}

/// How the process is started.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    threads: usize,
    /// Bytes of address space it may use.
    memory: Option<u64>,
    /// How long it may say nothing about a question before it is given up.
    silence: Duration,
}

impl Launch {
    /// As a server with these settings starts it.
    pub(super) fn new(config: &JobsConfig) -> Launch {
        let threads = (config.threads / 2).clamp(1, THREADS);
        let (data_dir, count) = (config.data_dir.clone().into_os_string(), threads.to_string().into());
        Launch {
            program: config.worker.clone(),
            arguments: vec!["inspect-server".into(), "--data-dir".into(), data_dir, "--threads".into(), count],
            threads,
            memory: config.worker_memory,
            silence: SILENCE,
        }
    }
}

impl InspectorHandle {
    /// One whose process has not been started, and what works on the questions.
    pub(super) fn new(launch: Launch) -> (InspectorHandle, InspectorQueue) {
        let (asks, questions) = mpsc::channel(WAITING);
        let (tell, news) = watch::channel(String::new());
        let queue = InspectorQueue {
            questions,
            tell,
            launch,
            kept: VecDeque::new(),
            process: None,
        };
        (InspectorHandle { asks, news }, queue)
    }

    /// Asks, and waits for as long as `patience`. A question that nobody waits for any more is passed over when its turn
    /// comes, so that the latest of a page is not held up by those before.
    pub(super) async fn ask(&self, request: Request, file: Arc<[u8]>, patience: Duration) -> Result<Arc<Reply>, Unanswered> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { request, file, reply };
        if self.asks.try_send(ask).is_err() {
            return Err(Unanswered::Failed(
                "too many questions wait for an answer: try again in a moment".to_owned(),
            ));
        }
        match timeout(patience, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Unanswered::Failed("the server is stopping".to_owned())),
            Err(_) => Err(Unanswered::Working(self.news.borrow().clone())),
        }
    }
}

/// Where questions arrive.
pub(super) struct InspectorQueue {
    questions: mpsc::Receiver<Ask>,
    tell: watch::Sender<String>,
    launch: Launch,
    kept: VecDeque<(Request, Arc<Reply>)>,
    process: Option<Process>,
}

/// Answers questions until nobody can ask any more. `turn` is held while a process is started.
pub(super) async fn run(inner: Arc<Inner>, queue: InspectorQueue) {
    work(&inner.turn, queue).await;
}

async fn work(turn: &Turn, mut queue: InspectorQueue) {
    while let Some(ask) = queue.questions.recv().await {
        if ask.reply.is_closed() {
            continue;
        }
        let answered = queue.answer(turn, &ask).await;
        // Whoever asked may have gone meanwhile.
        let _ = ask.reply.send(answered);
    }
}

/// What became of a question put to a process.
enum Said {
    Last(Reply),
    /// It ended without a word about the question.
    Gone,
}

impl InspectorQueue {
    async fn answer(&mut self, turn: &Turn, ask: &Ask) -> Result<Arc<Reply>, Unanswered> {
        if let Some((_, reply)) = self.kept.iter().find(|(request, _)| *request == ask.request) {
            return Ok(reply.clone());
        }
        let frame = Frame {
            text: serde_json::to_vec(&ask.request).map_err(|fault| Unanswered::Failed(fault.to_string()))?,
            file: ask.file.to_vec(),
        };
        let idle = self.process.is_some();
        let mut said = self.put(turn, &frame).await?;
        if matches!(said, Said::Gone) && idle {
            // It had just ended because nobody asked for a while.
            said = self.put(turn, &frame).await?;
        }
        match said {
            Said::Last(Reply::Refused(reason)) => Err(Unanswered::Refused(reason)),
            Said::Last(reply) => {
                let reply = Arc::new(reply);
                self.kept.push_back((ask.request.clone(), reply.clone()));
                if self.kept.len() > KEPT {
                    self.kept.pop_front();
                }
                Ok(reply)
            }
            Said::Gone => Err(Unanswered::Failed("the playground's process ended at once".to_owned())),
        }
    }

    /// Puts a question to the process, started first if there is none. One that fails is ended.
    async fn put(&mut self, turn: &Turn, frame: &Frame) -> Result<Said, Unanswered> {
        let failed = |fault: anyhow::Error| {
            tracing::warn!("{fault:#}");
            Unanswered::Failed(format!("{fault:#}"))
        };
        if let Some(process) = &mut self.process
            && let Ok(Some(status)) = process.child.try_wait()
        {
            // It ended while nobody asked anything: that is no fault of this question.
            tracing::info!("the playground's process ended by itself: {status}");
            self.process = None;
        }
        let process = match &mut self.process {
            Some(process) => process,
            None => {
                self.tell.send_replace("starting a process for it".to_owned());
                self.process.insert(Process::start(&self.launch, turn).await.map_err(failed)?)
            }
        };
        self.tell.send_replace("working on it".to_owned());
        let mut last = process.ask(frame, &self.tell, self.launch.silence).await;
        if let Ok(Said::Last(_)) = last {
            return last.map_err(failed);
        }
        // It is dead, or must be: nobody knows what it would answer next.
        let process = self.process.take().expect("it was just asked");
        if last.is_ok() {
            last = process.last_words().await;
        }
        last.map_err(failed)
    }
}

/// A living `umbra inspect-server`. Dropping it kills it.
struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// The end of what it printed.
    printed: Arc<Mutex<Vec<u8>>>,
    printing: JoinHandle<()>,
    memory_kills: u64,
    memory_limit: Option<u64>,
}

impl Process {
    async fn start(launch: &Launch, turn: &Turn) -> anyhow::Result<Process> {
        let mut command = Command::new(&launch.program);
        command.args(&launch.arguments);
        use_threads(&mut command, launch.threads);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // As with workers: a child that is being started must not inherit a run's lock.
        let held = turn.lock().await;
        let started = command.spawn();
        drop(held);
        let mut child = started.with_context(|| format!("the playground's process {} could not be started", launch.program.display()))?;
        limit_memory(child.id(), launch.memory);
        let taken = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let ((input, output), mut errors) = taken.context("a child has the pipes it was given")?;
        let printed = Arc::new(Mutex::new(Vec::new()));
        let tail = printed.clone();
        let printing = tokio::spawn(async move {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = errors.read(&mut piece).await {
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                tail.extend_from_slice(&piece[..length]);
                let over = tail.len().saturating_sub(TAIL);
                tail.drain(..over);
            }
        });
        Ok(Process {
            child,
            input,
            output,
            printed,
            printing,
            memory_kills: memory_kills(),
            memory_limit: launch.memory,
        })
    }

    /// Asks and passes its news on until the last word.
    async fn ask(&mut self, frame: &Frame, tell: &watch::Sender<String>, silence: Duration) -> anyhow::Result<Said> {
        let too_long = |_| {
            let seconds = silence.as_secs_f64();
            anyhow::anyhow!("the playground's process said nothing for {seconds} seconds and was ended")
        };
        let sent = timeout(silence, async {
            self.input.write_all(&frame.bytes()).await?;
            self.input.flush().await
        });
        // One that has ended takes no question; its last words come below.
        let _ = sent.await.map_err(too_long)?;
        loop {
            let reply = timeout(silence, read(&mut self.output)).await.map_err(too_long)?;
            match reply? {
                Some(Reply::Working(news)) => drop(tell.send_replace(news)),
                Some(last) => return Ok(Said::Last(last)),
                None => return Ok(Said::Gone),
            }
        }
    }

    /// Why it ended.
    async fn last_words(mut self) -> anyhow::Result<Said> {
        let exit = match timeout(Duration::from_secs(5), self.child.wait()).await {
            Ok(status) => Exit::from(status?),
            Err(_) => anyhow::bail!("the playground's process closed its output and was ended"),
        };
        let _ = timeout(Duration::from_secs(1), self.printing).await;
        let log = String::from_utf8_lossy(&self.printed.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        if exit == Exit::Code(0) {
            return Ok(Said::Gone);
        }
        let ending = Ending {
            exit,
            state: State::Running,
            stopped: None,
            memory_ran_out: memory_kills() > self.memory_kills,
            memory_limit: self.memory_limit,
            log: &log,
        };
        match verdict(&ending) {
            ExitVerdict::Failed(reason) | ExitVerdict::Cancelled(reason) => anyhow::bail!("the playground's process failed: {reason}"),
            ExitVerdict::Stands | ExitVerdict::Lost => anyhow::bail!("the playground's process is gone"),
        }
    }
}

/// The next reply; nothing where the process has closed its output.
async fn read(output: &mut ChildStdout) -> io::Result<Option<Reply>> {
    let mut head = [0; HEAD];
    if let Err(fault) = output.read_exact(&mut head).await {
        return match fault.kind() {
            io::ErrorKind::UnexpectedEof => Ok(None),
            _ => Err(fault),
        };
    }
    let (text, file) = lengths(head)?;
    let mut bytes = vec![0; text + file];
    match output.read_exact(&mut bytes).await {
        Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    Ok(Some(serde_json::from_slice(&bytes[..text])?))
}

#[cfg(test)]
mod tests;
