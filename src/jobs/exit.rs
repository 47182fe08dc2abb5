//! Why a worker ended, in one sentence for people.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::run_dir::State;

/// How a worker process ended, as far as this server saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It was another server's child: it is gone, and nobody knows how.
    Unseen,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Exit {
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unseen,
        }
    }
}

/// What is known about the end of a worker.
#[derive(Clone, Debug)]
pub struct Ending<'a> {
    /// How the process ended.
    pub exit: Exit,
    /// Where its events say the run stands.
    pub state: State,
    /// Why somebody asked it to stop, if somebody did.
    pub stopped: Option<&'a str>,
    /// Whether the system killed a process of this group for want of memory meanwhile.
    pub memory_ran_out: bool,
    /// Bytes of address space it was allowed.
    pub memory_limit: Option<u64>,
    /// The end of what it printed.
    pub log: &'a str,
}

/// What remains to be written when a worker has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitVerdict {
    /// Nothing: its own last event stands, or it never began and the run waits on.
    Stands,
    /// That the run failed, and why.
    Failed(String),
    /// That the run was cancelled, and why.
    Cancelled(String),
    /// That the worker died unseen. It may be tried once more.
    Lost,
}

/// Exit code of a worker that was asked to stop and did.
const STOPPED: i32 = 10;
/// Exit code of a worker that found the run's lock held.
const HELD: i32 = 11;
/// Exit code of a Rust program whose main thread panicked.
const PANICKED: i32 = 101;

/// Judges the end of a worker.
pub fn verdict(ending: &Ending) -> ExitVerdict {
    if !matches!(ending.state, State::Queued | State::Running) {
        return ExitVerdict::Stands;
    }
    if let Some(reason) = ending.stopped {
        return ExitVerdict::Cancelled(reason.to_owned());
    }
    match ending.exit {
        // Whoever held the lock has let it go unseen.
        Exit::Unseen | Exit::Code(HELD) if ending.state == State::Running => ExitVerdict::Lost,
        Exit::Unseen | Exit::Code(HELD) => ExitVerdict::Stands,
        Exit::Code(STOPPED) if ending.state == State::Queued => ExitVerdict::Stands,
        Exit::Code(STOPPED) => ExitVerdict::Cancelled("the worker was asked to stop".to_owned()),
        Exit::Code(code) => ExitVerdict::Failed(of_code(code, ending.log)),
        Exit::Signal(signal) => ExitVerdict::Failed(of_signal(signal, ending)),
    }
}

fn of_code(code: i32, log: &str) -> String {
    match (code, panic_line(log), last_line(log)) {
        (0, ..) => "the worker ended without saying that the run is finished".to_owned(),
        (PANICKED, Some(panic), _) => format!("the worker panicked at {panic}"),
        (PANICKED, None, _) => "the worker panicked and left no message in log.txt".to_owned(),
        (_, _, Some(line)) => format!("the worker ended with exit code {code}; it last printed: {line}"),
        (_, _, None) => format!("the worker ended with exit code {code} and printed nothing"),
    }
}

fn of_signal(signal: i32, ending: &Ending) -> String {
    let name = signal_name(signal);
    let limit = ending
        .memory_limit
        .map(|bytes| format!(" (its limit is {} MiB)", bytes >> 20))
        .unwrap_or_default();
    match (name.as_str(), failed_allocation(ending.log), panic_line(ending.log)) {
        ("SIGABRT", Some(allocation), _) => format!("the worker ran out of memory{limit}: {allocation}"),
        ("SIGABRT", None, Some(panic)) => format!("the worker panicked at {panic} and aborted"),
        ("SIGKILL", ..) if ending.memory_ran_out => "the worker ran out of memory: the system killed it (SIGKILL)".to_owned(),
        ("SIGKILL", ..) => "the worker was killed from outside (SIGKILL)".to_owned(),
        ("SIGSEGV" | "SIGBUS" | "SIGILL" | "SIGFPE", ..) => {
            format!("the worker crashed ({name}), which points to a driver or a fault in Umbra")
        }
        _ => format!("the worker was ended by a signal ({name})"),
    }
}

/// Names of the signals that end a process, by Linux number; others are named by number.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

/// Place and message of the last panic: the standard hook prints `thread 'main' panicked at PLACE:` and
/// then the message on the next line.
fn panic_line(log: &str) -> Option<String> {
    let (_, after) = log.rsplit_once("panicked at ")?;
    let mut lines = after.lines();
    let place = lines.next()?.trim_end_matches(':');
    Some(match lines.next().map(str::trim).filter(|message| !message.is_empty()) {
        Some(message) => format!("{place}: {}", clipped(message)),
        None => place.to_owned(),
    })
}

/// What Rust's allocator prints before it aborts.
fn failed_allocation(log: &str) -> Option<&str> {
    log.lines()
        .rev()
        .find(|line| line.starts_with("memory allocation of ") && line.ends_with(" failed"))
}

fn last_line(log: &str) -> Option<&str> {
    log.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(clipped)
}

/// At most 300 characters, as much as a page shows in one cell.
fn clipped(line: &str) -> &str {
    line.char_indices().nth(300).map_or(line, |(end, _)| &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(exit: Exit, log: &str) -> Ending<'_> {
        Ending {
            exit,
            state: State::Running,
            stopped: None,
            memory_ran_out: false,
            memory_limit: None,
            log,
        }
    }

    #[test]
    fn every_end_has_a_reason_of_its_own() {
        let panic =
            "loading\nthread 'main' (77) panicked at src/train/mod.rs:12:5:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`\n";
        let allocation = "step 3\nmemory allocation of 8589934592 bytes failed\n";
        let cases = [
            (Exit::Code(0), "", "the worker ended without saying that the run is finished"),
            (
                Exit::Code(1),
                "a\nError: no such file\n\n",
                "the worker ended with exit code 1; it last printed: Error: no such file",
            ),
            (Exit::Code(3), "", "the worker ended with exit code 3 and printed nothing"),
            (
                Exit::Code(101),
                panic,
                "the worker panicked at src/train/mod.rs:12:5: index out of bounds",
            ),
            (Exit::Code(101), "", "the worker panicked and left no message in log.txt"),
            (
                Exit::Signal(6),
                allocation,
                "the worker ran out of memory: memory allocation of 8589934592 bytes failed",
            ),
            (
                Exit::Signal(6),
                panic,
                "the worker panicked at src/train/mod.rs:12:5: index out of bounds and aborted",
            ),
            (Exit::Signal(6), "", "the worker was ended by a signal (SIGABRT)"),
            (Exit::Signal(9), "", "the worker was killed from outside (SIGKILL)"),
            (
                Exit::Signal(11),
                "",
                "the worker crashed (SIGSEGV), which points to a driver or a fault in Umbra",
            ),
            (Exit::Signal(15), "", "the worker was ended by a signal (SIGTERM)"),
            (Exit::Signal(40), "", "the worker was ended by a signal (signal 40)"),
        ];
        for (exit, log, reason) in cases {
            assert_eq!(
                verdict(&ending(exit, log)),
                ExitVerdict::Failed(reason.to_owned()),
                "{exit:?} {log}"
            );
        }
    }

    #[test]
    fn a_kill_while_memory_ran_out_is_told_from_one_by_hand() {
        let killed = Ending {
            memory_ran_out: true,
            ..ending(Exit::Signal(9), "")
        };
        assert_eq!(
            verdict(&killed),
            ExitVerdict::Failed("the worker ran out of memory: the system killed it (SIGKILL)".to_owned())
        );
        let limited = Ending {
            memory_limit: Some(64 << 20),
            ..ending(Exit::Signal(6), "memory allocation of 9 bytes failed\n")
        };
        let reason = "the worker ran out of memory (its limit is 64 MiB): memory allocation of 9 bytes failed";
        assert_eq!(verdict(&limited), ExitVerdict::Failed(reason.to_owned()));
    }

    #[test]
    fn the_workers_own_last_word_stands() {
        for state in [State::Finished, State::Failed, State::Cancelled] {
            for exit in [Exit::Code(0), Exit::Code(1), Exit::Code(10), Exit::Signal(9), Exit::Unseen] {
                assert_eq!(
                    verdict(&Ending {
                        state,
                        stopped: Some("a person"),
                        ..ending(exit, "")
                    }),
                    ExitVerdict::Stands
                );
            }
        }
    }

    #[test]
    fn a_worker_that_was_asked_to_stop_was_cancelled_however_it_ended() {
        for exit in [Exit::Code(1), Exit::Signal(15), Exit::Signal(9), Exit::Unseen] {
            let stopped = Ending {
                stopped: Some("cancelled by a person"),
                ..ending(exit, "")
            };
            assert_eq!(verdict(&stopped), ExitVerdict::Cancelled("cancelled by a person".to_owned()));
        }
        assert_eq!(
            verdict(&ending(Exit::Code(10), "")),
            ExitVerdict::Cancelled("the worker was asked to stop".to_owned())
        );
    }

    #[test]
    fn a_worker_that_vanished_is_lost_only_if_it_had_begun() {
        assert_eq!(verdict(&ending(Exit::Unseen, "")), ExitVerdict::Lost);
        assert_eq!(verdict(&ending(Exit::Code(11), "")), ExitVerdict::Lost);
        assert_eq!(
            verdict(&Ending {
                state: State::Queued,
                ..ending(Exit::Unseen, "")
            }),
            ExitVerdict::Stands
        );
        assert_eq!(
            verdict(&Ending {
                state: State::Queued,
                ..ending(Exit::Code(11), "")
            }),
            ExitVerdict::Stands
        );
    }
}
