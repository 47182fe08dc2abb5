//! What several tests need: data directories, runs, the real binary, a real server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use umbra::experiment::{Request, RunSpec, Scale, Stage, Value, single_run};
use umbra::methods::catalog;
use umbra::run_dir::{Event, EventKind, EventReader, LogPosition, RunDir};

/// The binary under test.
pub const UMBRA: &str = env!("CARGO_BIN_EXE_umbra");

/// Settings small enough for a run to take about a second.
pub const TINY: &[(&str, &str, Value)] = &[
    ("data", "train_images", Value::Int(64)),
    ("data", "val_images", Value::Int(32)),
    ("train", "batch_size", Value::Int(16)),
    ("train", "epochs", Value::Int(2)),
    ("model", "dim", Value::Int(16)),
    ("model", "depth", Value::Int(2)),
    ("model", "decoder_dim", Value::Int(16)),
];

/// A command of the binary, free of the caller's own settings.
pub fn umbra(args: &[&str]) -> Command {
    let mut command = Command::new(UMBRA);
    command
        .args(args)
        .env_remove("UMBRA_DATA_DIR")
        .env_remove("UMBRA_TOKEN")
        .env_remove("UMBRA_LISTEN")
        .env_remove("UMBRA_DEVICES");
    command
}

/// Runs the binary to its end.
pub fn output(args: &[&str]) -> Output {
    umbra(args).output().expect("the binary starts")
}

/// Everything a command wrote to its error stream.
pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The tiny settings as `--set` flags.
pub fn tiny_flags() -> Vec<String> {
    TINY.iter()
        .map(|(section, key, value)| format!("--set={section}.{key}={value}"))
        .collect()
}

/// A tiny run with changes.
pub fn tiny_run(stage: Stage, method: &str, parent: Option<&RunSpec>, changes: &[(&str, &str, Value)]) -> RunSpec {
    let scale = Scale::built_in()
        .into_iter()
        .find(|s| s.name == "smoke")
        .expect("smoke is built in");
    let catalog = catalog();
    let method_info = catalog.get(method).expect("the method is known");
    let request = Request::of(TINY.iter().chain(changes)).fitting(stage, method_info);
    single_run(stage, method, &scale, &catalog, &request, 0, parent).expect("tiny settings are valid")
}

/// Every event of a run.
pub fn events(dir: &RunDir) -> Vec<Event> {
    EventReader::new(&dir.events_file())
        .read(&LogPosition::default())
        .expect("the log is readable")
        .events
}

/// The numbers of a run that must not depend on how often it was interrupted.
pub fn numbers(dir: &RunDir) -> Vec<(String, Option<u64>, u64)> {
    let number = |event: Event| match event.kind {
        EventKind::Metric { name, step, value } if !name.starts_with("speed") => Some((name, Some(step), value.to_bits())),
        EventKind::Summary { name, value } => Some((name, None, value.to_bits())),
        _ => None,
    };
    events(dir).into_iter().filter_map(number).collect()
}

/// Waits until `done` says so, and panics with `what` after `limit`.
pub fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A real server on a free port, stopped on drop.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub address: String,
    /// Its data directory.
    pub data_dir: PathBuf,
}

impl Server {
    /// Starts the binary on `data_dir`.
    pub fn start(data_dir: &Path) -> Server {
        let mut child = umbra(&["serve", "--listen", "127.0.0.1:0", "--device", "cpu", "--data-dir"])
            .arg(data_dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let address = loop {
            let mut line = String::new();
            if out.read_line(&mut line).expect("readable") == 0 {
                let mut complaint = String::new();
                let _ = child.stderr.take().expect("piped").read_to_string(&mut complaint);
                panic!("the server ended: {complaint}");
            }
            if let Some(at) = line.find("http://") {
                break line[at..].split_whitespace().next().expect("an address").to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let mut errors = child.stderr.take().expect("piped");
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        Server {
            child,
            address,
            data_dir: data_dir.to_owned(),
        }
    }

    /// Asks the JSON twin of the pages; `body` makes it a POST. Panics unless the answer is a success.
    pub fn api(&self, path: &str, body: Option<&str>) -> serde_json::Value {
        let host = self.address.strip_prefix("http://").expect("the address begins so");
        let (method, body) = body.map_or(("GET", ""), |body| ("POST", body));
        let mut stream = TcpStream::connect(host).expect("the server listens");
        let head = format!(
            "{method} /api/v1{path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.lines().next().is_some_and(|line| line.contains(" 20")), "{path}: {answer}");
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
    }

    /// Asks the server to stop, as Ctrl-C does, and waits for its end.
    pub fn stop(mut self, limit: Duration) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it lives");
        let mut status = None;
        wait_for("the server's end", limit, || {
            status = self.child.try_wait().expect("it can be asked");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Ends the server as a crash would; its workers go on.
    pub fn kill(mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("it ends");
        // Its workers belong to the next server.
        self.data_dir = PathBuf::new();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for dir in RunDir::all(&self.data_dir).unwrap_or_default() {
            if let Ok(Some(holder)) = umbra::run_dir::Lock::holder(dir.path())
                && let Some(pid) = rustix::process::Pid::from_raw(holder.pid as i32)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
