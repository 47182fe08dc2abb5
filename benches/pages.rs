//! How long pages take with ten thousand runs, with a study of two thousand, and with a run of a large seed:
//! `cargo bench --no-default-features --features cpu --bench pages`.
//!
//! The real server reads run directories that were written without training. Each page is asked for twenty times, and the
//! fastest answer counts: what the page needs, not what else the machine does meanwhile. Fails if a page takes longer than
//! [`LIMIT`].

#![allow(clippy::print_stdout, reason = "a bench prints what it measures")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use umbra::experiment::{Plan, Request, RunSpec, Scale, Study, plan, plan_seeds};
use umbra::methods::catalog;
use umbra::run_dir::{RunDir, RunFile};

const LIMIT: Duration = Duration::from_millis(150);
const TRIES: usize = 20;
/// Seconds since 1970 at which the first run was made.
const FIRST: u64 = 1_700_000_000;

fn main() -> ExitCode {
    let all = [many_runs(), a_large_study(), a_large_seed()];
    let slow: Vec<&String> = all
        .iter()
        .flatten()
        .filter(|(_, time)| *time > LIMIT)
        .map(|(path, _)| path)
        .collect();
    if slow.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("longer than {LIMIT:?}: {slow:?}");
    ExitCode::FAILURE
}

fn many_runs() -> Vec<(String, Duration)> {
    let runs = planned("mae-vs-scratch", &Request::default()).runs;
    let dir = folder();
    for (like, number) in runs.iter().cycle().zip(0..10_000) {
        let mut run = RunSpec::new(like.stage, &like.method, 1_000 + number, None, like.settings.clone(), &[]);
        run.label = format!("run {number} of many");
        write(dir.path(), run, number, 0);
    }
    let paths = [
        "/runs",
        "/runs?page=100&sort=label",
        "/runs?q=999&sort=duration",
        "/runs?study=mae-vs-scratch",
        "/runs?group=method&measure=finetune.top1",
        "/runs?group=study&measure=finetune.top1&sort=mean",
        "/runs?group=train.base_lr&measure=finetune.top1",
        "/",
        "/studies/mae-vs-scratch?scale=smoke",
        "/queue",
        "/launch?stage=finetune",
    ];
    timed(&dir, &paths.map(str::to_owned))
}

/// Sixteen rows, three columns, some forty seeds, and a curve of five hundred points for every run.
fn a_large_study() -> Vec<(String, Duration)> {
    let seeds = |seeds| Request {
        seeds: Some(seeds),
        ..Request::default()
    };
    let count = 2_000u64.div_ceil(planned("methods", &seeds(1)).runs.len() as u64);
    let runs = planned("methods", &seeds(count)).runs;
    let first = format!("/runs/{}", runs[0].id);
    let dir = folder();
    for (run, number) in runs.into_iter().zip(0..) {
        write(dir.path(), run, number, 500);
    }
    let study = format!("/studies/methods?scale=smoke&seeds={count}");
    let number = format!("/studies/methods/number?scale=smoke&seeds={count}&row=mae&column=probe");
    let views = ["", "&sort=probe&show=seeds", "&against=quick"].map(|view| format!("{study}{view}"));
    timed(&dir, &[views.as_slice(), &[number, first]].concat())
}

/// The page looks for the tables of that seed alone: with all before it they would be hundreds of thousands of runs.
fn a_large_seed() -> Vec<(String, Duration)> {
    let (study, scale) = (study("mae-vs-scratch"), &Scale::built_in()[0]);
    let plan = plan_seeds(&study, scale, &catalog(), &Request::default(), 999..1000).expect("the study can be planned");
    let run = plan.runs.into_iter().next_back().expect("a study has runs");
    let (dir, path) = (folder(), format!("/runs/{}", run.id));
    write(dir.path(), run, 0, 0);
    timed(&dir, &[path])
}

fn study(name: &str) -> Study {
    let mut studies = Study::built_in().into_iter();
    studies.find(|study| study.name == name).expect("the study is built in")
}

fn planned(name: &str, request: &Request) -> Plan {
    plan(&study(name), &Scale::built_in()[0], &catalog(), request).expect("the study can be planned")
}

/// Writes a finished run without the waits for the disk that a real worker makes.
fn write(data_dir: &Path, run: RunSpec, number: u64, points: u64) {
    let dir = RunDir::of(data_dir, &run.id);
    fs::create_dir_all(dir.path()).expect("the folder for temporary files can be written");
    let created = FIRST + number;
    let mut events = String::new();
    let mut seq = 0;
    let mut event = |kind: &str| {
        seq += 1;
        let _ = writeln!(events, r#"{{"seq":{seq},"time":{created}.0,{kind}}}"#);
    };
    event(r#""kind":"queued","priority":0"#);
    event(r#""kind":"started","attempt":1,"pid":1,"host":"here","device":"cpu","threads":2"#);
    for step in 1..=points {
        let value = 1.0 / step as f64;
        event(&format!(r#""kind":"metric","name":"train/loss","step":{step},"value":{value}"#));
    }
    event(&format!(r#""kind":"summary","name":"finetune.top1","value":{number}.0"#));
    event(r#""kind":"finished","seconds":12.0"#);
    let umbra = env!("CARGO_PKG_VERSION").to_owned();
    let file = toml::to_string(&RunFile { umbra, created, run }).expect("a run is TOML");
    fs::write(dir.spec_file(), file).expect("the run can be written");
    fs::write(dir.events_file(), events).expect("the events can be written");
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("the folder for temporary files can be written")
}

/// The shortest time of each page.
fn timed(dir: &TempDir, paths: &[String]) -> Vec<(String, Duration)> {
    let server = Server::start(dir.path());
    let mut times = Vec::new();
    for path in paths {
        let best = (0..TRIES).map(|_| server.time(path)).min().expect("there are tries");
        println!("{best:>12.2?}  {path}");
        times.push((path.clone(), best));
    }
    times
}

struct Server {
    child: Child,
    host: String,
}

impl Server {
    fn start(data_dir: &Path) -> Server {
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_umbra"))
            .args(["serve", "--listen", "127.0.0.1:0", "--device", "cpu", "--data-dir"])
            .arg(data_dir)
            .env_remove("UMBRA_TOKEN")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("the output is piped")).lines();
        let ready = lines.find_map(|line| line.ok()?.split_once("http://").map(|(_, rest)| rest.to_owned()));
        let host = ready.as_deref().and_then(|rest| rest.split_whitespace().next());
        let host = host.expect("the server says where it is").to_owned();
        println!("{:>12.2?}  until the server is ready", began.elapsed());
        Server { child, host }
    }

    fn time(&self, path: &str) -> Duration {
        let began = Instant::now();
        let mut stream = TcpStream::connect(&self.host).expect("the server listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.host).expect("the server reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server answers");
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{path}: {}",
            String::from_utf8_lossy(&answer[..answer.len().min(300)])
        );
        began.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
